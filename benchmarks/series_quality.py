"""How well do detectors find the anomalies of 48 real and synthetic series?

They are those of TSB-AD that were used to develop this project's default: 26 of one channel, 22 of
several. In *prefix*, a detector learns from the first rows, which hold no anomaly, and judges the
whole series; in *whole*, it learns from what it judges, and `WindowedDetector` is told so by
`training_data`. Labels serve the measures only, which are the volumes under the surfaces of
precision and recall (VUS-PR) and of the ROC curve (VUS-ROC), with the buffer that TSB-AD gives.

`WindowedDetector` appears with its default, and with other estimators inside; those of sequences
take at most 500 steps of training. *no model* is the control: squared differences of neighbouring
rows, smoothed twice by a mean over a window, so what others find beyond it is due to a model.
*Sub-PCA* and *Sub-IForest* are run in the manner of TSB-AD: windows as long as a period, each
scaled by itself. Numbers of the published table come from its authors, whose detectors had
parameters that were tuned on other series, and were not measured here. The default of this project
was chosen on exactly these series: take its numbers as the best case.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from series_summary import KINDS, PUBLISHED, summary
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from tabular_quality import pyod
from timing import arguments, installed, machine

from sktae import (
    Autoencoder,
    AutoregressiveAutoencoder,
    ConvolutionalSequenceAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
    WindowedDetector,
)
from sktae.metrics import period, vus_pr, vus_roc

FITS = {"prefix": "clean", "whole": "contaminated"}  # and what there is to be told
QUICK_SETS = 2
KEYS = ["kind", "fit", "set", "detector", "seed"]
WINDOW = 200


# -- detectors -------------------------------------------------------------------------------------


class NoModel:
    """Squared differences of neighbouring rows, smoothed twice; channels are scaled by the fit."""

    def fit(self, X: np.ndarray) -> "NoModel":
        self.scale = np.where((scale := X.std(axis=0)) > 0, scale, 1.0)
        self.window = min(WINDOW, max(1, len(X) // 4))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        steps = np.diff(X / self.scale, axis=0, prepend=X[:1] / self.scale)
        found = np.square(steps).mean(axis=1)
        box = np.ones(self.window)
        counts = np.convolve(np.ones(len(X)), box, "same")
        for _ in range(2):
            found = np.convolve(found, box, "same") / counts
        return -found


class Sub:
    """A detector of PyOD on windows in the manner of TSB-AD, placed at their middles."""

    def __init__(self, path: str, **settings: Any):
        self.model = pyod(path, **settings)

    def fit(self, X: np.ndarray) -> "Sub":
        self.window = min(period(X[:, 0]), len(X) // 4)
        self.model.fit(self.windows(X))
        return self

    def windows(self, X: np.ndarray) -> np.ndarray:
        found = sliding_window_view(X, self.window, axis=0)
        scale = found.std(axis=-1, keepdims=True)
        found = (found - found.mean(axis=-1, keepdims=True)) / np.where(scale > 0, scale, 1.0)
        return found.reshape(len(found), -1)

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        found = self.model.decision_function(self.windows(X))
        places = np.arange(len(X)) - self.window // 2
        return -found[np.clip(places, 0, len(found) - 1)]


class Bridged:
    """A detector of PyOD behind its own bridge for series, with the parameters it comes with."""

    def __init__(self, **settings: Any):
        self.model = pyod(
            "ts_od.TimeSeriesOD", detector=pyod("auto_encoder.AutoEncoder", **settings)
        )

    def fit(self, X: np.ndarray) -> "Bridged":
        self.model.fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.model.decision_function(X)


INSIDE: dict[str, Any] = {
    "default": None,
    "Autoencoder": Autoencoder(),
    "PCA": PCA(16),
    "IsolationForest": IsolationForest(),
    "TransformerAutoencoder": TransformerAutoencoder(patch_size=10, max_steps=500),
    "RecurrentAutoencoder": RecurrentAutoencoder(patch_size=10, max_steps=500),
    "ConvolutionalSequenceAutoencoder": ConvolutionalSequenceAutoencoder(max_steps=500),
    "AutoregressiveAutoencoder": AutoregressiveAutoencoder(max_steps=500),
}
# What is called with what is known of the training data, and a seed.
DETECTORS: dict[str, Callable[[str, int], Any]] = {
    **{
        name: lambda truth, seed, inside=inside: WindowedDetector(
            inside, training_data=truth, random_state=seed
        )
        for name, inside in INSIDE.items()
    },
    "no model": lambda truth, seed: NoModel(),
    # Its scores are infinite if it keeps directions in which nothing varies.
    "Sub-PCA": lambda truth, seed: Sub("pca.PCA", n_components=1 - 1e-9, random_state=seed),
    "Sub-IForest": lambda truth, seed: Sub("iforest.IForest", random_state=seed),
    "PyOD AutoEncoder": lambda truth, seed: Bridged(random_state=seed, device="cpu", verbose=0),
}
WITHOUT_CHANCE = ("PCA", "no model", "Sub-PCA")
ONE_CHANNEL = ("Sub-PCA", "Sub-IForest")
NEEDS = dict.fromkeys((*ONE_CHANNEL, "PyOD AutoEncoder"), "pyod")


# -- one fit ---------------------------------------------------------------------------------------


class Series(NamedTuple):
    kind: str
    name: str
    path: Path
    n_train: int
    window: int  # of the measures


class Task(NamedTuple):
    fit: str
    detector: str
    seed: int
    make: Callable[[], Any]


def listed(data: Path) -> list[Series]:
    """Read which series there are."""
    frame = pd.read_csv(data / "manifest.csv")
    rows = frame[["kind", "name", "file", "train_len", "vus_window"]].itertuples(index=False)
    return [Series(kind, name, data / file, n, window) for kind, name, file, n, window in rows]


def loaded(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Read the values and the labels of a series."""
    with np.load(series.path) as arrays:
        X, y = arrays["X"].astype(float), arrays["y"].astype(int)
    return X.reshape(len(X), -1), y


def measured(series: Series, task: Task) -> dict[str, Any]:
    """Fit a detector, have it judge, and compare with the labels."""
    X, y = loaded(series)
    model = task.make()
    begin = time.perf_counter()
    model.fit(X if task.fit == "whole" else X[: series.n_train])
    found = -model.score_samples(X)
    return {
        **dict(
            zip(KEYS, (series.kind, task.fit, series.name, task.detector, task.seed), strict=True)
        ),
        "vus_pr": vus_pr(y, found, window=series.window),
        "vus_roc": vus_roc(y, found, window=series.window),
        "seconds": time.perf_counter() - begin,
    }


# -- all of them -----------------------------------------------------------------------------------


def tasks(args: Any, kind: str, detectors: dict[str, Any]) -> Iterator[Task]:
    """Yield what is to be done on a series."""
    for name, make in detectors.items():
        if kind != "uni" and name in ONE_CHANNEL:
            continue
        for fit in args.fits:
            for seed in range(1 if name in WITHOUT_CHANCE else args.seeds):
                yield Task(fit, name, seed, partial(make, FITS[fit], seed))


def published(data: Path, series: Series) -> Iterator[dict[str, Any]]:
    """Yield the rows of the published detectors on a series, if it is among theirs."""
    table = pd.read_csv(data / f"published_vus_pr_{series.kind}.csv", index_col=0)
    if series.name in table.index:
        for detector, value in table.loc[series.name].items():
            values = (series.kind, PUBLISHED, series.name, detector, np.nan)
            yield {**dict(zip(KEYS, values, strict=True)), "vus_pr": value}


def store(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows into a file in place of those that the same detectors had on the same series."""
    frame = pd.DataFrame(rows)
    if path.exists():
        old, keys = pd.read_csv(path, dtype={"commit": str}), ["set", "detector", "fit"]
        kept = ~pd.MultiIndex.from_frame(old[keys]).isin(pd.MultiIndex.from_frame(frame[keys]))
        frame = pd.concat([old[kept], frame])
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.set_index(KEYS).sort_index().to_csv(path, float_format="%.6g")


def show(path: Path) -> None:
    for (kind, fit), part in summary(pd.read_csv(path)).groupby(level=["kind", "fit"]):
        print(f"\n{KINDS[kind]}, {fit}")
        part = part.droplevel(["kind", "fit"]).reset_index()
        print(part.to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    print(f"\nWritten to {path}.")


def picture(everything: list[Series], path: Path) -> None:
    """Draw four series, two of each kind and of four sources, with scores and labels."""
    sources = {series.name.split("_")[1]: series for series in everything if series.kind == "uni"}
    chosen = dict(list(sources.items())[:2])
    others = (series for series in everything if series.kind == "multi")
    for series in others:
        if len(chosen) < 4:
            chosen.setdefault(series.name.split("_")[1], series)
    figure = Figure(figsize=(10, 2.2 * len(chosen)), layout="constrained")
    for axes, series in zip(figure.subplots(len(chosen)), chosen.values(), strict=True):
        X, y = loaded(series)
        model = WindowedDetector(random_state=0).fit(X[: series.n_train])
        anomaly = -model.score_samples(X)
        scale = np.where((scale := X.std(axis=0)) > 0, scale, 1.0)
        axes.plot(np.clip((X - X.mean(axis=0)) / scale, -4, 4) / 4, lw=0.3, color="#5b8db8")
        axes.plot(1.2 + anomaly / anomaly.max(), lw=1, color="black")
        edges = np.flatnonzero(np.diff(np.pad(y, 1)))
        for start, end in edges.reshape(-1, 2):
            axes.axvspan(start, end, color="#d62728", alpha=0.3, lw=0)
        axes.axvline(series.n_train, color="0.5", ls=":")
        measure = vus_pr(y, anomaly, window=series.window)
        axes.set_title(f"{series.name}: VUS-PR {measure:.2f}", loc="left", fontsize=9)
        axes.set_yticks([0, 1.7], ["series", "anomaly"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.01)
    figure.savefig(path, dpi=110)


def parsed() -> Any:
    """Parse the options."""
    where = (
        "folder with manifest.csv, the series in it as NPZ with X and y (1 is an anomaly) and "
        "published_vus_pr_{uni,multi}.csv; the originals are the series and the tables of results "
        "of TSB-AD, in the repository TheDatumOrg/TSB-AD on GitHub and on its web page"
    )
    args = arguments(
        __doc__.splitlines()[0],
        data={"type": Path, "required": True, "help": where},
        sets={"nargs": "+", "metavar": "NAME", "help": "only series whose names contain one of it"},
        detectors={"nargs": "+", "metavar": "NAME", "help": "only these; rows of others are kept"},
        fits={"nargs": "+", "choices": list(FITS), "default": list(FITS), "help": "only these"},
        seeds={"type": int, "help": "seeds of each detector, 3 by default"},
        picture={"type": Path, "help": "only draw four of the series with their scores into this"},
        jobs={"type": int, "default": 1, "help": "processes that share the work"},
    )
    args.seeds = args.seeds or (3 if args.size == "full" else 1)
    return args


def main() -> None:
    args = parsed()
    wanted = args.detectors or list(DETECTORS)
    if unknown := set(wanted) - set(DETECTORS):
        sys.exit(f"No such detectors: {sorted(unknown)}; there are {list(DETECTORS)}.")
    detectors = installed({name: DETECTORS[name] for name in wanted}, NEEDS)
    everything = [
        series
        for series in listed(args.data)
        if args.sets is None or any(part in series.name for part in args.sets)
    ]
    if args.picture:
        picture(everything, args.picture)
        return
    if args.size != "full":
        everything = everything[:QUICK_SETS]
    if args.size == "tiny":
        for inside in INSIDE.values():
            if hasattr(inside, "max_steps"):
                inside.set_params(max_steps=2)
    facts = {"jobs": args.jobs, "threads": args.threads, **machine()}
    for series in everything:
        begin = time.perf_counter()
        todo = tasks(args, series.kind, detectors)
        rows = Parallel(args.jobs)(delayed(measured)(series, task) for task in todo)
        store([*({**row, **facts} for row in rows), *published(args.data, series)], args.output)
        print(f"{series.name}: {len(rows)} fits, {time.perf_counter() - begin:.0f} s", flush=True)
    show(args.output)


if __name__ == "__main__":
    main()

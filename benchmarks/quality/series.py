"""How well do detectors find the anomalies of 48 real and synthetic series?

They are those of TSB-AD that were used to develop this project's default: 26 of one channel, 22 of
several. In *prefix*, a detector learns from the first rows, which hold no anomaly, and judges the
whole series; in *whole*, it learns from what it judges, and its `training_data` says so. Labels
serve the measures only, which are the volumes under the surfaces of precision and recall (VUS-PR)
and of the ROC curve (VUS-ROC), with the buffer that TSB-AD gives.

`WindowedDetector` appears with its default, and with other estimators inside; those of sequences
take at most 500 steps of training. *no model* is the control: squared differences of neighbouring
rows, smoothed twice by a mean over a window, so what others find beyond it is due to a model.
*Sub-PCA* and *Sub-IForest* are run in the manner of TSB-AD: windows as long as a period, each
scaled by itself. Numbers of the published table come from its authors, whose detectors had
parameters that were tuned on other series, and were not measured here. The default of this project
was chosen on exactly these series: take its numbers as the best case.
"""

import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from benchmarks._lib.results import PYOD, published
from benchmarks._lib.tables import circumstances, markdown, seconds
from benchmarks.quality.summaries import PUBLISHED, of_series
from benchmarks.quality.tabular import pyod
from sktae import (
    Autoencoder,
    AutoregressiveAutoencoder,
    ConvolutionalSequenceAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
    WindowedDetector,
)
from sktae.metrics import period, vus_pr, vus_roc

TITLE = "Detection quality on series"
DATA = (
    "folder with manifest.csv, the series in it as NPZ with X and y (1 is an anomaly) and "
    "published_vus_pr_{uni,multi}.csv; the originals are the series and the tables of results of "
    "TSB-AD, in the repository TheDatumOrg/TSB-AD on GitHub and on its web page."
)
FITS = {"prefix": "clean", "whole": "contaminated"}  # and what training_data are
KEYS, SEEDS = ["kind", "fit", "set", "detector", "seed"], 3
KINDS = {"uni": "one channel", "multi": "several channels"}
BEST = 5  # so many of the published detectors are shown
WINDOW = 200


# -- detectors -------------------------------------------------------------------------------------


class NoModel:
    """Squared differences of neighbouring rows, smoothed twice; channels are scaled by the fit."""

    def fit(self, X):
        self.scale = np.where((scale := X.std(axis=0)) > 0, scale, 1.0)
        self.window = min(WINDOW, max(1, len(X) // 4))
        return self

    def score_samples(self, X):
        steps = np.diff(X / self.scale, axis=0, prepend=X[:1] / self.scale)
        found = np.square(steps).mean(axis=1)
        box = np.ones(self.window)
        counts = np.convolve(np.ones(len(X)), box, "same")
        for _ in range(2):
            found = np.convolve(found, box, "same") / counts
        return -found


class Sub:
    """A detector of PyOD on windows in the manner of TSB-AD, placed at their middles."""

    def __init__(self, path, **settings):
        self.model = pyod(path, **settings)

    def fit(self, X):
        self.window = min(period(X[:, 0]), len(X) // 4)
        self.model.fit(self.windows(X))
        return self

    def windows(self, X):
        found = sliding_window_view(X, self.window, axis=0)
        scale = found.std(axis=-1, keepdims=True)
        found = (found - found.mean(axis=-1, keepdims=True)) / np.where(scale > 0, scale, 1.0)
        return found.reshape(len(found), -1)

    def score_samples(self, X):
        found = self.model.decision_function(self.windows(X))
        places = np.arange(len(X)) - self.window // 2
        return -found[np.clip(places, 0, len(found) - 1)]


class Bridged:
    """A detector of PyOD behind its own bridge for series, with the parameters it comes with."""

    def __init__(self, **settings):
        self.model = pyod(
            "ts_od.TimeSeriesOD", detector=pyod("auto_encoder.AutoEncoder", **settings)
        )

    def fit(self, X):
        self.model.fit(X)
        return self

    def score_samples(self, X):
        return -self.model.decision_function(X)


INSIDE = {
    "default": None,
    "Autoencoder": Autoencoder(),
    "PCA": PCA(16),
    "IsolationForest": IsolationForest(),
    "TransformerAutoencoder": TransformerAutoencoder(patch_size=10, max_steps=500),
    "RecurrentAutoencoder": RecurrentAutoencoder(patch_size=10, max_steps=500),
    "ConvolutionalSequenceAutoencoder": ConvolutionalSequenceAutoencoder(max_steps=500),
    "AutoregressiveAutoencoder": AutoregressiveAutoencoder(patch_size=1, max_steps=500),
}
# What is called with what is known of the training data, and a seed.
CONTESTANTS = {
    **{
        name: lambda truth, seed, inside=inside: WindowedDetector(
            inside, training_data=truth, random_state=seed
        )
        for name, inside in INSIDE.items()
    },
    "no model": lambda truth, seed: NoModel(),
}
WITHOUT_CHANCE = ("PCA", "no model", "Sub-PCA")
ONE_CHANNEL = ("Sub-PCA", "Sub-IForest")
if PYOD:
    CONTESTANTS |= {
        # Its scores are infinite if it keeps directions in which nothing varies.
        "Sub-PCA": lambda truth, seed: Sub("pca.PCA", n_components=1 - 1e-9, random_state=seed),
        "Sub-IForest": lambda truth, seed: Sub("iforest.IForest", random_state=seed),
        "PyOD AutoEncoder": lambda truth, seed: Bridged(random_state=seed, device="cpu", verbose=0),
    }


# -- one fit ---------------------------------------------------------------------------------------


def listed(data):
    """Read which series there are."""
    rows = pd.read_csv(data / "manifest.csv").to_dict("records")
    return [SimpleNamespace(**row, path=data / row["file"]) for row in rows]


def loaded(series):
    """Read the values and the labels of a series."""
    with np.load(series.path) as arrays:
        X, y = arrays["X"].astype(float), arrays["y"].astype(int)
    return X.reshape(len(X), -1), y


def measured(series, key, size):
    """Fit a detector, have it judge, and compare with the labels."""
    X, y = loaded(series)
    model = CONTESTANTS[key["detector"]](FITS[key["fit"]], key["seed"])
    n_train = len(X) if key["fit"] == "whole" else series.train_len
    return measured_by(model, X, y, n_train, series.vus_window, key, size)


def measured_by(model, X, y, n_train, vus_window, key, size):
    """Fit a detector to the first rows, have it judge all, and compare with the labels."""
    if size == "tiny" and hasattr(getattr(model, "estimator", None), "max_steps"):
        model = clone(model).set_params(estimator__max_steps=2)
    begin = time.perf_counter()
    model.fit(X[:n_train])
    found = -model.score_samples(X)
    row = {**key, "seconds": time.perf_counter() - begin}
    for name, measure in (("vus_pr", vus_pr), ("vus_roc", vus_roc)):
        row[name] = measure(y, found, window=vus_window)
    return [row]


# -- all of them -----------------------------------------------------------------------------------


def fits(args, series):
    """Yield what is to be done on a series."""
    for name in args.only:
        if series.kind != "uni" and name in ONE_CHANNEL:
            continue
        for fit in FITS:
            for seed in range(1 if name in WITHOUT_CHANCE else args.repeats):
                values = (series.kind, fit, series.name, name, seed)
                yield partial(measured, series, dict(zip(KEYS, values, strict=True)), args.size)


def sets(args):
    for series in listed(args.data):
        if args.sets and not any(part in series.name for part in args.sets):
            continue
        path, key = args.data / f"published_vus_pr_{series.kind}.csv", {"fit": PUBLISHED}
        quoted = published(path, series.name, "vus_pr", kind=series.kind, **key)
        yield series.name, fits(args, series), quoted


def tables(frame):
    """Yield the tables, with the best published detectors."""
    for (kind, fit), part in of_series(frame).groupby(level=["kind", "fit"], sort=False):
        part = part.droplevel(["kind", "fit"])[: BEST if fit == PUBLISHED else None]
        cells = {
            "VUS-PR": part.vus_pr.map("{:.3f}".format),
            "VUS-ROC": part.vus_roc.dropna().map("{:.3f}".format),
            "Time of a series": part.seconds.dropna().map(seconds),
            "Series": part.series.map(str),
        }
        what = "the best published" if fit == PUBLISHED else fit
        yield f"**Series of {KINDS[kind]}, {what}**"
        yield markdown(pd.DataFrame(cells).loc[part.index].dropna(axis=1))
    yield circumstances(frame[frame.fit != PUBLISHED])

"""How well do detectors find the anomalies of 22 real tables?

All have the parameters they come with. In the setting *semi* they learn from half of the normal
rows and judge the rest and all anomalies; in *unsup* they learn from and judge rows of both sorts.
Labels serve the measures only, which are the area under the ROC curve (AUROC) and the average
precision (AP), both in percent. Autoencoders of this project appear twice: once as they are, and
once *told* by `training_data` whether there are anomalies among the training rows. They scale
columns themselves; for the others, columns are standardised. The ensemble has four denoising ones.

The protocol *dte* is that of the table of 26 detectors published with "On Diffusion Modeling for
Anomaly Detection" (ICLR 2024), so places can be compared: sets below 1,000 rows are resampled to
1,000 before the split, which puts copies of training rows among those to be judged and flatters
detectors that memorise, and *unsup* learns from a bootstrap. The protocol *clean* does neither, so
*semi* is the same there for sets of 1,000 rows or more. In both, sets above 50,000 rows are cut to
50,000. Unlike in the published table, at most 10,000 rows are learnt from and at most 20,000
judged, drawn at random.

Numbers are means over three seeds, which also decide the splits. PyOD's two networks are slow and
have one seed. The published numbers, which are means over five seeds, are quoted and were not
measured here. The defaults of this project were chosen on exactly these 22 sets, and checked on
others: take what is written here as the best case, above all against detectors that were not tuned.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from tabular_ablation import VARIANTS
from tabular_summary import PUBLISHED, read, summary
from timing import RESULTS, arguments, installed, machine

from sktae import AutoencoderEnsemble, DenoisingAutoencoder, all_estimators

PROTOCOLS = ("dte", "clean")
SETTINGS = {"semi": "clean", "unsup": "contaminated"}  # and what there is to be told
FEWEST, MOST, MOST_TRAINED, MOST_JUDGED = 1_000, 50_000, 10_000, 20_000
QUICK_SETS = 3
KEYS = ["protocol", "setting", "set", "detector", "told", "seed"]


# -- detectors -------------------------------------------------------------------------------------


def ensemble(random_state: int, **settings: Any) -> AutoencoderEnsemble:
    member = DenoisingAutoencoder(**settings)
    return AutoencoderEnsemble(member, n_estimators=4, random_state=random_state)


def pyod(path: str, **settings: Any) -> Any:
    module, name = path.split(".")
    return getattr(import_module(f"pyod.models.{module}"), name)(**settings)


# By name: what is called with training_data and random_state, and what is called with a seed.
GALLERY: dict[str, Callable[..., Any]] = {
    **{Estimator.__name__: Estimator for Estimator in all_estimators()},
    "AutoencoderEnsemble": ensemble,
}
PEERS: dict[str, Callable[[int], Any]] = {
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "LOF": lambda seed: LocalOutlierFactor(novelty=True),
    "OCSVM": lambda seed: OneClassSVM(),
    # Its scores are infinite if it keeps directions in which nothing varies.
    "PCA": lambda seed: pyod("pca.PCA", n_components=1 - 1e-9, random_state=seed),
    "kNN largest": lambda seed: pyod("knn.KNN", method="largest"),
    "kNN mean": lambda seed: pyod("knn.KNN", method="mean"),
    "ECOD": lambda seed: pyod("ecod.ECOD"),
    "PyOD AutoEncoder": lambda seed: pyod("auto_encoder.AutoEncoder", **network(seed)),
    "PyOD VAE": lambda seed: pyod("vae.VAE", **network(seed)),
}
SLOW = ("PyOD AutoEncoder", "PyOD VAE")
NEEDS = dict.fromkeys(("PCA", "kNN largest", "kNN mean", "ECOD", *SLOW), "pyod")


def network(seed: int) -> dict[str, Any]:
    return {"random_state": seed, "device": "cpu", "verbose": 0}


def anomaly(model: Any, X: np.ndarray) -> np.ndarray:
    """Return larger numbers for more unusual rows; PyOD's sign is not scikit-learn's."""
    if type(model).__module__.startswith("pyod."):
        return model.decision_function(X)
    return -model.score_samples(X)


# -- one fit ---------------------------------------------------------------------------------------


class Split(NamedTuple):
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray  # of the test rows
    scaled_by: np.ndarray  # rows that say how the peers' are standardised


class Task(NamedTuple):
    protocol: str
    setting: str
    detector: str
    told: str
    seed: int
    make: Callable[[], Any]


def split(X: np.ndarray, y: np.ndarray, protocol: str, setting: str, seed: int) -> Split:
    """Draw the rows to learn from and those to judge."""
    rng = np.random.default_rng(seed)
    if protocol == "dte" and len(X) < FEWEST:
        rows = rng.choice(len(X), FEWEST)
        X, y = X[rows], y[rows]
    if len(X) > MOST:
        rows = rng.choice(len(X), MOST, replace=False)
        X, y = X[rows], y[rows]
    if setting == "semi":
        normal = rng.permutation(np.flatnonzero(y == 0))
        half = len(normal) // 2
        train, test = normal[:half], np.append(normal[half:], np.flatnonzero(y == 1))
    else:
        train = rng.choice(len(X), len(X)) if protocol == "dte" else np.arange(len(X))
        test = np.arange(len(X))
    if len(train) > MOST_TRAINED:
        train = rng.choice(train, MOST_TRAINED, replace=False)
    if len(test) > MOST_JUDGED:
        test = rng.choice(test, MOST_JUDGED, replace=False)
    return Split(X[train], X[test], y[test], X[train] if setting == "semi" else X)


def measured(X: np.ndarray, y: np.ndarray, task: Task) -> dict[str, Any]:
    """Fit a detector, have it judge, and compare with the labels."""
    part = split(X, y, task.protocol, task.setting, task.seed)
    train, test = part.train, part.test
    if not task.told:
        scaler = StandardScaler().fit(part.scaled_by)
        train, test = scaler.transform(train), scaler.transform(test)
    model = task.make()
    begin = time.perf_counter()
    model.fit(train)
    fitted = time.perf_counter()
    found = anomaly(model, test)
    judged = time.perf_counter()
    return {
        **{key: getattr(task, key) for key in KEYS if key != "set"},
        "auroc": 100 * roc_auc_score(part.labels, found),
        "ap": 100 * average_precision_score(part.labels, found),
        "fit_seconds": fitted - begin,
        "score_seconds": judged - fitted,
    }


# -- all of them -----------------------------------------------------------------------------------


def tasks(args: Any, gallery: dict[str, Any], peers: dict[str, Any]) -> Iterator[Task]:
    """Yield what is to be done on each set."""
    small = {"max_steps": 2} if args.size == "tiny" else {}
    for protocol in PROTOCOLS:
        for setting, truth in SETTINGS.items():
            for name, make in gallery.items():
                for told, training_data in (("told", truth), ("untold", "unknown")):
                    for seed in range(args.seeds):
                        settings = {"training_data": training_data, "random_state": seed, **small}
                        made = partial(make, **settings)
                        yield Task(protocol, setting, name, told, seed, made)
            for name, make in peers.items():
                for seed in range(args.peer_seeds if name in SLOW else args.seeds):
                    yield Task(protocol, setting, name, "", seed, partial(make, seed))


def measured_on(X: np.ndarray, y: np.ndarray, todo: list[Task], jobs: int) -> list[dict[str, Any]]:
    """Do what is to be done on a set; what is the same in both protocols is done once."""

    def is_shared(task: Task) -> bool:
        return task.setting == "semi" and len(X) >= FEWEST

    todo = [task for task in todo if not (is_shared(task) and task.protocol == "clean")]
    rows = Parallel(jobs)(delayed(measured)(X, y, task) for task in todo)
    shared = zip(rows, todo, strict=True)
    return rows + [{**row, "protocol": "clean"} for row, task in shared if is_shared(task)]


def published(data: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of the published detectors on a set, if it is among theirs."""
    for setting in SETTINGS:
        table = pd.read_csv(data / f"published_auroc_{setting}.csv", index_col=0)
        for detector, auroc in table.loc[name].items() if name in table.index else ():
            values = ("dte", setting, name, detector, PUBLISHED, np.nan)
            yield {**dict(zip(KEYS, values, strict=True)), "auroc": auroc}


def store(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows into a file in place of those that the same detectors had on the same sets."""
    frame = pd.DataFrame(rows)
    if path.exists():
        old, keys = read(path), ["set", "detector", "told"]
        kept = ~pd.MultiIndex.from_frame(old[keys]).isin(pd.MultiIndex.from_frame(frame[keys]))
        frame = pd.concat([old[kept], frame])
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.set_index(KEYS).sort_index().to_csv(path, float_format="%.6g")


def chosen(args: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the detectors that were asked for."""
    gallery, peers = (dict(VARIANTS), {}) if args.ablation else (GALLERY, PEERS)
    wanted = args.detectors or [*gallery, *peers]
    if unknown := set(wanted) - {*gallery, *peers}:
        sys.exit(f"No such detectors: {sorted(unknown)}; there are {[*gallery, *peers]}.")
    peers = installed({name: make for name, make in peers.items() if name in wanted}, NEEDS)
    return {name: make for name, make in gallery.items() if name in wanted}, peers


def show(path: Path) -> None:
    found = summary(read(path))
    found = found.drop(index=PUBLISHED, level="told", errors="ignore")
    for (protocol, setting), part in found.groupby(level=["protocol", "setting"]):
        print(f"\n{protocol}, {setting}")
        part = part.droplevel(["protocol", "setting"]).reset_index()
        print(part.to_string(index=False, float_format="{:.2f}".format, na_rep=""))
    print(f"\nWritten to {path}.")


def parsed() -> Any:
    """Parse the options."""
    where = (
        "folder of NAME.npz with X and y (1 is an anomaly) and published_auroc_{semi,unsup}.csv; "
        "the originals are in the repository Minqi824/ADBench on GitHub, adbench/datasets/"
        "Classical (BSD-2), and the tables of the paper 'On Diffusion Modeling for Anomaly "
        "Detection' (ICLR 2024)"
    )
    seeds, slow = "seeds of each detector", "seeds of each of PyOD's networks"
    args = arguments(
        __doc__.splitlines()[0],
        data={"type": Path, "required": True, "help": where},
        sets={"nargs": "+", "metavar": "NAME", "help": "only these sets"},
        detectors={"nargs": "+", "metavar": "NAME", "help": "only these; rows of others are kept"},
        seeds={"type": int, "help": f"{seeds}, 3 by default"},
        **{"peer-seeds": {"type": int, "default": 1, "help": f"{slow}, 1 by default; 0: none"}},
        jobs={"type": int, "default": 1, "help": "processes that share the work"},
        ablation={"action": "store_true", "help": "compare the variants of tabular_ablation.py"},
    )
    args.seeds = args.seeds or (3 if args.size == "full" else 1)
    args.sets = args.sets or sorted(path.stem for path in args.data.glob("*.npz"))
    if not args.sets:
        sys.exit(f"There are no sets NAME.npz in {args.data}.")
    if args.size != "full":
        args.sets = args.sets[:QUICK_SETS]
    if args.ablation and args.output.parent == RESULTS:
        args.output = RESULTS / args.output.name.replace("quality", "ablation")
    return args


def main() -> None:
    args = parsed()
    todo = list(tasks(args, *chosen(args)))
    facts = {"jobs": args.jobs, "threads": args.threads, **machine()}
    for name in args.sets:
        begin = time.perf_counter()
        with np.load(args.data / f"{name}.npz") as table:
            X, y = table["X"].astype(float), table["y"].astype(int)
        rows = measured_on(X, y, todo, args.jobs)
        rows = [{**row, "set": name, **facts} for row in rows]
        store([*rows, *published(args.data, name)], args.output)
        print(f"{name}: {len(rows)} fits, {time.perf_counter() - begin:.0f} s", flush=True)
    show(args.output)


if __name__ == "__main__":
    main()

"""What do missing values cost a detector?

In the protocol *clean*, setting *semi*, of the benchmark on tables, with at most 5,000 rows to
learn from and as many to judge. A fifth of all values is removed at random from both, but each row
keeps one. Detectors get all values (*complete*), or get the gaps as they are (*gaps*), or filled in
before, by the *means* of columns or by scikit-learn's `IterativeImputer` (*iterative*), which is
left out on sets of more than 30 columns, where it is slow. Autoencoders are told that the rows they
learn from are clean. Numbers are AUROC in percent, with one seed. A loss is the AUROC of *complete*
minus that of the other. To be compared with *iterative*, the others have a mean over the same
*narrow* sets, too.
"""

import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks._lib.tables import circumstances, markdown, seconds
from benchmarks.quality import tabular
from sktae import Autoencoder, DenoisingAutoencoder

TITLE = "What missing values cost a detector"
DATA, SEEDS = tabular.DATA, 1
KEYS = ["set", "detector", "values", "seed"]
SHARE, MOST_ROWS, MOST_COLUMNS = 0.2, 5_000, 30
CONTESTANTS = {
    "IsolationForest": lambda random_state: IsolationForest(random_state=random_state),
    "Autoencoder": partial(Autoencoder, training_data="clean"),
    "DenoisingAutoencoder": partial(DenoisingAutoencoder, training_data="clean"),
}
FILLED = {
    "means": lambda seed: SimpleImputer(keep_empty_features=True),
    "iterative": lambda seed: IterativeImputer(random_state=seed, keep_empty_features=True),
}
VALUES = ("complete", "gaps", *FILLED)


def gaps(X, rng):
    """Return rows without some of their values; every row keeps one."""
    gone = rng.random(X.shape) < SHARE
    kept = rng.integers(X.shape[1], size=len(X))
    gone[np.arange(len(X)), kept] = False
    return np.where(gone, np.nan, X)


def versions(train, test, seed):
    """Yield the rows in each version, and how long it took to make."""
    yield "complete", train, test, 0.0
    rng = np.random.default_rng(seed)
    train, test = gaps(train, rng), gaps(test, rng)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    yield "gaps", train, test, 0.0
    for values, make in FILLED.items():
        if values == "means" or train.shape[1] <= MOST_COLUMNS:
            begin = time.perf_counter()
            imputer = make(seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # it stops after ten rounds
                imputer.fit(train)
            parts = imputer.transform(train), imputer.transform(test)
            yield values, *parts, time.perf_counter() - begin


def measured(name, X, y, detectors, seed, size):
    """Fit detectors to all versions of a set."""
    part = tabular.split(X, y, "clean", "semi", seed)
    rng = np.random.default_rng(seed)
    judged = rng.permutation(len(part.test))[:MOST_ROWS]
    train, test, labels = part.train[:MOST_ROWS], part.test[judged], part.labels[judged]
    found = []
    for values, given, new, filling in versions(train, test, seed):
        for detector in detectors:
            model = CONTESTANTS[detector](random_state=seed)
            if size == "tiny" and detector != "IsolationForest":
                model.set_params(max_steps=2)
            begin = time.perf_counter()
            model.fit(given)
            fit_seconds = time.perf_counter() - begin + filling
            auroc = 100 * roc_auc_score(labels, -model.score_samples(new))
            key = dict(zip(KEYS, (name, detector, values, seed), strict=True))
            found.append({**key, "auroc": auroc, "fit_seconds": fit_seconds})
    return found


def sets(args):
    for path in sorted(args.data.glob("*.npz")):
        if args.sets and not any(part in path.stem for part in args.sets):
            continue
        with np.load(path) as table:
            X, y = table["X"].astype(float), table["y"].astype(int)
        task = path.stem, X, y, args.only
        yield path.stem, [partial(measured, *task, n, args.size) for n in range(args.repeats)], ()


def tables(frame):
    found = frame.pivot_table(index="set", columns=["detector", "values"], values="auroc")
    rows = {}
    for detector in [name for name in CONTESTANTS if name in found]:
        own = found[detector].reindex(columns=VALUES)
        losses = own.rsub(own.complete, axis=0)
        narrow = losses[losses.iterative.notna()]
        cells = {f"AUROC, {values}": own[values].mean() for values in ("complete", "gaps")}
        cells |= {f"Loss, {values}": losses[values].mean() for values in ("gaps", "means")}
        cells |= {f"Loss, {values}, narrow": narrow[values].mean() for values in VALUES[1:]}
        rows[detector] = {title: f"{cell:.1f}" for title, cell in cells.items()}
    yield markdown(pd.DataFrame(rows).T)
    times = frame.groupby(["detector", "values"]).fit_seconds.median().unstack().map(seconds)
    yield "**Median time of a fit, with that of filling in**"
    yield markdown(times.reindex(index=CONTESTANTS, columns=VALUES).dropna(how="all").fillna(""))
    yield circumstances(frame)

"""Are categories better learnt as such?

Of the sets, those take part in which at least a quarter of the columns hold whole numbers with 3 to
20 different values in training. These columns are given as *categories*, which is what
`categorical_features` is for; *one-hot*, made by scikit-learn's encoder before; or as the *numbers*
that they are. Most are levels rather than names, so numbers are no bad choice here. Detectors learn
from at most 4,000 rows, all of them normal, as autoencoders are told, and judge at most 5,000.
Numbers are means over the sets, in percent, with one seed.

In 8 of the sets, most anomalies have a value that no training row has. The encoder makes it zeros
only, which look usual to an isolation forest: hence its fall with *one-hot*.
"""

import time
from functools import partial

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from benchmarks._lib.tables import circumstances, markdown, pairs, seconds
from sktae import Autoencoder, DenoisingAutoencoder

TITLE = "Detection with categories"
DATA = (
    "folder of NAME.npz with train (normal rows), test and y (1 is an anomaly); the originals are "
    "the sets of OddBench and OvRBench in macrOData (2026)."
)
KEYS, SEEDS = ["set", "detector", "columns", "seed"], 1
MOST_TRAINED, MOST_JUDGED, VALUES = 4_000, 5_000, range(3, 21)
COLUMNS = ("categories", "one-hot", "numbers")
PEERS = {"IsolationForest": lambda random_state: IsolationForest(random_state=random_state)}
CONTESTANTS = {
    **PEERS,
    "Autoencoder": partial(Autoencoder, training_data="clean"),
    "DenoisingAutoencoder": partial(DenoisingAutoencoder, training_data="clean"),
}


def coded(X):
    """Return which columns hold whole numbers with few values."""
    return [
        n
        for n, column in enumerate(X.T)
        if len(np.unique(column)) in VALUES and np.array_equal(column, np.round(column))
    ]


def one_hot(train, test, categorical):
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encode = make_column_transformer((encoder, categorical), remainder="passthrough").fit(train)
    return encode.transform(train), encode.transform(test)


def measured(name, table, detector, columns, seed, size):
    """Fit a detector to a set whose columns are given in one way, and have it judge."""
    train, test, labels, categorical = table
    model = CONTESTANTS[detector](random_state=seed)
    small = {"max_steps": 2} if size == "tiny" and detector not in PEERS else {}
    model.set_params(**small)
    if columns == "categories":
        model.set_params(categorical_features=categorical)
    begin = time.perf_counter()
    if columns == "one-hot":
        train, test = one_hot(train, test, categorical)
    model.fit(train)
    fit_seconds = time.perf_counter() - begin
    found = -model.score_samples(test)
    row = {
        "auroc": 100 * roc_auc_score(labels, found),
        "ap": 100 * average_precision_score(labels, found),
        "fit_seconds": fit_seconds,
    }
    return [{**dict(zip(KEYS, (name, detector, columns, seed), strict=True)), **row}]


def drawn(path):
    """Return rows to learn from and to judge, the labels of these, and the coded columns."""
    with np.load(path) as table:
        train, test, y = (table[key].astype(float) for key in ("train", "test", "y"))
    rng = np.random.default_rng(0)
    train = train[rng.permutation(len(train))[:MOST_TRAINED]]
    judged = rng.permutation(len(test))[:MOST_JUDGED]
    return train, test[judged], y[judged], coded(train)


def sets(args):
    for path in sorted(args.data.glob("*.npz")):
        if args.sets and not any(part in path.stem for part in args.sets):
            continue
        table = drawn(path)
        if 4 * len(table[-1]) < max(4, table[0].shape[1]):
            continue
        fits = [
            partial(measured, path.stem, table, detector, columns, seed, args.size)
            for seed in range(args.repeats)
            for detector in args.only
            for columns in COLUMNS[detector in PEERS :]
        ]
        yield path.stem, fits, ()


def tables(frame):
    by = frame.groupby(["detector", "columns"])
    means = by[["auroc", "ap"]].mean()
    for title, cells in {
        "AUROC / AP": pairs(means.auroc, " / ", means.ap),
        "Median time of a fit": by.fit_seconds.median().map(seconds),
    }.items():
        wide = cells.unstack().reindex(index=CONTESTANTS, columns=COLUMNS).dropna(how="all")
        yield f"**{title}; number of sets: {frame.set.nunique()}**"
        yield markdown(wide.fillna(""))
    yield circumstances(frame)

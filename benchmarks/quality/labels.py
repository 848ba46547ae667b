"""What are a few known outliers worth to a detector?

Detectors learn from half of at most 3,000 rows of each set, drawn at random, with all outliers
among them, and judge the other half. Of the outliers that they learn from, at most so many as a
column says are known; of all other rows, nothing is. Denoising autoencoders ignore what is known
(*no labels*), learn from the other rows only (*left out*), or have `use_labels`. For comparison, a
random forest learns to tell known outliers from all other rows. Numbers are means of AUROC and
average precision (AP) over sets, in percent, of one seed.
"""

from functools import partial

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks._lib.tables import circumstances, markdown
from benchmarks.quality import tabular
from sktae import DenoisingAutoencoder

TITLE = "What a few known outliers are worth"
DATA, SEEDS = tabular.DATA, 1
KEYS = ["set", "contestant", "known", "seed"]
MOST_ROWS, KNOWN = 3_000, (1, 5, 20)


def no_labels(X, y, new, **settings):
    return -DenoisingAutoencoder(**settings).fit(X).score_samples(new)


def left_out(X, y, new, **settings):
    return no_labels(X[y == 0], None, new, **settings)


def use_labels(X, y, new, **settings):
    return -DenoisingAutoencoder(use_labels=True, **settings).fit(X, y).score_samples(new)


def forest(X, y, new, random_state, **settings):
    forest = RandomForestClassifier(class_weight="balanced", random_state=random_state)
    return forest.fit(X, y == -1).predict_proba(new)[:, 1]


CONTESTANTS = {
    "no labels": no_labels,
    "left out": left_out,
    "use_labels": use_labels,
    "random forest": forest,
}


def measured(X, y, key, small):
    """Fit a contestant, and judge the other half of the rows."""
    rng = np.random.default_rng(key["seed"])
    drawn = rng.permutation(len(X))[:MOST_ROWS]
    train, test = np.array_split(drawn, 2)
    labels = np.zeros(len(train))
    labels[rng.permutation(np.flatnonzero(y[train]))[: key["known"]]] = -1
    settings = {"calibration": None, "random_state": key["seed"], **small}
    anomalies = CONTESTANTS[key["contestant"]](X[train], labels, X[test], **settings)
    auroc, ap = (f(y[test], anomalies) for f in (roc_auc_score, average_precision_score))
    return [{**key, "auroc": 100 * auroc, "ap": 100 * ap}]


def sets(args):
    small = {"max_steps": 2} if args.size == "tiny" else {}
    for path in sorted(args.data.glob("*.npz")):
        if args.sets and not any(part in path.stem for part in args.sets):
            continue
        with np.load(path) as table:
            X, y = table["X"].astype(float), table["y"].astype(int)
        keys = [
            dict(zip(KEYS, (path.stem, contestant, known, seed), strict=True))
            for contestant in args.only
            for known in ((0,) if contestant == "no labels" else KNOWN)
            for seed in range(args.repeats)
        ]
        yield path.stem, [partial(measured, X, y, key, small) for key in keys], ()


def tables(frame):
    means = frame.groupby(["contestant", "known"])[["auroc", "ap"]].mean()
    cells = means.auroc.map("{:.1f}".format) + " / " + means.ap.map("{:.1f}".format)
    table = cells.unstack(fill_value="").rename(columns="{} known".format)
    table = table.reindex([name for name in CONTESTANTS if name in table.index])
    yield "**AUROC / AP, by the number of known outliers**"
    yield markdown(table)
    yield circumstances(frame)

"""What are codes, and an encoder that is trained with labels, worth where few rows have a label?

Half of at most 3,000 rows are there to learn from, drawn at random; so many of each class as a
column says have a label, and the other half is judged. A logistic regression and a random forest
learn from the labelled rows as they are. The others begin with a `DenoisingAutoencoder`, fitted to
all rows without their labels: a logistic regression on its *codes*, and `AutoencoderClassifier`
with the *head* alone and with *all* weights trained. In *all, labels only*, the autoencoder gets
the labelled rows only. The sets are scikit-learn's digits and two tables with two classes in the
folder given by `--data`, which are left out without it. Pixels are not standardized for
autoencoders; their code has 32 numbers, and `noise_level` is 0.5, as in the gallery. On tables, all
is as it comes. Numbers are the accuracy, in percent, the mean over classes, then over five seeds,
which also decide the rows.
"""

from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._lib.tables import circumstances, markdown
from sktae import AutoencoderClassifier, DenoisingAutoencoder

TITLE = "What few labels are worth"
KEYS, SEEDS = ["set", "contestant", "labels", "seed"], 5
MOST_ROWS, LABELS = 3_000, (5, 10, 20)
READ = ("pima", "magic.gamma")
SETTINGS = {"digits": {"n_components": 32, "standardize": False, "noise_level": 0.5}}


def linear():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


# From a fitted autoencoder, an unfitted one, a seed and the settings of a run to a classifier.
CONTESTANTS = {
    "logistic regression": lambda fitted, unfitted, seed, **small: linear(),
    "random forest": lambda fitted, unfitted, seed, **small: RandomForestClassifier(
        random_state=seed
    ),
    "codes": lambda fitted, unfitted, seed, **small: make_pipeline(
        FrozenEstimator(fitted), linear()
    ),
    "head": lambda fitted, unfitted, seed, **small: AutoencoderClassifier(
        fitted, trainable="head", random_state=seed, **small
    ),
    "all": lambda fitted, unfitted, seed, **small: AutoencoderClassifier(
        fitted, random_state=seed, **small
    ),
    "all, labels only": lambda fitted, unfitted, seed, **small: AutoencoderClassifier(
        unfitted, random_state=seed, **small
    ),
}


def digits():
    X, y = load_digits(return_X_y=True)
    return X / 8, y


def read(path):
    with np.load(path) as table:
        return table["X"].astype(float), table["y"].astype(int)


def measured(name, table, contestants, seed, size):
    """Fit an autoencoder, and contestants with some labels; judge the other half of the rows."""
    X, y = table()
    rng = np.random.default_rng(seed)
    train, test = np.array_split(rng.permutation(len(X))[:MOST_ROWS], 2)
    small = {"max_steps": 2} if size == "tiny" else {}
    settings = {"calibration": None, "random_state": seed, **SETTINGS.get(name, {}), **small}
    unfitted, fitted = (DenoisingAutoencoder(**settings) for _ in range(2))
    fitted.fit(X[train])
    results = []
    for n in LABELS:
        rows = np.concatenate([train[y[train] == label][:n] for label in np.unique(y)])
        for contestant in contestants:
            model = CONTESTANTS[contestant](fitted, unfitted, seed, **small)
            predicted = model.fit(X[rows], y[rows]).predict(X[test])
            key = dict(zip(KEYS, (name, contestant, n, seed), strict=True))
            accuracy = 100 * balanced_accuracy_score(y[test], predicted)
            results.append({**key, "accuracy": accuracy})
    return results


def sets(args):
    tables = {"digits": digits}
    if args.data is not None:
        for name in READ:
            (path,) = args.data.glob(f"*{name}.npz")
            tables[name] = partial(read, path)
    for name, table in tables.items():
        if args.sets and not any(part in name for part in args.sets):
            continue
        seeds = range(args.repeats)
        yield name, [partial(measured, name, table, args.only, s, args.size) for s in seeds], ()


def tables(frame):
    means = frame.groupby(["set", "contestant", "labels"]).accuracy.mean()
    cells = means.map("{:.1f}".format).unstack().rename(columns="{} labels".format)
    for name in ("digits", *READ):
        if name in cells.index:
            table = cells.loc[name]
            yield f"**{name}**"
            yield markdown(table.reindex([c for c in CONTESTANTS if c in table.index]))
    yield circumstances(frame)

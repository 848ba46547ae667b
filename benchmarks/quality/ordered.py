"""What do smaller codes lose if one fit has all of them?

A random half of scikit-learn's digits trains a model, the other half tests it. Of an ordered code
with 16 components, the first k are decoded; the others are fits with k components. R² is the share
of the variance of new rows that comes back, in percent. *Order* is by how many points, of the
variance of training rows, a component adds more than the one before it, at most; 0 if each adds
less than the last. Pixels are divided by one number. Numbers are means over three seeds, which also
decide the splits, with standard deviations.
"""

from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from benchmarks._lib.tables import circumstances, markdown, pairs
from sktae import Autoencoder, DenoisingAutoencoder

TITLE = "Ordered components"
KEYS, SEEDS = ["model", "n_components", "seed"], 3
CODES = (1, 2, 4, 8, 16)
MODELS = {"Autoencoder": Autoencoder, "DenoisingAutoencoder": DenoisingAutoencoder}
CONTESTANTS = {"PCA": (PCA, True)}
for name, E in MODELS.items():
    CONTESTANTS |= {f"{name}, a fit each": (E, False), f"{name}, one ordered fit": (E, True)}
CONTESTANTS["Autoencoder, linear_skip, one ordered fit"] = (
    partial(Autoencoder, linear_skip=True),
    True,
)


def split(seed):
    """Return rows to train on and new ones, around the means of the first."""
    X = load_digits().data[np.random.default_rng(seed).permutation(1797)]
    return X[:898] - X[:898].mean(axis=0), X[898:] - X[:898].mean(axis=0)


def fitted(E, k, ordered, seed, size, X):
    if E is PCA:
        return PCA(k, random_state=seed).fit(X)
    settings = {"standardize": "shared", "calibration": None, "random_state": seed}
    steps = {"max_steps": 2} if size == "tiny" else {}
    return E(k, ordered_components=ordered, **settings, **steps).fit(X)


def measured(contestant, seed, size):
    """See what comes back from each number of components, by one fit or by one each."""
    (E, ordered), (train, new) = CONTESTANTS[contestant], split(seed)
    late = np.nan
    if ordered:
        one = fitted(E, CODES[-1], True, seed, size, train)
        late = 100 * max(0.0, np.diff(one.explained_variance_ratio_).max())
    rows = []
    for k in CODES:
        model = one if ordered else fitted(E, k, False, seed, size, train)
        codes = model.transform(new)
        if ordered:
            codes = codes * (np.arange(codes.shape[1]) < k)
        r2 = 100 * (
            1 - np.square(new - model.inverse_transform(codes)).sum() / np.square(new).sum()
        )
        rows.append({**dict(zip(KEYS, (contestant, k, seed), strict=True)), "r2": r2, "late": late})
    return rows


def sets(args):
    seeds = range(args.repeats)
    yield "digits", [partial(measured, name, s, args.size) for s in seeds for name in args.only], ()


def tables(frame):
    grouped = frame.groupby(["model", "n_components"]).r2
    cells = pairs(grouped.mean(), " ± ", grouped.std().fillna(0.0)).unstack()
    cells.columns = [f"{k} component{'s' * (k > 1)}" for k in cells.columns]
    cells["Order"] = frame.groupby("model").late.mean().map("{:.1f}".format).replace("nan", "")
    yield "**R² of new rows**"
    yield markdown(cells.reindex(CONTESTANTS).dropna(how="all"))
    yield circumstances(frame)

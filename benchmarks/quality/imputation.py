"""How well are missing values filled in?

Of three of scikit-learn's tables, a fifth of the values of each column is removed: at *random*, or
by a *rule*, which removes large values more often, above all in rows where the column before is
large, too. Half of the rows train, with their gaps; then those of the same rows are filled in, and
those of the other half, which are *new*. The number is the root mean square of the errors, in
standard deviations of the complete columns, so that means are off by about 1 at random, and by more
with the rule. Smaller is better. All get columns that are standardized by what is left of them.
Autoencoders are in `AutoencoderImputer`, with their default or with a code of 8. Numbers are means
over three seeds, which also decide rows and gaps.
"""

import time
import warnings
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler

from benchmarks._lib.tables import circumstances, markdown, seconds
from sktae import Autoencoder, AutoencoderImputer, DenoisingAutoencoder

TITLE = "Missing values filled in"
KEYS, SEEDS = ["set", "removed", "rows", "model", "seed"], 3
SETS = {"wine": load_wine, "breast cancer": load_breast_cancer, "diabetes": load_diabetes}
REMOVED, SHARE = ("random", "rule"), 0.2
RIVALS = {
    "mean": lambda seed: SimpleImputer(),
    "KNNImputer": lambda seed: KNNImputer(),
    "IterativeImputer": lambda seed: IterativeImputer(random_state=seed),
}
OURS = {
    f"{E.__name__}{f', {size}' * (size != 'auto')}": partial(E, size)
    for E, size in product((Autoencoder, DenoisingAutoencoder), ("auto", 8))
}
CONTESTANTS = RIVALS | OURS


def gaps(X, removed, rng):
    """Return which values are removed; every row keeps one."""
    value = rng.standard_normal(X.shape)
    if removed == "rule":
        Z = StandardScaler().fit_transform(X)
        value += Z + np.roll(Z, 1, axis=1)
    gone = value > np.quantile(value, 1 - SHARE, axis=0)
    gone[gone.all(axis=1), 0] = False
    return gone


def measured(name, removed, model, seed, size):
    """Fill in the gaps of a table; return a row for each half of it."""
    rng = np.random.default_rng(seed)
    X = rng.permutation(SETS[name](return_X_y=True)[0])
    gone, half = gaps(X, removed, rng), len(X) // 2
    X = StandardScaler().fit(X[:half]).transform(X)
    given = np.where(gone, np.nan, X)
    scaler = StandardScaler().fit(given[:half])  # which the rivals need
    given = scaler.transform(given)
    if model in RIVALS:
        imputer = RIVALS[model](seed)
    else:
        small = {"max_steps": 2} if size == "tiny" else {}
        imputer = AutoencoderImputer(OURS[model](random_state=seed, **small))
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of IterativeImputer, after ten rounds
        imputer.fit(given[:half])
    row = {"fit_seconds": time.perf_counter() - begin}
    found = []
    for rows, part in {"same": slice(half), "new": slice(half, None)}.items():
        filled = scaler.inverse_transform(imputer.transform(given[part]))
        error = np.sqrt(np.square(filled - X[part])[gone[part]].mean())
        key = dict(zip(KEYS, (name, removed, rows, model, seed), strict=True))
        found.append({**key, "error": error, **row})
    return found


def sets(args):
    for name in SETS:
        if args.sets and not any(part in name for part in args.sets):
            continue
        tasks = product([name], REMOVED, args.only, range(args.repeats), [args.size])
        yield name, [partial(measured, *task) for task in tasks], ()


def tables(frame):
    for rows, part in frame.groupby("rows", sort=False):
        means = part.groupby(["model", "removed", "set"]).error.mean().unstack(["removed", "set"])
        cells = pd.DataFrame(index=means.index)
        for removed in REMOVED:
            cells[f"Mean, {removed}"] = means[removed].mean(axis=1).map("{:.2f}".format)
        for removed, name in means:
            cells[f"{name}, {removed}"] = means[removed, name].map("{:.2f}".format)
        cells["Fit"] = part.groupby("model").fit_seconds.median().map(seconds)
        yield f"**Error, {rows} rows**"
        yield markdown(cells.reindex(CONTESTANTS).dropna(how="all"))
    yield circumstances(frame)

"""What do small codes keep of new rows, where a table has fewer rows than columns?

Models learn from few rows and are tested on up to 500 others. R² is the share of the variance of
new rows, around the means of the training rows, that comes back from a code of 8, in percent; all
columns are standardized by the training rows. Of six tables that are drawn, *noise* has nothing to
be learned, *rank 5* and *rank 20* are so many normal factors with normal noise of the same
variance, *curved* is the tanh of four factors with noise, and *fields* are smooth random images.
Digits are those of scikit-learn; *musk* and *internetads* are normal rows of tables in the folder
given by `--data`, which are left out without it. Autoencoders appear twice: as they are, and with
the number of steps that they would take if the table had more rows than columns, which switches off
what they do about few rows. Numbers are means over two seeds, which also decide the rows.
"""

import math
import time
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.preprocessing import StandardScaler

from benchmarks._lib.tables import circumstances, markdown
from sktae import Autoencoder, DenoisingAutoencoder

TITLE = "Tables with fewer rows than columns"
KEYS, SEEDS = ["set", "model", "seed"], 2
CODE, N_NEW = 8, 500


# -- tables ----------------------------------------------------------------------------------------


def factors(n_rows, n_features, rank, rng):
    X = rng.standard_normal((n_rows, n_features))
    if rank:
        X += rng.standard_normal((n_rows, rank)) @ rng.standard_normal((rank, n_features))
    return X


def curved(n_rows, n_features, rng):
    mixed = rng.standard_normal((n_rows, 4)) @ rng.standard_normal((4, n_features))
    return np.tanh(mixed) + 0.3 * rng.standard_normal(mixed.shape)


def fields(n_rows, width, rng):
    noise = rng.standard_normal((n_rows, width, width))
    return gaussian_filter(noise, (0, 3, 3)).reshape(n_rows, -1)


def normal_rows(path):
    with np.load(path) as table:
        return table["X"][table["y"] == 0].astype(float)


# The number of rows to learn from, and what makes a table of so many rows or more.
DRAWN = {
    "noise, 200 x 2000": (200, lambda n, rng: factors(n, 2000, 0, rng)),
    "rank 5, 200 x 5000": (200, lambda n, rng: factors(n, 5000, 5, rng)),
    "rank 5, 100 x 300": (100, lambda n, rng: factors(n, 300, 5, rng)),
    "rank 20, 100 x 1000": (100, lambda n, rng: factors(n, 1000, 20, rng)),
    "curved, 200 x 1000": (200, lambda n, rng: curved(n, 1000, rng)),
    "fields, 150 x 1024": (150, lambda n, rng: fields(n, 32, rng)),
    "digits, 50 x 64": (50, lambda n, rng: load_digits().data),
}
READ = {"musk, 100 x 166": (100, "musk"), "internetads, 200 x 1555": (200, "internetads")}


# -- contestants -----------------------------------------------------------------------------------


def usual(E, n_rows, **settings):
    """Give a model the number of steps of "auto" for tables with more rows than columns."""
    steps = min(500, 120 * math.ceil(n_rows / 128))
    return E(CODE, **{"max_steps": steps, **settings})


CONTESTANTS = {
    "column means": None,
    "PCA": lambda n_rows, **settings: PCA(CODE, random_state=settings["random_state"]),
}
for E in (Autoencoder, DenoisingAutoencoder):
    CONTESTANTS[E.__name__] = lambda n_rows, E=E, **settings: E(CODE, **settings)
    CONTESTANTS[f"{E.__name__}, max_steps"] = partial(usual, E)


def measured(name, n_rows, make, contestant, seed, size):
    """Fit a model to few rows and see what it keeps of others."""
    rng = np.random.default_rng(seed)
    X = rng.permutation(make(n_rows + N_NEW, rng))[: n_rows + N_NEW]
    X = StandardScaler().fit(X[:n_rows]).transform(X)
    train, new = X[:n_rows], X[n_rows:]
    begin = time.perf_counter()
    if CONTESTANTS[contestant] is None:
        recon = DummyRegressor().fit(train, train).predict(new)
    else:
        settings = {"random_state": seed, **({"max_steps": 2} if size == "tiny" else {})}
        model = CONTESTANTS[contestant](n_rows, **settings).fit(train)
        recon = model.inverse_transform(model.transform(new))
    r2 = 100 * (1 - np.square(new - recon).sum() / np.square(new).sum())
    row = {"r2": r2, "seconds": time.perf_counter() - begin}
    return [{**dict(zip(KEYS, (name, contestant, seed), strict=True)), **row}]


def sets(args):
    tables = dict(DRAWN)
    if args.data is not None:
        for name, (n_rows, file) in READ.items():
            (path,) = args.data.glob(f"*{file}.npz")
            tables[name] = n_rows, lambda n, rng, path=path: normal_rows(path)
    for name, (n_rows, make) in tables.items():
        if args.sets and not any(part in name for part in args.sets):
            continue
        fits = [
            partial(measured, name, n_rows, make, contestant, seed, args.size)
            for contestant in args.only
            for seed in range(args.repeats)
        ]
        yield name, fits, ()


def tables(frame):
    means = frame.groupby(["set", "model"]).r2.mean().round(1) + 0.0  # no -0.0
    means = means.map("{:.1f}".format).unstack()
    order = [name for name in (*DRAWN, *READ) if name in means.index]
    yield "**R² of new rows**"
    yield markdown(means.reindex(index=order, columns=CONTESTANTS).dropna(axis=1))
    yield circumstances(frame)

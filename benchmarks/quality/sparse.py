"""Do sparse codes find the features that rows are made of?

Rows are sums of three of 200 features, drawn at random, times numbers from 0.5 to 1.5. Features are
random directions of 50 columns, so there are more of them than columns. A `SparseAutoencoder` of
256 units learns 20,000 rows; others test it. *Found* is how many features have a unit that adds the
same direction to a row, up to a cosine of 0.9. R² is the share of the variance of new rows that
comes back, in percent; in the next column from the first quarter of the units alone. *Active* is
the mean number of active units in a row, *dead* the share of units that are never active, in
percent. All are means over three seeds, with standard deviations.
"""

from functools import partial

import numpy as np
import pandas as pd

from benchmarks._lib.tables import circumstances, markdown, pairs
from sktae import SparseAutoencoder
from sktae.metrics import dead_units, l0

TITLE = "Sparse codes of known features"
KEYS, SEEDS = ["model", "seed"], 3
COLUMNS, FEATURES, PRESENT, UNITS, ROWS = 50, 200, 3, 256, 20_000
CONTESTANTS = {
    "topk": {"n_active": PRESENT},
    "topk, ordered": {"n_active": PRESENT, "ordered_components": True},
    "batch_topk": {"n_active": PRESENT},
    "jump_relu, alpha=4": {"alpha": 4.0},
    "jump_relu, alpha=8": {"alpha": 8.0},
    "l1, alpha=1": {"alpha": 1.0},
}


def rows(rng, features, n):
    present = rng.random((n, FEATURES)).argsort(axis=1)[:, :PRESENT]
    sizes = np.zeros((n, FEATURES))
    np.put_along_axis(sizes, present, rng.uniform(0.5, 1.5, (n, PRESENT)), axis=1)
    return sizes @ features


def directions(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True).clip(1e-9)


def measured(name, seed, size):
    rng = np.random.default_rng(seed)
    features = directions(rng.normal(size=(FEATURES, COLUMNS)))
    train, new = rows(rng, features, 300 if size == "tiny" else ROWS), rows(rng, features, 4000)
    model = SparseAutoencoder(
        UNITS,
        penalty=name.split(",")[0],
        standardize="shared",
        calibration=None,
        max_steps=2 if size == "tiny" else 3000,
        random_state=seed,
        **CONTESTANTS[name],
    ).fit(train)
    codes = model.transform(new)
    units = directions(model.net_.module_.decoder[0].weight.detach().numpy().T)
    first = model.inverse_transform(codes * (np.arange(UNITS) < UNITS // 4))
    left = np.square(new - first).sum() / np.square(new - train.mean(axis=0)).sum()
    found = {
        "found": int((np.max(features @ units.T, axis=1) > 0.9).sum()),
        "r2": 100 * model.score(new),
        "first": 100 * (1 - left),
        "active": l0(codes),
        "dead": 100 * dead_units(codes),
    }
    return [{"model": name, "seed": seed, **found}]


def sets(args):
    seeds = range(args.repeats)
    # In one set, since results of a model take the place of those that are there.
    fits = [partial(measured, name, seed, args.size) for seed in seeds for name in args.only]
    yield "all seeds", fits, ()


def tables(frame):
    names = {
        "found": f"Found, of {FEATURES}",
        "r2": "R²",
        "first": "R², first quarter",
        "active": "Active",
        "dead": "Dead",
    }
    found = frame.groupby("model")[list(names)].agg(["mean", "std"]).fillna(0.0)
    found = found.reindex(CONTESTANTS).dropna(how="all")
    shown = {names[m]: pairs(found[m]["mean"], " ± ", found[m]["std"]) for m in names}
    yield markdown(pd.DataFrame(shown))
    yield circumstances(frame)

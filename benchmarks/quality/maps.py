"""Do maps of two numbers keep neighbors, the shape of the whole, and the rows?

A random half of a table trains a model, the other half tests it; of large tables, 20,000 rows train
and 2,000 test. R² is the share of the variance of new rows that comes back from the code, and
*5-NN* how often the five training rows with the nearest codes predict the label of a new one, where
there are labels. Trustworthiness, continuity (of ten neighbors) and triplet accuracy are those of
`sktae.metrics`, of new rows; all are in percent. Columns of one unit, pixels, are divided by one
number, others standardized, for all models alike. UMAP's inverse is slow, so its R² is that of 200
rows, and for codes of two numbers only: it triangulates the codes.

*digits* are scikit-learn's. *photos* are patches of 6 by 6 pixels in three colors, drawn from the
two photos that come with scikit-learn. Normal rows of three tables in the folder given by `--data`,
*satellite*, *musk* and *cover*, are left out without it. UMAP is a contestant where umap-learn is
installed. All models have their defaults, but for the size of the code; on digits, the neighbor
autoencoder also appears with one setting changed at a time. Numbers are means over three seeds,
which also decide the splits.
"""

import time
from functools import partial
from importlib.util import find_spec

import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks._lib.measure import use_threads
from benchmarks._lib.tables import circumstances, markdown, seconds
from sktae import Autoencoder, DenoisingAutoencoder, NeighborAutoencoder
from sktae.metrics import continuity, triplet_accuracy, trustworthiness

TITLE = "Maps"
KEYS, SEEDS = ["set", "n_components", "model", "seed"], 3
MOST, MOST_JUDGED, MOST_INVERTED = 20_000, 2_000, 200
CODES = {"digits": (2, 4, 8, 16)}
READ = ("satellite", "musk", "cover")


# -- tables ----------------------------------------------------------------------------------------


def digits(seed):
    return load_digits(return_X_y=True)


def photos(seed):
    patches = [
        extract_patches_2d(image, (6, 6), max_patches=5000, random_state=seed)
        for image in load_sample_images().images
    ]
    return np.concatenate(patches).reshape(10_000, -1).astype(float), None


def read(path, seed):
    with np.load(path) as table:
        X = table["X"][table["y"] == 0].astype(float)
    return X, None


DRAWN = {"digits": digits, "photos": photos}


def split(X, y, one_unit, seed):
    """Return rows to train on and new ones, scaled, and their labels."""
    order = np.random.default_rng(seed).permutation(len(X))
    n_train, n_new = min(MOST, len(X) // 2), min(MOST_JUDGED, len(X) - len(X) // 2)
    parts = order[:n_train], order[-n_new:]
    train = X[parts[0]]
    if one_unit:
        scale = np.sqrt(train.var(axis=0).mean())
        train_and_new = [(X[part] - train.mean(axis=0)) / scale for part in parts]
    else:
        scaler = StandardScaler().fit(train)
        train_and_new = [scaler.transform(X[part]) for part in parts]
    return *train_and_new, *((None, None) if y is None else (y[part] for part in parts))


# -- contestants -----------------------------------------------------------------------------------


def ours(E, k, **settings):
    return E(k, standardize=False, calibration=None, **settings)


CONTESTANTS = {
    "PCA": lambda k, random_state, max_steps=None: PCA(k, random_state=random_state),
    **{
        E.__name__: partial(ours, E)
        for E in (Autoencoder, DenoisingAutoencoder, NeighborAutoencoder)
    },
}
# By which the defaults of the neighbor autoencoder were chosen, each changed alone, on one set.
CHANGES = [
    *({"alpha": alpha} for alpha in (0.0, 0.2, 1.0)),
    *({"noise_level": level} for level in (0.0, 0.3, 0.5, 1.0)),
    *({"negative_sample_rate": rate} for rate in (1.0, 5.0)),
    *({"n_neighbors": n} for n in (5, 30)),
    {"hidden_layer_sizes": (128, 64)},
    {"hidden_layer_sizes": (256, 256, 256)},
    {"max_steps": 500},
]
CHANGED = "digits"
VARIANTS = {
    f"{name}={value}": partial(ours, NeighborAutoencoder, **{name: value})
    for change in CHANGES
    for name, value in change.items()
}
# Of the tables, where UMAP need not be installed.
ORDER = [*(name for name in CONTESTANTS if name != "UMAP"), "UMAP"]
CONTESTANTS |= VARIANTS
if find_spec("umap"):

    def umap(k, random_state, max_steps=None):
        from umap import UMAP

        return UMAP(n_components=k, random_state=random_state, n_jobs=1)

    CONTESTANTS["UMAP"] = umap


def measured(make, one_unit, key, size, threads):
    """Fit a model to half of the rows, and see what its map of the others is worth."""
    _, k, name, seed = key.values()
    train, new, y_train, y_new = split(*make(seed), one_unit, seed)
    if size == "tiny":
        train, new = train[:200], new[:100]
        y_train, y_new = (
            None if y is None else y[: len(rows)] for y, rows in ((y_train, train), (y_new, new))
        )
    settings = {"random_state": seed, **({"max_steps": 2} if size == "tiny" else {})}
    if name == "UMAP" and size != "tiny":  # what it compiles
        CONTESTANTS[name](k, **settings).fit(train[:100]).transform(train[:10])
    use_threads(threads)  # UMAP takes all of them, and leaves it so
    model = CONTESTANTS[name](k, **settings)
    begin = time.perf_counter()
    model.fit(train)
    fit_seconds, begin = time.perf_counter() - begin, time.perf_counter()
    codes = model.transform(new)
    map_seconds = (time.perf_counter() - begin) / len(new) * 10_000
    some = slice(MOST_INVERTED if name == "UMAP" else None)
    r2 = np.nan
    if name != "UMAP" or k == 2:
        residual = np.square(new[some] - model.inverse_transform(codes[some])).sum()
        r2 = 1 - residual / np.square(new[some] - train.mean(axis=0)).sum()
    row = {
        "r2": r2,
        "trustworthiness": trustworthiness(new, codes),
        "continuity": continuity(new, codes),
        "triplets": triplet_accuracy(new, codes),
    }
    if y_train is not None:
        near = KNeighborsClassifier(5).fit(model.transform(train), y_train)
        row["accuracy"] = near.score(codes, y_new)
    row = {name: 100 * value for name, value in row.items()}
    return [{**key, **row, "fit_seconds": fit_seconds, "map_seconds": map_seconds}]


def sets(args):
    tables = dict(DRAWN)
    if args.data is not None:
        for name in READ:
            (path,) = args.data.glob(f"*{name}.npz")
            tables[name] = partial(read, path)
    for name, make in tables.items():
        if args.sets and not any(part in name for part in args.sets):
            continue
        fits = [
            partial(
                measured,
                make,
                name in DRAWN,
                dict(zip(KEYS, key, strict=True)),
                args.size,
                args.threads,
            )
            for k in (CODES.get(name, (2,)) if args.size != "tiny" else (2,))
            for seed in range(args.repeats)
            for key in ((name, k, contestant, seed) for contestant in args.only)
            if key[2] not in VARIANTS or (name, k) == (CHANGED, 2)
        ]
        yield name, fits, ()


def tables(frame):
    columns = {
        "r2": "R²",
        "accuracy": "5-NN",
        "trustworthiness": "Trustworthiness",
        "continuity": "Continuity",
        "triplets": "Triplets",
    }
    for (name, k), part in frame.groupby(["set", "n_components"], sort=False):
        grouped = part.groupby("model")
        cells = grouped[list(columns)].mean().map("{:.1f}".format).rename(columns=columns)
        cells["Fit"] = grouped.fit_seconds.median().map(seconds)
        cells["10,000 new rows"] = grouped.map_seconds.median().map(seconds)
        cells = cells.loc[:, (cells != "nan").any()].replace("nan", "")
        yield f"**{name}, {k} components**"
        yield markdown(cells.reindex(ORDER).dropna(how="all"))
        if changed := cells.index.intersection(VARIANTS).tolist():
            yield f"**{name}, {k} components, `NeighborAutoencoder` with one setting changed**"
            order = ["NeighborAutoencoder", *(name for name in VARIANTS if name in changed)]
            yield markdown(cells.reindex(order))
    yield circumstances(frame)

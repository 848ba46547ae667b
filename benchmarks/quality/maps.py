"""Do maps of two numbers keep neighbors, the shape of the whole, and the rows?

A random half of a table trains a model, the other half tests it; of large tables, 20,000 rows train
and 2,000 test. R² is the share of the variance of new rows that comes back from the code, and
*5-NN* how often the five training rows with the nearest codes predict the label of a new one, where
there are labels. Trustworthiness, continuity (of ten neighbors) and triplet accuracy are those of
`sktae.metrics`, of new rows; all are in percent. *Memory* is by how much it rises in the fit.
Columns of one unit, such as pixels, are divided by one number, others standardized, for all models
alike. UMAP's inverse is slow, so its R² is that of 200 rows, and for codes of two numbers only: it
triangulates the codes. PaCMAP and t-SNE have no inverse.

*digits* are scikit-learn's. *photos* are patches of 6 by 6 pixels in three colors, drawn from the
two photos that come with scikit-learn. *text* are 4,000 docstrings of NumPy, SciPy, pandas and
scikit-learn, whose names are the labels, as 50 numbers each (LSA). *cells* are the 700 blood cells
that come with scanpy, with 765 genes and the type of each cell. *large* is made: 100,000 rows near
a surface of eight dimensions train, with 50 columns; one seed, and fewer models. Normal rows of
four tables in the folder given by `--data`, *satellite*, *musk*, *cover* and *magic*, are left out
without it.

UMAP, PaCMAP and t-SNE are contestants where umap-learn, pacmap and openTSNE are installed;
parametric UMAP is none, since it needs TensorFlow. All models have their defaults, but for the size
of the code; on some tables, the neighbor autoencoder also appears with one setting changed at a
time.
Numbers are means over three seeds, which also decide the splits.
"""

import ast
import time
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from benchmarks._lib.cases import table
from benchmarks._lib.measure import memory_rise, use_threads
from benchmarks._lib.tables import circumstances, markdown, seconds
from sktae import Autoencoder, DenoisingAutoencoder, NeighborAutoencoder
from sktae.metrics import continuity, triplet_accuracy, trustworthiness

TITLE = "Maps"
KEYS, SEEDS = ["set", "n_components", "model", "seed"], 3
MOST, MOST_JUDGED, MOST_INVERTED = 20_000, 2_000, 200
LARGE = 100_000
CODES = {"digits": (2, 4, 8, 16)}
READ = ("satellite", "musk", "cover", "magic")
ONE_UNIT = ("digits", "photos", "text")
PACKAGES = ("numpy", "scipy", "pandas", "sklearn")


# -- tables ----------------------------------------------------------------------------------------


def digits(seed):
    return load_digits(return_X_y=True)


def photos(seed):
    patches = [
        extract_patches_2d(image, (6, 6), max_patches=5000, random_state=seed)
        for image in load_sample_images().images
    ]
    return np.concatenate(patches).reshape(10_000, -1).astype(float), None


@lru_cache
def docstrings():
    """Return the docstrings of functions and classes in PACKAGES, and where each is from."""
    found = []
    for label, name in enumerate(PACKAGES):
        (root,) = find_spec(name).submodule_search_locations
        for path in sorted(Path(root).rglob("*.py")):
            if "tests" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    found.append((ast.get_docstring(node) or "", label))
    return [(text, label) for text, label in found if len(text) >= 200]


def text(seed):
    found = docstrings()
    some = np.random.default_rng(seed).permutation(len(found))[:4000]
    texts, labels = zip(*(found[i] for i in some), strict=True)
    counts = TfidfVectorizer(min_df=5, max_df=0.5, sublinear_tf=True, token_pattern="[a-z]{2,}")
    lsa = make_pipeline(counts, TruncatedSVD(50, random_state=seed), Normalizer())
    return lsa.fit_transform(texts), np.array(labels)


def cells(seed):
    import h5py

    (root,) = find_spec("scanpy").submodule_search_locations
    with h5py.File(Path(root) / "datasets" / "10x_pbmc68k_reduced.h5ad") as file:
        return file["X"][:].astype(float), file["obs"]["bulk_labels"]


def large(seed):
    return table(2 * LARGE, 50, seed), None


def read(path, seed):
    with np.load(path) as table:
        X = table["X"][table["y"] == 0].astype(float)
    return X, None


DRAWN = {"digits": digits, "photos": photos, "text": text}
if find_spec("scanpy") and find_spec("h5py"):
    DRAWN["cells"] = cells
DRAWN["large"] = large


def split(X, y, name, seed):
    """Return rows to train on and new ones, scaled, and their labels."""
    order = np.random.default_rng(seed).permutation(len(X))
    most = LARGE if name == "large" else MOST
    n_train, n_new = min(most, len(X) // 2), min(MOST_JUDGED, len(X) - len(X) // 2)
    parts = order[:n_train], order[-n_new:]
    train = X[parts[0]]
    if name in ONE_UNIT:
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
    "NeighborAutoencoder, shape_weight=0": partial(ours, NeighborAutoencoder, shape_weight=0.0),
}
# By which the defaults of the neighbor autoencoder were chosen, each changed alone, on one set: of
# maps, and of larger codes.
CHANGES = [
    *({"alpha": alpha} for alpha in (0.0, 0.2, 1.0)),
    {"shape_weight": 1.0},
    *({"noise_level": level} for level in (0.0, 0.3, 0.5, 1.0)),
    *({"negative_sample_rate": rate} for rate in (1.0, 5.0)),
    *({"n_neighbors": n} for n in (5, 30)),
    {"hidden_layer_sizes": (128, 64)},
    {"hidden_layer_sizes": (256, 256, 256)},
    *({"max_steps": steps} for steps in (500, 1000, 4000)),
]
CHANGES_OF_LARGE = [
    *({"alpha": alpha} for alpha in (0.0, 0.1, 0.5)),
    *({"noise_level": level} for level in (0.1, 0.3, 0.5, 0.7)),
]
# On tables of ten columns, of which the encoder averages out less noise.
CHANGES_OF_NARROW = [{"noise_level": level} for level in (0.1, 0.3, 0.7)]


def variants(changes):
    return {
        f"{name}={value}": partial(ours, NeighborAutoencoder, **{name: value})
        for change in changes
        for name, value in change.items()
    }


VARIANTS = variants([*CHANGES, *CHANGES_OF_LARGE, *CHANGES_OF_NARROW])
# Of the tables, where not all need be installed.
ORDER = [*CONTESTANTS, "UMAP", "PaCMAP", "t-SNE"]
CONTESTANTS |= VARIANTS


def umap(k, random_state, max_steps=None):
    from umap import UMAP

    return UMAP(n_components=k, random_state=random_state, n_jobs=1)


def pacmap(k, random_state, max_steps=None):
    from pacmap import PaCMAP

    return PaCMAP(n_components=k, random_state=random_state, save_tree=True)


class TSNE:
    """openTSNE's, whose `fit` returns what has `transform`."""

    def __init__(self, k, random_state, max_steps=None):
        from openTSNE import TSNE

        self.method = TSNE(n_components=k, random_state=random_state, n_jobs=1)

    def fit(self, X):
        self.transform = self.method.fit(X).transform
        return self


for _package, _name, _make in (
    ("umap", "UMAP", umap),
    ("pacmap", "PaCMAP", pacmap),
    ("openTSNE", "t-SNE", TSNE),
):
    if find_spec(_package):
        CONTESTANTS[_name] = _make
FOREIGN = ("UMAP", "PaCMAP", "t-SNE")
ON_LARGE = ("PCA", "NeighborAutoencoder", "UMAP", "PaCMAP")


def takes_part(contestant, name, k, seed):
    """Tell whether a model is fitted to a table."""
    if contestant in VARIANTS:
        of_digits = CHANGES if k == 2 else CHANGES_OF_LARGE
        changes = {"digits": of_digits, "cover": CHANGES_OF_NARROW, "magic": CHANGES_OF_NARROW}
        return contestant in variants(changes.get(name, []))
    if contestant in ("PaCMAP", "t-SNE") and k != 2:
        return False
    return name != "large" or (contestant in ON_LARGE and seed == 0)


def measured(make, key, size, threads):
    """Fit a model to half of the rows, and see what its map of the others is worth."""
    table_name, k, name, seed = key.values()
    train, new, y_train, y_new = split(*make(seed), table_name, seed)
    if size == "tiny":
        train, new = train[:200], new[:100]
        y_train, y_new = (
            None if y is None else y[: len(rows)] for y, rows in ((y_train, train), (y_new, new))
        )
    settings = {"random_state": seed, **({"max_steps": 2} if size == "tiny" else {})}
    if name in FOREIGN and size != "tiny":  # what they compile
        CONTESTANTS[name](k, **settings).fit(train[:200]).transform(train[:20])
    use_threads(threads)  # UMAP takes all of them, and leaves it so
    model = CONTESTANTS[name](k, **settings)
    laps = []

    def fit():
        begin = time.perf_counter()
        model.fit(train)
        laps.append(time.perf_counter() - begin)

    memory = memory_rise(fit)
    begin = time.perf_counter()
    codes = model.transform(new)
    map_seconds = (time.perf_counter() - begin) / len(new) * 10_000
    some = slice(MOST_INVERTED if name == "UMAP" else None)
    r2 = np.nan
    if name not in FOREIGN or (name == "UMAP" and k == 2 and table_name != "large"):
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
    taken = {"fit_seconds": laps[0], "map_seconds": map_seconds, "memory_mb": memory}
    return [{**key, **row, **taken}]


def sets(args):
    tables = dict(DRAWN)
    if args.data is not None:
        for name in READ:
            (path,) = args.data.glob(f"*{name}*.npz")
            tables[name] = partial(read, path)
    for name, make in tables.items():
        if args.sets and not any(part in name for part in args.sets):
            continue
        fits = [
            partial(measured, make, dict(zip(KEYS, key, strict=True)), args.size, args.threads)
            for k in (CODES.get(name, (2,)) if args.size != "tiny" else (2,))
            for seed in range(args.repeats)
            for key in ((name, k, contestant, seed) for contestant in args.only)
            if takes_part(key[2], name, k, seed)
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
        cells["Memory, MB"] = grouped.memory_mb.median().map("{:.0f}".format)
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

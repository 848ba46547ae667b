"""How much of a table do small codes keep, and do they keep like rows together?

The table is scikit-learn's digits with pixels from 0 to 1. A random half of the rows trains a
model, the other half tests it. R² is the share of their variance that comes back from the code, in
pixels as they are; the accuracy is how often the five training rows with the nearest codes predict
the digit. Autoencoders are given the size of the code and nothing else, but that those of images
are given the shape, and those of sequences read an image line by line. They standardize columns,
and so does a scaler for PCA; in a second round nobody does. Numbers are means over splits, which
are also the seeds, in percent.
"""

import time
from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._lib.tables import circumstances, markdown, pairs, seconds
from sktae import all_estimators
from sktae.families.image import ImageMixin
from sktae.families.sequence import SequenceAutoencoder

TITLE = "Quality of small codes"
KEYS, SEEDS = ["pixels", "model", "n_components", "split"], 5
CONTESTANTS = {"PCA": PCA, **{E.__name__: E for E in all_estimators()}}
CODES = (2, 4, 8, 16)
PIXELS = {"standardized": True, "as they are": False}


def made(name, n_components, standardize, seed, size):
    E = CONTESTANTS[name]
    if E is PCA:
        return make_pipeline(StandardScaler() if standardize else "passthrough", PCA(n_components))
    settings = {"random_state": seed, "standardize": standardize}
    if issubclass(E, ImageMixin):
        settings["image_shape"] = (8, 8)
    elif issubclass(E, SequenceAutoencoder):
        settings["n_channels"] = 8
    return E(n_components, **settings, **({"max_steps": 2} if size == "tiny" else {}))


def measured(name, pixels, n_components, split, size):
    """Fit a model and see what its codes are worth."""
    X, y = load_digits(return_X_y=True)
    if size == "tiny":
        X, y = X[:200], y[:200]
    parts = train_test_split(X / 16, y, test_size=0.5, random_state=split)
    X_train, X_test, y_train, y_test = parts
    task = name, n_components, PIXELS[pixels], split
    if size != "tiny":
        made(*task, "tiny").fit(X_train)  # imports and first calls
    model = made(*task, size)
    begin = time.perf_counter()
    model.fit(X_train)
    fit_seconds = time.perf_counter() - begin
    codes = model.transform(X_test)
    residual = np.square(X_test - model.inverse_transform(codes)).sum()
    near = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)
    row = {
        "r2": 100 * (1 - residual / np.square(X_test - X_train.mean(0)).sum()),
        "accuracy": 100 * near.score(codes, y_test),
        "fit_seconds": fit_seconds,
    }
    return [{**dict(zip(KEYS, (pixels, name, n_components, split), strict=True)), **row}]


def sets(args):
    # In one set, since results of a model replace those that are there, with all its splits.
    fits = [
        partial(measured, name, pixels, n_components, split, args.size)
        for split in range(args.repeats)
        for pixels in PIXELS
        for n_components in CODES[: 1 if args.size == "tiny" else None]
        for name in args.only
    ]
    yield "all splits", fits, ()


def tables(frame):
    for pixels, part in frame.groupby("pixels", sort=False):
        means = part.groupby(["model", "n_components"])[["r2", "accuracy"]].mean()
        cells = pairs(means.r2, " / ", means.accuracy).unstack().add_suffix(" components")
        cells["Fit"] = part.groupby("model").fit_seconds.median().map(seconds)
        yield f"**R² / accuracy, pixels {pixels}**"
        yield markdown(cells.reindex(CONTESTANTS).dropna(how="all"))
    yield circumstances(frame)

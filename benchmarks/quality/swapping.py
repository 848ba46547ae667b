"""Do digits that get the style of others keep what they show?

Models learn 1200 digits of scikit-learn, and are given which ones show the same. Each of the 597
others then gets the style of another one, at random. *Kept* is the share of them, in percent, that
a support vector classifier of real digits takes for what they were; *taken* is the share that it
takes for what the other one is, which is 10 by chance. *Varies* is how much images vary by style
alone, in percent of how much images of one digit vary. R² is the share of variance that comes back,
in percent, without a swap. All are means over three seeds, each with a split of its own, with their
standard deviations.
"""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from benchmarks._lib.tables import circumstances, markdown, pairs
from sktae import ContentStyleAutoencoder, ConvolutionalVariationalAutoencoder

TITLE = "Content and style exchanged"
KEYS, SEEDS = ["model", "seed"], 3
MODELS = {
    "ContentStyleAutoencoder": ContentStyleAutoencoder,
    "ConvolutionalVariationalAutoencoder": partial(
        ConvolutionalVariationalAutoencoder, image_shape=(8, 8), batch_size=128
    ),
}
CONTESTANTS = {
    f"{name}, beta={beta}": partial(E, beta=beta) for name, E in MODELS.items() for beta in (1, 4)
}
# Styles by which one image is drawn to measure how much it varies.
STYLES = 50


def measured(name, seed, steps):
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    train, test = np.split(rng.permutation(len(X)), [1200])
    judge = SVC().fit(X[train], y[train])
    settings = {"n_content": 4, "max_steps": steps, "calibration": None, "random_state": seed}
    model = CONTESTANTS[name](n_components=8, **settings).fit(X[train], y[train])
    other = rng.permutation(test)
    shown = judge.predict(model.swap(X[test], X[other]))
    styles = X[test[:STYLES]]
    drawn = [model.swap(np.tile(row, (STYLES, 1)), styles) for row in X[test[-STYLES:]]]
    alike = [X[test][y[test] == digit].var(axis=0).sum() for digit in range(10)]
    found = {
        "kept": np.mean(shown == y[test]),
        "taken": np.mean(shown == y[other]),
        "varies": np.var(drawn, axis=1).sum(axis=1).mean() / np.mean(alike),
        "r2": model.score(X[test]),
    }
    return [{"model": name, "seed": seed} | {what: 100 * found[what] for what in found}]


def sets(args):
    steps = 2 if args.size == "tiny" else 500
    # In one set, since results of a model take the place of those that are there.
    seeds = range(args.repeats)
    yield "all seeds", [partial(measured, name, s, steps) for s in seeds for name in args.only], ()


def tables(frame):
    names = {"kept": "Kept", "taken": "Taken", "varies": "Varies", "r2": "R²"}
    found = frame.groupby("model")[list(names)].agg(["mean", "std"])
    found = found.reindex(CONTESTANTS).dropna(how="all")
    shown = {names[m]: pairs(found[m]["mean"], " ± ", found[m]["std"]) for m in names}
    yield markdown(pd.DataFrame(shown))
    yield circumstances(frame)

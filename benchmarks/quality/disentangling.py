"""Does the penalty on dependence tell causes apart, at no worse images than a larger beta?

Images of 16 x 16 pixels show a spot, made from three independent causes of ten levels each: its
place in two directions, and its size. Models learn 3000 of them with six components. The mutual
information gap says how much more of a cause one component tells than any other, over all there is
to tell; R² is the share of variance that comes back, in percent. Both are means over five seeds,
each with images of its own, with their standard deviations. The convolutional model, of two stages
with 16 and 32 channels, penalizes dependence by gamma, which is beta - 1 of the others.
"""

from functools import partial

import numpy as np
import pandas as pd

from benchmarks._lib.tables import circumstances, markdown, pairs
from sktae import (
    ConvolutionalVariationalAutoencoder,
    DisentangledAutoencoder,
    VariationalAutoencoder,
)
from sktae.metrics import mutual_information_gap

TITLE = "Causes told apart"
KEYS, SEEDS = ["model", "seed"], 5
BETAS = {VariationalAutoencoder: (1, 2, 4, 6), DisentangledAutoencoder: (2, 4, 6)}
CONTESTANTS = {
    f"{E.__name__}, beta={beta}": partial(E, beta=beta) for E in BETAS for beta in BETAS[E]
}
SMALL = {"hidden_layer_sizes": (16, 32), "batch_size": 128, "calibration": None}
CONTESTANTS |= {
    f"ConvolutionalVariationalAutoencoder, gamma={gamma}": partial(
        ConvolutionalVariationalAutoencoder, gamma=gamma, image_shape=(16, 16), **SMALL
    )
    for gamma in (0, 3)
}


def spots(seed):
    """Draw causes, and what they make."""
    causes = np.random.default_rng(seed).integers(0, 10, size=(3000, 3))
    x, y, size = causes.T[:, :, np.newaxis, np.newaxis]
    grid = np.arange(16)
    away = (grid - 3 - x) ** 2 + (grid[:, np.newaxis] - 3 - y) ** 2
    return causes, np.exp(-away / (2 * (1 + size / 4) ** 2)).reshape(len(causes), -1)


def measured(name, seed, steps):
    causes, X = spots(seed)
    settings = {"likelihood": "bernoulli", "learning_rate": 0.005, "max_steps": steps}
    model = CONTESTANTS[name](n_components=6, random_state=seed, **settings).fit(X)
    gap = mutual_information_gap(causes, model.transform(X))
    return [{"model": name, "seed": seed, "gap": gap, "r2": 100 * model.score(X)}]


def sets(args):
    steps = 2 if args.size == "tiny" else 1500
    # In one set, since results of a model take the place of those that are there.
    seeds = range(args.repeats)
    yield "all seeds", [partial(measured, name, s, steps) for s in seeds for name in args.only], ()


def tables(frame):
    found = frame.groupby("model")[["gap", "r2"]].agg(["mean", "std"])
    found = found.reindex(CONTESTANTS).dropna(how="all")
    gap = pairs(found.gap["mean"], " ± ", found.gap["std"], "{:.2f}")
    yield markdown(
        pd.DataFrame({"Gap": gap, "R²": pairs(found.r2["mean"], " ± ", found.r2["std"])})
    )
    yield circumstances(frame)

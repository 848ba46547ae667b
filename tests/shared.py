"""What several test files need."""

from itertools import cycle, islice, product
from threading import get_ident

import numpy as np
import pytest
from torch.utils.data import Dataset

from sktae import (
    AttentionAutoencoder,
    Autoencoder,
    AutoregressiveAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    ConvolutionalSequenceAutoencoder,
    MaskedAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    VisionTransformerAutoencoder,
    all_estimators,
)

LONG = False  # set by --long

# One for each kind of network: those that have layers, or draws, that no other has.
KINDS = [
    Autoencoder,
    ContractiveAutoencoder,
    MaskedAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    AttentionAutoencoder,
    RecurrentAutoencoder,
    AutoregressiveAutoencoder,
    ConvolutionalSequenceAutoencoder,
    ConvolutionalAutoencoder,
    VisionTransformerAutoencoder,
]

# One for each family: of tables, sequences and images, with errors, likelihoods and choices.
FAMILIES = [
    Autoencoder,
    MaskedAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    RecurrentAutoencoder,
    ConvolutionalAutoencoder,
]

every = pytest.mark.parametrize("E", all_estimators())


def by_chance(estimator):
    """Return the checks that fail since steps draw rows at random, in proportion to weights.

    If rows are repeated instead, other rows are drawn. scikit-learn exempts its isolation forest
    for the same reason.
    """
    kinds = ["dense", "sparse"] if estimator.__sklearn_tags__().input_tags.sparse else ["dense"]
    name = "check_sample_weight_equivalence_on_{}_data"
    return {name.format(kind): "rows are drawn at random" for kind in kinds}


def run_check(check, estimator):
    """Run a check of scikit-learn, unless it is one of those that fail by chance."""
    name = check.func.__name__
    if name in (reasons := by_chance(estimator)):
        pytest.skip(reasons[name])
    check(estimator)


def kinds():
    """Return an estimator for each kind of network; with --long, every estimator."""
    return all_estimators() if LONG else KINDS


def families():
    """Return an estimator for each family; with --long, every estimator."""
    return all_estimators() if LONG else FAMILIES


def turns(*lists):
    """Return combinations in which each value of each list occurs; with --long, each combination.

    The longest list is taken once, and the others again and again beside it.
    """
    if LONG:
        return list(product(*lists))
    longest = max(map(len, lists))
    return list(zip(*(islice(cycle(values), longest) for values in lists), strict=True))


def in_turn(**values):
    """Parametrize by such combinations."""
    return pytest.mark.parametrize(",".join(values), turns(*values.values()))


def unless_long(few, many):
    """Return as many as show the property; with --long, more."""
    return many if LONG else few


# Sizes with which those take their steps in a moment that are slow with their defaults.
_LEAN = {
    "AttentionAutoencoder": {"hidden_layer_sizes": (16,), "batch_size": 32},
    "ConvolutionalAutoencoder": {"hidden_layer_sizes": (16,)},
    "ConvolutionalSequenceAutoencoder": {"hidden_layer_sizes": (16, 16)},
    "ConvolutionalSequenceVariationalAutoencoder": {"hidden_layer_sizes": (16, 16)},
    "ConvolutionalVariationalAutoencoder": {"hidden_layer_sizes": (16,)},
    "ConvolutionalVectorQuantizedAutoencoder": {"hidden_layer_sizes": (16,)},
    "NeighborAutoencoder": {"hidden_layer_sizes": (16,)},
    "RecurrentAutoencoder": {"hidden_layer_sizes": (16,)},
    "TransformerAutoencoder": {"hidden_layer_sizes": (16,)},
    "VisionTransformerAutoencoder": {"hidden_layer_sizes": (32,)},
}


def lean(E, **params):
    """Make an estimator whose fit is a whole one, but takes no minute."""
    return E(**{"random_state": 0, "calibration": None, **_LEAN.get(E.__name__, {}), **params})


def quick(E=Autoencoder, **params):
    """Make an estimator that fits in a moment."""
    return lean(E, **{"max_steps": 8, **params})


def correlated_table(n_rows=600, n_features=8, seed=0):
    """Make rows near a plane of three dimensions."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_rows, 3))
    return factors @ rng.normal(size=(3, n_features)) + 0.1 * rng.normal(size=(n_rows, n_features))


def discs(n=120, size=(12, 10), channels=3, seed=0):
    """Make discs of any colour in any place, between 0 and 1."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[: size[0], : size[1]]
    place = rng.uniform(0.3, 0.7, (n, 2, 1, 1)) * np.reshape(size, (2, 1, 1))
    far = np.hypot(down - place[:, 0], right - place[:, 1])[:, np.newaxis]
    return rng.uniform(0.2, 1, (n, channels, 1, 1)) / (1 + np.exp(far - min(size) / 4))


class Listed(Dataset):
    """Images one by one, read in a thread ahead of what learns."""

    def __init__(self, X):
        self.X, self.threads = X, set()

    def __len__(self):
        return len(self.X)

    def __getitem__(self, number):
        self.threads.add(get_ident())
        return self.X[number], "a label"

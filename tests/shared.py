"""What several test files need."""

import numpy as np
import pytest

from sktae import Autoencoder, all_estimators

every = pytest.mark.parametrize("E", all_estimators())


def quick(E=Autoencoder, **params):
    """Make an estimator that fits in a moment."""
    return E(**{"max_steps": 20, "random_state": 0, **params})


def correlated_table(n_rows=600, n_features=8, seed=0):
    """Make rows near a plane of three dimensions."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_rows, 3))
    return factors @ rng.normal(size=(3, n_features)) + 0.1 * rng.normal(size=(n_rows, n_features))


# Sizes with which those learn in a moment that need many with their defaults.
_LEAN = {
    "AttentionAutoencoder": {"hidden_layer_sizes": (16,)},
    "RecurrentAutoencoder": {"hidden_layer_sizes": (16,)},
    "TransformerAutoencoder": {"hidden_layer_sizes": (16,)},
}


def lean(E, **params):
    """Make an estimator whose fit is a whole one, but takes no minute."""
    return E(**{"random_state": 0, **_LEAN.get(E.__name__, {}), **params})

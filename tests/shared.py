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

"""New rows from a model, for the estimators that have a prior."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sktae.engine.batches import Loaded
from sktae.randomness import generator, seed_of


def check_count(n_samples: Any) -> None:
    """Raise unless this is a number of samples."""
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be an int of at least 1. Got {n_samples!r} instead.")


class SamplingMixin:
    """Draws codes from a normal prior, and rows from what they decode to.

    The host states `draw(network, code, u)`: rows for codes (n, k) and uniform numbers (n, d).
    """

    def sample(self, n_samples=1):
        """Draw new rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows; with a fixed `random_state` the same at each call.
        """
        check_is_fitted(self)
        check_count(n_samples)
        rng = generator(seed_of(self.random_state), "sample")
        code = torch.randn((n_samples, self.n_components_), generator=rng)
        u = torch.rand((n_samples, self.n_features_in_), generator=rng).clamp(1e-7, 1 - 1e-7)

        def rows(network, both):
            return self.draw(network, *both.split([self.n_components_, self.n_features_in_], 1))

        both = Loaded(torch.cat([code, u], 1).to(self.net_.device))
        return self._inputs.array(self._apply(rows, both), np.float64)

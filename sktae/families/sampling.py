"""New rows from a model, for the estimators that have a prior."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sktae._engine.rows import Loaded
from sktae.randomness import Uniform, generator, seed_of


def check_count(n_samples: Any) -> None:
    """Raise unless this is a number of samples."""
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be an int of at least 1. Got {n_samples!r} instead.")


def chain(seen: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw sequences (n, t) of whole numbers: each as often as it followed the last one, (m, t)."""
    found = seen[rng.integers(len(seen), size=n)]
    for step in range(1, seen.shape[1]):
        order = np.argsort(seen[:, step - 1], kind="stable")
        before = seen[order, step - 1]
        first, last = (before.searchsorted(found[:, step - 1], side) for side in ("left", "right"))
        found[:, step] = seen[order[rng.integers(first, last)], step]
    return found


class SamplingMixin:
    """Draws codes from a prior, and rows from what they decode to.

    The prior is normal, unless the host says otherwise.
    """

    def _draw(self, network, code, u):
        """Return rows, as the network sees them, for codes (n, k) and uniform numbers (n, d)."""
        raise NotImplementedError

    def _prior(self, n_samples, rng):
        """Draw codes, (n_samples, k)."""
        return torch.randn((n_samples, self.n_components_), generator=rng)

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
        code = self._prior(n_samples, rng)
        u = Uniform((self.n_features_in_,)).draw(rng, n_samples)

        def rows(network, both):
            return self._draw(network, *both.split([self.n_components_, self.n_features_in_], 1))

        both = Loaded(torch.cat([code, u], 1).to(self.net_.device))
        return self._inputs.to_array(self._apply(rows, both), np.float64)

"""New rows from a model, for estimators with a prior."""

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktae._engine.net import AutoencoderNet
from sktae._engine.rows import Loaded
from sktae._engine.settings import usual_settings
from sktae._engine.tiles import in_tiles
from sktae.inputs.protocol import Inputs
from sktae.randomness import Uniform, generator, seed_of


def check_count(n_samples: Any) -> None:
    """Raise unless this is a number of samples."""
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be an int of at least 1. Got {n_samples!r} instead.")


def sample_markov_chain(sequences: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample n sequences of integers from the Markov chain of given ones, (m, t) -> (n, t).

    The first value and, at each step, the transitions have the frequencies of the given sequences.
    """
    samples = sequences[rng.integers(len(sequences), size=n)]
    for step in range(1, sequences.shape[1]):
        # Sorted by the value before this step, the candidates for a transition lie side by side.
        order = np.argsort(sequences[:, step - 1], kind="stable")
        before, current = sequences[order, step - 1], samples[:, step - 1]
        first, last = (before.searchsorted(current, side) for side in ("left", "right"))
        samples[:, step] = sequences[order[rng.integers(first, last)], step]
    return samples


class SamplingMixin:
    """Adds `sample`: codes from a prior, and rows given these codes.

    The prior is standard normal, unless a subclass overrides `_prior`.
    """

    n_components_: int
    random_state: Any
    net_: AutoencoderNet
    _inputs: Inputs

    def _draw(self, network: Any, code: Tensor, u: Tensor) -> Tensor:
        """Sample rows, as tensors, given codes (n, k) and uniform numbers (n, d) as noise."""
        raise NotImplementedError

    def _prior(self, n_samples: int, rng: torch.Generator) -> Tensor:
        """Sample codes, (n_samples, k)."""
        return torch.randn((n_samples, self.n_components_), generator=rng)

    @usual_settings()
    def sample(self, n_samples: int = 1) -> Any:
        """Sample new rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            New rows, in the units of the training rows. Each call returns the same rows, if
            `random_state` is fixed.
        """
        check_is_fitted(self)
        check_count(n_samples)
        rng = generator(seed_of(self.random_state), "sample")
        code = self._prior(n_samples, rng)
        size = math.prod(self._inputs.shape)
        u = Uniform((size,)).draw(rng, n_samples)

        network = self.net_.module_

        def draw(code_and_u: Tensor) -> tuple[Tensor]:
            return (self._draw(network, *code_and_u.split([code.shape[1], size], 1)),)

        code_and_u = Loaded(torch.cat([code, u], 1).to(self.net_.device))
        (rows,) = in_tiles(draw, network, code_and_u)
        return self._inputs.to_table(self._inputs.to_array(rows, np.dtype(np.float64)))

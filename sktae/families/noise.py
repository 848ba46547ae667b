"""Noise on the rows of the training, for autoencoders that learn to remove it."""

import math
from typing import ClassVar

from sktae._training.spec import Spec
from sktae.nn.corruption import Corruption, Noise
from sktae.parameters import Declared, NonNegative

# The levels of normal noise for small codes were chosen on rows of so many numbers. The encoder
# averages over columns, so the same level moves the code of a narrower row farther. See the rows of
# "noise_level" of benchmarks/results/quality/maps.csv, of 64 columns and of 10.
_COLUMNS = 64


def for_width(level: float, shape: tuple[int, ...]) -> float:
    """Return the level of normal noise for rows of a shape: less for those with few columns."""
    return level * min(1.0, math.sqrt(math.prod(shape) / _COLUMNS))


class NoiseMixin(Declared):
    """Gives an autoencoder the parameters `noise` and `noise_level`.

    Parameters
    ----------
    noise : {"gaussian", "masking", "swap"} or None, default=None
        How rows are corrupted in training; the network learns to reproduce clean ones. "gaussian"
        adds normal noise. "masking" replaces entries by the mean of their column (by 0 without
        `standardize`). "swap" replaces entries by those of another row. None for no corruption.

    noise_level : float, default=0.3
        Standard deviation of the normal noise, for columns of variance 1, or the share of entries
        that are replaced.
    """

    noise: Noise | None = None
    noise_level: NonNegative = 0.3

    # What hidden entries become.
    _hidden_entry: ClassVar[float] = 0.0

    def _corruption(self, spec: Spec) -> Corruption | None:
        if self.noise is None:
            return None
        level = self._level(spec)
        if self.noise != "gaussian" and level > 1:
            raise ValueError(
                f"The 'noise_level' parameter of {type(self).__name__} must be at most 1 with "
                f"noise={self.noise!r}, a share of entries. Got {level} instead."
            )
        unit = self._hidden_unit(spec.shape)
        return Corruption(self.noise, level, spec.shape, unit, self._hidden_entry)

    def _level(self, spec: Spec) -> float:
        """Return the level of the noise for a network."""
        return self.noise_level

    def _hidden_unit(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what is hidden or kept as one, for rows of this shape."""
        return (1,) * len(shape)

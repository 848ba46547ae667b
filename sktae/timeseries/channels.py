"""How the channels of a series are scaled, and the views in which an estimator gets them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

VIEWS = ("raw", "centered", "difference")

# Scaled values are clipped at this many standard deviations: beyond, they say no more.
_CLIP = 20.0

# Values stay below this share of those whose squares overflow.
_SAFE = 1e-3

# A channel is constant if its values differ by less than this share of the largest. It keeps its
# units, but none finer than the second share, so that rounding in its values stays small.
_CONSTANT, _CONSTANT_SCALE = 1e-9, 1e-5

# Weight of a channel of two values, such as a switch, beside channels of more values. It jumps in
# normal operation, so errors there mean little.
_BINARY_WEIGHT = 0.03


class Channels:
    """Scales the channels of a series, in one or more views.

    Parameters
    ----------
    views : tuple of {"raw", "centered", "difference"}
        Forms in which each channel is given. "centered" equals "raw" here: `Windows` subtracts
        means, which are those of single windows.

    standardize : bool
        Whether the fitted rows get mean 0 and variance 1.

    dtype : type, default=np.float64
        Type of the scaled values.

    clip : float, default=20
        Standardized values are clipped at this many standard deviations.

    Attributes
    ----------
    shift, scale : ndarray of shape (n_views, n_channels)
        Subtracted from values, and what they are then divided by.

    variance : ndarray of shape (n_views, n_channels)
        Variances of the fitted rows after scaling.

    constant : ndarray of bool of shape (n_views, n_channels)
        Whether a channel has one value only in the fitted rows.

    weights : ndarray of shape (n_channels,)
        How much the error of each channel counts.
    """

    def __init__(
        self,
        views: tuple[str, ...],
        standardize: bool,
        dtype: Any = np.float64,
        clip: float = _CLIP,
    ):
        self.views, self.standardize, self.dtype, self.clip = views, standardize, dtype, clip

    def fit(self, series: Sequence[np.ndarray]) -> "Channels":
        """Learn the scales and the weights of channels from series (t, c)."""
        statistics = [self._scale([_view(view, rows) for rows in series]) for view in self.views]
        self.shift, self.scale, self.variance, self.constant = (
            np.stack(parts) for parts in zip(*statistics, strict=True)
        )
        weights = np.where(binary_channels(series), _BINARY_WEIGHT, 1.0)
        self.weights = weights / weights.max()
        return self

    def _scale(self, parts: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return shift, scale, variance after scaling, and whether it is constant, by channel."""
        # A channel without any value counts as constant.
        parts = [part for part in parts if len(part)] or [np.zeros((1, parts[0].shape[1]))]
        low, high = (np.nan_to_num(end.astype(np.float64)) for end in _extremes(parts))
        moments = StandardScaler()
        with np.errstate(over="ignore", invalid="ignore"):
            for part in parts:
                moments.partial_fit(part.astype(np.float64, copy=False))
        largest = np.maximum(abs(low), abs(high))
        # So are values so small that their squares are 0.
        constant = (high - low <= _CONSTANT * largest) | (moments.var_ == 0)
        if not np.isfinite(moments.var_[~constant]).all():
            raise ValueError(
                f"X has values up to {largest.max():.4g}, whose variance is too large for a "
                f"float; divide them by a constant."
            )
        if not self.standardize:
            zeros = np.zeros_like(low)
            return zeros, zeros + 1, np.where(constant, 0, moments.var_), constant
        middle = low / 2 + high / 2
        return (
            np.where(constant, middle, moments.mean_),
            np.where(constant, np.maximum(_CONSTANT_SCALE * abs(middle), 1), np.sqrt(moments.var_)),
            np.ones_like(low),
            constant,
        )

    def transform(self, rows: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """Scale rows (t, c) in each view, (t, views, c).

        `previous` is the row before them, (1, c), or empty, (0, c). A first row, which has none
        before it, has a missing difference, as if the row before were.
        """
        joined = np.concatenate([previous, rows], dtype=np.float64)
        scaled = np.full((len(rows), *self.shift.shape), np.nan, self.dtype)
        limit = self.clip
        if not self.standardize:  # values are clipped where their squares would overflow
            limit = np.sqrt(np.finfo(self.dtype).max) * _SAFE
        with np.errstate(over="ignore"):  # clipped below
            for i, view in enumerate(self.views):
                values = (_view(view, joined)[-len(rows) :] - self.shift[i]) / self.scale[i]
                # Of few rows, np.clip would take most of the time.
                clipped = np.minimum(np.maximum(values, -limit), limit)
                scaled[len(rows) - len(values) :, i] = clipped
        return scaled


def binary_channels(series: Sequence[np.ndarray]) -> np.ndarray:
    """Return which channels have two values in all series together, (c,)."""
    low, high = _extremes(series)
    binary = low < high
    for rows in series:
        binary &= ((rows == low) | (rows == high) | np.isnan(rows)).all(axis=0)
    return binary


def _extremes(series: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value of channels, (c,) each; NaN without any."""
    low, high = (
        end.reduce([end.reduce(rows, axis=0) for rows in series], axis=0)
        for end in (np.fmin, np.fmax)
    )
    return low, high


def _view(view: str, rows: np.ndarray) -> np.ndarray:
    return rows[1:] - rows[:-1] if view == "difference" else rows

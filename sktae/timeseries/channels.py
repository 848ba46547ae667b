"""How the channels of a series are scaled, and in which views they are seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

VIEWS = ("raw", "centered", "difference")


# Beyond this many standard deviations, a value says no more.
_LIMIT = 20.0


# A channel whose values differ by less than this share of them stands still.
_STILL = 1e-9


# It is then seen in its own units, but none finer than this share of its value.
_UNIT = 1e-5


# What is switched on and off jumps by nature, so that errors there mean little among other
# channels.
_SWITCHED = 0.03


class Channels:
    """How the channels of a series are seen: in one or more views, each brought to scale.

    Parameters
    ----------
    views : tuple of {"raw", "centered", "difference"}
        What is seen of each channel. Until windows are cut, "centered" is the same as "raw".

    standardize : bool
        Whether the fitted rows get mean 0 and variance 1.

    dtype : type, default=np.float64
        What holds the numbers that are seen.
    """

    def __init__(self, views: tuple[str, ...], standardize: bool, dtype: Any = np.float64):
        self.views, self.standardize, self.dtype = views, standardize, dtype

    def fit(self, series: Sequence[np.ndarray]) -> "Channels":
        """Learn the scales and the weights of channels from series (t, c)."""
        learnt = [self._scale([_seen(view, rows) for rows in series]) for view in self.views]
        self.shift, self.scale, self.variance, self.still = (
            np.stack(parts) for parts in zip(*learnt, strict=True)
        )
        low, high = (
            end([end(rows, axis=0) for rows in series], axis=0) for end in (np.min, np.max)
        )
        switched = low < high
        for rows in series:
            switched &= ((rows == low) | (rows == high)).all(axis=0)
        weights = np.where(switched, _SWITCHED, 1.0)
        self.weights = weights / weights.max()
        return self

    def _scale(self, parts: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return shift and scale of each channel, its variance then, and whether it is still."""
        moments, extremes = StandardScaler(), MinMaxScaler()
        with np.errstate(over="ignore", invalid="ignore"):
            for part in [part for part in parts if len(part)] or [np.zeros((1, parts[0].shape[1]))]:
                moments.partial_fit(part.astype(np.float64, copy=False))
                extremes.partial_fit(part)
        low, high = (end.astype(np.float64) for end in (extremes.data_min_, extremes.data_max_))
        largest = np.maximum(abs(low), abs(high))
        still = high - low <= _STILL * largest
        if not np.isfinite(moments.var_).all():
            raise ValueError(
                f"X has values up to {largest.max():.4g}, whose variance is too large for a "
                f"float; divide them by a constant."
            )
        if not self.standardize:
            nothing = np.zeros_like(low)
            return nothing, nothing + 1, np.where(still, 0, moments.var_), still
        middle = low / 2 + high / 2
        return (
            np.where(still, middle, moments.mean_),
            np.where(still, np.maximum(_UNIT * abs(middle), 1), np.sqrt(moments.var_)),
            np.ones_like(low),
            still,
        )

    def __call__(self, rows: np.ndarray, before: np.ndarray) -> np.ndarray:
        """See rows (t, c) that follow another one, (1, c), or none, (0, c), as (t, views, c).

        By how much a first row differs is unknown, and taken to be usual.
        """
        joined = np.concatenate([before, rows], dtype=np.float64)
        seen = np.zeros((len(rows), *self.shift.shape), self.dtype)
        limit = _LIMIT if self.standardize else np.inf
        for i, view in enumerate(self.views):
            values = _seen(view, joined)[-len(rows) :]
            values = (values - self.shift[i]) / self.scale[i]
            seen[len(rows) - len(values) :, i] = np.clip(values, -limit, limit)
        return seen


def _seen(view: str, rows: np.ndarray) -> np.ndarray:
    return np.diff(rows, axis=0) if view == "difference" else rows

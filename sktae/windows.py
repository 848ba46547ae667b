"""Windows of series: how they are cut, and what an estimator's errors on them amount to."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch.utils.data import Dataset

from sktae._engine.tiles import TILE

VIEWS = ("raw", "centred", "difference")
# Beyond this many standard deviations, a value says no more.
_LIMIT = 20.0
# A channel whose values differ by less than this share of them stands still.
_STILL = 1e-9
# It is then seen in its own units, but none finer than this share of its value.
_UNIT = 1e-5
# What is switched on and off jumps by nature, so that errors there mean little among other
# channels.
_SWITCHED = 0.03
# Share of a window where errors are largest, and of the usual size that is added to a level.
_WORST, _FLOOR = 8, 0.1
# Errors of training that are smaller than this share of a level are those of rounding.
_EXACT = 0.01
# Windows are made and judged in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


class Channels:
    """How the channels of a series are seen: in one or more views, each brought to scale.

    Parameters
    ----------
    views : tuple of {"raw", "centred", "difference"}
        What is seen of each channel. Until windows are cut, "centred" is the same as "raw".

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


class Layout(NamedTuple):
    """What an estimator is given of windows."""

    window: int
    views: tuple[str, ...]
    apart: bool  # whether it sees one channel at a time, instead of all of them
    flat: bool  # whether a window is one long row, instead of (window, numbers of a row)

    def shape(self, n_channels: int) -> tuple[int, ...]:
        """Return how many rows a window makes, and what is in one: views, channels, times."""
        groups = n_channels if self.apart else 1
        return groups, len(self.views), n_channels // groups, self.window


class Windows(Dataset):
    """Windows of series as rows of an estimator, cut where they are read.

    Parameters
    ----------
    seen : ndarray of shape (n_rows, n_views, n_channels)
        One series as it is seen, or several in a line.

    starts : ndarray of int
        The first rows of windows, in ascending order.

    layout : Layout
        What is to be cut.

    drawn : ndarray of int or None, default=None
        Which rows of the estimator are meant, in ascending order; None for all of them. Those of
        one window follow each other.
    """

    def __init__(
        self,
        seen: np.ndarray,
        starts: np.ndarray,
        layout: Layout,
        drawn: np.ndarray | None = None,
    ):
        self.seen, self.starts, self.layout, self.drawn = seen, starts, layout, drawn
        self.n_groups = layout.shape(seen.shape[2])[0]

    def __len__(self) -> int:
        return len(self.starts) * self.n_groups if self.drawn is None else len(self.drawn)

    def __getitem__(self, numbers: Any) -> np.ndarray:
        if isinstance(numbers, slice):
            numbers = np.arange(*numbers.indices(len(self)))
        numbers = np.asarray(numbers)
        found = self._cut(np.atleast_1d(numbers if self.drawn is None else self.drawn[numbers]))
        return found if numbers.ndim else found[0]

    def __getitems__(self, numbers: list[int]) -> np.ndarray:
        return self[numbers]

    def _cut(self, numbers: np.ndarray) -> np.ndarray:
        layout, (n, n_views, _) = self.layout, self.seen.shape
        grouped = self.seen.reshape(n, n_views, self.n_groups, -1)
        view = sliding_window_view(grouped, layout.window, axis=0)
        places, groups = np.divmod(numbers, self.n_groups)
        # (rows, views, channels, times), where sums over times are the same bits for any rows
        found = np.ascontiguousarray(view[self.starts[places], :, groups])
        for i, name in enumerate(layout.views):
            if name == "centred":
                found[:, i] -= found[:, i].mean(axis=-1, keepdims=True)
        if layout.flat:
            return found.reshape(len(found), -1)
        return np.moveaxis(found, -1, 1).reshape(len(found), layout.window, -1)

    @property
    def gap(self) -> int:
        """How many rows must be left out between two parts, so that no windows overlap."""
        numbers = np.arange(len(self)) if self.drawn is None else self.drawn
        firsts = self.starts[numbers // self.n_groups]
        ends = np.searchsorted(firsts, firsts + self.layout.window)
        return int((ends - np.arange(len(self))).max()) - 1

    def draw(self, n: int, seed: int) -> "Windows":
        """Draw so many rows, if there are more."""
        if len(self) <= n:
            return self
        numbers = np.random.default_rng(seed).choice(len(self), n, replace=False, shuffle=False)
        return Windows(self.seen, self.starts, self.layout, np.sort(numbers))

    def chunks(self) -> Iterator[np.ndarray]:
        """Cut all windows, not many at once."""
        size = windows_at_once(self.layout.window * self.seen[0].size) * self.n_groups
        for start in range(0, len(self), size):
            yield self[start : start + size]


def windows_at_once(numbers: int) -> int:
    """Say how many windows of so many numbers are cut at once: whole tiles, where it can be."""
    size = max(1, _CHUNK_NUMBERS // numbers)
    return size - size % TILE if size > TILE else size


class WindowErrors:
    """What an estimator's errors on windows amount to, beside those of training.

    Parameters
    ----------
    estimator : estimator
        Fitted to windows.

    by_features : bool
        Whether it is asked for the error of each number, instead of a score for each window.

    channels : Channels
        How the numbers of windows came about.

    layout : Layout
        What the estimator is given.

    reduction : {"worst", "mean", "max"}
        What becomes of the errors at the times of a window.

    training_data : {"clean", "contaminated"}
        Whether the largest errors of training are those of normal windows.
    """

    def __init__(
        self,
        estimator: Any,
        by_features: bool,
        channels: Channels,
        layout: Layout,
        reduction: str,
        training_data: str,
    ):
        self.estimator, self.by_features, self.layout = estimator, by_features, layout
        self.channels, self.n_channels = channels, channels.still.shape[1]
        self.reduction, self.training_data = reduction, training_data

    def fit(self, windows: Windows) -> "WindowErrors":
        """Learn from windows, a sample of those of the training, how large errors are there."""
        if self.by_features:
            found = np.concatenate([self._reduced(chunk) for chunk in windows.chunks()])
            self.level = self._level(found)
            self.least = self._least(found)
            self.usual = self._joined(self._relative(found)).mean(axis=0)  # (channels,)
        else:
            self.usual = np.concatenate([self.of_windows(c) for c in windows.chunks()]).mean(axis=0)
        return self

    def _level(self, found: np.ndarray) -> np.ndarray:
        """Return what errors (m, views, c) are divided by, (views, c)."""
        still = self.channels.still
        if self.training_data == "clean":
            added = self.channels.variance
            usual = found.max(axis=0)
        else:
            added = usual = found.mean(axis=0)
        n_moving = np.maximum((~still).sum(axis=1, keepdims=True), 1)
        added = np.where(still, 0, added).sum(axis=1, keepdims=True) / n_moving
        return usual + _FLOOR * np.where(added > 0, added, 1.0)

    def _least(self, found: np.ndarray) -> np.ndarray:
        """Return the least errors (m, views, c) that are normal, (views, c); 0 for any."""
        if self.training_data != "clean":
            return np.zeros_like(self.level)
        least = found.min(axis=0)
        return np.where((least > _EXACT * self.level) & ~self.channels.still, least, 0.0)

    def of_windows(self, rows: np.ndarray) -> np.ndarray:
        """Return the errors of windows by channel, (m, c); those of a score, (m, 1)."""
        if not self.by_features:
            return -np.asarray(self.estimator.score_samples(rows), np.float64)[:, np.newaxis]
        return self._joined(self._relative(self._reduced(rows)))

    def of_times(self, rows: np.ndarray) -> np.ndarray:
        """Return the errors at each time of windows by channel, (m, w, c)."""
        if not self.by_features:
            return np.repeat(self.of_windows(rows)[:, np.newaxis], self.layout.window, axis=1)
        return self._joined(np.moveaxis(self._by_channels(self._squares(rows)), -1, 1) / self.level)

    def pooled(self, found: np.ndarray) -> np.ndarray:
        """Put the channels' errors (t, c) together to those of rows, (t, 1): a quadratic mean."""
        if not self.by_features:
            return found
        return np.sqrt(np.square(found).mean(axis=1, keepdims=True))

    def shares(self, found: np.ndarray) -> np.ndarray:
        """Return what each channel has in the error of rows, (t, c)."""
        squares = np.square(found)
        total = squares.sum(axis=1, keepdims=True)
        return squares * (self.pooled(found) / np.where(total > 0, total, 1.0))

    def _relative(self, found: np.ndarray) -> np.ndarray:
        """Return errors of windows (m, views, c) as shares of the level.

        A window that is easier than any of training is unusual, too: a sensor that stands still
        where it never did. Where nothing is left of the errors, that counts as much as the level.
        """
        missing = 1 - found / np.where(self.least > 0, self.least, 1.0)
        return np.maximum(found / self.level, np.where(self.least > 0, missing, 0.0))

    def _joined(self, relative: np.ndarray) -> np.ndarray:
        """Add up the views (..., views, c), and weigh the channels."""
        return relative.sum(axis=-2) * self.channels.weights

    def _reduced(self, rows: np.ndarray) -> np.ndarray:
        """Return the errors of windows by view and channel, (m, views, c)."""
        squares = self._squares(rows)
        if self.reduction != "mean":
            n = 1 if self.reduction == "max" else max(1, self.layout.window // _WORST)
            squares = np.partition(squares, -n, axis=-1)[..., -n:]
        return self._by_channels(squares.mean(axis=-1, dtype=np.float64))

    def _by_channels(self, found: np.ndarray) -> np.ndarray:
        """Bring what was found in rows of the estimator (m, views, c, ...) to whole windows."""
        if not self.layout.apart:
            return found
        parts = found.reshape(-1, self.n_channels, *found.shape[1:])
        return np.ascontiguousarray(np.moveaxis(parts[:, :, :, 0], 1, 2))

    def _squares(self, rows: np.ndarray) -> np.ndarray:
        """Return squared residuals of rows of the estimator, (m, views, c, times)."""
        estimator = self.estimator
        if hasattr(estimator, "reconstruct"):
            made = estimator.reconstruct(rows)
        else:
            made = np.asarray(estimator.inverse_transform(np.asarray(estimator.transform(rows))))
        squares = np.square(rows - made)
        if not self.layout.flat:
            squares = np.moveaxis(squares, 1, -1)
        shape = self.layout.shape(self.n_channels)[1:]
        return squares.reshape(len(rows), *shape)

"""Windows of series, extracted only where they are read."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from torch.utils.data import Dataset

from sktae._engine.tiles import TILE

# Windows are learned if at least this share of their values is known, and a view of a channel has
# no error where less of it is: lines through what is missing are not what was measured.
KNOWN = 0.5

# Windows are extracted in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


class Layout(NamedTuple):
    """How a window becomes one or more inputs of the estimator."""

    window_size: int
    views: tuple[str, ...]
    independent: bool  # whether each channel is an input of its own, or all together are one
    flat: bool  # whether an input is one row of numbers, or (window_size, n_values)

    def shape(self, n_channels: int) -> tuple[int, int, int, int]:
        """Return the shape of the inputs of a window: (inputs, views, channels, window_size)."""
        n_inputs = n_channels if self.independent else 1
        return n_inputs, len(self.views), n_channels // n_inputs, self.window_size

    def filled(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs in which missing values lie on lines between known ones; 0 without any."""
        missing = missing_values(inputs)
        if missing is None:
            return inputs
        incomplete = missing.reshape(len(inputs), -1).any(axis=1)
        values = inputs[incomplete]
        if self.flat:
            filled = _interpolated(values.reshape(len(values), -1, self.window_size))
        else:
            filled = np.moveaxis(_interpolated(np.moveaxis(values, 1, -1)), -1, 1)
        inputs = inputs.copy()
        inputs[incomplete] = filled.reshape(values.shape)
        return inputs


class Windows(Dataset):
    """Dataset of windows, the inputs of an estimator. They are extracted where they are read.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_views, n_channels)
        One series in its scaled views, or several, one after the other.

    starts : ndarray of int
        The first rows of windows, in ascending order.

    layout : Layout
        How windows become inputs.

    selected : ndarray of int or None, default=None
        The numbers of the inputs that this dataset has, in ascending order; None for all. Input
        number `i` is of window `i // n_inputs`, where a window makes `n_inputs` inputs.
    """

    def __init__(
        self,
        values: np.ndarray,
        starts: np.ndarray,
        layout: Layout,
        selected: np.ndarray | None = None,
    ):
        self.values, self.starts, self.layout, self.selected = values, starts, layout, selected
        self.n_inputs = layout.shape(values.shape[2])[0]  # of one window

    def __len__(self) -> int:
        return len(self.starts) * self.n_inputs if self.selected is None else len(self.selected)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        numbers = index if self.selected is None else self.selected[index]
        inputs = self.layout.filled(self.extract(np.atleast_1d(numbers)))
        return inputs if index.ndim else inputs[0]

    def __getitems__(self, indices: list[int]) -> np.ndarray:
        return self[indices]

    def extract(self, numbers: np.ndarray) -> np.ndarray:
        """Return the inputs with these numbers, in which missing values are NaN."""
        layout, (n, n_views, _) = self.layout, self.values.shape
        grouped = self.values.reshape(n, n_views, self.n_inputs, -1)
        view = sliding_window_view(grouped, layout.window_size, axis=0)
        windows, groups = np.divmod(numbers, self.n_inputs)
        # (inputs, views, channels, times), contiguous, since the rounding of a sum over times would
        # otherwise depend on how many inputs there are.
        inputs = np.ascontiguousarray(view[self.starts[windows], :, groups])
        for i, name in enumerate(layout.views):
            if name == "centered":
                inputs[:, i] -= _mean(inputs[:, i])
        if layout.flat:
            return inputs.reshape(len(inputs), -1)
        return np.moveaxis(inputs, -1, 1).reshape(len(inputs), layout.window_size, -1)

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of all inputs."""
        return np.arange(len(self)) if self.selected is None else self.selected

    @property
    def gap(self) -> int:
        """Number of inputs to leave out between two parts, so that no windows overlap."""
        firsts = self.starts[self.numbers // self.n_inputs]
        ends = np.searchsorted(firsts, firsts + self.layout.window_size)
        return int((ends - np.arange(len(self))).max()) - 1

    def draw(self, n: int, seed: int) -> "Windows":
        """Return n inputs drawn at random, in ascending order; all of them if there are fewer."""
        if len(self) <= n:
            return self
        numbers = np.random.default_rng(seed).choice(len(self), n, replace=False, shuffle=False)
        return Windows(self.values, self.starts, self.layout, np.sort(numbers))

    def chunks(self) -> Iterator[np.ndarray]:
        """Walk through all inputs in chunks of whole windows; missing values are NaN."""
        size = windows_per_chunk(self.layout.window_size * self.values[0].size) * self.n_inputs
        for start in range(0, len(self), size):
            yield self.extract(self.numbers[start : start + size])


def missing_values(values: np.ndarray) -> np.ndarray | None:
    """Return which values are NaN; None, which takes no time, if all of them are known."""
    with np.errstate(over="ignore"):
        known = not np.isnan(np.vdot(values, values))
    return None if known else np.isnan(values)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return means over time of what is known, (..., w) to (..., 1); 0 where nothing is."""
    missing = missing_values(values)
    if missing is None:
        return values.mean(axis=-1, keepdims=True)
    n_known = np.maximum((~missing).sum(axis=-1, keepdims=True), 1).astype(values.dtype)
    return np.where(missing, 0, values).sum(axis=-1, keepdims=True) / n_known


def _interpolated(values: np.ndarray) -> np.ndarray:
    """Return values over time, (..., w), with lines between known ones, and 0 without any."""
    missing, end = np.isnan(values), values.shape[-1]
    times = np.arange(end, dtype=np.int32)
    before = np.maximum.accumulate(np.where(missing, np.int32(-1), times), axis=-1)
    after = np.where(missing, np.int32(end), times)[..., ::-1]
    after = np.minimum.accumulate(after, axis=-1)[..., ::-1]
    *rows, places = np.nonzero(missing)
    before, after = before[missing], after[missing]
    # Before the first known value and after the last one, that value is on both sides.
    before = np.where(before < 0, after, before).clip(max=end - 1)
    after = np.where(after == end, before, after)
    low, high = values[(*rows, before)], values[(*rows, after)]
    share = ((places - before) / np.maximum(after - before, 1)).astype(values.dtype)
    filled = values.copy()
    filled[missing] = np.nan_to_num(low + share * (high - low), nan=0.0)
    return filled


def windows_per_chunk(numbers: int) -> int:
    """Return how many windows of so many numbers a chunk has: whole tiles, where they fit."""
    size = max(1, _CHUNK_NUMBERS // numbers)
    return size - size % TILE if size > TILE else size

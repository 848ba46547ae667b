"""Windows of series: how they are cut, and what an estimator's errors on them amount to."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from torch.utils.data import Dataset

from sktae._engine.tiles import TILE

# Windows are made and judged in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


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
            if name == "centered":
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

"""Rows of a table, in memory, in a file, in a Dataset, or on a GPU."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sktae._engine.neighbors import NeighborGraph
from sktae.randomness import Neighbor, in_proportion

# Rows are converted and copied in chunks of about this many numbers (1 MB in float32), so that what
# lies between raw and prepared rows never takes as much memory as the table.
_CHUNK_NUMBERS = 2**18


class Rows:
    """Rows of a table, wherever they lie; `prepare` turns raw rows into inputs of the network.

    Parameters
    ----------
    raw : array or Dataset
        Has a `shape`, and can be indexed by slices and by arrays of row numbers.

    prepare : callable
        From raw rows as a tensor to rows for the network.

    device : str
        Device of the prepared rows.

    chosen : Tensor or None, default=None
        Numbers of the rows, if not all.

    labels : Tensor or None, default=None
        The groups that these rows belong to, if there are any.

    weights : Tensor or None, default=None
        The weights of these rows, if they differ.
    """

    def __init__(
        self,
        raw: Any,
        prepare: Callable[[Tensor], Tensor],
        device: str = "cpu",
        chosen: Tensor | None = None,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
    ):
        self.raw, self.prepare, self.device, self.chosen = raw, prepare, device, chosen
        self.labels, self.weights = labels, weights
        self.shape = tuple(raw.shape[1:])

    _graph: tuple[Neighbor, NeighborGraph] | None = None

    def __len__(self) -> int:
        return len(self.raw) if self.chosen is None else len(self.chosen)

    def take(self, rows: Tensor) -> Tensor:
        """Return some rows by their numbers."""
        if self.chosen is not None:
            rows = self.chosen[rows]
        return self._prepared(np.asarray(self.raw[rows.numpy()]))

    def slice(self, start: int, stop: int, step: int = 1) -> Tensor:
        """Return a range of rows."""
        if self.chosen is not None:
            return self.take(torch.arange(start, min(stop, len(self)), step))
        return self._prepared(np.asarray(self.raw[start:stop:step]))

    def _prepared(self, raw: np.ndarray) -> Tensor:
        return self.prepare(_as_tensor(raw)).to(self.device)

    def tile(self, start: int, stop: int) -> Tensor:
        """Return a range of rows for `finished`, which turns them into what `slice` returns.

        Preparing rows is a function of tensors, too. Split off like this, it can be recorded
        together with what is then computed from the rows.
        """
        if self.chosen is not None or self.device != "cpu":
            return self.slice(start, stop)
        return _as_tensor(np.asarray(self.raw[start:stop]))

    def finished(self, tile: Tensor) -> Tensor:
        """Prepare a tile, unless `tile` has done so."""
        return tile if self.chosen is not None or self.device != "cpu" else self.prepare(tile)

    def spread(self, n: int) -> "Rows":
        """Return at most n rows, evenly spaced; with weights, some repeated, as frequent as these.

        Each of the returned rows counts the same.
        """
        if self.weights is not None:
            size = min(n, len(self))
            sample = self.choose(in_proportion(self.weights, torch.arange(size), size))
            sample.weights = None
            return sample
        step = math.ceil(len(self) / n)
        return self if step == 1 else self.choose(torch.arange(0, len(self), step))

    def graph(self, draw: Neighbor, seed: int) -> NeighborGraph:
        """Return the nearest rows of each row; they are searched for once."""
        if self._graph is None or self._graph[0] != draw:
            x = self.x if isinstance(self, Loaded) else self.load().x
            self._graph = draw, NeighborGraph(x, draw, seed, self.labels)
        return self._graph[1]

    def choose(self, rows: Tensor) -> "Rows":
        """Return some of the rows, as rows."""
        chosen = rows if self.chosen is None else self.chosen[rows]
        return Rows(self.raw, self.prepare, self.device, chosen, *self._properties_of(rows))

    def _properties_of(self, rows: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return labels and weights of some rows."""
        labels, weights = self.labels, self.weights
        return (
            None if labels is None else labels[rows],
            None if weights is None else weights[rows],
        )

    def load(self) -> "Loaded":
        """Prepare all rows, and hold them on the device."""
        chunk = max(1, _CHUNK_NUMBERS // math.prod(self.shape))
        first = self.slice(0, chunk)
        whole = first.new_empty((len(self), *first.shape[1:]))
        whole[:chunk] = first  # to read rows may take time
        for start in range(chunk, len(self), chunk):
            whole[start : start + chunk] = self.slice(start, start + chunk)
        return Loaded(whole, self.labels, self.weights)


class Loaded(Rows):
    """Prepared rows in one tensor."""

    def __init__(self, x: Tensor, labels: Tensor | None = None, weights: Tensor | None = None):
        self.x, self.device, self.shape = x, str(x.device), tuple(x.shape[1:])
        self.labels, self.weights = labels, weights

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> Tensor:
        return self.x.index_select(0, rows.to(self.x.device))

    def slice(self, start: int, stop: int, step: int = 1) -> Tensor:
        return self.x[start:stop:step]

    tile = slice

    def finished(self, tile: Tensor) -> Tensor:
        return tile

    def choose(self, rows: Tensor) -> "Rows":
        return Loaded(self.take(rows), *self._properties_of(rows))


def _as_tensor(rows: np.ndarray) -> Tensor:
    """Return an array as a tensor; a copy of it if it is read-only or runs backwards.

    Torch warns of arrays that are read-only, and takes none with negative strides.
    """
    plain = rows.flags.writeable and min(rows.strides, default=0) >= 0
    return torch.from_numpy(rows if plain else rows.copy())

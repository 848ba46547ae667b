"""Rows of a table, wherever they lie."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Rows are converted and copied in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**18


class Rows:
    """Rows of a table, wherever they lie; `prepare` turns raw ones into what the network sees.

    Parameters
    ----------
    raw : array or Dataset
        Has a `shape`, and answers to slices and to arrays of row numbers.

    prepare : callable
        From raw rows as a tensor to rows for the network.

    device : str
        Where the prepared rows are wanted.

    chosen : Tensor or None, default=None
        Which rows, if not all.

    labels : Tensor or None, default=None
        The groups that these rows belong to, if there are any.
    """

    def __init__(
        self,
        raw: Any,
        prepare: Callable[[Tensor], Tensor],
        device: str = "cpu",
        chosen: Tensor | None = None,
        labels: Tensor | None = None,
    ):
        self.raw, self.prepare, self.device, self.chosen = raw, prepare, device, chosen
        self.labels = labels
        self.shape = tuple(raw.shape[1:])

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
        """Return a range of rows for `finished`, which makes them what `slice` gives.

        Thus what can be recorded together with a function of prepared rows is left to do.
        """
        if self.chosen is not None or self.device != "cpu":
            return self.slice(start, stop)
        return _as_tensor(np.asarray(self.raw[start:stop]))

    def finished(self, tile: Tensor) -> Tensor:
        return tile if self.chosen is not None or self.device != "cpu" else self.prepare(tile)

    def spread(self, n: int) -> "Rows":
        """Return n rows at most, evenly spaced."""
        step = math.ceil(len(self) / n)
        return self if step == 1 else self.choose(torch.arange(0, len(self), step))

    def choose(self, rows: Tensor) -> "Rows":
        """Return some of the rows, as rows."""
        chosen = rows if self.chosen is None else self.chosen[rows]
        return Rows(self.raw, self.prepare, self.device, chosen, self._labels_of(rows))

    def _labels_of(self, rows: Tensor) -> Tensor | None:
        return None if self.labels is None else self.labels[rows]

    def load(self) -> "Loaded":
        """Prepare all rows, and hold them on the device."""
        chunk = max(1, _CHUNK_NUMBERS // math.prod(self.shape))
        first = self.slice(0, chunk)
        whole = first.new_empty((len(self), *first.shape[1:]))
        for start in range(0, len(self), chunk):
            whole[start : start + chunk] = self.slice(start, start + chunk)
        return Loaded(whole, self.labels)


class Loaded(Rows):
    """Prepared rows in one tensor."""

    def __init__(self, x: Tensor, labels: Tensor | None = None):
        self.x, self.device, self.shape = x, str(x.device), tuple(x.shape[1:])
        self.labels = labels

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
        return Loaded(self.take(rows), self._labels_of(rows))


def _as_tensor(rows: np.ndarray) -> Tensor:
    """See an array as a tensor, or a copy of it where torch could not: read-only, backwards."""
    plain = rows.flags.writeable and min(rows.strides, default=0) >= 0
    return torch.from_numpy(rows if plain else rows.copy())

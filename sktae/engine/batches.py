"""Rows in, batches out: blocks of training steps, and fixed tiles for inference."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sktae.engine.step import Step, recorded
from sktae.randomness import Plan

_LANES = 16
# Tiles of this many rows, and of fewer where a row is large, or becomes so in the network, are near
# the best throughput.
TILE, _TILE_OF_GPU = 1024, 2**15
_TILE_NUMBERS, _LAYER_NUMBERS = 2**22, 2**18
# From this many tiles on, recording the function of a tile repays itself.
MANY_TILES = 16
# Rows are converted and copied in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**18

# ((x, *noise), x): what goes into the module, and what it is compared with.
Batch = tuple[tuple[Tensor, ...], Tensor]


# -- rows ------------------------------------------------------------------------------------------


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


# -- batches ---------------------------------------------------------------------------------------


class TrainingSteps:
    """A budget of steps, from `first` on; each iteration runs through the next block of them."""

    def __init__(self, x: Rows, plan: Plan, first: int, budget: int, block: int):
        self.x, self.plan = x, plan
        self.first, self.budget, self.block = first, budget, block
        self.step = first
        self._pass = -1

    @property
    def n_blocks(self) -> int:
        return math.ceil(self.budget / self.block)

    @property
    def left(self) -> int:
        """How many steps remain."""
        return self.first + self.budget - self.step

    @property
    def progress(self) -> float:
        """The share of the budget that is spent."""
        return (self.step - self.first) / self.budget

    def __iter__(self) -> Iterator[Batch]:
        ranges = self._ranges(self.step, self.step + min(self.block, self.left))
        for batches in self._ahead(ranges):
            for batch in batches:
                yield batch, batch[0]
                self.step += 1

    def _ranges(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut a range of steps where a pass or an address of noise ends."""
        while start < stop:
            number, share = self.plan.steps_per_pass, self.plan.steps_per_draw
            ends = self.first + ((start - self.first) // number + 1) * number
            end = min(stop, ends, (start // share + 1) * share)
            yield start, end
            start = end

    def _ahead(self, ranges: Iterator[tuple[int, int]]) -> Iterator[Iterator[tuple[Tensor, ...]]]:
        """Gather the batches of each range, in a thread ahead where rows are not at hand."""
        if isinstance(self.x, Loaded):
            yield from (self.gather(*span) for span in ranges)
            return
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(self.gather, *span) for span in [next(ranges)]]
            for span in ranges:
                waiting.append(pool.submit(self.gather, *span))
                yield waiting.pop(0).result()
            yield waiting.pop().result()

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the rows of some steps of one pass, in a line."""
        number, batch = divmod(start - self.first, self.plan.steps_per_pass)
        if number != self._pass:
            # Addressed by its first step, so that a later fit draws other orders.
            self._pass, self._order = number, self.plan.order(start - batch)
        size = self.plan.batch_size
        places = torch.arange(batch * size, (batch + stop - start) * size)
        return self._order(places % self.plan.n_rows)

    def whole(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Return rows and noise of steps that share a pass and an address, (steps, b, ...)."""
        rows = self.rows(start, stop)
        address, offset = divmod(start, self.plan.steps_per_draw)
        noise = self.plan.draws("noise", address, rows, self.x, offset * self.plan.batch_size)
        shape = (stop - start, self.plan.batch_size)
        return tuple(part.unflatten(0, shape) for part in (self.x.take(rows), *noise))

    def gather(self, start: int, stop: int) -> Iterator[tuple[Tensor, ...]]:
        """Return the batches of such steps one by one."""
        return zip(*(part.unbind(0) for part in self.whole(start, stop)), strict=True)


class ValidationBatches:
    """Held-out rows in order, with the same noise at every look, so that looks compare."""

    def __init__(self, x: Rows, plan: Plan):
        self.x, self.plan = x, plan

    def __iter__(self) -> Iterator[Batch]:
        for number, rows in enumerate(torch.arange(len(self.x)).split(self.plan.batch_size)):
            x = self.x.take(rows)
            yield (x, *self.plan.draws("validate", number, rows, self.x)), x


# -- tiles -----------------------------------------------------------------------------------------


class _aligned_linear(TorchFunctionMode):
    """Pads the results of linear maps to whole vector registers.

    Kernels for odd widths treat the last rows of a batch differently, so that a row's result
    would depend on its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parameters: dict[int, Tensor] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not F.linear:
            return func(*args, **kwargs)
        return self.linear(*args, **kwargs)

    def linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        width = len(weight)
        missing = -width % _LANES
        if not missing:
            return F.linear(input, weight, bias)
        padded_bias = None if bias is None else self.pad(bias, (0, missing))
        return F.linear(input, self.pad(weight, (0, 0, 0, missing)), padded_bias)[..., :width]

    def pad(self, weight: Tensor, by: tuple[int, ...]) -> Tensor:
        if not isinstance(weight, nn.Parameter):
            return F.pad(weight, by)
        if id(weight) not in self.parameters:
            self.parameters[id(weight)] = F.pad(weight, by)
        return self.parameters[id(weight)]


def in_tiles(
    function: Callable[..., tuple[Tensor, ...]], network: nn.Module, *tables: Rows
) -> tuple[np.ndarray, ...]:
    """Apply a function of rows that uses a network to many rows, in tiles of one fixed size.

    The last tile is filled up, so every row meets the same arithmetic whatever its neighbours.
    Results are written into arrays that are allocated once.
    """

    def prepared(*tiles: Tensor) -> tuple[Tensor, ...]:
        with aligned:
            return function(*(x.finished(tile) for x, tile in zip(tables, tiles, strict=True)))

    results: tuple[np.ndarray, ...] = ()
    n_rows = len(tables[0])
    most, of_layer = TILE, _LAYER_NUMBERS // layer_size(network)
    if torch.device(tables[0].device).type != "cpu":
        most, of_layer = _TILE_OF_GPU, of_layer * _TILE_OF_GPU // TILE
    of_rows = _TILE_NUMBERS // max(1, math.prod(tables[0].shape))
    # A power of two: the last rows of other numbers would be treated by kernels of their own.
    size = 1 << (max(1, min(most, of_layer, of_rows)).bit_length() - 1)
    step: Any = Step(prepared)
    aligned = _aligned_linear()
    if network.training:
        network.eval()
    with torch.no_grad():
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            tiles = [_filled(x.tile(start, stop), size) for x in tables]
            if start == 0 and n_rows > size * MANY_TILES:
                step = recorded(step, *tiles)
            found = step(*tiles)
            if not results:
                results = tuple(np.empty((n_rows, *f.shape[1:]), np.float32) for f in found)
            for whole, part in zip(results, found, strict=True):
                whole[start:stop] = part[: stop - start].cpu().numpy()
    return results


def layer_size(network: nn.Module) -> int:
    """Return how many numbers the largest layer makes of a row, where a network or a part says."""
    return max(getattr(part, "layer_size", 1) for part in network.modules())


def _filled(rows: Tensor, size: int) -> Tensor:
    """Repeat the last row until there are so many."""
    missing = size - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing else rows

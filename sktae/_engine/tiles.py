"""Inference in tiles of one fixed size, so that a row's result depends on the row alone.

Kernels for matrix products choose how to sum by the shapes of the matrices, and treat what is left
over at their edges by other code. So a row scored alone, or at the end of a short batch, would
differ in its last digits from the same row in a long one. Here every row meets the same kernels
with the same shapes: batches have a fixed size that leaves no remainder, and layers an output
width that leaves none.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sktae._engine.replay import Replay, Step, recorded
from sktae._engine.rows import Rows
from sktae._engine.settings import usual_settings

# The float32 numbers in the widest vector register of a CPU: 64 bytes, with AVX-512.
_REGISTER = 16


# A tile has this many rows if rows are small: near the best throughput. On a CPU, intermediate
# results should stay in the cache (`score_speed.py` of the benchmarks compares tiles with the whole
# array); a GPU needs more rows to be busy.
TILE, _GPU_TILE = 1024, 2**15


# The most numbers in a tile of inputs (16 MB in float32), and in the largest layer for it (1 MB on
# a CPU): so inference needs little memory for images and long sequences, too.
_TILE_NUMBERS, _LAYER_NUMBERS = 2**22, 2**18


# Up to so many small tiles are computed in place of a tile. A small one has whole vector registers
# in each column, as a tile has.
_SMALL_TILE, _FEW_TILES = 2 * _REGISTER, 4


# The first calls with few rows, up to so many, fill a tile: only in more of them do small tiles
# repay what it takes to try and to record them.
FEW_CALLS = 8


# From this many tiles on, what is saved in each repays the recording of the function of a tile.
MANY_TILES = 16

Function = Callable[..., tuple[Tensor, ...]]


class Trial(NamedTuple):
    """By what is seen whether a function does the same to rows in small tiles as in whole ones.

    Kernels choose how to sum by shapes, not by values. So one trial is enough for each function.
    What is kept goes with the owner.

    Parameters
    ----------
    owner : object
        With what the result is kept: the network, or what else the function depends on.

    name : tuple
        Tells functions of an owner apart.

    sample : Tensor
        Rows of the training, as the network gets them.
    """

    owner: Any
    name: tuple
    sample: Tensor

    def agrees(self, function: Function, network: nn.Module, x: Rows) -> bool:
        """Tell whether small tiles give the same bits as those that rows like `x` have.

        It is tried only after some calls.
        """
        known, key = _AGREEING.setdefault(self.owner, {}), (self.name, torch.get_num_threads())
        if key not in known:
            calls = _CALLS.setdefault(self.owner, Counter())
            calls[key] += 1
            if calls[key] <= FEW_CALLS:
                return False
            size = tile_size(network, x)
            known[key] = size > _SMALL_TILE and self._same(function, size)
        return known[key]

    def replayed(self, function: Function) -> Function:
        """Return a faster function for small tiles, of which it keeps a recording.

        The function may depend on nothing but its arguments and the owner, which never changes.
        While one thread replays it, others do without, since a replay writes into its own buffers.
        """
        lock, kept = _RECORDED.setdefault(self.owner, (threading.Lock(), {}))
        key = self.name, torch.get_num_threads()

        def computed(*inputs: Tensor) -> tuple[Tensor, ...]:
            if not lock.acquire(blocking=False):
                return function(*inputs)
            try:
                if key not in kept:
                    step = recorded(Step(function), *inputs)
                    # A function may hold its owner, which would then stay in memory for good.
                    kept[key] = step if isinstance(step, Replay) else None
                return tuple(result.clone() for result in (kept[key] or function)(*inputs))
            finally:
                lock.release()

        return computed

    def _same(self, function: Function, size: int) -> bool:
        rows = self.sample[:size]
        whole = function(_filled(rows, size))
        parts = [function(_filled(part, _SMALL_TILE)) for part in rows.split(_SMALL_TILE)]
        small = map(torch.cat, zip(*parts, strict=True))
        pairs = zip(whole, small, strict=True)
        return all(torch.equal(a[: len(rows)], b[: len(rows)]) for a, b in pairs)


_CALLS: WeakKeyDictionary[Any, Counter[tuple]] = WeakKeyDictionary()
_AGREEING: WeakKeyDictionary[Any, dict[tuple, bool]] = WeakKeyDictionary()
_RECORDED: WeakKeyDictionary[Any, tuple[threading.Lock, dict[tuple, Replay | None]]]
_RECORDED = WeakKeyDictionary()


class AlignedLinear(TorchFunctionMode):
    """Within this context, linear maps are computed with whole vector registers of outputs.

    Kernels for odd widths treat the last rows of a batch differently, so that a row's result
    would depend on its position. Weights get rows of zeros, and the outputs of these are cut off.
    """

    def __init__(self) -> None:
        super().__init__()
        self.padded: dict[int, Tensor] = {}  # parameters, which stay the same between tiles

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not F.linear:
            return func(*args, **kwargs)
        return self.linear(*args, **kwargs)

    def linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        width = len(weight)
        missing = -width % _REGISTER
        if not missing:
            return F.linear(input, weight, bias)
        padded_bias = None if bias is None else self.pad(bias, (0, missing))
        return F.linear(input, self.pad(weight, (0, 0, 0, missing)), padded_bias)[..., :width]

    def pad(self, weight: Tensor, by: tuple[int, ...]) -> Tensor:
        if not isinstance(weight, nn.Parameter):  # computed by the network, perhaps from the rows
            return F.pad(weight, by)
        if id(weight) not in self.padded:
            self.padded[id(weight)] = F.pad(weight, by)
        return self.padded[id(weight)]


@usual_settings()
def in_tiles(
    function: Function,
    network: nn.Module,
    *tables: Rows,
    last: Function | None = None,
    trial: Trial | None = None,
    span: tuple[int, int] | None = None,
    size: int | None = None,
) -> tuple[np.ndarray, ...]:
    """Apply a function of rows that uses a network to many rows, in tiles of one fixed size.

    The last tile is filled up, so every row meets the same arithmetic whatever its neighbors.
    Results are written into arrays that are allocated once. Few rows are computed in small tiles,
    once a trial tells that this makes no difference. With a span, only the rows from its first
    number up to its second are computed. The last step of the function may be given by itself, if
    it depends on the owner of the trial alone: for small tiles it is then recorded. Without a size,
    tiles have as many rows as suit the network and the first table.
    """

    def finish(*parts: Tensor) -> tuple[Tensor, ...]:
        if last is None:
            return parts
        with aligned:
            return last(*parts)

    def computed(*tiles: Tensor) -> tuple[Tensor, ...]:
        with aligned:
            parts = function(*tiles)
        return end(*parts)

    def prepared(*tiles: Tensor) -> tuple[Tensor, ...]:
        pairs = zip(tables, tiles, strict=True)
        return computed(*(table.finished(tile) for table, tile in pairs))

    results: tuple[np.ndarray, ...] = ()
    end: Function = finish
    x = tables[0]
    first, beyond = span or (0, len(x))
    n_rows = beyond - first
    few = n_rows <= _FEW_TILES * _SMALL_TILE and _on_cpu(x)
    step: Any = Step(prepared)
    aligned = AlignedLinear()
    if network.training:
        network.eval()
    with torch.no_grad():
        small = few and trial is not None and trial.agrees(computed, network, x)
        size = _SMALL_TILE if small else size or tile_size(network, x)
        if small and last is not None:
            end = trial.replayed(finish)  # type: ignore[union-attr]  # there is one
        for start in range(first, beyond, size):
            stop = min(start + size, beyond)
            tiles = [_filled(table.tile(start, stop), size) for table in tables]
            if start == first and n_rows > size * MANY_TILES:
                step = recorded(step, *tiles)
            parts = step(*tiles)
            if not results:
                results = tuple(np.empty((n_rows, *p.shape[1:]), np.float32) for p in parts)
            # Copied at once, since a recorded step returns the same tensors each time.
            for whole, part in zip(results, parts, strict=True):
                whole[start - first : stop - first] = part[: stop - start].cpu().numpy()
    return results


def tile_size(network: nn.Module, x: Rows) -> int:
    """Return how many rows a tile has.

    A power of two, since kernels take rows in blocks: of other numbers, the last rows would be a
    remainder, for which there are kernels of their own.
    """
    most, of_layer = TILE, _LAYER_NUMBERS // layer_size(network)
    if not _on_cpu(x):
        most, of_layer = _GPU_TILE, of_layer * _GPU_TILE // TILE
    of_rows = _TILE_NUMBERS // max(1, math.prod(x.shape))
    return 1 << (max(1, min(most, of_layer, of_rows)).bit_length() - 1)


def _on_cpu(x: Rows) -> bool:
    return torch.device(x.device).type == "cpu"


def layer_size(network: nn.Module) -> int:
    """Return how many numbers the largest layer has for a row: the largest `layer_size` of a part.

    It is 1 where no part declares it: for plain layers, the limits on rows are enough.
    """
    return max(getattr(part, "layer_size", 1) for part in network.modules())


def _filled(rows: Tensor, size: int) -> Tensor:
    """Repeat the last row until there are `size` rows.

    Not zeros: a copy of a row is a valid input wherever the row is.
    """
    missing = size - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing else rows

"""Inference in tiles of one fixed size, so that a row's result depends on the row alone."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sktae._engine.replay import Step, recorded
from sktae._engine.rows import Rows

_LANES = 16


# Tiles of this many rows, and of fewer where a row is large, or becomes so in the network, are near
# the best throughput.
TILE, _TILE_OF_GPU = 1024, 2**15


_TILE_NUMBERS, _LAYER_NUMBERS = 2**22, 2**18


# From this many tiles on, recording the function of a tile repays itself.
MANY_TILES = 16


class AlignedLinear(TorchFunctionMode):
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
    aligned = AlignedLinear()
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

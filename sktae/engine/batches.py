"""Rows in, batches out: blocks of training steps, and fixed tiles for inference."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sktae.randomness import Plan

TILE = 256
_LANES = 16

# ((x, *noise), x): what goes into the module, and what it is compared with.
Batch = tuple[tuple[Tensor, ...], Tensor]


class TrainingSteps:
    """A budget of steps, from `first` on; each iteration runs through the next block of them."""

    def __init__(self, x: Tensor, plan: Plan, first: int, budget: int, block: int):
        self.x, self.plan = x, plan
        self.first, self.budget, self.block = first, budget, block
        self.step = first
        self._pass, self._order = -1, x.new_empty(0)

    @property
    def n_blocks(self) -> int:
        return math.ceil(self.budget / self.block)

    @property
    def progress(self) -> float:
        """The share of the budget that is spent."""
        return (self.step - self.first) / self.budget

    def __iter__(self) -> Iterator[Batch]:
        left = self.first + self.budget - self.step
        for _ in range(min(self.block, left)):
            number, batch = divmod(self.step - self.first, self.plan.steps_per_pass)
            if number != self._pass:
                # Addressed by its first step, so that a later fit draws other orders.
                order = self.plan.order(self.step)
                self._pass, self._order = number, order.to(self.x.device)
            rows = self._order[batch]
            x = self.x[rows]
            yield (x, *self.plan.draws("noise", self.step, rows, self.x)), x
            self.step += 1


class ValidationBatches:
    """Held-out rows in order, with the same noise at every look, so that looks compare."""

    def __init__(self, x: Tensor, plan: Plan):
        self.x, self.plan = x, plan

    def __iter__(self) -> Iterator[Batch]:
        every = torch.arange(len(self.x), device=self.x.device)
        for number, rows in enumerate(every.split(self.plan.batch_size)):
            x = self.x[rows]
            yield (x, *self.plan.draws("validate", number, rows, self.x)), x


class _aligned_linear(TorchFunctionMode):
    """Pads the widths of linear maps to whole vector registers.

    Kernels for odd widths treat the last rows of a batch differently, so that a row's result
    would depend on its place.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not F.linear:
            return func(*args, **kwargs)
        return _linear(*args, **kwargs)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n_out, n_in = weight.shape
    pad_out, pad_in = -n_out % _LANES, -n_in % _LANES
    if not (pad_out or pad_in):
        return F.linear(input, weight, bias)
    padded_bias = None if bias is None else F.pad(bias, (0, pad_out))
    padded = F.linear(
        F.pad(input, (0, pad_in)), F.pad(weight, (0, pad_in, 0, pad_out)), padded_bias
    )
    return padded[..., :n_out]


def in_tiles(
    function: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor, network: nn.Module
) -> tuple[np.ndarray, ...]:
    """Apply a function of rows that uses a network to many rows, in tiles of one fixed size.

    The last tile is filled up, so every row meets the same arithmetic whatever its neighbours.
    Results are written into arrays that are allocated once.
    """
    results: tuple[np.ndarray, ...] = ()
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode(), _aligned_linear():
        for start in range(0, len(x), TILE):
            rows = x[start : start + TILE]
            size = len(rows)
            if size < TILE:
                rows = torch.cat([rows, rows[-1:].expand(TILE - size, *rows.shape[1:])])
            found = function(rows.to(device))
            if not results:
                results = tuple(np.empty((len(x), *f.shape[1:]), np.float32) for f in found)
            for whole, part in zip(results, found, strict=True):
                whole[start : start + size] = part[:size].cpu().numpy()
    return results

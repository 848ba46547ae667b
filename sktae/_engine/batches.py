"""Rows in, batches out: blocks of training steps, and fixed tiles for inference."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from sktae._engine.rows import Loaded, Rows
from sktae.randomness import Plan

# ((x, *noise), x): what goes into the module, and what it is compared with.
Batch = tuple[tuple[Tensor, ...], Tensor]


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

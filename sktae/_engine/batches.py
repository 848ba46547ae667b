"""The batches of a fit: training steps with their noise, and validation rows."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from sktae._engine.rows import Loaded, Rows
from sktae._engine.settings import usual_settings
from sktae.randomness import Plan

# The batches that are gathered by one call have no more numbers (16 MB in float32).
_GATHERED_NUMBERS = 2**22

# ((x, *noise), x): what goes into the module, and what it is compared with.
Batch = tuple[tuple[Tensor, ...], Tensor]


class TrainingSteps:
    """A budget of steps, from number `first` on; each iteration runs through the next block.

    Steps are numbered over all fits of an estimator: a fit that continues an earlier one has a
    `first` above zero. What a step draws depends on its number alone, so neither the size of blocks
    nor an interruption between them changes any batch.

    `share` is the part of each batch that this process gets: all of it, unless several processes
    train one network (`parallel.py`). Rows of other parts are not read, but all noise is drawn.
    """

    share: slice | None = None

    def __init__(self, x: Rows, plan: Plan, first: int, budget: int, block: int):
        self.x, self.plan = x, plan
        self.first, self.budget, self.block = first, budget, block
        self.step = first
        self._pass = -1
        self._most = max(1, _GATHERED_NUMBERS // (plan.batch_size * math.prod(x.shape)))

    def __len__(self) -> int:
        """Return the number of rows of a block, of which skorch makes that of its batches."""
        return self.block * self.plan.batch_size

    @property
    def n_blocks(self) -> int:
        """How many blocks remain."""
        return math.ceil(self.remaining / self.block)

    @property
    def remaining(self) -> int:
        """How many steps remain."""
        return self.first + self.budget - self.step

    @property
    def progress(self) -> float:
        """The share of the budget that is spent."""
        return (self.step - self.first) / self.budget

    def __iter__(self) -> Iterator[Batch]:
        ranges = self.ranges(self.step, self.step + min(self.block, self.remaining))
        for batches in self._prefetched(ranges):
            for batch in batches:
                yield batch, batch[0]
                self.step += 1

    def ranges(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut the steps from `start` to `stop` where a pass or an address of noise ends.

        Within a range, rows come from one permutation and noise from one generator, so the batches
        of all its steps are gathered by one call.
        """
        while start < stop:
            per_pass, per_draw = self.plan.steps_per_pass, self.plan.steps_per_draw
            # Passes are counted from the beginning of this fit, addresses of noise from step 0.
            end_of_pass = self.first + ((start - self.first) // per_pass + 1) * per_pass
            end = min(stop, end_of_pass, (start // per_draw + 1) * per_draw, start + self._most)
            yield start, end
            start = end

    def _prefetched(
        self, ranges: Iterator[tuple[int, int]]
    ) -> Iterator[Iterator[tuple[Tensor, ...]]]:
        """Gather the batches of each range; a thread reads the next one if rows are not loaded."""
        if isinstance(self.x, Loaded):
            yield from (self.gather(*span) for span in ranges)
            return
        gather = usual_settings()(self.gather)  # settings are those of a thread
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(gather, *span) for span in [next(ranges)]]
            for span in ranges:
                waiting.append(pool.submit(gather, *span))
                yield waiting.pop(0).result()
            yield waiting.pop().result()

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the row numbers of steps of one pass, one batch after the other."""
        number, batch = divmod(start - self.first, self.plan.steps_per_pass)
        if number != self._pass:
            # The address of a permutation is the first step of its pass, not the number of the
            # pass: so a fit that continues an earlier one draws other permutations.
            self._pass, self._order = number, self.plan.order(start - batch, self.x.weights)
        size = self.plan.batch_size
        positions = torch.arange(batch * size, (batch + stop - start) * size)
        # The last batch of a pass is filled up with the first rows of its permutation.
        return self._order(positions % self.plan.n_rows)

    def stacked(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Return rows and noise of one range of steps, each of shape (steps, batch, ...)."""
        rows = self.rows(start, stop)
        address, offset = divmod(start, self.plan.steps_per_draw)
        noise = self.plan.draws("noise", address, rows, self.x, offset * self.plan.batch_size)
        shape = (stop - start, self.plan.batch_size)
        if self.share is not None:
            own = rows.unflatten(0, shape)[:, self.share]
            noise = tuple(part.unflatten(0, shape)[:, self.share].flatten(0, 1) for part in noise)
            rows, shape = own.flatten(), tuple(own.shape)
        return tuple(part.unflatten(0, shape) for part in (self.x.take(rows), *noise))

    def gather(self, start: int, stop: int) -> Iterator[tuple[Tensor, ...]]:
        """Return the batches of one range of steps one by one."""
        return zip(*(part.unbind(0) for part in self.stacked(start, stop)), strict=True)


class ValidationBatches:
    """Held-out rows in order; the same noise in every epoch, so that losses can be compared."""

    def __init__(self, x: Rows, plan: Plan):
        self.x, self.plan = x, plan

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[Batch]:
        for number, rows in enumerate(torch.arange(len(self.x)).split(self.plan.batch_size)):
            x = self.x.take(rows)
            yield (x, *self.plan.draws("validate", number, rows, self.x)), x

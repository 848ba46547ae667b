"""Many networks of one structure, trained as one; the only file that knows the model axis.

Parameters, gradients and moments are matrices with one row for each model. A model that is done
leaves its row to the next one that waits. What a model learns is what it would learn alone, up to
the rounding of sums.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sktae._engine.batches import TrainingSteps, ValidationBatches
from sktae._engine.flat import clip, fused_update, moments, shapes, views
from sktae._engine.net import MANY_STEPS, AutoencoderNet, StopTraining
from sktae._engine.objective import Objective
from sktae._engine.replay import Gradient
from sktae.nn.attention import attend_by_hand

# So many rows in a step, of so many models at most, keep a CPU busy and its cache unspilt; a GPU
# takes more.
_IN_FLIGHT, _IN_FLIGHT_ON_GPU = (1024, 32), (2**16, 256)


class Unstackable(Exception):
    """These models cannot be trained as one."""


class Run:
    """One model's way through its budget: what `AutoencoderNet.fit_loop` is for a model alone.

    Parameters
    ----------
    net : AutoencoderNet
        Initialised, with parameters that lie in one vector.

    steps : TrainingSteps
        Its budget.

    valid : ValidationBatches or None
        Held-out rows, if any.

    Attributes
    ----------
    error : Exception or None
        What ended the run before its time.
    """

    def __init__(
        self, net: AutoencoderNet, steps: TrainingSteps, valid: ValidationBatches | None = None
    ):
        self.net, self.steps, self.valid = net, steps, valid
        self.error: Exception | None = None
        self.block_start = self.block_end = steps.step
        self.sums: list[float] = []

    @property
    def parameters(self) -> list[Tensor]:
        return list(self.net.module_.parameters())

    @property
    def vector(self) -> Tensor:
        return self.net.optimizer_.param_groups[0]["params"][0]

    def begin(self) -> None:
        self.net.notify("on_train_begin", X=self.steps, y=self.valid)
        self.begin_block()

    def begin_block(self) -> None:
        self.net.notify("on_epoch_begin", dataset_train=self.steps, dataset_valid=self.valid)
        self.block_start = self.steps.step
        self.block_end = self.steps.step + min(self.steps.block, self.steps.left)

    def add(self, sums: Sequence[float]) -> None:
        """Add to the sums of the objective's terms over the block at hand."""
        before = self.sums or [0.0] * len(sums)
        self.sums = [a + b for a, b in zip(before, sums, strict=True)]

    def end_block(self, names: Sequence[str]) -> bool:
        """Take stock of a block; return whether that was the last."""
        net, steps = self.net, self.steps
        n_rows = (self.block_end - self.block_start) * steps.plan.batch_size
        means = {name: value / n_rows for name, value in zip(names, self.sums, strict=True)}
        self.sums = []
        try:
            net.set_learning_rate(steps, -1)
            net.record_training(steps, means)
            net.run_single_epoch(self.valid, False, "valid", net.validation_step)
            net.notify("on_epoch_end", dataset_train=steps, dataset_valid=self.valid)
            if steps.left:
                self.begin_block()
        except StopTraining:
            return True
        except Exception as error:
            self.error = error
            return True
        return not steps.left

    def end(self) -> None:
        if self.error is None:
            self.net.training_path_ = "stacked"
            self.net.notify("on_train_end", X=self.steps, y=self.valid)


def stack_size(runs: Sequence[Run]) -> int:
    """Say how many models to train at a time."""
    on_gpu = torch.device(runs[0].net.device).type == "cuda"
    rows, most = _IN_FLIGHT_ON_GPU if on_gpu else _IN_FLIGHT
    return max(2, min(most, rows // runs[0].steps.plan.batch_size))


def stackable(net: AutoencoderNet) -> bool:
    """Tell whether a net trains in the usual way, and holds nothing that a stack would not see."""
    return net.trains_quietly and not any(
        isinstance(value, Tensor)
        for module in net.module_.modules()
        for value in vars(module).values()
    )


def train_stacked(runs: Sequence[Run], size: int | None = None) -> None:
    """Train models that are equal but for seeds, rows, budgets, rates and knobs."""
    size = size or stack_size(runs)
    knobs = _differing_knobs(runs)
    waiting = sorted(runs, key=lambda run: _rates(run.net))[::-1]
    active: list[Run] = []
    while waiting or active:
        while waiting and len(active) < size:
            active.append(waiting.pop())
            active[-1].begin()
        active = Stack(active, knobs).train(waiting)


def _differing_knobs(runs: Sequence[Run]) -> list[str]:
    first = runs[0].net.criterion_.knobs
    return [name for name in first if len({run.net.criterion_.knobs[name] for run in runs}) > 1]


def _rates(net: AutoencoderNet) -> tuple[float, float]:
    group = net.optimizer_.param_groups[0]
    return group.setdefault("initial_lr", group["lr"]), group["weight_decay"]


class Stack:
    """So many rows of parameters, and the models that they belong to at present."""

    def __init__(self, runs: Sequence[Run], knobs: Sequence[str]):
        first, flat = runs[0], runs[0].vector.detach()
        rows = (len(runs), len(flat))
        self.values, self.gradients = flat.new_zeros(rows), flat.new_zeros(rows)
        self.exp_avg, self.exp_avg_sq = flat.new_zeros(rows), flat.new_zeros(rows)
        self.steps_taken = torch.zeros(len(runs), device=flat.device)
        self.limits = flat.new_full((len(runs), 1), math.inf)
        self.template = first.net
        self.runs: list[Run | None] = [None] * len(runs)
        self.knobs = {name: flat.new_zeros(len(runs)) for name in knobs}
        self.buffers = {
            name: buffer.new_zeros((len(runs), *buffer.shape))
            for name, buffer in first.net.module_.named_buffers()
        }
        names = [name for name, _ in first.net.module_.named_parameters()]
        variables = [v.requires_grad_() for v in _columnwise(self.values, first)]
        self.parameters = dict(zip(names, variables, strict=True))
        state = [self.values, *self.knobs.values(), *self.buffers.values()]
        places = _columnwise(self.gradients, first)
        self.gradient = Gradient(self._terms, variables, places, state)
        for row, run in enumerate(runs):
            self._enter(row, run)

    def _terms(self, inputs: Any, x: Tensor) -> dict[str, Tensor]:
        """Return the terms of all models, (k, n) each."""
        net = self.template
        objective: Objective = net.criterion_
        kind = torch.device(net.device).type

        def single(weights, knobs, inputs, x):
            bf16 = torch.autocast(kind, torch.bfloat16, enabled=net.precision == "bfloat16")
            with bf16, ModelAxis():
                out = functional_call(net.module_, weights, inputs)
                return objective.terms(out, x, {**objective.knobs, **knobs})

        weights = {**self.parameters, **self.buffers}
        return vmap(single)(weights, self.knobs, inputs, x)

    # -- coming and going ----------------------------------------------------------------------

    def _enter(self, row: int, run: Run) -> None:
        """Give a row to a model, with its state so far."""
        self.runs[row] = run
        state = moments(run.net.optimizer_, run.vector)
        self.steps_taken[row] = state["step"]
        for matrix, vector in self._pairs(run, state):
            _copy(_columnwise(matrix[row], run), views(vector, shapes(run.parameters)))
        for name, knob in self.knobs.items():
            knob[row] = run.net.criterion_.knobs[name]
        for name, buffer in run.net.module_.named_buffers():
            self.buffers[name][row] = buffer
        self.limits[row] = run.net.limit(run.steps.x.shape)
        _move(run.parameters, _columnwise(self.values[row], run))

    def _leave(self, row: int) -> Run:
        """Give a model back what its row has become."""
        run = cast(Run, self.runs[row])
        state = moments(run.net.optimizer_, run.vector)
        state["step"].copy_(self.steps_taken[row])
        for matrix, vector in self._pairs(run, state):
            _copy(views(vector, shapes(run.parameters)), _columnwise(matrix[row], run))
            matrix[row] = 0.0  # nothing may overflow in a row that nobody owns
        _move(run.parameters, views(run.vector, shapes(run.parameters)))
        self.runs[row] = None
        return run

    def _pairs(self, run: Run, state: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        return [
            (self.values, run.vector.detach()),
            (self.exp_avg, state["exp_avg"]),
            (self.exp_avg_sq, state["exp_avg_sq"]),
        ]

    @property
    def active(self) -> list[tuple[int, Run]]:
        return [(row, run) for row, run in enumerate(self.runs) if run is not None]

    # -- training ------------------------------------------------------------------------------

    def train(self, waiting: list[Run]) -> list[Run]:
        """Train until too few models are left for this many rows; return those."""
        while len(self.active) > len(self.runs) // 2:
            sums = self._span(min(_span(run) for _, run in self.active))
            for row, run in self.active:
                run.add(sums[:, row].tolist())
                if run.steps.step == run.block_end and run.end_block(self.gradient.names):
                    self._leave(row).end()
                    if waiting:
                        waiting[-1].begin()
                        self._enter(row, waiting.pop())
        return [self._leave(row) for row, _ in self.active]

    def _span(self, n: int) -> Tensor:
        """Take n steps, for which every model has its batches at hand; return the sums of terms."""
        batches = self._batches(n)
        groups = self._groups()
        limited = bool(self.limits.isfinite().any())
        sums: list[Tensor] = []
        with torch.no_grad():
            for inputs in batches:
                found = self._gradients(inputs)
                if limited:
                    clip(self.gradients, self.limits)
                for update in groups:
                    update()
                for _, run in self.active:
                    run.steps.step += 1
                if sums:
                    torch._foreach_add_(sums, found)
                else:
                    sums = [value.clone() for value in found]
        return torch.stack(sums)

    def _gradients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not self.gradient.names:
            try:
                return self.gradient.step(*inputs)
            except Exception as error:  # whatever keeps torch from adding the model axis
                raise Unstackable from error
        if not self.gradient.tried and max(r.steps.left for _, r in self.active) >= MANY_STEPS:
            self.gradient.record(*inputs)
        return self.gradient.step(*inputs)

    def _batches(self, n: int) -> Iterator[tuple[Tensor, ...]]:
        """Return the next n batches of all models, (k, b, ...) each; empty rows get zeros."""
        found: list[tuple[Tensor, ...] | None] = [None] * len(self.runs)
        for row, run in self.active:
            found[row] = run.steps.whole(run.steps.step, run.steps.step + n)
        model = next(parts for parts in found if parts is not None)
        full = [parts or tuple(map(torch.zeros_like, model)) for parts in found]
        stacked = [torch.stack(part, 1) for part in zip(*full, strict=True)]
        return zip(*(part.unbind(0) for part in stacked), strict=True)

    def _groups(self) -> list[Callable[[], None]]:
        """Return what updates all rows: one call where rates and counts of steps are the same."""

        def key(entry: tuple[int, Run]) -> Any:
            row, run = entry
            steps = run.steps
            schedule = (run.net.schedule, steps.step - steps.first, steps.budget)
            return *_rates(run.net), *schedule, float(self.steps_taken[row])

        groups = []
        for _, members in groupby(self.active, key):
            rows = [row for row, _ in members]
            if rows[-1] - rows[0] + 1 == len(rows):
                groups.append(self._adam(rows[0], rows[-1] + 1))
            else:
                groups += [self._adam(row, row + 1) for row in rows]
        return groups

    def _adam(self, start: int, stop: int) -> Callable[[], None]:
        run = cast(Run, self.runs[start])
        group = run.net.optimizer_.param_groups[0]
        values, gradient, exp_avg, exp_avg_sq = (
            matrix.detach()[start:stop].view(-1)
            for matrix in (self.values, self.gradients, self.exp_avg, self.exp_avg_sq)
        )
        counts = self.steps_taken[start:stop]
        state = {"step": counts[0], "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
        adam = fused_update(run.net.optimizer_, values, gradient, state, counts)

        def update() -> None:
            run.net.set_learning_rate(run.steps)
            adam(group["lr"], group["weight_decay"])

        return update


class ModelAxis(TorchFunctionMode):
    """Spares linear maps the kernels that a model axis would add to their bias.

    Fused attention, which knows no such axis, is computed by hand.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return attend_by_hand(*args, kwargs.get("attn_mask"))
        return self.linear(*args, **kwargs) if func is F.linear else func(*args, **kwargs)

    @staticmethod
    def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = input @ weight.mT
        return product if bias is None else product + bias


def _columnwise(rows: Tensor, run: Run) -> list[Tensor]:
    """Cut rows into parameters, matrices column by column: the order in which gradients come."""
    return views(rows, shapes(run.parameters), transposed=True)


def _copy(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def _move(parameters: Sequence[Tensor], places: Sequence[Tensor]) -> None:
    for parameter, place in zip(parameters, places, strict=True):
        parameter.data = place


def _span(run: Run) -> int:
    """Say how many steps a model can take before something happens to it."""
    start, end = next(run.steps._ranges(run.steps.step, run.block_end))
    return end - start

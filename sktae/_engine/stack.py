"""Many networks of one structure, trained as one; the only file that knows the model axis.

Small networks leave a processor idle between kernels. So K models take each step together: `vmap`
turns the forward pass of one model into that of K, and each kernel computes for all. Parameters,
gradients and moments are matrices with one row for each model, in the layout of `flat.py`. A model
that is done leaves its row to the next one that waits. What a model learns is what it would learn
alone, up to the rounding of sums.
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
from sktae._engine.flat import clip, shapes, views
from sktae._engine.net import MANY_STEPS, AutoencoderNet, StopTraining
from sktae._engine.objective import Objective
from sktae._engine.optimizers import fused_update, moments
from sktae._engine.replay import Gradient
from sktae.nn.attending import unfused_attention

# The most rows in a step, over the batches of all models, and the most models. That many keep a CPU
# busy and leave what a step works on in its cache; a GPU takes more.
_MOST, _MOST_ON_GPU = (1024, 32), (2**16, 256)


class Unstackable(Exception):
    """These models cannot be trained as one."""


class Run:
    """The fit of one model in a stack: what `AutoencoderNet.fit_loop` is for a model alone.

    The stack takes the steps; this object calls the net's callbacks, keeps its history, and says
    when the model is done.

    Parameters
    ----------
    net : AutoencoderNet
        Initialized, with parameters that lie in one vector.

    steps : TrainingSteps
        Its budget.

    valid : ValidationBatches or None
        Held-out rows, if any.

    Attributes
    ----------
    error : Exception or None
        What the fit failed with; the other models of the stack go on.
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

    @property
    def steps_without_events(self) -> int:
        """How many steps the model can take before its block ends, or its batches change range."""
        start, end = next(self.steps.ranges(self.steps.step, self.block_end))
        return end - start

    def begin(self) -> None:
        self.net.notify("on_train_begin", X=self.steps, y=self.valid)
        self.begin_block()

    def begin_block(self) -> None:
        self.net.notify("on_epoch_begin", dataset_train=self.steps, dataset_valid=self.valid)
        self.block_start = self.steps.step
        self.block_end = self.steps.step + min(self.steps.block, self.steps.remaining)

    def add(self, sums: Sequence[float]) -> None:
        """Add to the sums of the objective's terms over this block."""
        earlier = self.sums or [0.0] * len(sums)
        self.sums = [a + b for a, b in zip(earlier, sums, strict=True)]

    def end_block(self, names: Sequence[str]) -> bool:
        """Record and validate a block as an epoch; return whether it was the last."""
        net, steps = self.net, self.steps
        n_rows = (self.block_end - self.block_start) * steps.plan.batch_size
        means = {name: value / n_rows for name, value in zip(names, self.sums, strict=True)}
        self.sums = []
        try:
            net.set_learning_rate(steps, -1)  # of the last step, which the history shows
            net.record_training(steps, means, n_rows)
            net.run_single_epoch(self.valid, False, "valid", net.validation_step)
            net.notify("on_epoch_end", dataset_train=steps, dataset_valid=self.valid)
            if steps.remaining:
                self.begin_block()
        except StopTraining:
            return True
        except Exception as error:
            self.error = error
            return True
        return not steps.remaining

    def end(self) -> None:
        if self.error is None:
            self.net.training_path_ = "stacked"
            self.net.notify("on_train_end", X=self.steps, y=self.valid)


def stack_size(runs: Sequence[Run]) -> int:
    """Return how many models to train at a time."""
    on_gpu = torch.device(runs[0].net.device).type == "cuda"
    rows, models = _MOST_ON_GPU if on_gpu else _MOST
    return max(2, min(models, rows // runs[0].steps.plan.batch_size))


def stackable(net: AutoencoderNet) -> bool:
    """Tell whether a net can be trained in a stack.

    It must take fused steps, and its modules may hold no tensors but parameters and buffers: of
    others, the model axis would see those of one model only.
    """
    held = (value for module in net.module_.modules() for value in vars(module).values())
    return net.takes_fused_steps and not any(isinstance(value, Tensor) for value in held)


def train_stacked(runs: Sequence[Run], size: int | None = None) -> None:
    """Train models that are equal but for seeds, rows, budgets, rates and hyperparameters.

    Models wait in the order of their rates, so those of equal rates lie side by side and are
    updated by one kernel. When half of the rows are empty and nobody waits, the models left move
    to a smaller stack, so that few rows are computed in vain.
    """
    size = size or stack_size(runs)
    names = _differing_hyperparameters(runs)
    waiting = sorted(runs, key=lambda run: _rates(run.net))[::-1]
    active: list[Run] = []
    while waiting or active:
        while waiting and len(active) < size:
            active.append(waiting.pop())
            active[-1].begin()
        active = Stack(active, names).train(waiting)


def _differing_hyperparameters(runs: Sequence[Run]) -> list[str]:
    """List what needs a model axis: all else stays a number, as in a fit of its own."""
    settings = [run.net.criterion_.hyperparameters for run in runs]
    return [name for name in settings[0] if len({own[name] for own in settings}) > 1]


def _rates(net: AutoencoderNet) -> tuple[float, float]:
    group = net.optimizer_.param_groups[0]
    return group.setdefault("initial_lr", group["lr"]), group["weight_decay"]


class Stack:
    """Matrices of parameters, gradients and moments, and the models that own their rows at present.

    The tensors here stay the same while models come and go, since recorded steps are bound to them.
    """

    def __init__(self, runs: Sequence[Run], names: Sequence[str]):
        first, flat = runs[0], runs[0].vector.detach()
        rows = (len(runs), len(flat))
        self.values, self.gradients = flat.new_zeros(rows), flat.new_zeros(rows)
        self.exp_avg, self.exp_avg_sq = flat.new_zeros(rows), flat.new_zeros(rows)
        self.steps_taken = torch.zeros(len(runs), device=flat.device)
        self.limits = flat.new_full((len(runs), 1), math.inf)
        self.template = first.net  # its module runs for all; the weights are passed in
        self.runs: list[Run | None] = [None] * len(runs)
        self.hyperparameters = {name: flat.new_zeros(len(runs)) for name in names}
        self.buffers = {
            name: buffer.new_zeros((len(runs), *buffer.shape))
            for name, buffer in first.net.module_.named_buffers()
        }
        by_name = dict(first.net.module_.named_parameters())
        variables = [v.requires_grad_() for v in _columnwise(self.values, first)]
        self.parameters = dict(zip(by_name, variables, strict=True))
        state = [self.values, *self.hyperparameters.values(), *self.buffers.values()]
        outputs = _columnwise(self.gradients, first)
        self.gradient = Gradient(self._terms, variables, outputs, state)
        for row, run in enumerate(runs):
            self._load(row, run)

    def _terms(self, inputs: Any, x: Tensor) -> dict[str, Tensor]:
        """Return the terms of all models, of shape (models, rows) each."""
        net = self.template
        objective: Objective = net.criterion_
        kind = torch.device(net.device).type

        def single(weights, hyperparameters, inputs, x):
            bf16 = torch.autocast(kind, torch.bfloat16, enabled=net.precision == "bfloat16")
            with bf16, ModelAxis():
                out = functional_call(net.module_, weights, inputs)
                return objective.terms(out, x, {**objective.hyperparameters, **hyperparameters})

        return vmap(single)({**self.parameters, **self.buffers}, self.hyperparameters, inputs, x)

    # -- models and rows -----------------------------------------------------------------------

    def _load(self, row: int, run: Run) -> None:
        """Copy a model and its optimizer's state into a row.

        Until the model leaves, its own parameters are views of the row: so validation and callbacks
        see the weights of the moment.
        """
        self.runs[row] = run
        state = moments(run.net.optimizer_, run.vector)
        self.steps_taken[row] = state["step"]
        for matrix, vector in self._pairs(run, state):
            _copy(_columnwise(matrix[row], run), views(vector, shapes(run.parameters)))
        for name, values in self.hyperparameters.items():
            values[row] = run.net.criterion_.hyperparameters[name]
        for name, buffer in run.net.module_.named_buffers():
            self.buffers[name][row] = buffer
        self.limits[row] = run.net.limit(run.steps.x.shape)
        _set_data(run.parameters, _columnwise(self.values[row], run))

    def _unload(self, row: int) -> Run:
        """Copy a row back into its model and the optimizer's state."""
        run = cast(Run, self.runs[row])
        state = moments(run.net.optimizer_, run.vector)
        state["step"].copy_(self.steps_taken[row])
        for matrix, vector in self._pairs(run, state):
            _copy(views(vector, shapes(run.parameters)), _columnwise(matrix[row], run))
            # An empty row is still computed with the others, on inputs of zeros. With weights of
            # zero, nothing overflows in it, even if its last model has diverged.
            matrix[row] = 0.0
        _set_data(run.parameters, views(run.vector, shapes(run.parameters)))
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
        """Train until no more than half of the rows have a model; return these models."""
        while len(self.active) > len(self.runs) // 2:
            sums = self._take_steps(min(run.steps_without_events for _, run in self.active))
            for row, run in self.active:
                run.add(sums[:, row].tolist())
                if run.steps.step == run.block_end and run.end_block(self.gradient.names):
                    self._unload(row).end()
                    if waiting:
                        waiting[-1].begin()
                        self._load(row, waiting.pop())
        return [self._unload(row) for row, _ in self.active]

    def _take_steps(self, n: int) -> Tensor:
        """Take n steps without an event in any model; return the sums, of shape (terms, models).

        The sums stay on the device until all n steps are taken: to read them, the CPU would have
        to wait for a GPU at every step.
        """
        batches = self._batches(n)
        groups = self._groups()
        limited = bool(self.limits.isfinite().any())
        sums: list[Tensor] = []
        with torch.no_grad():
            for inputs in batches:
                step_sums = self._gradients(inputs)
                if limited:
                    clip(self.gradients, self.limits)
                for update in groups:
                    update()
                for _, run in self.active:
                    run.steps.step += 1
                if sums:
                    torch._foreach_add_(sums, step_sums)
                else:  # copied, since a replay returns the same tensors at every step
                    sums = [value.clone() for value in step_sums]
        return torch.stack(sums)

    def _gradients(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Fill the matrix of gradients; return the sums of the terms."""
        if not self.gradient.names:  # the first step, in which `vmap` may fail
            try:
                return self.gradient.step(*inputs)
            except Exception as error:  # whatever keeps torch from adding the model axis
                raise Unstackable from error
        if not self.gradient.tried and max(r.steps.remaining for _, r in self.active) >= MANY_STEPS:
            self.gradient.record(*inputs)
        return self.gradient.step(*inputs)

    def _batches(self, n: int) -> Iterator[tuple[Tensor, ...]]:
        """Return the next n batches of all models, of shape (models, batch, ...) each.

        Empty rows get zeros: recorded steps and `vmap` need the same shape at every step.
        """
        batches: list[tuple[Tensor, ...] | None] = [None] * len(self.runs)
        for row, run in self.active:
            batches[row] = run.steps.stacked(run.steps.step, run.steps.step + n)
        model = next(parts for parts in batches if parts is not None)
        padded = [parts or tuple(map(torch.zeros_like, model)) for parts in batches]
        stacked = [torch.stack(part, 1) for part in zip(*padded, strict=True)]
        return zip(*(part.unbind(0) for part in stacked), strict=True)

    def _groups(self) -> list[Callable[[], None]]:
        """Return the updates of all rows, one for each group of neighbors of equal settings.

        One kernel takes one learning rate and one count of steps, and a run of neighboring rows as
        one vector. A group with other rows in between is updated row by row.
        """

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
        """Return the update of a range of rows, with the settings of the first."""
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
    """Within this context, functions that `vmap` batches badly are computed from simpler ones.

    A linear map becomes a product and a sum, which cost one kernel each; by torch's rule, its bias
    would need more. Fused attention takes no further axis, so it is computed by hand.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return unfused_attention(*args, kwargs.get("attn_mask"))
        return self.linear(*args, **kwargs) if func is F.linear else func(*args, **kwargs)

    @staticmethod
    def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = input @ weight.mT
        return product if bias is None else product + bias


def _columnwise(rows: Tensor, run: Run) -> list[Tensor]:
    """View rows as parameters, with matrices column by column.

    A layer computes `x @ weight.T`, so its gradient comes out as that of `weight.T`, row by row. In
    this layout it is computed directly in the matrix of gradients, without a copy. The update goes
    over both matrices number by number, so the parameters have the same layout.
    """
    return views(rows, shapes(run.parameters), transposed=True)


def _copy(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for target, value in zip(targets, values, strict=True):
        target.copy_(value)


def _set_data(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data = value

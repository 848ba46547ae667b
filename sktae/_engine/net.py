"""The skorch net under every estimator: skorch owns the fit, this file owns the step."""

import copy
import dis
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, ParamMapper
from torch import Tensor, nn

from sktae._engine.batches import TrainingSteps
from sktae._engine.flat import clip, flatten, fused_update, fuses, moments, shapes, total, views
from sktae._engine.replay import Gradient, Replay

# From this many steps on, recording a step repays itself.
MANY_STEPS = 64


class StopTraining(Exception):
    """A callback asked for the end of the fit."""


class AutoencoderNet(NeuralNet):
    """A `skorch.NeuralNet` for reconstruction, to be given to an estimator as `net`.

    Whatever skorch offers goes through here, such as optimizer classes and callbacks. What the
    estimator has a parameter for (learning rate, batch size, device, ...) stays the estimator's.

    Parameters
    ----------
    module : nn.Module or None, default=None
        Set by the estimator.

    criterion : nn.Module or None, default=None
        Set by the estimator.

    optimizer : type, default=torch.optim.AdamW
        Class of the optimizer.

    schedule : {"cosine", "constant"}, default="constant"
        Set by the estimator: how the learning rate moves over the steps of a fit.

    max_grad_norm : float or None, default=None
        Set by the estimator: the largest norm of the gradient.

    precision : {"float32", "bfloat16"}, default="float32"
        Set by the estimator: in what numbers the network computes in training.

    **kwargs : dict
        Everything else that `skorch.NeuralNet` takes.

    Examples
    --------
    >>> import torch
    >>> from sktae import Autoencoder, AutoencoderNet
    >>> model = Autoencoder(net=AutoencoderNet(optimizer=torch.optim.SGD))
    >>> model = model.set_params(net__optimizer__momentum=0.9)
    """

    def __init__(
        self,
        module=None,
        criterion=None,
        *,
        optimizer=torch.optim.AdamW,
        schedule="constant",
        max_grad_norm=None,
        precision="float32",
        train_split=None,
        verbose=0,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion,
            optimizer=optimizer,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )
        self.schedule = schedule
        self.max_grad_norm = max_grad_norm
        self.precision = precision

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    # -- the rungs of skorch's ladder that are ours ------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Take the training steps as `X` and the validation batches, if any, as `y`."""
        return X, y

    def get_iterator(self, dataset, training=False):
        return dataset

    def get_params_for_optimizer(self, prefix, named_parameters):
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        if self.optimizer not in (torch.optim.Adam, torch.optim.AdamW):
            return args, kwargs
        kwargs.setdefault("fused", True)
        parameters = args[0][-1]["params"]
        picky = any(isinstance(callback, ParamMapper) for callback in without_names(self.callbacks))
        if len(args[0]) == 1 and all(p.requires_grad for p in parameters) and not picky:
            # Adam treats each number by itself, so all of them may lie in one vector.
            return ([flatten(parameters)],), kwargs
        return args, kwargs

    def _flat(self) -> Tensor | None:
        """Return the vector of all parameters, if the optimizer has them as one."""
        (flat, *more) = self.optimizer_.param_groups[0]["params"]
        parameters = list(self.module_.parameters())
        if more or any(flat is p for p in parameters):
            return None
        for parameter, view in zip(parameters, views(flat, shapes(parameters)), strict=True):
            if parameter.data_ptr() != view.data_ptr():  # a callback put it elsewhere
                view.copy_(parameter.data)
                parameter.data = view
        return flat.detach()

    def __getstate__(self):
        # A view would be pickled with all that it is a view of, and a gradient is bound to memory.
        still = object.__new__(type(self))
        vars(still).update(vars(self))
        vars(still).pop("_last_gradient", None)
        if getattr(self, "module_", None) is not None:
            vars(still)["module_"] = copy.deepcopy(self.module_)
            if self.module is self.module_:
                vars(still)["module"] = None
        return super(AutoencoderNet, still).__getstate__()

    def __setstate__(self, state):
        super().__setstate__(state)
        if getattr(self, "module_", None) is not None:
            self.module = self.module_ if self.module is None else self.module
            self._flat()

    def notify(self, method_name, **cb_kwargs):
        # skorch's callbacks end a fit by raising KeyboardInterrupt. The user's Ctrl-C, which may
        # come while a callback runs, must not be mistaken for that.
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as stop:
            if _is_raised_by_statement(stop):
                raise StopTraining from stop
            raise

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **fit_params)
        except StopTraining:
            pass
        finally:
            vars(self).pop("_last_gradient", None)  # with the memory that it is bound to
        self.notify("on_train_end", X=X, y=y)
        return self

    def infer(self, x, **fit_params):
        return self.module_(*x)

    def terms(self, inputs, x):
        """Return the terms of the objective for a batch."""
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.criterion_(self.infer(inputs), x)

    def limit(self, shape: Sequence[int]) -> float:
        """Return the largest norm of a gradient, for rows of this shape."""
        # The objective adds up features, so its gradient grows with their number.
        return math.inf if self.max_grad_norm is None else self.max_grad_norm * math.prod(shape)

    def train_step_single(self, batch, **fit_params):
        inputs, x = batch
        parameters = list(self.module_.parameters())
        for parameter in parameters:
            parameter.grad = None
        terms = self.terms(inputs, x)
        loss = total(terms).mean()
        loss.backward()
        flat = self._flat()
        if flat is not None:
            gradient = torch.zeros_like(flat)
            for parameter, view in zip(
                parameters, views(gradient, shapes(parameters)), strict=True
            ):
                if parameter.grad is not None:
                    view.copy_(parameter.grad)
                parameter.grad = view
            self.optimizer_.param_groups[0]["params"][0].grad = gradient
            clip(gradient, self.limit(x.shape[1:]))
        elif self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.limit(x.shape[1:]))
        return {"loss": loss, "terms": terms}

    def validation_step(self, batch, **fit_params):
        inputs, x = batch
        with torch.no_grad():
            terms = self.terms(inputs, x)
        return {"loss": total(terms).mean(), "terms": terms}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one block of steps; losses stay on the device and are read once, at its end."""
        if iterator is None:
            return
        # In validation too: the same objective as in training, on draws that stay the same.
        if not self.module_.training:
            self._set_training(True)
        if training and self.trains_quietly:
            sums, n_rows, n_batches = self._run_quietly(iterator)
        else:
            sums, n_rows, n_batches = self._run_openly(iterator, training, step_fn, fit_params)
        terms = {name: float(value) / n_rows for name, value in sums.items()}
        self.history.record(f"{prefix}_batch_count", n_batches)
        if training:
            self.record_training(iterator, terms)
        else:
            self._record(prefix, terms)

    def _run_openly(self, iterator, training, step_fn, fit_params):
        """Run batches in skorch's way, step by step, for every optimizer and every listener."""
        if training:
            self.training_path_ = "skorch"
        sums: dict[str, Any] = {}
        n_rows = n_batches = 0
        listening = self._listens_to_batches()
        for batch in iterator:
            if training:
                self.set_learning_rate(iterator)
            if listening:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            for name, term in step["terms"].items():
                sums[name] = sums.get(name, 0.0) + term.detach().sum()
            if listening:
                self.notify("on_batch_end", batch=batch, training=training, **step)
            n_rows += len(batch[1])
            n_batches += 1
        return sums, n_rows, n_batches

    @property
    def trains_quietly(self) -> bool:
        """Whether nothing stands between two steps, so that they can be taken faster."""
        fused = self._flat() is not None and fuses(self.optimizer_)
        return fused and not self._listens_to_batches()

    def _run_quietly(self, steps: TrainingSteps):
        """Run training steps with nothing between them: the same numbers, sooner."""
        flat = cast(Tensor, self._flat())
        group = self.optimizer_.param_groups[0]
        state = moments(self.optimizer_, group["params"][0])
        vector, gradient = self._gradient(flat)
        update = fused_update(self.optimizer_, flat, vector, state, state["step"])
        sums: list[Tensor] = []
        start = steps.step
        with torch.no_grad():
            for inputs, x in steps:
                if not gradient.tried and steps.left >= MANY_STEPS:
                    gradient.record(*inputs)
                self.set_learning_rate(steps)
                found = gradient.step(*inputs)
                if self.max_grad_norm is not None:
                    clip(vector, self.limit(x.shape[1:]))
                update(group["lr"], group["weight_decay"])
                if sums:
                    torch._foreach_add_(sums, found)
                else:
                    sums = [value.clone() for value in found]
        self.training_path_ = "traced" if isinstance(gradient.step, Replay) else "plain"
        n_steps = steps.step - start
        return dict(zip(gradient.names, sums, strict=True)), n_steps * len(x), n_steps

    def _gradient(self, flat: Tensor) -> tuple[Tensor, Gradient]:
        """Return a vector and what fills it, the last ones if everything is where it was."""
        parameters = list(self.module_.parameters())
        where = [(p.data_ptr(), p.requires_grad) for p in parameters]
        key = id(self.module_), id(self.criterion_), where
        last = vars(self).get("_last_gradient")
        if last is None or last[0] != key:
            vector = torch.zeros_like(flat)
            places = views(vector, shapes(parameters))
            last = key, vector, Gradient(self.terms, parameters, places, [flat])
            self._last_gradient = last
        return last[1:]

    def _listens_to_batches(self) -> bool:
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in ("on_batch_begin", "on_batch_end", "on_grad_computed")
        )

    def set_learning_rate(self, steps: TrainingSteps, shift: int = 0) -> None:
        """Set the rate of the step that comes next, or comes `shift` steps from there."""
        if self.schedule == "cosine":
            progress = (steps.step + shift - steps.first) / steps.budget
            factor = 0.5 * (1 + math.cos(math.pi * progress))
            for group in self.optimizer_.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    def record_training(self, steps: TrainingSteps, terms: Mapping[str, float]) -> None:
        """Write down the means of the objective's terms over a block of steps."""
        self._record("train", terms)
        self.history.record("step", steps.step)
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])

    def _record(self, prefix: str, terms: Mapping[str, float]) -> None:
        loss = sum(terms.values())
        if not math.isfinite(loss):
            raise ValueError(
                f"The {prefix} loss became {loss} in epoch {len(self.history)}. Scale the columns "
                f"to similar ranges, lower learning_rate, or set max_grad_norm."
            )
        name = f"{prefix}_loss"
        before = (row[name] for row in reversed(self.history) if row.get(f"{name}_best"))
        best = next(before, math.inf)
        self.history.record(name, loss)
        # What skorch's Checkpoint reads: the best so far, and the last batch, here the whole block.
        self.history.record(f"{name}_best", loss < best)
        self.history.new_batch()
        self.history.record_batch(name, loss)
        if len(terms) > 1:
            for term, value in terms.items():
                self.history.record(f"{prefix}_{term}", value)


def _is_raised_by_statement(error: BaseException) -> bool:
    """Tell whether a `raise` statement made an exception, and not a signal."""
    last: Any = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def without_names(callbacks: Iterable[Any] | str | None) -> list[Any]:
    """Strip the names off skorch's list of callbacks."""
    if not callbacks or isinstance(callbacks, str):
        return []
    return [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks]

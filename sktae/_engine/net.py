"""The skorch net under every estimator: skorch owns the fit, this file owns the step.

skorch runs a fit through a ladder of methods, each of which calls the next::

    partial_fit                       callbacks at the ends of the fit
      fit_loop                        callbacks at the ends of each epoch
        get_split_datasets            rows of training, rows of validation
        get_iterator                  their batches
        run_single_epoch              callbacks on batches
          train_step                  callback on gradients, step of the optimizer
            train_step_single         loss and gradients
              infer                   the module
          validation_step             loss
      notify                          from every rung: passes an event to all callbacks

An override below says which rung it takes, and why. `train_step` and `fit_loop` stay skorch's.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, ParamMapper
from torch import Tensor, nn

from sktae._engine.batches import TrainingSteps
from sktae._engine.callbacks import (
    StopTraining,
    listens_to_batches,
    notify_all,
    without_names,
)
from sktae._engine.flat import clip, flatten, in_vector, shapes, total, views
from sktae._engine.history import record_batch, record_block
from sktae._engine.optimizers import FUSED, AdamW, fused_update, fuses, moments
from sktae._engine.prototype import cloned_parameters, own_parameters
from sktae._engine.replay import Gradient, Replay
from sktae._engine.schedules import SCHEDULES

# From this many steps on, recording a step repays itself: it means to run the step, to bind each of
# its kernels, to run them again and to compare, which only many replays make up for.
MANY_STEPS = 64


class AutoencoderNet(NeuralNet):
    """A `skorch.NeuralNet` for reconstruction, to be given to an estimator as `net`.

    Optimizer classes and skorch's callbacks go through here. What the estimator has a parameter for
    (learning rate, batch size, device, ...) stays the estimator's.

    Parameters
    ----------
    module : nn.Module or None, default=None
        Set by the estimator.

    criterion : nn.Module or None, default=None
        Set by the estimator.

    optimizer : type, default=AdamW
        Class of the optimizer, of `torch.optim` or of your own. The default takes the same steps as
        `torch.optim.AdamW`, and is made sooner.

    schedule : {"cosine", "one_cycle", "constant"}, default="constant"
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
        optimizer=AdamW,
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

    def __sklearn_clone__(self):
        return type(self)(**cloned_parameters(self))

    @property
    def _default_callbacks(self):
        # skorch's others compute losses and print them; losses are recorded here, by epoch.
        return [("epoch_timer", EpochTimer())]

    # -- parameters in one vector --------------------------------------------------------------

    def get_params_for_optimizer(self, prefix, named_parameters):
        """Give the optimizer all parameters as one vector, if it treats all of them alike.

        skorch calls this when it makes the optimizer. Parameter groups (`optimizer__param_groups`),
        frozen parameters, and `ParamMapper`, which freezes some later, need them one by one.
        """
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        if self.optimizer not in FUSED:
            return args, kwargs
        kwargs.setdefault("fused", True)
        parameters = args[0][-1]["params"]
        mapped = any(isinstance(c, ParamMapper) for c in without_names(self.callbacks))
        if len(args[0]) == 1 and all(p.requires_grad for p in parameters) and not mapped:
            # Adam treats each number by itself, so all of them may lie in one vector.
            return ([flatten(parameters)],), kwargs
        return args, kwargs

    def _flat(self) -> Tensor | None:
        """Return the vector of all parameters, if the optimizer has them as one.

        Parameters must be views of the vector, or the optimizer would update what no module uses.
        A callback that sets `parameter.data`, or a copy of the module, breaks this; here it is
        mended, with the values of the parameters.
        """
        (flat, *more) = self.optimizer_.param_groups[0]["params"]
        parameters = list(self.module_.parameters())
        if more or any(flat is p for p in parameters):
            return None
        if not in_vector(flat, parameters):
            for parameter, view in zip(parameters, views(flat, shapes(parameters)), strict=True):
                view.copy_(parameter.data)
                parameter.data = view
        return flat.detach()

    def __getstate__(self):
        if not self.initialized_:  # a prototype is its parameters
            return {"params": own_parameters(self)}
        # Each view would be pickled with the whole vector: a copy of the module has parameters of
        # their own. A recorded gradient is bound to the memory of this process, so it is left out.
        # All of this on a copy of the net, which goes on training.
        pickled = object.__new__(type(self))
        vars(pickled).update(vars(self))
        vars(pickled).pop("_cached_gradient", None)
        vars(pickled)["module_"] = copy.deepcopy(self.module_)
        if self.module is self.module_:
            vars(pickled)["module"] = None
        return super(AutoencoderNet, pickled).__getstate__()

    def __setstate__(self, state):
        if "params" in state:
            type(self).__init__(self, **state["params"])
            return
        # Parameters become views of the optimizer's vector again.
        super().__setstate__(state)
        self.module = self.module_ if self.module is None else self.module
        self._flat()

    # -- skorch's ladder: the fit --------------------------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Take the training steps as `X` and the validation batches, if any, as `y`.

        Rung of the data: the estimator has split the rows already, before it learned their scales.
        """
        return X, y

    def get_dataset(self, X, y=None):
        """Return the batches of a callback that asks for predictions."""
        if isinstance(X, TrainingSteps):
            raise ValueError(
                "A callback asks for predictions of the training rows after an epoch, but a net "
                "has only batches to train on: use those of the epoch, by use_caching=True of "
                "EpochScoring, or rows that you pass to the callback."
            )
        return X

    def get_iterator(self, dataset, training=False):
        """Return the batches as they are: no DataLoader, which would draw them by itself."""
        return dataset

    def notify(self, method_name, **cb_kwargs):
        """Pass an event to all callbacks (every rung calls this), also if one ends the fit."""
        getattr(self, method_name)(self, **cb_kwargs)
        notify_all(self.callbacks_, method_name, self, cb_kwargs)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Fit (top rung), as skorch does, but let the user's Ctrl-C through.

        skorch ends a fit at KeyboardInterrupt as if it were complete; an estimator must not take
        that for a fit.
        """
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        n_epochs = len(self.history)
        try:
            self.fit_loop(X, y, **fit_params)
        except StopTraining as stop:
            self.end_early(stop, n_epochs)
        finally:
            vars(self).pop("_cached_gradient", None)  # and the memory that it is bound to
        self.notify("on_train_end", X=X, y=y)
        return self

    def end_early(self, stop: StopTraining, n_epochs: int) -> None:
        """Forget the epoch in which a callback has ended a fit, unless it is complete.

        Without a complete one, beside the `n_epochs` of earlier fits, there is no model, so the
        interruption is passed on.
        """
        if stop.args != ("on_epoch_end",):
            del self.history[-1]
        if len(self.history) == n_epochs:
            raise KeyboardInterrupt from stop

    # -- skorch's ladder: one step -------------------------------------------------------------

    def infer(self, x, **fit_params):
        """Call the module (lowest rung): inputs are a tuple, the rows and their noise."""
        return self.module_(*x)

    def terms(self, inputs, x):
        """Return the terms of the objective for a batch, of which skorch knows only the sum."""
        return self._output_and_terms(inputs, x)[1]

    def _output_and_terms(self, inputs, x):
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16"):
            output = self.infer(inputs)
            return output, self.criterion_(output, x)

    def limit(self, shape: Sequence[int]) -> float:
        """Return the largest norm of a gradient, for rows of this shape."""
        # The objective adds up features, so its gradient grows with their number.
        return math.inf if self.max_grad_norm is None else self.max_grad_norm * math.prod(shape)

    def finish_gradient(self, gradient: Tensor, shape: Sequence[int]) -> None:
        """Turn the gradient of a batch, as one vector, into what the optimizer gets: clip it."""
        if self.max_grad_norm is not None:
            clip(gradient, self.limit(shape))

    def train_step_single(self, batch, **fit_params):
        """Compute loss and gradients of a batch (rung below `train_step`).

        skorch's own step resets and uses the gradients of what the optimizer has. That is one
        vector here, while autograd fills those of the module's parameters: so these are reset, and
        copied into the gradient of the vector, of which they become views for callbacks.
        """
        inputs, x = batch
        parameters = list(self.module_.parameters())
        for parameter in parameters:
            parameter.grad = None
        output, terms = self._output_and_terms(inputs, x)
        loss = total(terms).mean()
        loss.backward()
        flat = self._flat()
        if flat is not None:
            gradient = torch.zeros_like(flat)
            pairs = zip(parameters, views(gradient, shapes(parameters)), strict=True)
            for parameter, view in pairs:
                if parameter.grad is not None:
                    view.copy_(parameter.grad)
                parameter.grad = view
            self.optimizer_.param_groups[0]["params"][0].grad = gradient
            self.finish_gradient(gradient, x.shape[1:])
        elif self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.limit(x.shape[1:]))
        return {"loss": loss, "y_pred": output.recon.detach(), "terms": terms}

    def validation_step(self, batch, **fit_params):
        """Compute the terms of a batch, without gradients (same rung as `train_step`)."""
        inputs, x = batch
        with torch.no_grad():
            output, terms = self._output_and_terms(inputs, x)
        return {"loss": total(terms).mean(), "y_pred": output.recon, "terms": terms}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one block of steps, the rung that skorch repeats in each epoch.

        Losses stay on the device and are read once, at the end: skorch reads each, for which the
        CPU would have to wait for the GPU at every step.
        """
        if iterator is None:
            return
        # In validation too: the same objective as in training, on draws that stay the same.
        if not self.module_.training:
            self._set_training(True)
        if training and self.takes_fused_steps:
            sums, n_rows, n_batches = self._run_fused(iterator)
        else:
            stepwise = iterator, training, prefix, step_fn, fit_params
            sums, n_rows, n_batches = self._run_stepwise(*stepwise)
        terms = {name: float(value) / n_rows for name, value in sums.items()}
        self.history.record(f"{prefix}_batch_count", n_batches)
        if training:
            self.record_training(iterator, terms, n_rows)
        else:
            record_block(self.history, prefix, terms, None if self.hears_batches else n_rows)

    def _run_stepwise(self, iterator, training, prefix, step_fn, fit_params):
        """Run batches through skorch's rungs, for any optimizer and for callbacks on batches."""
        if training:
            self.training_path_ = "skorch"
        sums: dict[str, Any] = {}
        n_rows = n_batches = 0
        notifies = self.hears_batches
        for batch in iterator:
            if training:
                self.set_learning_rate(iterator)
            if notifies:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            for name, term in step["terms"].items():
                sums[name] = sums.get(name, 0.0) + term.detach().sum()
            if notifies:
                record_batch(self.history, prefix, step["loss"].item(), len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=training, **step)
            n_rows += len(batch[1])
            n_batches += 1
        return sums, n_rows, n_batches

    # -- fused steps ---------------------------------------------------------------------------

    @property
    def takes_fused_steps(self) -> bool:
        """Whether a step is a gradient and one fused update, with no callback in between."""
        return fuses(self.optimizer_) and self._flat() is not None and not self.hears_batches

    def _run_fused(self, steps: TrainingSteps):
        """Run training steps without the rungs below `run_single_epoch`: same numbers, sooner.

        The gradient is recorded and replayed if enough steps remain, and the optimizer is called as
        a kernel.
        """
        flat = cast(Tensor, self._flat())
        group = self.optimizer_.param_groups[0]
        state = moments(self.optimizer_, group["params"][0])
        vector, gradient = self._gradient(flat)
        update = fused_update(self.optimizer_, flat, vector, state, state["step"])
        sums: list[Tensor] = []
        start = steps.step
        with torch.no_grad():
            for inputs, x in steps:
                if not gradient.tried and steps.remaining >= MANY_STEPS:
                    gradient.record(*inputs)
                self.set_learning_rate(steps)
                step_sums = gradient.step(*inputs)
                self.finish_gradient(vector, x.shape[1:])
                update(group["lr"], group["weight_decay"])
                if sums:
                    torch._foreach_add_(sums, step_sums)
                else:  # copied, since a replay returns the same tensors at every step
                    sums = [value.clone() for value in step_sums]
        self.training_path_ = "traced" if isinstance(gradient.step, Replay) else "plain"
        n_steps = steps.step - start
        return dict(zip(gradient.names, sums, strict=True)), n_steps * len(x), n_steps

    def _gradient(self, flat: Tensor) -> tuple[Tensor, Gradient]:
        """Return a vector for gradients and the step that fills it.

        A recording is bound to the memory of the parameters. It is kept from block to block, and
        made again if a callback has replaced the module, or moved or frozen a parameter.
        """
        parameters = list(self.module_.parameters())
        memory = [(p.data_ptr(), p.requires_grad) for p in parameters]
        key = id(self.module_), id(self.criterion_), memory
        cached = vars(self).get("_cached_gradient")
        if cached is None or cached[0] != key:
            vector = torch.zeros_like(flat)
            outputs = views(vector, shapes(parameters))
            cached = key, vector, Gradient(self.terms, parameters, outputs, [flat])
            self._cached_gradient = cached
        return cached[1:]

    @property
    def hears_batches(self) -> bool:
        """Whether a callback listens to batches."""
        return any(listens_to_batches(callback) for _, callback in self.callbacks_)

    # -- learning rate and history, which `stack.py` uses as well ------------------------------

    def set_learning_rate(self, steps: TrainingSteps, shift: int = 0) -> None:
        """Set the learning rate of the next step, or of the one `shift` steps from it."""
        if self.schedule != "constant":
            progress = (steps.step + shift - steps.first) / steps.budget
            factor = SCHEDULES[self.schedule](progress)
            for group in self.optimizer_.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    def record_training(
        self, steps: TrainingSteps, terms: Mapping[str, float], n_rows: int
    ) -> None:
        """Add the means of the objective's terms over a block of steps to the history."""
        record_block(self.history, "train", terms, None if self.hears_batches else n_rows)
        self.history.record("step", steps.step)
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])

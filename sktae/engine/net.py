"""The skorch net under every estimator: skorch owns the fit, this file owns the step."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler
from torch import Tensor, nn

from sktae.engine.batches import TrainingSteps

# What an estimator decides for its net, and the estimator's own word for it.
OWNED = {
    "module": "network()",
    "criterion": "objective()",
    "lr": "learning_rate",
    "optimizer__lr": "learning_rate",
    "optimizer__weight_decay": "weight_decay",
    "max_epochs": "max_epochs",
    "batch_size": "batch_size",
    "train_split": "validation_fraction",
    "device": "device",
    "verbose": "verbose",
    "warm_start": "warm_start",
    "dataset": "X",
    "iterator_train": "batch_size",
    "iterator_valid": "batch_size",
    "schedule": "schedule",
    "max_grad_norm": "max_grad_norm",
}


class StopTraining(Exception):
    """A callback asked for the end of the fit."""


class Objective(nn.Module):
    """An estimator's objective with its knobs: named terms, one value per row each."""

    def __init__(self, function: Callable[..., Any], knobs: Mapping[str, float]):
        super().__init__()
        self.function, self.knobs = function, dict(knobs)

    def forward(self, out: Any, x: Tensor) -> dict[str, Tensor]:
        terms = self.function(x, out, **self.knobs)
        if isinstance(terms, Tensor):
            terms = {"objective": terms}
        return {
            name: term.flatten(1).sum(1) if term.ndim > 1 else term for name, term in terms.items()
        }


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

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    def check_prototype(self, owner_name: str, schedule: str) -> None:
        """Raise if this prototype holds a setting that belongs to the estimator."""
        untouched = AutoencoderNet().get_params(deep=False)
        for name, value in self.get_params(deep=False).items():
            owner = OWNED.get(name) or OWNED.get(name.partition("__")[0])
            if owner is not None and (name not in untouched or value != untouched[name]):
                raise ValueError(
                    f"The net of {owner_name} sets {name}={value!r}, which the estimator decides: "
                    f"leave it out of the net and use {owner} of {owner_name} instead."
                )
        if schedule != "constant" and any(
            isinstance(callback, LRScheduler) for callback in _bare(self.callbacks)
        ):
            raise ValueError(
                f"The net of {owner_name} has an LRScheduler, and {owner_name} has "
                f"schedule={schedule!r}: pass schedule='constant' to leave the learning rate to "
                f"the callback."
            )

    def continue_from(self, other):
        """Take over weights, optimizer state and history of another net, which stays as it is."""
        self.module_.load_state_dict(other.module_.state_dict())
        if self._optimizer_rules() == other._optimizer_rules():
            state = copy.deepcopy(other.optimizer_.state_dict()["state"])
            self.optimizer_.load_state_dict({**self.optimizer_.state_dict(), "state": state})
        self.history = type(other.history)(other.history)

    def _optimizer_rules(self):
        rules = {**self.optimizer_.defaults, "lr": None, "weight_decay": None}
        return type(self.optimizer_), rules

    # -- the rungs of skorch's ladder that are ours ------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Take the training steps as `X` and the validation batches, if any, as `y`."""
        return X, y

    def get_iterator(self, dataset, training=False):
        return dataset

    def get_params_for_optimizer(self, prefix, named_parameters):
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        if issubclass(self.optimizer, torch.optim.Adam | torch.optim.AdamW):
            kwargs.setdefault("fused", True)
        return args, kwargs

    def notify(self, method_name, **cb_kwargs):
        # skorch's callbacks end a fit by raising KeyboardInterrupt; the user's Ctrl-C must not
        # be mistaken for that, so theirs gets a name of its own here.
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as stop:
            raise StopTraining from stop

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        with contextlib.suppress(StopTraining):
            self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def infer(self, x, **fit_params):
        return self.module_(*x)

    def train_step_single(self, batch, **fit_params):
        inputs, x = batch
        terms = self.criterion_(self.infer(inputs), x)
        loss = sum(terms.values()).mean()
        loss.backward()
        if self.max_grad_norm is not None:
            # The objective adds up features, so its gradient grows with their number.
            limit = self.max_grad_norm * x[0].numel()
            parameters = [p for group in self.optimizer_.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, limit)
        return {"loss": loss, "terms": terms}

    def validation_step(self, batch, **fit_params):
        inputs, x = batch
        with torch.no_grad():
            terms = self.criterion_(self.infer(inputs), x)
        return {"loss": sum(terms.values()).mean(), "terms": terms}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one block of steps; losses stay on the device and are read once, at its end."""
        if iterator is None:
            return
        # In validation too: the same objective as in training, on draws that stay the same.
        self._set_training(True)
        listening = self._listens_to_batches()
        totals = {}
        n_rows = n_batches = 0
        for batch in iterator:
            if training:
                self._set_learning_rate(iterator)
            if listening:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            for name, term in step["terms"].items():
                totals[name] = totals.get(name, 0.0) + term.detach().sum()
            if listening:
                self.notify("on_batch_end", batch=batch, training=training, **step)
            n_rows += len(batch[1])
            n_batches += 1
        self._record(prefix, {name: float(total) / n_rows for name, total in totals.items()})
        self.history.record(f"{prefix}_batch_count", n_batches)
        if training:
            self.history.record("step", iterator.step)
            self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])

    def _listens_to_batches(self) -> bool:
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in ("on_batch_begin", "on_batch_end")
        )

    def _set_learning_rate(self, steps: TrainingSteps) -> None:
        if self.schedule == "cosine":
            factor = 0.5 * (1 + math.cos(math.pi * steps.progress))
            for group in self.optimizer_.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

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


class Probe(Callback):
    """Looks at the network through a fixed sample of training rows.

    `diagnose(out)` gives figures for the history, after each epoch. `revive(network, out)` may
    repair the network before the next one, while there is time left to train what it repaired.
    """

    def __init__(self, steps, x, noise, diagnose, revive):
        self.steps, self.x, self.noise = steps, x, noise
        self.diagnose, self.revive = diagnose, revive

    def look(self, net):
        net._set_training(True)
        return net.module_(self.x, *self.noise)

    @torch.no_grad()
    def on_epoch_begin(self, net, **kwargs):
        if self.revive is not None and self.steps.step > 0 and self.steps.progress < 0.75:
            self.revive(net.module_, self.look(net))

    @torch.no_grad()
    def on_epoch_end(self, net, **kwargs):
        if self.diagnose is not None:
            for name, value in self.diagnose(self.look(net)).items():
                net.history.record(name, float(value))


def _bare(callbacks: Iterable[Any] | str | None) -> list[Any]:
    """Strip the names off skorch's list of callbacks."""
    if not callbacks or isinstance(callbacks, str):
        return []
    return [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks]

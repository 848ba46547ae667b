"""The life of a fit: from an estimator and rows to fitted attributes."""

import copy
import inspect
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sktae._engine.batches import ValidationBatches
from sktae._engine.freeze import freeze
from sktae._engine.net import AutoencoderNet
from sktae._engine.objective import Objective
from sktae._engine.probe import Probe
from sktae._engine.rows import Loaded, Rows
from sktae._engine.tiles import layer_size
from sktae._training.budget import _automatic, _steps
from sktae._training.prepare import (
    Prepared,
    _check_same_structure,
)
from sktae._training.progress import EpochBar, FitTasks
from sktae._training.state import Memory
from sktae.randomness import Plan, drawn, generator, seeded_initialisation

_PROBE_ROWS, _PROBE_NUMBERS = 1024, 2**24


_PROBE_POOL = 2**20


_CALIBRATION_ROWS = 4096


_MEMORY_NUMBERS = 2**18


class Fit:
    """One fit of an estimator: prepared here, run by its net or in a stack, and finished."""

    def __init__(
        self,
        estimator: Any,
        prepared: Prepared,
        seed: int,
        source: Any = None,
        one_pass: bool = False,
    ):
        resume = source is estimator
        self.estimator, self.data = estimator, (prepared.raw, prepared.y)
        vars(estimator).update(prepared.seen)
        self.before = estimator._memory if resume and one_pass else None
        self.seed = seed
        self.inputs = prepared.inputs
        widths = _automatic(estimator, "hidden_layer_sizes", estimator.auto_widths)
        estimator.hidden_layer_sizes_ = tuple(map(int, widths))
        size = estimator.n_components
        estimator.n_components_ = estimator.auto_components if size == "auto" else int(size)
        with seeded_initialisation(seed):
            network = estimator.network(self.inputs.shape)
        if source is not None:
            _check_same_structure(estimator, network, source)
            network.load_state_dict(source.net_.module_.state_dict())
        if estimator.trainable != "all":
            # Read by themselves: those of `prepared` stay on the device that asks for them first.
            few = Rows(prepared.X, self.inputs.prepare).spread(2).load().x
            freeze(network, few, estimator.trainable)
        self.net = _new_net(estimator, network)
        if resume:
            self.net.continue_from(estimator.net_)
        self.net.schedule = "constant" if one_pass else estimator.schedule

        x = prepared.rows(self.net.device)
        self.usual, self.held_out, self.valid = x, None, None
        if prepared.held_out is not None:
            self.held_out = Rows(prepared.held_out, self.inputs.prepare, self.net.device)
        if prepared.central is not None:
            x = x.choose(torch.from_numpy(np.flatnonzero(prepared.central)))
        if estimator.early_stopping and not one_pass:
            share = "validation_fraction", len(x), estimator.validation_fraction
            train, valid = drawn(*share, seed, "split", prepared.gap)
            x, x_valid = x.choose(train), x.choose(valid)
        self.plan = Plan(seed, len(x), min(estimator.batch_size, len(x)), tuple(network.noise))
        first = estimator.n_iter_ if resume else 0
        self.steps = _steps(estimator, x, self.plan, first, one_pass)
        if estimator.early_stopping and not one_pass:
            self.valid = ValidationBatches(x_valid, self.plan)

    def run(self) -> None:
        """Train."""
        with self.listening():
            self.net.partial_fit(self.steps, self.valid, epochs=self.steps.n_blocks)

    def attributes(self, net: AutoencoderNet) -> dict[str, Any]:
        """Return the fitted attributes, as of now."""
        estimator, memory = self.estimator, self._memory()
        if estimator.calibrate is not None:
            estimator.calibrate(net.module_, self.steps.x.spread(_CALIBRATION_ROWS).load().x)
        return {
            "_seed": self.seed,
            "_inputs": self.inputs,
            "net_": net,
            "n_iter_": self.steps.step,
            "road_": net.road_,
            "_memory": memory,
            **estimator._calibration(
                net.module_,
                self.inputs,
                Loaded(memory.x.to(net.device)) if self.before else self.usual,
                self.held_out,
                self.seed,
            ),
        }

    def _memory(self) -> "Memory":
        """Keep a sample of the rows, and of those of earlier chunks."""
        n, size = len(self.usual), max(1, _MEMORY_NUMBERS // math.prod(self.usual.shape))
        if self.before is None:
            return Memory(self.usual.spread(size).load().x.cpu(), n)
        size = min(size, n + self.before.n_rows)
        n_new = min(n, max(1, round(size * n / (n + self.before.n_rows))))
        old, new = Loaded(self.before.x).spread(max(1, size - n_new)), self.usual.spread(n_new)
        both = [rows.load().x.cpu() for rows in (old, new)]
        return Memory(torch.cat(both), n + self.before.n_rows)

    def finish(self, stacklevel: int) -> None:
        """Hand the fitted attributes to the estimator, and say what a user should know."""
        attributes = self.attributes(self.net)
        for complaint in self._complaints(attributes):
            warnings.warn(complaint, UserWarning, stacklevel=stacklevel)
        vars(self.estimator).update(attributes)
        if self.estimator.conclude is not None:
            self.estimator.conclude(self.data[0])

    def _complaints(self, attributes: dict[str, Any]) -> Iterator[str]:
        estimator = self.estimator
        low, high = attributes.pop("_score_range")
        if low == high and self._rows_differ():
            yield (
                f"All training rows have the same score, so {type(estimator).__name__} cannot "
                f"tell them apart. Train longer (max_steps), or lower the penalties."
            )
        if found := estimator.complaint(attributes["net_"].history[-1]):
            yield found

    def _rows_differ(self) -> bool:
        sample = self.steps.x.spread(_CALIBRATION_ROWS).load().x
        return bool((sample != sample[0]).any())

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Add our own callbacks to the net for a fit; they hold the rows, so they must not stay."""
        net, listeners = self.net, self._listeners()
        own = list(net.callbacks_)
        net.callbacks_ = own + [(name, callback.initialize()) for name, callback in listeners]
        try:
            yield
        finally:
            net.callbacks_ = own
            for _, callback in listeners:
                if isinstance(callback, EpochBar):
                    callback.close()

    def _listeners(self) -> list[tuple[str, Callback]]:
        estimator, steps, plan = self.estimator, self.steps, self.plan
        found: list[tuple[str, Callback]] = []
        revive = estimator.revive if estimator.trainable == "all" else None  # or it would change
        if estimator.diagnose is not None or revive is not None:
            pool = min(plan.n_rows, _PROBE_POOL)
            few = max(1, min(_PROBE_ROWS, _PROBE_NUMBERS // layer_size(self.net.module_)))
            rows = torch.randperm(pool, generator=generator(plan.seed, "probe"))[:few]
            noise = plan.draws("probe", 0, rows, steps.x)
            found.append(
                ("probe", Probe(steps, steps.x.take(rows), noise, estimator.diagnose, revive))
            )
        if self.valid is not None:
            stopping = EarlyStopping(
                patience=estimator.patience, threshold=0, load_best=True, sink=lambda _: None
            )
            found.append(("early_stopping", stopping))
        if getattr(estimator, "_skl_callbacks", None):
            tasks = FitTasks(estimator, *self.data, steps.n_blocks, self._snapshot)
            found.append(("fit_tasks", tasks))
        if estimator.verbose:
            found.append(("epoch_bar", EpochBar(type(estimator).__name__, steps.n_blocks)))
        return found

    def _snapshot(self, net: AutoencoderNet) -> dict[str, Any]:
        return self.attributes(copy.deepcopy(net))


def knobs(estimator: Any) -> dict[str, Any]:
    """Return the parameters that the objective takes: its keyword-only arguments."""
    signature = inspect.signature(estimator.objective)
    names = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    return {name: getattr(estimator, name) for name in names}


def _new_net(estimator: Any, network: nn.Module) -> AutoencoderNet:
    """Build the skorch net of a new fit: the estimator's settings over the prototype's."""
    name = type(estimator).__name__
    prototype = AutoencoderNet() if estimator.net is None else estimator.net
    prototype.check_prototype(name, estimator.schedule)
    settings = {
        "module": network,
        "criterion": Objective(estimator.objective, knobs(estimator)),
        "lr": _automatic(estimator, "learning_rate", estimator.auto_rates),
        "device": _device(estimator.device),
        "max_grad_norm": estimator.max_grad_norm,
        "precision": estimator.precision,
    }
    optimizer = prototype.optimizer
    if "weight_decay" in inspect.signature(optimizer).parameters:
        settings["optimizer__weight_decay"] = estimator.weight_decay
    elif estimator.weight_decay:
        raise ValueError(
            f"{name} has weight_decay={estimator.weight_decay}, but {optimizer.__name__} has "
            f"no weight decay; set it to 0."
        )
    # skorch takes its modules in the constructor only.
    inherited = clone(prototype).get_params(deep=False)
    return type(prototype)(**{**inherited, **settings}).initialize()


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"The 'device' parameter is {name!r}, which torch cannot use here ({error}). Use "
            f"'auto', or 'cpu'."
        ) from error
    return name

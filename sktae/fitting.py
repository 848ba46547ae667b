"""The life of a fit: from an estimator and rows to fitted attributes."""

import copy
import inspect
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn

from sktae._engine.batches import TrainingSteps, ValidationBatches
from sktae._engine.freeze import freeze
from sktae._engine.net import AutoencoderNet
from sktae._engine.objective import Objective
from sktae._engine.probe import Probe
from sktae._engine.rows import Loaded, Rows
from sktae._engine.tiles import layer_size
from sktae._outliers.measures import Centre
from sktae.inputs.datasets import Selected
from sktae.progress import EpochBar, FitTasks
from sktae.randomness import Plan, drawn, generator, seeded_initialisation

_BLOCKS = 20
_PROBE_ROWS, _PROBE_NUMBERS = 1024, 2**24
_PROBE_POOL = 2**20
_CALIBRATION_ROWS = 4096
_CENTRE_ROWS = 10_000
_MEMORY_NUMBERS = 2**18

# "auto" steps: where outliers are to be found, and how many passes where a code of a given size is.
_MANY_STEPS, _FEW_PASSES = 500, 120

# Up to this many numbers, prepared rows are held in memory; beyond, they stay where they are.
_LOADED_NUMBERS = 2**24


def _room(device: str) -> int:
    """Say how many numbers may be held on a device."""
    if torch.device(device).type != "cuda":
        return _LOADED_NUMBERS
    free, _ = torch.cuda.mem_get_info(device)
    return free // 8  # half of it, in float32


class Prepared:
    """A table made ready for training; one may serve many fits."""

    def __init__(
        self,
        estimator: Any,
        raw: Any,
        seed: int,
        source: Any = None,
        one_pass: bool = False,
        y: Any = None,
    ):
        self.raw, self.y = raw, y
        self.inputs = estimator.inputs() if source is None else source._inputs
        if source is not None and source is not estimator:
            self.inputs.checked(source, raw, reset=False)
        self.X = self.inputs.checked(estimator, raw, reset=source is not estimator)
        self.gap: int | None = getattr(self.X, "gap", None)
        self.labels = None if estimator.groups is None else estimator.groups(y, len(self.X))
        self.held_out: Selected | None = None
        if estimator.calibration_fraction is not None and not one_pass:
            self._hold_out(estimator.calibration_fraction, seed)
        if source is None:
            self.inputs.fit(self.X)
        self.seen = {
            name: value
            for name, value in vars(estimator).items()
            if name in ("n_features_in_", "feature_names_in_")
        }
        self.seen |= self.inputs.learnt
        self.central = None
        if estimator.training_data == "contaminated":
            self.central = self._central()
            if source is None:  # outliers shall not stretch the scales
                self.inputs = estimator.inputs().fit(Selected(self.X, np.flatnonzero(self.central)))
        self.inputs.check(self.X)

    def _hold_out(self, fraction: float, seed: int) -> None:
        """Set rows aside before anything is learnt, their scales included."""
        share = "calibration_fraction", len(self.X), fraction
        rows, held_out = drawn(*share, seed, "calibrate", self.gap)
        whole = self.X
        self.X, self.held_out = Selected(whole, rows.numpy()), Selected(whole, held_out.numpy())
        self.labels = None if self.labels is None else self.labels[rows]

    def _central(self) -> np.ndarray:
        """Say which rows are central: those that a fit on contaminated data is trained on."""
        x = Rows(self.X, self.inputs.prepare)
        size = max(1, min(_CENTRE_ROWS, _LOADED_NUMBERS // math.prod(x.shape)))
        summary = self.inputs.summary
        centre = Centre(summary(x.spread(size).load().x).numpy())
        parts = (summary(x.slice(i, i + size)) for i in range(0, len(x), size))
        return np.concatenate([centre.holds(part) for part in parts])

    def rows(self, device: str) -> Rows:
        """Return the rows for a network: held on the device, unless they are too many."""
        if not hasattr(self, "_rows"):
            x = Rows(self.X, self.inputs.prepare, device, labels=self.labels)
            held = self.X.X if isinstance(self.X, Selected) else self.X
            known = isinstance(held, np.ndarray)  # a Dataset may be another at each look
            small = len(x) * math.prod(x.shape) <= _room(device)
            self._rows = x.load() if known and small else x
        return self._rows


class Memory(NamedTuple):
    """A sample of all rows so far, for what is learnt from chunks that may be small."""

    x: Tensor
    n_rows: int


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


def fitted_state(estimator: Any) -> dict[str, Any]:
    """Return the fitted attributes of an estimator."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_")}


def restore(estimator: Any, state: dict[str, Any]) -> None:
    """Put the fitted attributes back that an estimator had before a fit that failed."""
    for name in fitted_state(estimator):
        del vars(estimator)[name]
    vars(estimator).update(state)


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


def _automatic(estimator: Any, name: str, auto: tuple[Any, Any]) -> Any:
    """Return a parameter, or what "auto" stands for."""
    value = getattr(estimator, name)
    if isinstance(value, str) and value == "auto":
        return auto[estimator.n_components != "auto"]
    return value


def fitted_source(estimator: Any) -> Any:
    """Return the fitted estimator whose weights a fit begins with, if there is one."""
    source = estimator.init_from
    source = getattr(source, "estimator", source)  # of a FrozenEstimator
    if source is not None and not (hasattr(source, "net_") and hasattr(source, "_inputs")):
        raise ValueError(
            f"The 'init_from' parameter of {type(estimator).__name__} must be a fitted "
            f"autoencoder. Got {source!r} instead. If it was fitted, it has been cloned since; "
            f"sklearn.frozen.FrozenEstimator prevents that."
        )
    return source


def _check_same_structure(estimator: Any, network: nn.Module, source: Any) -> None:
    old, name = source.net_.module_, type(estimator).__name__
    same_shapes = [p.shape for p in network.parameters()] == [p.shape for p in old.parameters()]
    same_inputs = estimator.inputs().settings == source._inputs.settings
    if same_shapes and same_inputs and repr(network) == repr(old):
        return
    if source is estimator:
        raise ValueError(
            f"{name} cannot continue its last fit, because parameters that make the network have "
            f"changed since; set warm_start=False or make a clone."
        )
    raise ValueError(
        f"{name} cannot begin with the weights of init_from={source!r}, because parameters that "
        f"make the network differ; give it the same sizes, activation and standardize."
    )


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


def _steps(estimator: Any, x: Rows, plan: Plan, first: int, one_pass: bool) -> TrainingSteps:
    """Lay out the budget: how many steps, and how many of them make an epoch."""
    if one_pass:
        return TrainingSteps(x, plan, first, plan.steps_per_pass, plan.steps_per_pass)
    limits = [estimator.max_steps, estimator.max_epochs]
    if limits == [None, None]:
        raise ValueError(
            f"max_steps and max_epochs of {type(estimator).__name__} are both None, so a fit "
            f"would never end; set one of them."
        )
    if estimator.max_steps == "auto":
        few = math.inf if estimator.n_components == "auto" else _FEW_PASSES * plan.steps_per_pass
        limits[0] = min(_MANY_STEPS, few)
    if estimator.max_epochs is not None:
        limits[1] = estimator.max_epochs * plan.steps_per_pass
    budget = min(limit for limit in limits if limit is not None)
    in_blocks = estimator.max_epochs is None
    block = math.ceil(budget / _BLOCKS) if in_blocks else plan.steps_per_pass
    return TrainingSteps(x, plan, first, budget, block)

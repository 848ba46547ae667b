"""The life of a fit: from an estimator and rows to fitted attributes."""

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils.validation import validate_data
from skorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn

from sktae.engine.batches import TrainingSteps, ValidationBatches
from sktae.engine.net import AutoencoderNet, Objective, Probe
from sktae.inputs import FLOATS
from sktae.progress import EpochBar, FitTasks
from sktae.randomness import Plan, generator, seed_of, seeded_initialisation

_BLOCKS = 20
_PROBE_ROWS = 1024


def train(estimator: Any, raw: Any, y: Any, resume: bool, one_pass: bool = False) -> dict[str, Any]:
    """Train an estimator's network and return the fitted attributes."""
    X = validate_data(estimator, raw, dtype=FLOATS, reset=not resume)
    seed = estimator._seed if resume else seed_of(estimator.random_state)
    inputs = estimator._inputs if resume else estimator.inputs().fit(X)
    inputs.check(X)
    size = estimator.n_components
    estimator.n_components_ = estimator.auto_components if size == "auto" else int(size)
    with seeded_initialisation(seed):
        network = estimator.network(inputs.shape)
    net = _new_net(estimator, network)
    if resume:
        _check_same_structure(estimator, network)
        net.continue_from(estimator.net_)
    net.schedule = "constant" if one_pass else estimator.schedule

    x = inputs.tensor(X).to(net.device)
    x_valid = None
    if estimator.early_stopping and not one_pass:
        x, x_valid = _split(x, estimator.validation_fraction, seed)
    plan = Plan(seed, len(x), min(estimator.batch_size, len(x)), tuple(network.noise))
    first = estimator.n_iter_ if resume else 0
    steps = _steps(estimator, x, plan, first, one_pass)
    valid = None if x_valid is None else ValidationBatches(x_valid, plan)

    def fitted(net: AutoencoderNet) -> dict[str, Any]:
        if estimator.calibrate is not None:
            estimator.calibrate(net.module_, x)
        return {
            "_seed": seed,
            "_inputs": inputs,
            "net_": net,
            "n_iter_": steps.step,
            **estimator._calibration(net.module_, x),
        }

    def snapshot(net: AutoencoderNet) -> dict[str, Any]:
        still = copy.copy(net)
        still.module_ = copy.deepcopy(net.module_)
        return fitted(still)

    listeners = _listeners(estimator, steps, plan, valid is not None, (raw, y), snapshot)
    with _listening(net, listeners):
        net.partial_fit(steps, valid, epochs=steps.n_blocks)
    attributes = fitted(net)
    for complaint in _complaints(estimator, attributes, x):
        warnings.warn(complaint, UserWarning, stacklevel=5)  # where the user calls fit
    return attributes


def _new_net(estimator: Any, network: nn.Module) -> AutoencoderNet:
    """Build the skorch net of a new fit: the estimator's settings over the prototype's."""
    name = type(estimator).__name__
    prototype = AutoencoderNet() if estimator.net is None else estimator.net
    prototype.check_prototype(name, estimator.schedule)
    signature = inspect.signature(estimator.objective)
    knobs = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    settings = {
        "module": network,
        "criterion": Objective(
            estimator.objective, {knob: getattr(estimator, knob) for knob in knobs}
        ),
        "lr": estimator.learning_rate,
        "device": _device(estimator.device),
        "max_grad_norm": estimator.max_grad_norm,
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


def _check_same_structure(estimator: Any, network: nn.Module) -> None:
    old = estimator.net_.module_
    same_shapes = [p.shape for p in network.parameters()] == [p.shape for p in old.parameters()]
    same_inputs = estimator.inputs().settings == estimator._inputs.settings
    if not same_shapes or not same_inputs or repr(network) != repr(old):
        raise ValueError(
            f"{type(estimator).__name__} cannot continue its last fit, because parameters that "
            f"make the network have changed since; set warm_start=False or make a clone."
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


def _split(x: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Hold out a share of the rows, drawn at random."""
    n_valid = max(1, round(fraction * len(x)))
    if n_valid >= len(x):
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves no row of "
            f"n_samples={len(x)} to train on."
        )
    rows = torch.randperm(len(x), generator=generator(seed, "split")).to(x.device)
    return x[rows[n_valid:]], x[rows[:n_valid]]


def _steps(estimator: Any, x: Tensor, plan: Plan, first: int, one_pass: bool) -> TrainingSteps:
    """Lay out the budget: how many steps, and how many of them make an epoch."""
    if one_pass:
        return TrainingSteps(x, plan, first, plan.steps_per_pass, plan.steps_per_pass)
    if estimator.max_epochs is None:
        if estimator.max_steps is None:
            raise ValueError(
                f"max_steps and max_epochs of {type(estimator).__name__} are both None, so a fit "
                f"would never end; set one of them."
            )
        return TrainingSteps(
            x, plan, first, estimator.max_steps, math.ceil(estimator.max_steps / _BLOCKS)
        )
    passes = estimator.max_epochs * plan.steps_per_pass
    budget = passes if estimator.max_steps is None else min(passes, estimator.max_steps)
    return TrainingSteps(x, plan, first, budget, plan.steps_per_pass)


def _listeners(
    estimator: Any,
    steps: TrainingSteps,
    plan: Plan,
    held_out: bool,
    data: tuple[Any, Any],
    snapshot: Callable[[AutoencoderNet], dict[str, Any]],
) -> list[tuple[str, Callback]]:
    """Gather our own callbacks for one fit."""
    found: list[tuple[str, Callback]] = []
    if estimator.diagnose is not None or estimator.revive is not None:
        order = torch.randperm(plan.n_rows, generator=generator(plan.seed, "probe"))
        rows = order[:_PROBE_ROWS].to(steps.x.device)
        noise = plan.draws("probe", 0, rows, steps.x)
        hooks = (estimator.diagnose, estimator.revive)
        found.append(("probe", Probe(steps, steps.x[rows], noise, *hooks)))
    if held_out:
        stopping = EarlyStopping(
            patience=estimator.patience, threshold=0, load_best=True, sink=lambda _: None
        )
        found.append(("early_stopping", stopping))
    if hasattr(estimator, "_init_callback_context"):
        found.append(("fit_tasks", FitTasks(estimator, *data, steps.n_blocks, snapshot)))
    if estimator.verbose:
        found.append(("epoch_bar", EpochBar(type(estimator).__name__, steps.n_blocks)))
    return found


@contextmanager
def _listening(net: AutoencoderNet, listeners: list[tuple[str, Callback]]) -> Iterator[None]:
    """Add callbacks to a net for one fit; they hold the rows, so they must not stay."""
    own = list(net.callbacks_)
    net.callbacks_ = own + [(name, callback.initialize()) for name, callback in listeners]
    try:
        yield
    finally:
        net.callbacks_ = own
        for _, callback in listeners:
            if isinstance(callback, EpochBar):
                callback.close()


def history_frame(net: AutoencoderNet) -> pd.DataFrame:
    frame = pd.DataFrame(list(net.history)).rename(columns={"dur": "seconds"})
    frame = frame.drop(columns=list(frame.filter(regex="_best$|_batch_count$|^batches$")))
    first = [name for name in ("epoch", "step", "train_loss", "valid_loss") if name in frame]
    last = [name for name in ("learning_rate", "seconds") if name in frame]
    middle = [name for name in frame if name not in (*first, *last)]
    return frame[[*first, *middle, *last]]


def _complaints(estimator: Any, attributes: dict[str, Any], x: Tensor) -> Iterator[str]:
    low, high = attributes.pop("_score_range")
    if low == high and bool((x != x[0]).any()):
        yield (
            f"All training rows have the same score, so {type(estimator).__name__} cannot tell "
            f"them apart. Train longer (max_steps), or lower the penalties."
        )
    if found := estimator.complaint(attributes["net_"].history[-1]):
        yield found

"""The skorch net of a fit, and the weights that it may begin with."""

import copy
import inspect
from typing import Any

import torch
from sklearn.base import clone
from skorch.callbacks import InputShapeSetter, LRScheduler, PrintLog
from torch import nn

from sktae._engine.callbacks import without_names
from sktae._engine.flat import shapes
from sktae._engine.net import AutoencoderNet
from sktae._engine.objective import Objective
from sktae._training.spec import Spec, learning_rate
from sktae.nn.corruption import corrupt
from sktae.nn.module import AutoencoderModule
from sktae.randomness import SeededInitialization

# Settings of skorch that an estimator decides for its net, each with what to use instead. In a
# prototype they raise an error, since they would be overwritten or have no effect.
_OWNED = {
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
    "precision": "precision",
}


def objective_parameters(estimator: Any) -> dict[str, Any]:
    """Return the hyperparameters that the objective takes: its keyword-only arguments."""
    signature = inspect.signature(estimator.objective)
    names = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in names:
        if not hasattr(estimator, name):
            raise TypeError(
                f"The objective of {type(estimator).__name__} takes {name!r}, which is not a "
                f"parameter of the class: declare it, such as `{name}: NonNegative = 1.0`."
            )
    return {name: getattr(estimator, name) for name in names}


def new_network(estimator: Any, spec: Spec, seed: int) -> AutoencoderModule:
    """Build the network of an estimator, with weights drawn from a seed."""
    with SeededInitialization(seed):
        network = estimator.network(spec)
    if not isinstance(network, AutoencoderModule):
        raise TypeError(
            f"network of {type(estimator).__name__} must return an AutoencoderModule of "
            f"sktae.nn.module. Got {type(network).__name__} instead."
        )
    network._incomplete = tuple(spec.inputs.incomplete)
    corruption = estimator._corruption(spec)
    if corruption is not None:
        corrupt(network, corruption)
    return network


def new_net(
    estimator: Any, spec: Spec, network: nn.Module, masks: bool = False, few: bool = False
) -> AutoencoderNet:
    """Build the skorch net of a new fit: the estimator's settings over the prototype's.

    The net is always a new one, so no state of an earlier fit, and nothing of the user's own net,
    is shared. `masks` tells whether values may be missing, `few` whether rows are few.
    """
    name = type(estimator).__name__
    prototype = AutoencoderNet() if estimator.net is None else estimator.net
    _check_prototype(prototype, name, estimator.schedule)
    settings = {
        "module": network,
        "criterion": Objective(estimator.objective, objective_parameters(estimator), masks),
        "lr": learning_rate(estimator, spec, few),
        "device": usable_device(estimator.device),
        "max_grad_norm": estimator.max_grad_norm,
        "precision": estimator.precision,
        # With which skorch's log is shown; it is in the net only if the user wants it.
        "verbose": any(isinstance(c, PrintLog) for c in without_names(prototype.callbacks)),
    }
    optimizer = prototype.optimizer
    if "weight_decay" in inspect.signature(optimizer).parameters:
        settings["optimizer__weight_decay"] = estimator.weight_decay
    elif estimator.weight_decay:
        raise ValueError(
            f"{name} has weight_decay={estimator.weight_decay}, but {optimizer.__name__} has "
            f"no weight decay; set it to 0."
        )
    # Made by the constructor, since skorch takes its modules there only.
    inherited = clone(prototype).get_params(deep=False)
    return type(prototype)(**{**inherited, **settings}).initialize()


def continue_from(net: AutoencoderNet, other: AutoencoderNet) -> None:
    """Give a net the weights, optimizer state and history of another, which stays as it is.

    If the optimizer has another class, other settings than its rates, or parameters of other
    shapes, its state does not apply, and it begins anew.
    """
    net.module_.load_state_dict(other.module_.state_dict())
    if _optimizer_rules(net) == _optimizer_rules(other):
        state = copy.deepcopy(other.optimizer_.state_dict()["state"])
        net.optimizer_.load_state_dict({**net.optimizer_.state_dict(), "state": state})
        groups = net.optimizer_.param_groups, other.optimizer_.param_groups
        for group, old in zip(*groups, strict=True):
            # Schedules keep values of their own in a group. All but the initial rate are taken
            # over: the estimator's `learning_rate` may be another now.
            added = {name: old[name] for name in old.keys() - group.keys()}
            group.update({**added, "initial_lr": group["lr"]})
    net.history = type(other.history)(other.history)


def _optimizer_rules(net: AutoencoderNet) -> tuple[Any, ...]:
    """Return what two optimizers must share for one to take the state of the other."""
    rules = {**net.optimizer_.defaults, "lr": None, "weight_decay": None}
    return type(net.optimizer_), rules, [shapes(g["params"]) for g in net.optimizer_.param_groups]


def _check_prototype(prototype: AutoencoderNet, owner_name: str, schedule: str) -> None:
    """Raise if a prototype holds a setting that belongs to the estimator."""
    defaults = AutoencoderNet().get_params(deep=False)
    for name, value in prototype.get_params(deep=False).items():
        owner = _OWNED.get(name) or _OWNED.get(name.partition("__")[0])
        if owner is not None and (name not in defaults or value != defaults[name]):
            raise ValueError(
                f"The net of {owner_name} sets {name}={value!r}, which the estimator decides: "
                f"leave it out of the net and use {owner} of {owner_name} instead."
            )
    callbacks = without_names(prototype.callbacks)
    if any(isinstance(callback, InputShapeSetter) for callback in callbacks):
        raise ValueError(
            f"The net of {owner_name} has an InputShapeSetter, but {owner_name} builds its network "
            f"for the shape of the rows already: leave the callback out."
        )
    if schedule != "constant" and any(isinstance(callback, LRScheduler) for callback in callbacks):
        raise ValueError(
            f"The net of {owner_name} has an LRScheduler, and {owner_name} has "
            f"schedule={schedule!r}: pass schedule='constant' to leave the learning rate to "
            f"the callback."
        )


def usable_device(name: str) -> str:
    """Return the name of a device that torch can use, or raise."""
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


def fitted_source(estimator: Any) -> Any:
    """Return the fitted estimator given as `init_from`, if there is one."""
    source = estimator.init_from
    source = getattr(source, "estimator", source)  # what a FrozenEstimator holds
    if source is not None and not hasattr(source, "_fitted"):
        raise ValueError(
            f"The 'init_from' parameter of {type(estimator).__name__} must be a fitted "
            f"autoencoder. Got {source!r} instead. If it was fitted, it has been cloned since; "
            f"sklearn.frozen.FrozenEstimator prevents that."
        )
    if source is not None and type(source._fitted.inputs) is not type(estimator.inputs()):
        raise ValueError(
            f"{type(estimator).__name__} cannot begin with the weights of init_from={source!r}, "
            f"because {type(source).__name__} takes another kind of rows."
        )
    return source


def check_same_structure(estimator: Any, network: nn.Module, source: Any) -> None:
    """Raise unless a network can take the weights of a fitted estimator.

    Equal shapes are not enough: with another activation, or rows on another scale, the weights
    would mean something else.
    """
    before, name = source._fitted, type(estimator).__name__
    old = before.net.module_
    same_shapes = [p.shape for p in network.parameters()] == [p.shape for p in old.parameters()]
    if same_shapes and estimator.inputs() == before.inputs and repr(network) == repr(old):
        return
    if source is estimator:
        raise ValueError(
            f"{name} cannot continue its last fit, because parameters that make the network have "
            f"changed since; set warm_start=False or make a clone."
        )
    if type(network) is not type(old):
        reason = f"because {type(source).__name__} has another network"
    elif estimator.inputs() != before.inputs:
        reason = "because they scale rows differently; give it the same standardize"
    else:
        own = [
            parameter
            for parameter, value in before.params.items()
            if f"{parameter}=" in repr(old) and getattr(estimator, parameter, value) != value
        ]
        reason = (
            "because parameters that make the network differ; give it the same "
            f"{' and '.join(own) or 'sizes and activation'}"
        )
    raise ValueError(f"{name} cannot begin with the weights of init_from={source!r}, {reason}.")

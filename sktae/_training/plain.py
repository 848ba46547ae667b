"""A fitted state as plain data, for pickles and files: arrays, numbers, strings, our own objects.

Networks and optimizers are not among it. They are made again by the same code as in a fit, and get
their numbers back.
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sktae._engine.net import AutoencoderNet
from sktae._training.build import new_net, new_network, usable_device
from sktae._training.state import Fitted, Memory
from sktae.nn.missing import STATISTICS, take_missing

# While a network is made, this many calls of torch are made for each of its weights, and this many
# numbers are created besides them, at most.
_CALLS, _NUMBERS = 1000, 10**8


def to_plain(fitted: Fitted) -> dict[str, Any]:
    """Return a fitted state as plain data."""
    fields = {field.name: getattr(fitted, field.name) for field in dataclasses.fields(fitted)}
    return {
        **fields,
        "net": net_to_plain(fitted.net),
        "memory": [_array(fitted.memory.x), fitted.memory.n_rows],
    }


def from_plain(estimator: Any, plain: Mapping[str, Any]) -> Fitted:
    """Return a fitted state of plain data, for an estimator with the parameters of the user."""
    fields = dict(plain)
    net, (x, n_rows) = fields.pop("net"), fields.pop("memory")
    params = copy.copy(estimator)
    vars(params).update(fields["params"])
    memory = Memory(torch.from_numpy(x), n_rows)
    net = _net_from_plain(params, fields, net, memory.x.shape[1:])
    # Fitted itself refuses fields that it does not know.
    return Fitted(net=net, memory=memory, **fields)


def net_to_plain(net: AutoencoderNet) -> dict[str, Any]:
    """Return the state of a net as plain data."""
    network = net.module_
    statistics = [name for name in STATISTICS if hasattr(network, name)]
    return {
        "weights": arrays(network.state_dict()),
        "frozen": [name for name, p in network.named_parameters() if not p.requires_grad],
        "statistics": {name: _array(getattr(network, name)) for name in statistics},
        "optimizer": arrays(net.optimizer_.state_dict()),
        "history": arrays([dict(epoch) for epoch in net.history]),
        "schedule": net.schedule,
        "training_path": net.training_path_,
    }


def _net_from_plain(
    params: Any, fields: Mapping[str, Any], plain: Mapping[str, Any], sample_shape: tuple[int, ...]
) -> AutoencoderNet:
    """Make the net again, as it was at the end of the fit, but with callbacks that are new."""
    spec, weights = fields["spec"], tensors(plain["weights"])
    if tuple(spec.shape) != sample_shape:
        raise ValueError(f"The network is for rows of another shape than {sample_shape}.")
    with _Bounded(weights):
        network = new_network(params, spec, fields["seed"])
    if plain["statistics"]:
        take_missing(network, fields["inputs"], tensors(plain["statistics"]))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in plain["frozen"])
    params.device = _device_here(params.device)
    masks = params._fills_missing and fields["inputs"].has_missing
    net = new_net(params, spec, network, masks)
    restore_net(net, plain)
    return net


def restore_net(net: AutoencoderNet, plain: Mapping[str, Any]) -> None:
    """Give a new net the state that plain data hold."""
    net.module_.load_state_dict(tensors(plain["weights"]))
    net.optimizer_.load_state_dict(tensors(plain["optimizer"]))
    net.history = type(net.history)(plain["history"])
    net.schedule, net.training_path_ = plain["schedule"], plain["training_path"]


class _Bounded(TorchFunctionMode):
    """Within this context, a network that is made gets no larger than its weights allow.

    So a file with sizes that were tampered with takes neither memory nor time.
    """

    def __init__(self, weights: Mapping[str, Tensor]):
        super().__init__()
        n_numbers = sum(weight.numel() for weight in weights.values())
        self.numbers, self.calls = _NUMBERS + 10 * n_numbers, _CALLS * (1 + len(weights))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.calls -= 1
        if isinstance(result, Tensor):
            self.numbers -= result.numel()
        if self.calls < 0 or self.numbers < 0:
            raise ValueError("The network would be larger than the weights that it is to get.")
        return result


def _device_here(name: str) -> str:
    """Return a device, or the CPU where the model was trained on one that is not here."""
    try:
        return usable_device(name)
    except ValueError:
        return "cpu"


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy().copy()


def arrays(value: Any) -> Any:
    """Return nested containers with arrays in place of tensors."""
    return _converted(value, Tensor, _array)


def tensors(value: Any) -> Any:
    """Return nested containers with tensors in place of arrays."""
    return _converted(value, np.ndarray, torch.from_numpy)


def _converted(value: Any, kind: type, function: Any) -> Any:
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, Mapping):
        return {name: _converted(entry, kind, function) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_converted(entry, kind, function) for entry in value)
    return value

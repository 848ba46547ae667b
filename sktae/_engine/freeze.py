"""Which part of a network is trained."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Part = Literal["all", "decoder", "head"]


def freeze(network: Any, x: Tensor, part: Literal["decoder", "head"]) -> None:
    """Freeze all of a network but a part: the decoder, or its last layer.

    No network has to declare its decoder. Modules that only the forward pass calls, and not
    `decode`, are frozen; so is every parameter on which the code depends, such as a weight that
    encoder and decoder share.
    """
    with torch.enable_grad():
        code = network(x).code
        parameters = list(network.parameters())
        gradients: Sequence[Tensor | None] = [None] * len(parameters)
        if code.requires_grad:  # not if it is an index into a codebook
            gradients = torch.autograd.grad(code.sum(), parameters, allow_unused=True)
    with torch.no_grad():
        forward = _called(network, lambda: network(x))
        decoding = _called(network, lambda: network.decode(code))
    if part == "head":
        if not decoding:
            raise ValueError(
                "trainable='head' needs a decoder with layers of its own, which one with "
                "tied_weights has not; take 'decoder', which trains its biases, or 'all'."
            )
        trained = {*decoding[-1].parameters()}
        frozen = [p for p in network.parameters() if p not in trained]
    else:
        frozen = [p for module in forward if module not in decoding for p in _own(module)]
        frozen += [p for p, g in zip(parameters, gradients, strict=True) if g is not None]
    for parameter in frozen:
        parameter.requires_grad_(False)


def passes_gradients(network: Any, x: Tensor) -> bool:
    """Return whether gradients of the code reach the first layer: not if the code is discrete."""
    with torch.enable_grad():
        code = network(x).code
    if not code.requires_grad:
        return False
    first = _own(_called(network, lambda: network(x))[0])
    gradients = torch.autograd.grad(code.sum(), first, allow_unused=True)
    return any(gradient is not None for gradient in gradients)


def _called(network: nn.Module, function: Callable[[], Any]) -> list[nn.Module]:
    """Return the modules with parameters of their own that a function calls, in that order."""
    called: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: called.append(module))
        for module in network.modules()
        if module is not network and _own(module)
    ]
    try:
        function()
    finally:
        for hook in hooks:
            hook.remove()
    return called


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))

"""Which part of a network learns."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Part = Literal["all", "decoder", "head"]


def freeze(network: Any, x: Tensor, part: Literal["decoder", "head"]) -> None:
    """Keep all of a network but a part as it is: the decoder, or its last layer.

    What belongs to the decoder is seen from what is called for a code, and what the code depends on
    does not, so no network has to say it.
    """
    with torch.enable_grad():
        code = network(x).code
        parameters = list(network.parameters())
        slopes: Sequence[Tensor | None] = [None] * len(parameters)
        if code.requires_grad:  # which one that was chosen may not
            slopes = torch.autograd.grad(code.sum(), parameters, allow_unused=True)
    with torch.no_grad():
        forward = _called(network, lambda: network(x))
        decoding = _called(network, lambda: network.decode(code))
    if part == "head":
        if not decoding:
            raise ValueError(
                "trainable='head' needs a decoder with layers of its own, which one with "
                "tied_weights has not; take 'decoder', which trains its biases, or 'all'."
            )
        learning = {*decoding[-1].parameters()}
        frozen = [p for p in network.parameters() if p not in learning]
    else:
        frozen = [p for module in forward if module not in decoding for p in _own(module)]
        frozen += [p for p, slope in zip(parameters, slopes, strict=True) if slope is not None]
    for parameter in frozen:
        parameter.requires_grad_(False)


def _called(network: nn.Module, function: Callable[[], Any]) -> list[nn.Module]:
    """Return the modules with parameters of their own that a function calls, in their order."""
    found: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: found.append(module))
        for module in network.modules()
        if module is not network and _own(module)
    ]
    try:
        function()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))

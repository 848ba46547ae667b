"""The parameters of a network as one vector, updated by one kernel.

Optimizers such as Adam treat each number by itself. So the parameters of a network can lie in one
vector, of which the network's own parameters are views, and one kernel updates them all instead of
one for each parameter. Gradients and moments lie in vectors of the same layout.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Vectors are padded to a multiple of 64 numbers, whole registers of a CPU (8 or 16 float32 each).
# Stacked vectors are updated by one kernel over all rows: without a remainder at its end, each row
# goes through the same vector instructions as alone.
_VECTOR_MULTIPLE = 64
# Parameters begin at multiples of 16 float32, which is a cache line (64 bytes). How a product of
# matrices is rounded can depend on the alignment of its factors, so it is the same for all.
_CACHE_LINE = 16


def flatten(parameters: Iterable[Tensor]) -> nn.Parameter:
    """Move parameters into one vector; they become views of it."""
    parameters = list(parameters)
    padded = [F.pad(p.detach().flatten(), (0, -p.numel() % _CACHE_LINE)) for p in parameters]
    flat = torch.cat(padded)
    flat = nn.Parameter(torch.cat([flat, flat.new_zeros(-len(flat) % _VECTOR_MULTIPLE)]))
    for parameter, view in zip(parameters, views(flat, shapes(parameters)), strict=True):
        parameter.data = view
    return flat


def views(flat: Tensor, shapes: Sequence[torch.Size], transposed: bool = False) -> list[Tensor]:
    """View a vector, or each row of a matrix, as tensors of these shapes, without the padding.

    With `transposed`, matrices lie in memory column by column, as a stack of models wants them.
    """
    sizes = [math.prod(shape) for shape in shapes]
    padded_sizes = [size + -size % _CACHE_LINE for size in sizes]
    padded_parts = flat.detach()[..., : sum(padded_sizes)].split(padded_sizes, -1)
    parts = []
    for padded, size, shape in zip(padded_parts, sizes, shapes, strict=True):
        part = padded[..., :size]
        if transposed and len(shape) == 2:
            parts.append(part.unflatten(-1, tuple(shape)[::-1]).mT)
        else:
            parts.append(part.unflatten(-1, tuple(shape)) if shape else part.squeeze(-1))
    return parts


def shapes(parameters: Iterable[Tensor]) -> list[torch.Size]:
    return [parameter.shape for parameter in parameters]


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Add up the terms of an objective."""
    return functools.reduce(torch.add, terms.values())


def clip(gradient: Tensor, limit: float | Tensor) -> None:
    """Scale gradients that are longer than the limit down to it; the last axis holds a gradient."""
    norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    # As torch.nn.utils.clip_grad_norm_ does, its small number against division by zero included.
    gradient.mul_((limit / (norm + 1e-6)).clamp_(max=1.0))


def fuses(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether the optimizer's step is one call of torch's fused kernel, for one vector."""
    group = optimizer.param_groups[0]
    return (
        type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
        and len(optimizer.param_groups) == len(group["params"]) == 1
        and bool(group["fused"])
        and not (group["amsgrad"] or group["maximize"] or isinstance(group["lr"], Tensor))
    )


def moments(optimizer: torch.optim.Optimizer, flat: Tensor) -> dict[str, Tensor]:
    """Return Adam's state for a vector, created as the optimizer itself would do at its first step.

    It stays in the optimizer, so that skorch's own steps and copies of the net go on from it.
    """
    state = optimizer.state[flat]
    if not state:
        state["step"] = torch.zeros((), device=flat.device)
        state["exp_avg"] = torch.zeros_like(flat.detach())
        state["exp_avg_sq"] = torch.zeros_like(flat.detach())
    return state


def fused_update(
    optimizer: torch.optim.Optimizer,
    flat: Tensor,
    gradient: Tensor,
    state: Mapping[str, Tensor],
    counts: Tensor,
) -> Callable[[float, float], None]:
    """Return a step of fused Adam as a function of learning rate and weight decay: one kernel.

    This is `optimizer.step()` without its checks and the lists that it builds anew each time.
    `counts` holds the counts of steps that go up by one, `state["step"]` among them.
    """
    group = optimizer.param_groups[0]
    decoupled = isinstance(optimizer, torch.optim.AdamW)
    decoupled = decoupled or group.get("decoupled_weight_decay", False)
    kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
    beta1, beta2 = group["betas"]
    fixed = {"beta1": beta1, "beta2": beta2, "eps": group["eps"]}
    fixed |= {"amsgrad": False, "maximize": False}
    lists: Any = [flat], [gradient], [state["exp_avg"]], [state["exp_avg_sq"]], [], [state["step"]]
    # To add one, numpy takes a tenth of torch's time.
    counted: Any = counts.numpy() if counts.device.type == "cpu" else counts

    def update(lr: float, weight_decay: float) -> None:
        counted.__iadd__(1)
        kernel(*lists, lr=lr, weight_decay=weight_decay, **fixed)

    return update

"""The parameters of a network as one vector, updated by one kernel."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Vectors end with a whole register, so that a stack of them is treated like each alone. So that a
# product is rounded alike wherever they lie, parameters begin where a line of the cache does.
_LANES, _LINE = 64, 16


def flatten(parameters: Iterable[Tensor]) -> nn.Parameter:
    """Move parameters into one vector; they become views of it."""
    parameters = list(parameters)
    flat = torch.cat([F.pad(p.detach().flatten(), (0, -p.numel() % _LINE)) for p in parameters])
    flat = nn.Parameter(torch.cat([flat, flat.new_zeros(-len(flat) % _LANES)]))
    for parameter, view in zip(parameters, views(flat, shapes(parameters)), strict=True):
        parameter.data = view
    return flat


def views(flat: Tensor, shapes: Sequence[torch.Size], transposed: bool = False) -> list[Tensor]:
    """Cut a vector, or each row of a matrix, into tensors of these shapes.

    With `transposed`, matrices lie in memory column by column.
    """
    sizes = [math.prod(shape) for shape in shapes]
    rooms = [size + -size % _LINE for size in sizes]
    parts = flat.detach()[..., : sum(rooms)].split(rooms, -1)
    found = []
    for room, size, shape in zip(parts, sizes, shapes, strict=True):
        part = room[..., :size]
        if transposed and len(shape) == 2:
            found.append(part.unflatten(-1, tuple(shape)[::-1]).mT)
        else:
            found.append(part.unflatten(-1, tuple(shape)) if shape else part.squeeze(-1))
    return found


def shapes(parameters: Iterable[Tensor]) -> list[torch.Size]:
    return [parameter.shape for parameter in parameters]


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Add up the terms of an objective."""
    return functools.reduce(torch.add, terms.values())


def clip(gradient: Tensor, limit: float | Tensor) -> None:
    """Shorten gradients, one in each row of the last axis, that are longer than the limit."""
    norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    gradient.mul_((limit / (norm + 1e-6)).clamp_(max=1.0))


def fuses(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether the optimizer's step is one call of torch's fused kernel."""
    group = optimizer.param_groups[0]
    return (
        type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
        and len(optimizer.param_groups) == len(group["params"]) == 1
        and bool(group["fused"])
        and not (group["amsgrad"] or group["maximize"] or isinstance(group["lr"], Tensor))
    )


def moments(optimizer: torch.optim.Optimizer, flat: Tensor) -> dict[str, Tensor]:
    """Return the state of Adam for a vector, as the optimizer itself would make it."""
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
    """Return what a step of a fused Adam does, given a rate and a decay: one kernel.

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

"""Optimizers whose step is one kernel, for all parameters in one vector."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class AdamW(torch.optim.AdamW):
    """AdamW of torch, without the import of torch's compiler, which takes seconds.

    Torch imports it for wrappers around these methods, which keep them from being compiled.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


# The optimizers that treat each number by itself, and whose step is one kernel.
FUSED = torch.optim.Adam, torch.optim.AdamW, AdamW


def fuses(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether the optimizer's step is one call of torch's fused kernel, for one vector."""
    group = optimizer.param_groups[0]
    return (
        type(optimizer) in FUSED
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

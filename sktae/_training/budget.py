"""How many steps a fit takes, and what "auto" stands for."""

import math
from typing import Any

from sktae._engine.batches import TrainingSteps
from sktae._engine.rows import Rows
from sktae.randomness import Plan

_BLOCKS = 20


# "auto" steps: where outliers are to be found, and how many passes where a code of a given size is.
_MANY_STEPS, _FEW_PASSES = 500, 120


def _automatic(estimator: Any, name: str, auto: tuple[Any, Any]) -> Any:
    """Return a parameter, or what "auto" stands for."""
    value = getattr(estimator, name)
    if isinstance(value, str) and value == "auto":
        return auto[estimator.n_components != "auto"]
    return value


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

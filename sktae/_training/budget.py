"""How many steps a fit takes, and how many of them make an epoch."""

import math
from typing import Any

from sktae._engine.batches import TrainingSteps
from sktae._engine.rows import Rows
from sktae._training.spec import Spec
from sktae.randomness import Plan

# Without max_epochs, the budget is cut into this many epochs, after each of which there is a row of
# the history, validation, and a call of the callbacks.
_EPOCHS = 20


def training_steps(
    estimator: Any, spec: Spec, x: Rows, plan: Plan, first: int, one_pass: bool
) -> TrainingSteps:
    """Return the steps of a fit, counted from `first`: the tightest of the limits that are set."""
    if one_pass:  # partial_fit, whatever the limits
        return TrainingSteps(x, plan, first, plan.steps_per_pass, plan.steps_per_pass)
    limits = [estimator.max_steps, estimator.max_epochs]
    if limits == [None, None]:
        raise ValueError(
            f"max_steps and max_epochs of {type(estimator).__name__} are both None, so a fit "
            f"would never end; set one of them."
        )
    if estimator.max_steps == "auto":
        auto = estimator._auto(spec.shape)
        passes = auto.passes[spec.narrow] * plan.steps_per_pass
        limits[0] = min(auto.steps[spec.narrow], passes)
    if estimator.max_epochs is not None:
        limits[1] = estimator.max_epochs * plan.steps_per_pass
    budget = min(limit for limit in limits if limit is not None)
    in_parts = estimator.max_epochs is None
    epoch = math.ceil(budget / _EPOCHS) if in_parts else plan.steps_per_pass
    return TrainingSteps(x, plan, first, budget, epoch)

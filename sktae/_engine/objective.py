"""What a fit minimises."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn


class Objective(nn.Module):
    """An estimator's objective with its knobs: named terms, one value per row each."""

    def __init__(self, function: Callable[..., Any], knobs: Mapping[str, float]):
        super().__init__()
        self.function, self.knobs = function, dict(knobs)

    def forward(self, out: Any, x: Tensor) -> dict[str, Tensor]:
        return self.terms(out, x, self.knobs)

    def terms(self, out: Any, x: Tensor, knobs: Mapping[str, Any]) -> dict[str, Tensor]:
        terms = self.function(x, out, **knobs)
        if isinstance(terms, Tensor):
            terms = {"objective": terms}
        return {
            name: term.flatten(1).sum(1) if term.ndim > 1 else term for name, term in terms.items()
        }

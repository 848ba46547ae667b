"""What a fit minimizes."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn


class Objective(nn.Module):
    """An estimator's objective with its hyperparameters: named terms, one value per row each."""

    def __init__(self, function: Callable[..., Any], hyperparameters: Mapping[str, float]):
        super().__init__()
        self.function, self.hyperparameters = function, dict(hyperparameters)

    def forward(self, out: Any, x: Tensor) -> dict[str, Tensor]:
        return self.terms(out, x, self.hyperparameters)

    def terms(self, out: Any, x: Tensor, hyperparameters: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the terms for given hyperparameters, which in a stack are tensors."""
        terms = self.function(x, out, **hyperparameters)
        if isinstance(terms, Tensor):
            terms = {"objective": terms}
        # Terms with one value for each element are added up within the row.
        return {
            name: term.flatten(1).sum(1) if term.ndim > 1 else term for name, term in terms.items()
        }

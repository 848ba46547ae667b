"""What a fit minimizes."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# The terms that compare rows with their reconstructions; the second is an only one without a name.
_COMPARING = ("reconstruction", "objective")


class Objective(nn.Module):
    """An estimator's objective with its hyperparameters: named terms, one value per row each.

    Parameters
    ----------
    function : callable
        The objective of the estimator.

    hyperparameters : dict
        Its further arguments.

    masks : bool, default=False
        Whether values of rows may be missing, that is NaN, and must be left out.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        hyperparameters: Mapping[str, float],
        masks: bool = False,
    ):
        super().__init__()
        self.function, self.hyperparameters = function, dict(hyperparameters)
        self.masks = masks

    def forward(self, out: Any, x: Tensor) -> dict[str, Tensor]:
        return self.terms(out, x, self.hyperparameters)

    def terms(self, out: Any, x: Tensor, hyperparameters: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the terms for given hyperparameters, which in a stack are tensors."""
        observed = ~x.isnan() if self.masks else None
        if observed is not None:
            # Equal to its reconstruction, a missing value has no error and no gradient, whether the
            # objective adds errors up or not. What a likelihood adds to them is masked below.
            x = torch.where(observed, x, out.recon)
        terms = self.function(x, out, **hyperparameters)
        if isinstance(terms, Tensor):
            terms = {"objective": terms}
        if not isinstance(terms, Mapping) or not all(isinstance(t, Tensor) for t in terms.values()):
            raise TypeError(
                f"The objective must return a tensor, or a dict of them by name. Got {terms!r} "
                f"instead."
            )
        for name, term in terms.items():
            if term.shape[:1] != x.shape[:1]:
                raise ValueError(
                    f"The term {name!r} of the objective must have a value for each of {len(x)} "
                    f"rows. Got the shape {tuple(term.shape)} instead; a penalty on the batch "
                    f"is given to each row by `penalty.expand(len(x))`."
                )
        if observed is not None:
            terms = {
                name: torch.where(observed, term, 0.0)
                if name in _COMPARING and term.shape == x.shape
                else term
                for name, term in terms.items()
            }
        # Terms with one value for each element are added up within the row.
        return {
            name: term.flatten(1).sum(1) if term.ndim > 1 else term for name, term in terms.items()
        }

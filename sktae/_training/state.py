"""What an estimator knows after a fit."""

from typing import Any, NamedTuple

from torch import Tensor


class Memory(NamedTuple):
    """A sample of all rows so far, for what is learnt from chunks that may be small."""

    x: Tensor
    n_rows: int


def fitted_state(estimator: Any) -> dict[str, Any]:
    """Return the fitted attributes of an estimator."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_")}


def restore(estimator: Any, state: dict[str, Any]) -> None:
    """Put the fitted attributes back that an estimator had before a fit that failed."""
    for name in fitted_state(estimator):
        del vars(estimator)[name]
    vars(estimator).update(state)

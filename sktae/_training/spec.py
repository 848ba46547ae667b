"""What a network is built for, and what "auto" stands for."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from sktae.inputs.protocol import Inputs


class Auto(NamedTuple):
    """What "auto" stands for in an estimator.

    Of each pair, the first is for a code at least as wide as a row, the second for a narrower one.
    With a budget in steps, wide codes detect outliers best: see the rows "as it is" and "a code of
    8" of benchmarks/results/quality/ablation.csv. There, fits on clean rows detect outliers a
    little worse after 150 steps than after 500, and no better after 1000. Narrow codes take larger
    steps and one more layer, since it is harder to reconstruct rows from them, and no more passes
    over the rows than these, or small tables would be memorized.
    """

    components: int = 128
    widths: tuple[tuple[int, ...], tuple[int, ...]] = ((128,), (128, 64))
    rates: tuple[float, float] = (2e-3, 1e-2)
    steps: tuple[int, int] = (500, 500)
    passes: tuple[float, float] = (math.inf, 120)


@dataclass(frozen=True)
class Spec:
    """What a network is built for: the shape of a row, and sizes in which nothing is "auto".

    Attributes
    ----------
    shape : tuple of int
        Shape of a row as an input of the network.

    n_components : int
        Size of the code.

    widths : tuple of int
        Widths of the encoder's hidden layers.

    narrow : bool
        Whether the code has fewer numbers than a row.

    inputs : Inputs or None
        How rows become tensors, after its fit: scales, the range of values, the number of tokens.
    """

    shape: tuple[int, ...]
    n_components: int
    widths: tuple[int, ...]
    narrow: bool = False
    inputs: Any = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of all layers on the way from a row to its code."""
        return (*self.shape, *self.widths, self.n_components)


def resolve(estimator: Any, inputs: Inputs) -> Spec:
    """Replace "auto" in the sizes of an estimator's network, for inputs that have been fitted."""
    auto, shape = estimator._auto(inputs.shape), inputs.shape
    n_components = _or_auto(estimator.n_components, auto.components)
    narrow = estimator._code_size(n_components, shape) < math.prod(shape)
    widths = _or_auto(estimator.hidden_layer_sizes, auto.widths[narrow])
    return Spec(shape, n_components, tuple(map(int, widths)), narrow, inputs)


def learning_rate(estimator: Any, spec: Spec, few: bool = False) -> float:
    """Return the largest step size of an estimator's optimizer: a small one for few rows."""
    rates = estimator._auto(spec.shape).rates
    return _or_auto(estimator.learning_rate, rates[spec.narrow and not few])


def _or_auto(value: Any, auto: Any) -> Any:
    return auto if isinstance(value, str) and value == "auto" else value

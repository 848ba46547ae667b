"""Missing values: what networks get for them, and what is left out of losses and errors."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sktae.nn.module import AutoencoderModule
from sktae.randomness import Mask

# Share of the observed values that are hidden in training, where values are missing. A network that
# is wide enough would otherwise learn to repeat what it gets in their place.
HIDDEN = 0.2

# The buffers by which a network fills in missing values.
STATISTICS = (
    "_hidden_values",
    "_feature_mean",
    "_feature_axes",
    "_feature_weights",
    "_feature_rest",
)

# Conditional means of missing values are solved for in so many steps. With 30 % of the values
# missing, they are then within 1 % of the exact ones in tables of 13 to 61 columns.
_SOLVER_STEPS = 8

# Instead of a division by zero, where a row is solved.
_TINY = 1e-30


def conditional_mean(
    values: Tensor, mean: Tensor, axes: Tensor, weights: Tensor, rest: Tensor
) -> Tensor:
    """Replace NaN by the mean of a normal distribution, given what is observed of a row.

    The equations of each row are solved by conjugate gradients, in units in which the diagonal of
    the precision matrix is 1: so fewer steps are enough (Jacobi preconditioning).

    Parameters
    ----------
    values : Tensor of shape (n, d)
        Rows.

    mean, axes, weights, rest : Tensor of shape (d,), (k, d), (k,) and ()
        The distribution: its precision matrix is `rest * I + axes^T diag(weights) axes`.
    """
    missing, ones = values.isnan(), torch.ones_like(mean)[None]
    unknown = missing.to(mean)  # products with 0 and 1 take less time than `where`
    k, d = axes.shape
    unit = (rest + (weights[:, None] * axes.square()).sum(0)).rsqrt()
    axes, rest = axes * unit, rest * unit.square()
    # With many directions, one product with the matrix takes less than two with directions.
    matrix = torch.diag_embed(rest) + (axes.mT * weights) @ axes if 2 * k >= d else None

    def precision(v: Tensor) -> Tensor:  # times the precision matrix, where values are missing
        if matrix is None:
            product = rest * v + F.linear(F.linear(v, axes) * weights, axes.mT)
        else:
            product = F.linear(v, matrix)
        return product * unknown.to(product.dtype)

    solution = torch.where(missing, 0.0, (values - mean) / unit)
    residual = -precision(solution)
    direction, length = residual, F.linear(residual.square(), ones)
    for n in range(_SOLVER_STEPS):
        product = precision(direction)
        step = length / F.linear(direction * product, ones).clamp(min=_TINY)
        solution = torch.addcmul(solution, step, direction)
        if n == _SOLVER_STEPS - 1:
            break
        residual = torch.addcmul(residual, step, product, value=-1)
        new_length = F.linear(residual.square(), ones)
        direction = torch.addcmul(residual, new_length / length.clamp(min=_TINY), direction)
        length = new_length
    return torch.where(missing, torch.addcmul(mean, solution, unit), values)


class FillMissing:
    """Fills in missing values, which are NaN, before rows enter a network.

    It is a forward hook, so networks of the gallery need not know of missing values. Values are
    filled in by their conditional means, given the others. At the end of a row there may be
    indicators: columns that tell the network which values are missing. As inputs of the fit they
    are NaN, so nothing compares them with their reconstructions.

    Parameters
    ----------
    incomplete : sequence of int
        The columns that have an indicator, in the order of the indicators.

    column_of : sequence of int
        The column of each number of a row. A column is hidden as a whole.
    """

    def __init__(self, incomplete: Sequence[int], column_of: Sequence[int]):
        self.incomplete, self.column_of = list(incomplete), list(column_of)

    def __call__(self, network: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *noise = args
        missing = x.isnan()
        if len(noise) > len(network.noise):
            *noise, hidden = noise
            hidden = hidden > 0
            if hidden.shape != x.shape:
                hidden = hidden[:, self.column_of + self.incomplete]
            missing = missing | hidden
        # Noise may be made of rows, too.
        noise = [n.nan_to_num(0.0) if n.shape == x.shape else n for n in noise]
        values = torch.where(missing, network._hidden_values, x).flatten(1)
        values = conditional_mean(
            values[:, : len(self.column_of)],
            network._feature_mean,
            network._feature_axes,
            network._feature_weights,
            network._feature_rest,
        )
        if self.incomplete:
            values = torch.cat([values, missing[:, self.incomplete].to(x.dtype)], 1)
        return (values.view_as(x), *noise)


def fill_missing(network: AutoencoderModule, inputs: Any, features: Any) -> Mask:
    """Let a network take rows in which values are missing, and return the draw of hidden ones.

    In training, the draw comes after the noise of the network.

    Parameters
    ----------
    network : AutoencoderModule
        A new network.

    inputs : Inputs
        How rows become tensors.

    features : Ellipsoid
        Mean and covariance of the rows.
    """
    statistics = (
        inputs.hidden_values,
        torch.from_numpy(features.mean).float(),
        torch.from_numpy(features.directions.T.copy()).float(),
        torch.from_numpy(features.weights).float(),
        torch.tensor(float(features.rest)),
    )
    take_missing(network, inputs, dict(zip(STATISTICS, statistics, strict=True)))
    return Mask(inputs.shape if len(inputs.shape) > 1 else (len(inputs.mean),), HIDDEN)


def take_missing(network: AutoencoderModule, inputs: Any, statistics: dict[str, Tensor]) -> None:
    """Let a network take rows in which values are missing, by known statistics of rows.

    Parameters
    ----------
    network : AutoencoderModule
        A new network.

    inputs : Inputs
        How rows become tensors.

    statistics : dict of Tensor
        What `STATISTICS` names.
    """
    network.takes_missing = True
    for name, value in statistics.items():
        # Buffers, since they differ between the models of a stack. They are no weights: a fit on
        # complete rows may go on with incomplete ones.
        network.register_buffer(name, value, persistent=False)
    # Before rows are corrupted, if they are.
    hook = FillMissing(inputs.incomplete, inputs.column_of)
    network.register_forward_pre_hook(hook, prepend=True)


def filled(network: AutoencoderModule, x: Tensor) -> Tensor:
    """Return rows as the network gets them."""
    for hook in network._forward_pre_hooks.values():
        (x,) = hook(network, (x,))
    return x


def on_observed(
    function: Callable[[Tensor, Any], Any],
    network: AutoencoderModule,
    x: Tensor,
    out: Any,
    power: float = 1.0,
) -> Tensor:
    """Apply an error or a residual to what is observed of rows, (n, ...).

    It is 0 where a value is missing, and otherwise divided by the share of the values that are
    observed, to some power. So a mean, or a sum, over all values is comparable between rows.
    """
    if not network.takes_missing:
        return function(x, out)
    observed = ~x.isnan()
    values = function(torch.where(observed, x, out.recon), out)
    values = torch.where(observed, values, 0.0)
    if network._incomplete:
        observed, values = (v[:, : -len(network._incomplete)] for v in (observed, values))
    share = observed.flatten(1).to(values.dtype).mean(1)
    return values / (share**power).view(-1, *[1] * (values.ndim - 1))


class Completing:
    """A network that gets rows completed, for one that was trained on complete rows only.

    It has not learned to deal with what stands in place of missing values, so it gets the most
    likely values.

    Parameters
    ----------
    network : AutoencoderModule
        The network.

    complete : callable
        From rows with NaN to complete ones, (n, d) to (n, d).
    """

    takes_missing = True

    def __init__(self, network: AutoencoderModule, complete: Callable[[Tensor], Tensor]):
        self.network, self.complete = network, complete

    def __call__(self, x: Tensor, *noise: Tensor) -> Any:
        return self.network(self.complete(x.flatten(1)).view_as(x), *noise)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

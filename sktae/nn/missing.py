"""Missing values: what networks get for them, and what is left out of losses and errors."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sktae.nn.module import AutoencoderModule
from sktae.randomness import Mask

# Share of the observed values that are hidden in training, where values are missing. A network that
# is wide enough would otherwise learn to repeat what it gets in their place.
HIDDEN = 0.2


class FillMissing:
    """Replaces missing values, which are NaN, before they enter a network.

    It is a forward hook, so networks of the gallery need not know of missing values. At the end of
    a row there may be indicators: columns that tell the network which values are missing. As inputs
    of the fit they are NaN, so nothing compares them with their reconstructions.

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
        x = torch.where(missing, network._replacements, x)
        if self.incomplete:
            n = x.shape[1] - len(self.incomplete)
            x = torch.cat([x[:, :n], missing[:, self.incomplete].to(x.dtype)], 1)
        return (x, *noise)


def fill_missing(network: AutoencoderModule, inputs: Any) -> Mask:
    """Let a network take rows in which values are missing, and return the draw of hidden ones.

    In training, the draw comes after the noise of the network.
    """
    network._takes_missing, network._incomplete = True, tuple(inputs.incomplete)
    # Not part of the weights, since a fit may go on with rows that have missing values at last.
    network.register_buffer("_replacements", inputs.replacements, persistent=False)
    network.register_forward_pre_hook(FillMissing(inputs.incomplete, inputs.column_of))
    if len(inputs.shape) > 1:
        return Mask(inputs.shape, HIDDEN)
    return Mask((len(inputs.mean),), HIDDEN)


def filled(network: AutoencoderModule, x: Tensor) -> Tensor:
    """Return rows as the network gets them."""
    for hook in network._forward_pre_hooks.values():
        (x,) = hook(network, (x,))
    return x


def on_observed(
    function: Callable[[Tensor, Any], Tensor],
    network: AutoencoderModule,
    x: Tensor,
    out: Any,
    power: float = 1.0,
) -> Tensor:
    """Apply an error or a residual to what is observed of rows, (n, ...).

    It is 0 where a value is missing, and otherwise divided by the share of the values that are
    observed, to some power. So a mean, or a sum, over all values is comparable between rows.
    """
    if not network._takes_missing:
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

    _takes_missing = True

    def __init__(self, network: AutoencoderModule, complete: Callable[[Tensor], Tensor]):
        self.network, self.complete = network, complete

    def __call__(self, x: Tensor, *noise: Tensor) -> Any:
        return self.network(self.complete(x.flatten(1)).view_as(x), *noise)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

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
    """Replaces missing values, which are NaN, by 0 before they enter a network.

    It is a forward hook, so networks of the gallery need not know of missing values. At the end of
    a row there may be indicators: columns that tell the network which values are missing. As inputs
    of the fit they are NaN, so nothing compares them with their reconstructions.

    Parameters
    ----------
    incomplete : sequence of int
        The columns that have an indicator, in the order of the indicators.
    """

    def __init__(self, incomplete: Sequence[int]):
        self.incomplete = list(incomplete)

    def __call__(self, network: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *noise = args
        missing = x.isnan()
        if len(noise) > len(network.noise):
            *noise, hidden = noise
            missing = missing | (hidden > 0)
        # Noise may be made of rows, too.
        noise = [n.nan_to_num(0.0) if n.shape == x.shape else n for n in noise]
        x = torch.where(missing, 0.0, x)
        if self.incomplete:
            n = x.shape[1] - len(self.incomplete)
            x = torch.cat([x[:, :n], missing[:, self.incomplete].to(x.dtype)], 1)
        return (x, *noise)


def fill_missing(network: AutoencoderModule, incomplete: Sequence[int]) -> None:
    """Let a network take rows in which values are missing; these columns have an indicator."""
    network._n_indicators = len(incomplete)
    network.register_forward_pre_hook(FillMissing(incomplete))


def hiding(shape: Sequence[int]) -> Mask:
    """Return the draw of values that are hidden in a training step, for rows of this shape.

    In training it comes after the noise of the network.
    """
    return Mask(tuple(shape), HIDDEN)


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
    observed = ~x.isnan()
    values = function(torch.where(observed, x, out.recon), out)
    values = torch.where(observed, values, 0.0)
    if network._n_indicators:
        observed, values = (v[:, : -network._n_indicators] for v in (observed, values))
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

    def __init__(self, network: AutoencoderModule, complete: Callable[[Tensor], Tensor]):
        self.network, self.complete = network, complete

    def __call__(self, x: Tensor, *noise: Tensor) -> Any:
        return self.network(self.complete(x.flatten(1)).view_as(x), *noise)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

"""Corruption of rows in training."""

import math
from typing import Any, Literal

import torch
from torch import Tensor

from sktae.randomness import Draw, Mask, Normal, Partner

Noise = Literal["gaussian", "masking", "swap"]


class Corruption:
    """Corrupts rows before they enter a network, in training only.

    It is a forward hook, so networks of the gallery need not know of it. What the network returns
    is compared with the clean rows.

    Parameters
    ----------
    kind : {"gaussian", "masking", "swap"}
        Whether normal noise is added, or values are hidden, or replaced by those of other rows.

    level : float
        Standard deviation of the noise, or the share of values that are hidden or replaced.

    shape : tuple of int
        Shape of a row.

    unit : tuple of int
        Shape of what is hidden, kept or replaced as one. A row is cut into such units; where its
        size is no multiple, the last ones are smaller.

    hidden : float
        What hidden values become: 0, the mean, or NaN, for networks that leave missing values out.

    Attributes
    ----------
    draws : tuple of draws
        The random numbers that it takes, after those of the network.
    """

    def __init__(
        self,
        kind: Noise,
        level: float,
        shape: tuple[int, ...],
        unit: tuple[int, ...],
        hidden: float,
    ):
        self.kind, self.level, self.hidden = kind, level, hidden
        self.unit = unit
        units = tuple(math.ceil(size / own) for size, own in zip(shape, unit, strict=True))
        self.draws: tuple[Draw, ...] = (Mask(units, level),)
        if kind == "gaussian":
            self.draws = (Normal(shape),)
        elif kind == "swap":
            self.draws += (Partner(),)

    def __call__(self, network: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the arguments of a network with corrupted rows, if there is noise for that."""
        x, *noise = args
        if len(noise) < len(network.noise):
            return args
        n = len(noise) - len(self.draws)
        return (self.corrupted(x, *noise[n:]), *noise[:n])

    def corrupted(self, x: Tensor, noise: Tensor, partner: Tensor | None = None) -> Tensor:
        """Return corrupted rows."""
        if self.kind == "gaussian":
            return x + self.level * noise
        for axis, (size, own) in enumerate(zip(x.shape[1:], self.unit, strict=True), 1):
            if own < size:  # else there is one unit, for all of the axis
                noise = noise.repeat_interleave(own, axis).narrow(axis, 0, size)
        return torch.where(noise > 0, self.hidden if partner is None else partner, x)


def corrupt(network: Any, corruption: Corruption) -> None:
    """Let rows be corrupted before they enter a new network, in training."""
    network.noise = (*network.noise, *corruption.draws)
    network.register_forward_pre_hook(corruption)

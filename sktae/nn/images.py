"""Images through filters, to a code and back."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sktae.nn.codes import straight_through
from sktae.nn.layers import activation_layer

# Numbers are brought to one scale in groups of channels, so many of them if they divide evenly.
_GROUPS = 8


class Residual(nn.Module):
    """Adds to an image what filters find in it; brightness and contrast pass by untouched."""

    def __init__(self, channels: int, activation: str):
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(channels, _GROUPS), channels)
        self.activation = activation_layer(activation)
        self.filters = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.filters(self.activation(self.norm(h)))


class Doubled(nn.Module):
    """Makes an image twice as high and wide, or one less where that is its size."""

    def __init__(self, n_in: int, n_out: int, size: tuple[int, int]):
        super().__init__()
        self.filters = nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)
        self.size = size

    def forward(self, h: Tensor) -> Tensor:
        height, width = self.size
        return self.filters(h)[..., :height, :width]


class Within(nn.Module):
    """Keeps each channel of an image between two bounds.

    What lies beyond is cut off, as if gradients knew nothing of it, so that it can come back. With
    `squash`, it is the sigmoid, or the hyperbolic tangent, brought to the bounds.
    """

    def __init__(self, low: Tensor, high: Tensor, squash: bool):
        super().__init__()
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", low.view(-1, 1, 1))
        self.register_buffer("high", high.view(-1, 1, 1))
        self.squash = squash

    def extra_repr(self) -> str:
        return f"squash={self.squash}"

    def forward(self, h: Tensor) -> Tensor:
        if self.squash:
            return torch.lerp(self.low, self.high, h.sigmoid())
        return straight_through(h, torch.minimum(torch.maximum(h, self.low), self.high))


def sizes(shape: Sequence[int], widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """List the shapes that an image has on its way to a code: half as high and wide each time."""
    channels, height, width = shape
    found = [(channels, height, width)]
    for channels in widths:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
        found.append((channels, height, width))
    return found


def image_encoder(
    shape: Sequence[int], widths: Sequence[int], n_out: int, as_map: bool, activation: str
) -> nn.Sequential:
    """Stack filters that halve an image; at the end are n_out numbers, or as many channels."""
    shapes = sizes(shape, widths)
    layers: list[nn.Module] = []
    for (n_in, *_), (channels, *_) in pairwise(shapes):
        layers += [nn.Conv2d(n_in, channels, 3, stride=2, padding=1)]
        layers += [Residual(channels, activation)]
    if as_map:
        layers += [nn.Conv2d(widths[-1], n_out, 1), nn.Flatten()]
    else:
        layers += [nn.Flatten(), nn.Linear(math.prod(shapes[-1]), n_out)]
    encoder: Any = nn.Sequential(*layers)
    encoder.layer_size = max(map(math.prod, shapes))
    return encoder


def image_decoder(
    shape: Sequence[int], widths: Sequence[int], n_in: int, as_map: bool, activation: str
) -> nn.Sequential:
    """Stack filters that lead back from a code to an image."""
    shapes = sizes(shape, widths)
    channels, *size = shapes[-1]
    layers: list[nn.Module]
    if as_map:
        layers = [nn.Unflatten(1, (n_in, *size)), nn.Conv2d(n_in, channels, 1)]
    else:
        layers = [nn.Linear(n_in, math.prod(shapes[-1])), nn.Unflatten(1, shapes[-1])]
    for (channels, *_), (n_out, height, width) in pairwise(shapes[::-1]):
        layers += [Residual(channels, activation), Doubled(channels, n_out, (height, width))]
    return nn.Sequential(*layers)

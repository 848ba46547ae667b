"""Convolutional encoders and decoders of images."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sktae.nn.codes import straight_through
from sktae.nn.layers import activation_layer

# Groups of a GroupNorm, if the channels can be divided into so many.
_GROUPS = 8


class Residual(nn.Module):
    """Residual block, (n, c, h, w): group norm, activation and convolution, plus the input."""

    def __init__(self, channels: int, activation: str):
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(channels, _GROUPS), channels)
        self.activation = activation_layer(activation)
        self.filters = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.filters(self.activation(self.norm(h)))


class Upsample(nn.Module):
    """Transposed convolution that doubles height and width.

    `size` is the height and width of the output: those of an odd size are one less than double.
    """

    def __init__(self, n_in: int, n_out: int, size: tuple[int, int]):
        super().__init__()
        self.filters = nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)
        self.size = size

    def forward(self, h: Tensor) -> Tensor:
        height, width = self.size
        return self.filters(h)[..., :height, :width]


class Bounded(nn.Module):
    """Keeps each channel of an image between two bounds, `low` and `high`, (c,).

    Values are clipped. Gradients ignore the clipping, or values beyond a bound could not return.
    With `sigmoid`, a sigmoid maps values to the range instead; between -1 and 1, this is the
    hyperbolic tangent of half the value.
    """

    def __init__(self, low: Tensor, high: Tensor, sigmoid: bool):
        super().__init__()
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", low.view(-1, 1, 1))
        self.register_buffer("high", high.view(-1, 1, 1))
        self.sigmoid = sigmoid

    def extra_repr(self) -> str:
        return f"sigmoid={self.sigmoid}"

    def forward(self, h: Tensor) -> Tensor:
        if self.sigmoid:
            return torch.lerp(self.low, self.high, h.sigmoid().to(self.low.dtype))
        return straight_through(h, torch.minimum(torch.maximum(h, self.low), self.high))


def stage_shapes(shape: Sequence[int], widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the shapes of an image and of the output of each stage, which halves height and width.

    `widths` are the channels of the stages.
    """
    channels, height, width = shape
    shapes = [(channels, height, width)]
    for channels in widths:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
        shapes.append((channels, height, width))
    return shapes


def image_encoder(
    shape: Sequence[int], widths: Sequence[int], n_out: int, as_map: bool, activation: str
) -> nn.Sequential:
    """Stack convolutions of stride 2.

    They end in n_out numbers or, with `as_map`, in a map of n_out channels, flattened.
    """
    shapes = stage_shapes(shape, widths)
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
    """Stack transposed convolutions that mirror the encoder; `n_in` is its `n_out`."""
    shapes = stage_shapes(shape, widths)
    channels, *size = shapes[-1]
    layers: list[nn.Module]
    if as_map:
        layers = [nn.Unflatten(1, (n_in, *size)), nn.Conv2d(n_in, channels, 1)]
    else:
        layers = [nn.Linear(n_in, math.prod(shapes[-1])), nn.Unflatten(1, shapes[-1])]
    for (channels, *_), (n_out, height, width) in pairwise(shapes[::-1]):
        layers += [Residual(channels, activation), Upsample(channels, n_out, (height, width))]
    return nn.Sequential(*layers)

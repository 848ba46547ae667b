"""Convolutional encoders and decoders of images."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sktae.nn.codes import straight_through
from sktae.nn.layers import Activation, activation_layer
from sktae.nn.module import AutoencoderModule

Norm = Literal["group", "batch"]
Upsampling = Literal["transposed", "bilinear", "nearest"]

# Groups of a GroupNorm, if the channels can be divided into so many.
_GROUPS = 8

# What batch norms divide by is the variance plus this.
_EPSILON = 1e-5

# Batch norms are calibrated on so many images that no layer has more numbers (64 MB in float32).
_CALIBRATION_NUMBERS = 2**24


class StageOptions(NamedTuple):
    """What the stages of an encoder and a decoder are made of."""

    activation: Activation = "leaky_relu"
    norm: Norm | None = "group"
    residual: bool = True
    upsampling: Upsampling = "transposed"


class BatchNorm(nn.Module):
    """Batch norm of images, (n, c, h, w), whose statistics are set after the training.

    In training, means and variances are those of the batch. Later they are those that `calibrate`
    has set, so that no image depends on others.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        # Until then, they are NaN, and validation images are a batch as well.
        for name in ("mean", "variance"):
            self.register_buffer(name, torch.full((channels,), torch.nan))
        self.calibrates = False

    def forward(self, h: Tensor) -> Tensor:
        mean, variance = h.mean((0, 2, 3)), h.var((0, 2, 3), correction=0)
        if self.calibrates:
            self.mean.copy_(mean)
            self.variance.copy_(variance)
        elif not self.training:
            mean = torch.where(self.mean.isnan(), mean, self.mean)
            variance = torch.where(self.variance.isnan(), variance, self.variance)
        scale = self.weight * (variance + _EPSILON).rsqrt()
        return h * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


def norm_layer(norm: Norm | None, channels: int) -> nn.Module:
    """Return a norm of images with so many channels."""
    if norm == "group":
        return nn.GroupNorm(math.gcd(channels, _GROUPS), channels)
    return nn.Identity() if norm is None else BatchNorm(channels)


def convolution(n_in: int, n_out: int, size: Sequence[int], stride: int = 1) -> nn.Conv2d:
    """Return a convolution of images of this height and width, by a kernel of 3 x 3 pixels.

    Along a side of a single pixel, the kernel has one pixel: the others would meet padding alone.
    """
    return nn.Conv2d(n_in, n_out, _by_side(size, 3, 1), stride, _by_side(size, 1, 0))


def _by_side(size: Sequence[int], many: int, one: int) -> tuple[int, int]:
    """Return a number for height and width each, another one if that is a single pixel."""
    height, width = (many if side > 1 else one for side in size)
    return height, width


class Residual(nn.Module):
    """Residual block, (n, c, h, w): norm, activation and convolution, plus the input."""

    def __init__(self, channels: int, size: Sequence[int], options: StageOptions):
        super().__init__()
        self.norm = norm_layer(options.norm, channels)
        self.activation = activation_layer(options.activation)
        self.filters = convolution(channels, channels, size)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.filters(self.activation(self.norm(h)))


class Upsample(nn.Module):
    """Doubles height and width: by a transposed convolution, or by upsampling and a convolution.

    `size` is the height and width of the output: those of an odd size are one less than double. A
    side of a single pixel stays as it is.
    """

    def __init__(self, n_in: int, n_out: int, size: tuple[int, int], upsampling: Upsampling):
        super().__init__()
        kernel, factor, padding = (_by_side(size, *n) for n in ((4, 1), (2, 1), (1, 0)))
        self.larger: nn.Module = nn.Identity()
        self.filters: nn.Module = nn.ConvTranspose2d(n_in, n_out, kernel, factor, padding)
        if upsampling != "transposed":
            self.larger = nn.Upsample(scale_factor=factor, mode=upsampling)
            self.filters = convolution(n_in, n_out, size)
        self.size = size

    def forward(self, h: Tensor) -> Tensor:
        height, width = self.size
        return self.filters(self.larger(h))[..., :height, :width]


class ImageModule(AutoencoderModule):
    """Base of networks for images, which may have batch norms."""

    encoder: Any

    def overrides(self, method: str) -> bool:
        # Without a batch norm there is nothing to calibrate, so that no images are read for it.
        return super().overrides(method) and (method != "calibrate" or bool(self._batch_norms()))

    def _batch_norms(self) -> list[BatchNorm]:
        return [layer for layer in self.modules() if isinstance(layer, BatchNorm)]

    def calibrate(self, x: Tensor) -> None:
        """Set the statistics of batch norms to those of some images, as one batch."""
        norms = self._batch_norms()
        size = max(1, _CALIBRATION_NUMBERS // self.encoder.layer_size)
        for norm in norms:
            norm.calibrates = True
        try:
            with torch.no_grad():
                self(x[:: math.ceil(len(x) / size)])
        finally:
            for norm in norms:
                norm.calibrates = False


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
    shape: Sequence[int], widths: Sequence[int], n_out: int, as_map: bool, options: StageOptions
) -> nn.Sequential:
    """Stack convolutions of stride 2.

    They end in n_out numbers or, with `as_map`, in a map of n_out channels, flattened.
    """
    shapes = stage_shapes(shape, widths)
    layers: list[nn.Module] = []
    for (n_in, *size), (channels, *smaller) in pairwise(shapes):
        smaller_map = convolution(n_in, channels, size, stride=2)
        layers += [smaller_map, *_block(channels, smaller, options)]
    if as_map:
        layers += [nn.Conv2d(widths[-1], n_out, 1), nn.Flatten()]
    else:
        layers += [nn.Flatten(), nn.Linear(math.prod(shapes[-1]), n_out)]
    encoder: Any = nn.Sequential(*layers)
    encoder.layer_size = max(map(math.prod, shapes))
    return encoder


def image_decoder(
    shape: Sequence[int], widths: Sequence[int], n_in: int, as_map: bool, options: StageOptions
) -> nn.Sequential:
    """Stack layers that double height and width and mirror the encoder; `n_in` is its `n_out`."""
    shapes = stage_shapes(shape, widths)
    channels, *size = shapes[-1]
    layers: list[nn.Module]
    if as_map:
        layers = [nn.Unflatten(1, (n_in, *size)), nn.Conv2d(n_in, channels, 1)]
    else:
        layers = [nn.Linear(n_in, math.prod(shapes[-1])), nn.Unflatten(1, shapes[-1])]
    for (channels, *size), (n_out, height, width) in pairwise(shapes[::-1]):
        larger = Upsample(channels, n_out, (height, width), options.upsampling)
        layers += [*_block(channels, size, options), larger]
    return nn.Sequential(*layers)


def _block(channels: int, size: Sequence[int], options: StageOptions) -> list[nn.Module]:
    """Return what is between the convolutions that change height and width."""
    if options.residual:
        return [Residual(channels, size, options)]
    return [norm_layer(options.norm, channels), activation_layer(options.activation)]

"""Autoencoders of images."""

import math
from typing import Any, Literal

import numpy as np
import torch

from sktae._training.spec import Auto
from sktae.families.noise import NoiseMixin
from sktae.inputs.images import Image
from sktae.nn.images import (
    Bounded,
    Norm,
    StageOptions,
    Upsampling,
    image_decoder,
    image_encoder,
    stage_shapes,
)
from sktae.nn.layers import Activation
from sktae.parameters import Count, SomeWidths, Widths

# "auto" stages leave about 4 pixels on the longer side, but there are 2 at least. If the code is a
# map, there are 3.
_LAST_SIDE, _MIN_STAGES, _MAP_STAGES = 4, 2, 3
# The first stage has 32 channels, or 16 if a side has more than 32 pixels; each later one has twice
# as many, up to 256.
_LARGE_SIDE, _FIRST_CHANNELS, _MAX_CHANNELS = 32, (32, 16), 256

# `explain` replaces squares of pixels, at most this many along each side of an image.
_SQUARES = 8


class ImageMixin(NoiseMixin):
    """Makes an autoencoder take images, and builds its convolutional encoder and decoder.

    `X` is an array of shape (n_samples, n_channels, height, width), or (n_samples, height, width)
    for one channel, or has images as rows, with `image_shape`. Reconstructions have the shape of
    the training images; for bytes, they are floats.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Channels of the encoder's stages, each of which halves height and width; the decoder mirrors
        them. "auto" takes as many stages as leave about 4 pixels on the longer side, at least two,
        or three if the code is a map. The first stage has 32 channels, or 16 if a side has more
        than 32 pixels. Each later stage has twice as many, up to 256.

    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"} or \
tuple, default="leaky_relu"
        Activation between the layers. A tuple is ("leaky_relu", slope), with the slope for negative
        numbers, such as 0.2; that of "leaky_relu" is 0.01.

    norm : {"group", "batch"} or None, default="group"
        Norm before each activation. "group" takes mean and variance of groups of 8 channels of one
        image, "batch" those of a channel in all images of a batch. After the fit, these are the
        statistics of training images, so that images are scored one by one. None for no norm.

    residual_blocks : bool, default=True
        Whether a stage has a second convolution, whose output is added to that of the first.

    upsampling : {"transposed", "bilinear", "nearest"}, default="transposed"
        How stages of the decoder double height and width: by a transposed convolution, or by
        upsampling and a convolution.

    standardize : bool, default=True
        Whether each channel is scaled to mean 0 and variance 1 for the network. Reconstructions are
        in the units of `X` either way.

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer; "auto" is 0.002.

    batch_size : int, default=32
        Images in a training step. If there are fewer images, each step takes all of them.

    image_shape : tuple of int or None, default=None
        Shape of images that are rows of `X`: (channels, height, width) or (height, width). None
        takes a row as an image of height 1.

    code_channels : int or None, default=None
        Channels of a code that is a map: a smaller image with the height and width of the encoder's
        last stage. With 3 stages and `code_channels=4`, the code of an image of shape (3, 512, 512)
        has shape (4, 64, 64). `transform` returns it as a row; `code_shape_` is its shape.
        `n_components` must then be "auto". None for a code that is a vector.

    output_activation : {"auto", "linear", "sigmoid", "tanh"}, default="auto"
        How reconstructions are kept in the range of the images. "linear" does nothing. "sigmoid" is
        for values between 0 and 1, or bytes, "tanh" for values between -1 and 1. "auto" clips to
        0 to 1, to -1 to 1 or to the range of bytes, if all training values lie there, and else does
        nothing. "sigmoid" and "tanh" may saturate at an end of the range where most pixels have
        this value, as on a black background. With a Bernoulli likelihood, values lie between 0 and
        1.

    noise : {"gaussian", "masking", "swap"} or None, default=None
        How images are corrupted in training; the network learns to reproduce clean ones. "gaussian"
        adds normal noise. "masking" hides pixels, which get the mean of their channel (0 without
        `standardize`). "swap" replaces pixels by those of another image. None for no corruption.

    noise_level : float, default=0.3
        Standard deviation of the normal noise, for channels of variance 1, or the share of pixels
        that are replaced.

    Attributes
    ----------
    image_shape_ : tuple of int
        Channels, height and width of an image.

    code_shape_ : tuple of int
        Shape of the code of an image.

    output_range_ : tuple of float or None
        Smallest and largest possible value of reconstructions, in the units of `X`; None if they
        have no bounds.

    channel_means_ : ndarray of shape (n_channels,)
        Value that is subtracted from each channel before it enters the network.

    channel_scales_ : ndarray of shape (n_channels,)
        Value by which each channel is then divided.
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    activation: Activation = "leaky_relu"
    norm: Norm | None = "group"
    residual_blocks: bool = True
    upsampling: Upsampling = "transposed"
    batch_size: Count = 32
    image_shape: Widths | None = None
    code_channels: Count | None = None
    output_activation: Literal["auto", "linear", "sigmoid", "tanh"] = "auto"

    def inputs(self):
        return self._images()

    def _images(self, unit_interval: bool = False) -> Image:
        """Return how images become tensors."""
        name = type(self).__name__
        if self.image_shape is not None and len(self.image_shape) not in (2, 3):
            raise ValueError(
                f"The 'image_shape' parameter of {name} must have two or three numbers, (height, "
                f"width) or (channels, height, width). Got {self.image_shape!r} instead."
            )
        if self.code_channels is not None and self.n_components != "auto":
            raise ValueError(
                f"n_components={self.n_components} and code_channels={self.code_channels} of "
                f"{name} both say how large the code is; set only one of them."
            )
        return Image(self.standardize, self.image_shape, self.output_activation, unit_interval)

    def _auto(self, shape):
        side = max(shape[1:])
        if self.code_channels is None:
            stages = max(_MIN_STAGES, round(math.log2(side / _LAST_SIDE)))
        else:
            stages = _MAP_STAGES
        first = _FIRST_CHANNELS[side > _LARGE_SIDE]
        widths = tuple(min(_MAX_CHANNELS, first * 2**stage) for stage in range(stages))
        components = super()._auto(shape).components
        if self.code_channels is not None:
            given = self.hidden_layer_sizes
            components = math.prod(
                self._code_shape(shape, widths if isinstance(given, str) else given)
            )
        # The gradient of a filter is a sum over all pixels: larger rates would be too large.
        return Auto(components, widths=(widths, widths), rates=(2e-3, 2e-3))

    def _hidden_unit(self, shape):
        return (shape[0], 1, 1)  # all channels of a pixel

    def _code_shape(self, shape, widths):
        return (self.code_channels, *stage_shapes(shape, widths)[-1][1:])

    @property
    def image_shape_(self):
        return self._inputs.shape

    @property
    def code_shape_(self):
        if self.code_channels is None:
            return (self.n_components_,)
        return self._code_shape(self.image_shape_, self.hidden_layer_sizes_)

    @property
    def output_range_(self):
        return None if self._inputs.unit_interval else self._inputs.range

    @property
    def channel_means_(self):
        return self._inputs.shift

    @property
    def channel_scales_(self):
        return self._inputs.scale

    def _encoder_and_decoder(self, spec, outputs_per_component=1):
        """Build an encoder, with one or more outputs for each component, and a decoder."""
        as_map, n = self.code_channels is not None, self.code_channels or spec.n_components
        n_out = outputs_per_component * n
        options = StageOptions(self.activation, self.norm, self.residual_blocks, self.upsampling)
        encoder = image_encoder(spec.shape, spec.widths, n_out, as_map, options)
        decoder = image_decoder(spec.shape, spec.widths, n, as_map, options)
        images = spec.inputs
        if images.range is not None and not images.unit_interval:
            ends = np.transpose([images.range] * len(images.shift))
            low, high = torch.from_numpy((ends - images.shift) / images.scale).float()
            decoder.append(Bounded(low, high, sigmoid=self.output_activation != "auto"))
        return encoder, decoder

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components) or (n_samples, channels, height, width)
            Codes, as `transform` returns them. Codes that are maps may also have the shape of the
            maps, `code_shape_`, in place of rows.

        Returns
        -------
        images : ndarray
            Decoded images, in the layout of the training images.
        """
        maps = np.ndim(X) == 4 and np.shape(X)[1:] == getattr(self, "code_shape_", None)
        return super().inverse_transform(np.reshape(X, (len(X), -1)) if maps else X)

    def explain(self, X):
        """Compute which pixels make images unusual.

        An image is divided into at most 8 x 8 squares. Each square in turn is replaced by its
        expected values, given all others. It counts in proportion to how far the anomaly of the
        image, minus its score, falls by that, and all its pixels count the same.

        Parameters
        ----------
        X : array-like
            The images to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            Contribution of each pixel to the anomaly; a row adds up to minus the score.
        """
        return super().explain(X)

    def _parts(self, shape: Any) -> np.ndarray:
        channels, height, width = self.image_shape_
        side = math.ceil(max(height, width) / _SQUARES) if height > 1 else 1
        rows, columns = np.arange(height) // side, np.arange(width) // side
        squares = rows[:, np.newaxis] * (columns[-1] + 1) + columns
        return np.tile(squares.ravel(), channels)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = False
        return tags

"""Autoencoders of images."""

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from sktae.families.noise import NoiseMixin
from sktae.inputs.images import Image
from sktae.nn.images import Bounded
from sktae.parameters import Count, Widths

# `explain` replaces squares of pixels, at most this many along each side of an image.
_SQUARES = 8


class ImageMixin(NoiseMixin):
    """Makes an autoencoder take images.

    `X` is an array of shape (n_samples, n_channels, height, width), or (n_samples, height, width)
    for one channel, or has images as rows, with `image_shape`. Reconstructions have the shape of
    the training images; for bytes, they are floats.

    Parameters
    ----------
    standardize : bool or "shared", default=True
        Whether each channel is scaled to mean 0 and variance 1 for the network. "shared" divides
        all channels by one number. Reconstructions are in the units of `X` either way.

    batch_size : int, default=32
        Images in a training step. If there are fewer images, each step takes all of them.

    image_shape : tuple of int or None, default=None
        Shape of images that are rows of `X`: (channels, height, width) or (height, width). None
        takes a row as an image of height 1.

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

    batch_size: Count = 32
    image_shape: Widths | None = None
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
        return Image(self.standardize, self.image_shape, self.output_activation, unit_interval)

    def _hidden_unit(self, shape):
        return (shape[0], 1, 1)  # all channels of a pixel

    @property
    def image_shape_(self):
        return self._inputs.shape

    @property
    def code_shape_(self):
        return self._code_shape(self.image_shape_, self.n_components_, self.hidden_layer_sizes_)

    @property
    def output_range_(self):
        return None if self._inputs.unit_interval else self._inputs.range

    @property
    def channel_means_(self):
        return self._inputs.shift

    @property
    def channel_scales_(self):
        return self._inputs.scale

    def _code_shape(self, shape: Any, n_components: int, widths: Any) -> tuple[int, ...]:
        """Return the shape of the code of images of this shape."""
        return (n_components,)

    def _output_layers(self, images: Image) -> list[nn.Module]:
        """Return what keeps outputs of a network in the range of the images, if they have one."""
        if images.range is None or images.unit_interval:
            return []
        ends = np.transpose([images.range] * len(images.shift))
        low, high = torch.from_numpy((ends - images.shift) / images.scale).float()
        return [Bounded(low, high, sigmoid=self.output_activation != "auto")]

    def inverse_transform(self, X: Any) -> Any:
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

    def explain(self, X: Any) -> Any:
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

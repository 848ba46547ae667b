"""What all autoencoders of images share."""

import math
from typing import Any, Literal

import numpy as np
import torch

from sktae._training.spec import Auto
from sktae.inputs.images import Image
from sktae.nn.images import Within, image_decoder, image_encoder, sizes
from sktae.nn.layers import Activation
from sktae.parameters import Count, Declared, SomeWidths, Widths

# "auto" stages: until an image is about so many pixels high or wide, or so many for a code that is
# a map. The first has so many channels, less where images are large; each later one twice as many.
_SMALLEST, _FEWEST, _STAGES_OF_MAPS = 4, 2, 3
_LARGE, _FIRST, _MOST = 32, (32, 16), 256

# `explain` takes back squares of pixels, so many or fewer along each side of an image.
_SQUARES = 8


class ImageMixin(Declared):
    """What autoencoders of images share: how they enter, and filters between them and their codes.

    Images come as an array of shape (n_samples, n_channels, height, width), or (n_samples, height,
    width) where they have one channel, or as rows of numbers with `image_shape`. What comes out has
    the shape of what the fit was given; bytes come out as floats.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Channels of the encoder's stages, each of which makes an image half as high and wide; the
        decoder mirrors them. "auto" has as many stages as leave about 4 pixels on the longer side,
        but two at least, or three where the code is a map; channels begin with 32, with 16 where
        images have more than 32 pixels on a side, and are twice as many at each stage, up to 256.

    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"}, \
default="leaky_relu"
        What stands between the layers.

    standardize : bool, default=True
        Whether the network sees each channel with mean 0 and variance 1. What comes out is in the
        units of `X` either way.

    learning_rate : float or "auto", default="auto"
        Step size of the optimizer, at its largest; "auto" is 0.002.

    batch_size : int, default=32
        Images in a training step. With fewer images, all of them.

    image_shape : tuple of int or None, default=None
        Shape of images that come as rows: channels, height and width, or height and width. Without
        one, a row is an image one pixel high.

    code_channels : int or None, default=None
        Makes the code a map, with so many channels for each place that the encoder's stages leave:
        of images of 3 x 512 x 512, 3 stages and 4 channels make codes of 4 x 64 x 64. `transform`
        gives it as a row; `code_shape_` is its shape. `n_components` must then be "auto".

    output_activation : {"auto", "linear", "sigmoid", "tanh"}, default="auto"
        What keeps reconstructions in the range of images: nothing, or a squashing function for
        values from 0 to 1, or from -1 to 1. Bytes are 0 to 1 in parts of 255. "auto" goes by the
        range of `X` and cuts off what lies beyond. Squashing functions may get stuck at an end of
        the range where most pixels are there, as on a black background. A Bernoulli likelihood has
        a range of its own.

    Attributes
    ----------
    image_shape_ : tuple of int
        Channels, height and width of an image.

    code_shape_ : tuple of int
        Shape of the code of an image.

    output_range_ : tuple of float or None
        What reconstructions lie between, in the units of `X`; None where they are free.

    channel_means_ : ndarray of shape (n_channels,)
        What is taken off each channel before the network sees it.

    channel_scales_ : ndarray of shape (n_channels,)
        What each channel is then divided by.
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    activation: Activation = "leaky_relu"
    batch_size: Count = 32
    image_shape: Widths | None = None
    code_channels: Count | None = None
    output_activation: Literal["auto", "linear", "sigmoid", "tanh"] = "auto"

    def inputs(self):
        return self._images()

    def _images(self, unit_interval: bool = False) -> Image:
        """Say how images become tensors."""
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
        base, stages = super()._auto(shape), _STAGES_OF_MAPS
        side = max(shape[1:])
        if self.code_channels is None:
            stages = max(_FEWEST, round(math.log2(side / _SMALLEST)))
        widths = tuple(min(_MOST, _FIRST[side > _LARGE] * 2**stage) for stage in range(stages))
        components = base.components
        if self.code_channels is not None:
            given = self.hidden_layer_sizes
            own = widths if isinstance(given, str) else given
            components = math.prod(self._code_shape(shape, own))
        # Filters, which meet every pixel of an image, bear no larger rate.
        return Auto(components, widths=(widths, widths), rates=(2e-3, 2e-3))

    def _code_shape(self, shape, widths):
        return (self.code_channels, *sizes(shape, widths)[-1][1:])

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

    def _coders(self, spec, n_each=1):
        """Return an encoder that gives n numbers for each component of the code, and a decoder."""
        as_map, n = self.code_channels is not None, self.code_channels or spec.n_components
        encoder = image_encoder(spec.shape, spec.widths, n_each * n, as_map, self.activation)
        decoder = image_decoder(spec.shape, spec.widths, n, as_map, self.activation)
        images = spec.inputs
        if images.range is not None and not images.unit_interval:
            ends = np.transpose([images.range] * len(images.shift))
            low, high = torch.from_numpy((ends - images.shift) / images.scale).float()
            decoder.append(Within(low, high, squash=self.output_activation != "auto"))
        return encoder, decoder

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components) or (n_samples, channels, height, width)
            Codes, as from `transform`; maps may have their own shape.

        Returns
        -------
        images : ndarray
            The images they stand for, in the layout of those of the fit.
        """
        maps = np.ndim(X) == 4 and np.shape(X)[1:] == getattr(self, "code_shape_", None)
        return super().inverse_transform(np.reshape(X, (len(X), -1)) if maps else X)

    def explain(self, X):
        """Say which pixels make images unusual.

        Squares of pixels, 8 x 8 of an image at most, are set to what the others let one expect of
        them, and count in proportion to how far the anomaly of the image, minus its score, thereby
        falls; the pixels of a square count alike.

        Parameters
        ----------
        X : array-like
            The images to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            What each number adds to the anomaly; a row adds up to minus its score.
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
        return tags

"""Autoencoders of images with stages of convolutions."""

import math
from typing import Literal

from sktae._training.spec import Auto
from sktae.families.image import ImageMixin
from sktae.nn.images import (
    Norm,
    StageOptions,
    Upsampling,
    image_decoder,
    image_encoder,
    stage_shapes,
)
from sktae.nn.layers import Activation
from sktae.parameters import Count, SomeWidths

# "auto" stages leave about 4 pixels on the longer side, but there are 2 at least. If the code is a
# map, there are 3.
_LAST_SIDE, _MIN_STAGES, _MAP_STAGES = 4, 2, 3
# The first stage has 32 channels, or 16 if a side has more than 32 pixels; each later one has twice
# as many, up to 256.
_LARGE_SIDE, _FIRST_CHANNELS, _MAX_CHANNELS = 32, (32, 16), 256


class ConvolutionalMixin(ImageMixin):
    """Builds the convolutional encoder and decoder of an autoencoder of images.

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

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer; "auto" is 0.002.

    code_channels : int or None, default=None
        Channels of a code that is a map: a smaller image with the height and width of the encoder's
        last stage. With 3 stages and `code_channels=4`, the code of an image of shape (3, 512, 512)
        has shape (4, 64, 64). `transform` returns it as a row; `code_shape_` is its shape.
        `n_components` must then be "auto". None for a code that is a vector.
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    activation: Activation = "leaky_relu"
    norm: Norm | None = "group"
    residual_blocks: bool = True
    upsampling: Upsampling = "transposed"
    code_channels: Count | None = None

    def _images(self, unit_interval=False):
        if self.code_channels is not None and self.n_components != "auto":
            raise ValueError(
                f"n_components={self.n_components} and code_channels={self.code_channels} of "
                f"{type(self).__name__} both say how large the code is; set only one of them."
            )
        return super()._images(unit_interval)

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
            stages = widths if isinstance(given, str) else given
            components = math.prod(self._code_shape(shape, components, stages))
        # The gradient of a filter is a sum over all pixels: larger rates would be too large.
        return Auto(components, widths=(widths, widths), rates=(2e-3, 2e-3))

    def _code_shape(self, shape, n_components, widths):
        if self.code_channels is None:
            return (n_components,)
        return (self.code_channels, *stage_shapes(shape, widths)[-1][1:])

    def _encoder_and_decoder(self, spec, outputs_per_component=1):
        """Build an encoder, with one or more outputs for each component, and a decoder."""
        as_map, n = self.code_channels is not None, self.code_channels or spec.n_components
        n_out = outputs_per_component * n
        options = StageOptions(self.activation, self.norm, self.residual_blocks, self.upsampling)
        encoder = image_encoder(spec.shape, spec.widths, n_out, as_map, options)
        decoder = image_decoder(spec.shape, spec.widths, n, as_map, options)
        decoder.extend(self._output_layers(spec.inputs))
        return encoder, decoder

"""Convolutional vector-quantized autoencoder (van den Oord et al. 2017)."""

from sktae.families.convolution import ConvolutionalMixin
from sktae.families.quantized import QuantizedAutoencoder
from sktae.nn.images import ImageModule
from sktae.nn.quantized import QuantizedCode


class Network(ImageModule, QuantizedCode):
    """Each slot of the code, or each place if it is a map, is a row of the codebook."""


class ConvolutionalVectorQuantizedAutoencoder(ConvolutionalMixin, QuantizedAutoencoder):
    """Convolutional vector-quantized autoencoder: encodes images with vectors from a codebook.

    With `code_channels`, the code is a map, which is smaller than the image. At each place of it is
    the row of the codebook that is nearest to the encoder's output there. So an image becomes a few
    integers, and new images are sampled integer by integer. Gradients pass from the quantized code
    to the encoder unchanged. Dead codes, which no place uses, are moved to where quantization
    errors are largest.

    Minimizes :math:`\\|x - g(e)\\|^2 + \\|sg[f(x)] - e\\|^2 + \\alpha \\|f(x) - sg[e]\\|^2`, with
    the nearest rows :math:`e` of the codebook and the stop-gradient :math:`sg`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code. "auto" is 128 or, with `code_channels`, the size of the map.

    See Also
    --------
    ConvolutionalAutoencoder
    VectorQuantizedAutoencoder

    References
    ----------
    .. [1] van den Oord, A., Vinyals, O. and Kavukcuoglu, K. (2017). Neural Discrete Representation
       Learning. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ConvolutionalVectorQuantizedAutoencoder
    >>> X = load_digits().images
    >>> settings = {"hidden_layer_sizes": (16,), "code_channels": 8, "codes": "indices"}
    >>> model = ConvolutionalVectorQuantizedAutoencoder(**settings, max_steps=20).fit(X)
    >>> model.transform(X).shape, model.code_shape_
    ((1797, 16), (1, 4, 4))
    """

    def network(self, spec):
        coders, channels = self._encoder_and_decoder(spec), self.code_channels
        if channels is None:
            n_slots = self._n_slots(spec.n_components)
            return Network(*coders, self.n_codes, n_slots, spec.n_components // n_slots)
        places = spec.n_components // channels
        return Network(*coders, self.n_codes, places, channels, is_map=True)

    @property
    def code_shape_(self):
        shape = super().code_shape_
        if self.codes == "vectors":
            return shape
        return (self._n_features_out,) if self.code_channels is None else (1, *shape[1:])

"""Vector-quantized autoencoder (van den Oord et al. 2017)."""

from functools import partial

from sktae.families.loss import LossMixin
from sktae.families.quantized import QuantizedAutoencoder, quantized_objective
from sktae.nn.layers import mlp
from sktae.nn.quantized import QuantizedCode


class VectorQuantizedAutoencoder(LossMixin, QuantizedAutoencoder):
    """Vector-quantized autoencoder: encodes rows with vectors from a learned codebook.

    Each slot of the code is the row of the codebook that is nearest to the encoder's output there.
    Gradients pass from the quantized code to the encoder unchanged (straight-through). Dead codes,
    which no row uses, are moved to where quantization errors are largest; `history_` counts the
    codes in use.

    Minimizes :math:`\\|x - g(e)\\|^2 + \\|sg[f(x)] - e\\|^2 + \\alpha \\|f(x) - sg[e]\\|^2`, with
    the nearest rows :math:`e` of the codebook and the stop-gradient :math:`sg`.

    See Also
    --------
    BinaryAutoencoder
    CategoricalAutoencoder
    ConvolutionalVectorQuantizedAutoencoder

    References
    ----------
    .. [1] van den Oord, A., Vinyals, O. and Kavukcuoglu, K. (2017). Neural Discrete Representation
       Learning. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import VectorQuantizedAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = VectorQuantizedAutoencoder(32, n_slots=4, codes="indices", max_steps=100)
    >>> model.fit_transform(X).shape
    (1797, 4)
    """

    def network(self, spec):
        encoder = mlp(*spec.sizes, activation=self.activation)
        decoder = mlp(*spec.sizes[::-1], activation=self.activation)
        n_slots = self._n_slots(spec.n_components)
        sizes = self.n_codes, n_slots, spec.n_components // n_slots
        return QuantizedCode(encoder, decoder, *sizes, sigmoid_output=self._cross_entropy)

    @property
    def objective(self):
        return partial(quantized_objective, self.loss)

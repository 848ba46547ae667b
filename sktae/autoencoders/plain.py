"""Autoencoder (Hinton & Salakhutdinov 2006)."""

from functools import partial

from sktae.base import BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.families.ordered import OrderedMixin
from sktae.nn.layers import EncoderDecoder
from sktae.nn.losses import reconstruction_loss


class Autoencoder(OrderedMixin, LossMixin, BaseAutoencoder):
    """Autoencoder: compresses rows to a code and reconstructs them.

    With a small code, it is a nonlinear PCA. With the default, wide code, it detects rows that
    differ from the training rows.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or its
    cross-entropy.

    Parameters
    ----------
    tied_weights : bool, default=False
        Whether the decoder uses the encoder's weights, transposed.

    linear_skip : bool, default=False
        Whether a linear map is added to the encoder, and another one to the decoder. The
        perceptrons then learn only what a linear model misses. The reconstruction still depends on
        the code alone.

    See Also
    --------
    DenoisingAutoencoder
    VariationalAutoencoder
    NeighborAutoencoder

    References
    ----------
    .. [1] Hinton, G. E. and Salakhutdinov, R. R. (2006). Reducing the Dimensionality of Data with
       Neural Networks. Science 313(5786).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import Autoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = Autoencoder(8, random_state=0).fit(X)
    >>> model.transform(X).shape
    (1797, 8)
    >>> model.predict(X[:3])
    array([1, 1, 1])
    """

    tied_weights: bool = False
    linear_skip: bool = False

    def network(self, spec):
        return EncoderDecoder(
            *spec.shape,
            spec.n_components,
            spec.widths,
            self.activation,
            self.tied_weights,
            self.linear_skip,
            self._cross_entropy,
            self.ordered_components,
        )

    @property
    def objective(self):
        return partial(reconstruction_loss, self.loss)

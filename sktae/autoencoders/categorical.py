"""Categorical autoencoder (Jang et al. 2017; Maddison et al. 2017)."""

import math
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from sktae.base import Auto, BaseAutoencoder
from sktae.nn.codes import gumbel, one_hot, straight_through, usage
from sktae.nn.layers import mlp
from sktae.nn.losses import squared
from sktae.nn.module import AutoencoderModule
from sktae.parameters import NonNegative, Positive
from sktae.randomness import Uniform


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), one-hot
    logits: Tensor  # (n, k)


class Network(AutoencoderModule):
    def __init__(self, sizes, activation, temperature):
        super().__init__()
        self.noise = (Uniform(sizes[-1:]),)
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        self.temperature = temperature

    def forward(self, x, u=None):
        logits = self.encoder(x)
        noisy_logits = logits if u is None else logits + gumbel(u)
        code = one_hot(noisy_logits.argmax(1), logits.shape[1])
        soft = (noisy_logits / self.temperature).softmax(1)
        return Output(self.decode(straight_through(soft, code)), code, logits)

    def diagnose(self, x, out):
        return usage(out.logits.argmax(1), out.logits.shape[1])


class CategoricalAutoencoder(BaseAutoencoder):
    """Categorical autoencoder: encodes each row as one of a few categories, without labels.

    All rows of a category have the same reconstruction, so the model is a clustering with a learned
    encoder. In training, categories are sampled with the probabilities that the encoder computes,
    and gradients are those of a smooth relaxation (Gumbel-softmax).

    Minimizes :math:`E_{c \\sim p(c|x)} \\|x - g(c)\\|^2 + \\alpha d KL(\\bar p \\| U)`, with the
    number :math:`d` of features, the mean probabilities :math:`\\bar p` and the uniform
    distribution :math:`U`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of categories; "auto" is 10.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. "auto" is (128,), or (128,
        64) where there are fewer categories than columns.

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.01 where there are fewer
        categories than columns.

    temperature : float, default=0.5
        Temperature of the relaxation: the higher, the smoother.

    balance : float, default=0.15
        Weight :math:`\\alpha` of the second term, which makes all categories equally frequent.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Category of each training row.

    See Also
    --------
    BinaryAutoencoder
    VectorQuantizedAutoencoder

    References
    ----------
    .. [1] Jang, E., Gu, S. and Poole, B. (2017). Categorical Reparameterization with
       Gumbel-Softmax. ICLR.
    .. [2] Maddison, C. J., Mnih, A. and Teh, Y. W. (2017). The Concrete Distribution: A Continuous
       Relaxation of Discrete Random Variables. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from sktae import CategoricalAutoencoder
    >>> X, species = load_iris(return_X_y=True)
    >>> model = CategoricalAutoencoder(3, random_state=0).fit(X)
    >>> bool(adjusted_rand_score(species, model.labels_) > 0.5)
    True
    """

    temperature: Positive = 0.5
    balance: NonNegative = 0.15

    def network(self, spec):
        return Network(spec.sizes, self.activation, self.temperature)

    @staticmethod
    def objective(x, out, *, balance):
        mean = out.logits.softmax(1).mean(0)
        divergence = mean * (mean.clamp(min=1e-6).log() + math.log(len(mean)))
        penalty = (balance * x.shape[1] * divergence).expand_as(out.logits)
        return {"reconstruction": squared(x, out.recon), "balance": penalty}

    def _auto(self, shape):
        return Auto(components=10)

    def _after_fit(self, X):
        self.labels_ = self.predict_code(X)

    def predict_code(self, X: Any) -> np.ndarray:
        """Compute the category of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Indices of categories, from 0 on.
        """
        return self._apply(lambda network, x: network(x).code, self._rows(X)).argmax(axis=1)

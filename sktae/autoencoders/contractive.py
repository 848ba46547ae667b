"""Contractive autoencoder (Rifai et al. 2011)."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from sktae.base import BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.nn.layers import EncoderDecoder, activation_layer, slope
from sktae.nn.losses import distance
from sktae.parameters import NonNegative, Widths
from sktae.randomness import Normal


class Contracted(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k)
    slope: Tensor  # (n, k or d), adds up to the squared norm of the encoder's Jacobian
    natural: Tensor  # (n, d), the reconstruction before it is squashed


def penalised(loss, x, out, *, alpha):
    return {"reconstruction": distance(loss, x, out), "contraction": alpha * out.slope}


class Network(EncoderDecoder):
    """Measures the encoder's Jacobian J beside its code."""

    def __init__(self, n_features, n_components, hidden_layer_sizes, activation, tied, squashed):
        sizes = n_features, n_components, hidden_layer_sizes
        super().__init__(*sizes, activation, tied, squashed=squashed)
        self.bend, self.slope = activation_layer(activation), slope(activation)
        # With hidden layers, |J|^2 is the mean of |J' v|^2 over normal directions v.
        self.noise = (Normal((n_components,)),) if hidden_layer_sizes else ()

    def encode(self, x):
        return self.bend(self.encoder(x))

    def forward(self, x, direction=None):
        drives = [self.encoder[0](x)]
        for bend, linear in zip(self.encoder[1::2], self.encoder[2::2], strict=True):
            drives.append(linear(bend(drives[-1])))
        code = self.bend(drives[-1])
        recon, natural = self.told(code)
        return Contracted(recon, code, self.contraction(drives, direction), natural)

    def contraction(self, drives, direction):
        """Return |J|^2 or, for a direction, |J' v|^2, as terms that add up to it."""
        if not self.noise:
            return self.slope(drives[0]) ** 2 * self.encoder[0].weight.square().sum(1)
        if direction is None:
            return torch.zeros(())
        pulled = direction
        for drive, linear in zip(drives[::-1], self.encoder[::-2], strict=True):
            pulled = (pulled * self.slope(drive)) @ linear.weight
        return pulled**2


class ContractiveAutoencoder(LossMixin, BaseAutoencoder):
    """Contractive autoencoder: a code that hardly moves when the row does.

    Against the pull to reconstruct, only the directions in which the data vary stay alive in the
    code; elsewhere it is flat.

    Minimises :math:`\\|x - g(f(x))\\|^2 + \\alpha \\|\\partial f / \\partial x\\|_F^2`, or the
    cross-entropy in place of the squared error. The norm is exact without hidden layers, else an
    unbiased estimate from one random direction per row.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=()
        Widths of the encoder's hidden layers; the decoder mirrors them.

    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"}, \
default="silu"
        What stands between the layers and at the code; in the paper, "sigmoid".

    alpha : float, default=0.1
        Weight of the contraction.

    tied_weights : bool, default=True
        Whether the decoder uses the encoder's weights, transposed. Untied, the encoder could shrink
        and the decoder grow instead of contracting.

    References
    ----------
    .. [1] Rifai, S., Vincent, P., Muller, X., Glorot, X. and Bengio, Y. (2011). Contractive
       Auto-Encoders: Explicit Invariance During Feature Extraction. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sktae import ContractiveAutoencoder
    >>> X, _ = load_breast_cancer(return_X_y=True)
    >>> model = ContractiveAutoencoder(random_state=0).fit(X)
    >>> [name for name in model.history_ if name.startswith("train")]
    ['train_loss', 'train_reconstruction', 'train_contraction']
    """

    hidden_layer_sizes: Widths = ()
    alpha: NonNegative = 0.1
    tied_weights: bool = True

    def network(self, spec):
        return Network(
            *spec.shape,
            spec.n_components,
            spec.widths,
            self.activation,
            self.tied_weights,
            self._squashed,
        )

    @property
    def objective(self):
        return partial(penalised, self.loss)

"""Contractive autoencoder (Rifai et al. 2011)."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from sktae.base import BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.nn.layers import EncoderDecoder, activation_derivative, activation_layer
from sktae.nn.losses import reconstruction_loss
from sktae.parameters import NonNegative, Widths
from sktae.randomness import Normal


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k)
    logits: Tensor  # (n, d), the reconstruction before the sigmoid, if there is one
    squared_jacobian: Tensor  # (n, k or d), its sum is the squared norm of the encoder's Jacobian


def contractive_objective(loss, x, out, *, alpha):
    return {
        "reconstruction": reconstruction_loss(loss, x, out),
        "contraction": alpha * out.squared_jacobian,
    }


class Network(EncoderDecoder):
    """Computes the squared norm of the encoder's Jacobian J beside the code."""

    def __init__(
        self, n_features, n_components, hidden_layer_sizes, activation, tied, sigmoid_output
    ):
        sizes = n_features, n_components, hidden_layer_sizes
        super().__init__(*sizes, activation, tied, sigmoid_output=sigmoid_output)
        self.projects = False  # its code is no linear map
        self.activation = activation_layer(activation)
        self.derivative = activation_derivative(activation)
        # With hidden layers, |J|^2 is the mean of |J' v|^2 over normal directions v.
        self.noise = (Normal((n_components,)),) if hidden_layer_sizes else ()

    def encode(self, x):
        return self.activation(self.encoder(x))

    def forward(self, x, direction=None):
        pre_activations = [self.encoder[0](x)]
        for activation, linear in zip(self.encoder[1::2], self.encoder[2::2], strict=True):
            pre_activations.append(linear(activation(pre_activations[-1])))
        code = self.activation(pre_activations[-1])
        return Output(*self.output(code), self.squared_jacobian(pre_activations, direction))

    def squared_jacobian(self, pre_activations, direction):
        """Return terms of the sum |J|^2 or, given a direction v, of |J' v|^2."""
        if not self.noise:
            derivative = self.derivative(pre_activations[0])
            return derivative**2 * self.encoder[0].weight.square().sum(1)
        if direction is None:
            return torch.zeros(())
        vjp = direction  # by the chain rule, layer by layer
        for pre_activation, linear in zip(pre_activations[::-1], self.encoder[::-2], strict=True):
            vjp = (vjp * self.derivative(pre_activation)) @ linear.weight
        return vjp**2


class ContractiveAutoencoder(LossMixin, BaseAutoencoder):
    """Contractive autoencoder: learns a code that changes little when the row changes.

    A penalty keeps the derivatives of the code small. The reconstruction needs them only in the
    directions in which the data vary, so in other directions the code is nearly constant.

    Minimizes :math:`\\|x - g(f(x))\\|^2 + \\alpha \\|\\partial f / \\partial x\\|_F^2`, or the
    cross-entropy in place of the squared error. Without hidden layers, the norm is exact. With
    hidden layers, it is an unbiased estimate from one random direction per row.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=()
        Widths of the encoder's hidden layers; the decoder mirrors them.

    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"}, \
default="silu"
        Activation between the layers and at the code; in the paper, "sigmoid".

    alpha : float, default=0.1
        Weight of the contraction.

    tied_weights : bool, default=True
        Whether the decoder uses the encoder's weights, transposed. Otherwise small weights of the
        encoder and large ones of the decoder make the penalty small without any contraction.

    See Also
    --------
    Autoencoder
    DenoisingAutoencoder

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
            self._cross_entropy,
        )

    @property
    def objective(self):
        return partial(contractive_objective, self.loss)

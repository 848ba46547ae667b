"""Layers that the gallery is built from."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.module import AutoencoderModule

Activation = Literal["identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def _silu_slope(z: Tensor) -> Tensor:
    share = z.sigmoid()
    return share * (1 + z * (1 - share))


def _gelu_slope(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * torch.exp(-z * z / 2) / math.sqrt(
        2 * math.pi
    )


def _sigmoid_slope(z: Tensor) -> Tensor:
    h = z.sigmoid()
    return h * (1 - h)


_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.ones_like,
    "relu": lambda z: (z > 0).to(z.dtype),
    "leaky_relu": lambda z: 0.01 + 0.99 * (z > 0),
    "elu": lambda z: z.clamp(max=0).exp(),
    "gelu": _gelu_slope,
    "silu": _silu_slope,
    "tanh": lambda z: 1 - z.tanh().square(),
    "sigmoid": _sigmoid_slope,
}


class Coded(NamedTuple):
    """What the simplest network returns."""

    recon: Tensor  # (n, ...)
    code: Tensor  # (n, k)


class Decoded(NamedTuple):
    """What a network returns whose outputs may be squashed."""

    recon: Tensor  # (n, ...)
    code: Tensor  # (n, k)
    natural: Tensor  # (n, ...), the same before it is squashed


def activation_layer(name: str) -> nn.Module:
    """Return the layer for an activation's name."""
    return _ACTIVATIONS[name]()


def slope(name: str) -> Callable[[Tensor], Tensor]:
    """Return the derivative of an activation."""
    return _SLOPES[name]


def mlp(*sizes: int, activation: str = "silu") -> nn.Sequential:
    """Stack linear layers with an activation between them; the last one stays linear."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation_layer(activation)]
    return nn.Sequential(*layers[:-1])


class TiedDecoder(nn.Module):
    """The encoder read backwards: its weights transposed, with biases of its own."""

    def __init__(self, encoder: nn.Sequential, activation: str):
        super().__init__()
        # In a list, so that the encoder's parameters are not registered a second time.
        self._linears = [layer for layer in encoder if isinstance(layer, nn.Linear)][::-1]
        self.biases = nn.ParameterList(
            [layer.bias.new_zeros(layer.in_features) for layer in self._linears]
        )
        self.activation = activation_layer(activation)

    def forward(self, code: Tensor) -> Tensor:
        h = code
        for depth, (linear, bias) in enumerate(zip(self._linears, self.biases, strict=True)):
            h = F.linear(self.activation(h) if depth else h, linear.weight.T, bias)
        return h


class EncoderDecoder(AutoencoderModule):
    """A code between two mirrored perceptrons.

    With `linear_skip`, a linear map runs beside each perceptron, from input to code and from code
    to output: the perceptrons then learn only what a linear model misses.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        tied_weights: bool = False,
        linear_skip: bool = False,
        squashed: bool = False,
    ):
        super().__init__()
        sizes = (n_features, *hidden_layer_sizes, n_components)
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = (
            TiedDecoder(self.encoder, activation)
            if tied_weights
            else mlp(*sizes[::-1], activation=activation)
        )
        self.skip_in = nn.Linear(n_features, n_components, bias=False) if linear_skip else None
        self.skip_out = nn.Linear(n_components, n_features, bias=False) if linear_skip else None
        self.squash = nn.Sigmoid() if squashed else None

    def encode(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        return code if self.skip_in is None else code + self.skip_in(x)

    def told(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a code stands for, and the same before it is squashed."""
        natural = self.decoder(code)
        if self.skip_out is not None:
            natural = natural + self.skip_out(code)
        return natural if self.squash is None else self.squash(natural), natural

    def decode(self, code: Tensor) -> Tensor:
        return self.told(code)[0]

    def forward(self, x: Tensor) -> Decoded:  # type: ignore[override]  # no noise
        code = self.encode(x)
        recon, natural = self.told(code)
        return Decoded(recon, code, natural)

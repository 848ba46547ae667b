"""Activations, perceptrons, and a network whose encoder and decoder are perceptrons."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.module import AutoencoderModule
from sktae.randomness import Prefix

# A name, or ("leaky_relu", slope).
Activation = (
    Literal["identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"] | tuple
)

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


def _silu_derivative(z: Tensor) -> Tensor:
    gate = z.sigmoid()
    return gate * (1 + z * (1 - gate))


def _gelu_derivative(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * torch.exp(-z * z / 2) / math.sqrt(
        2 * math.pi
    )


def _sigmoid_derivative(z: Tensor) -> Tensor:
    h = z.sigmoid()
    return h * (1 - h)


_DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.ones_like,
    "relu": lambda z: (z > 0).to(z.dtype),
    "elu": lambda z: z.clamp(max=0).exp(),
    "gelu": _gelu_derivative,
    "silu": _silu_derivative,
    "tanh": lambda z: 1 - z.tanh().square(),
    "sigmoid": _sigmoid_derivative,
}


# For these, activation(z) - activation(-z) is a multiple of z, so two units can carry a number on.
_MULTIPLES = {"identity": 2.0, "relu": 1.0, "gelu": 1.0, "silu": 1.0}

# The slope of "leaky_relu" below 0, if none is given.
_SLOPE = 0.01


class Coded(NamedTuple):
    """What the simplest networks return."""

    recon: Tensor  # (n, ...)
    code: Tensor  # (n, k)


class EncoderDecoderOutput(NamedTuple):
    """What networks return whose reconstruction may be the sigmoid of logits."""

    recon: Tensor  # (n, ...)
    code: Tensor  # (n, k)
    logits: Tensor  # (n, ...), the reconstruction before the sigmoid, if there is one


def activation_layer(activation: Activation) -> nn.Module:
    """Return an activation as a layer."""
    slope = _leaky_slope(activation)
    return _ACTIVATIONS[str(activation)]() if slope is None else nn.LeakyReLU(slope)


def activation_derivative(activation: Activation) -> Callable[[Tensor], Tensor]:
    """Return the derivative of an activation."""
    slope = _leaky_slope(activation)
    if slope is None:
        return _DERIVATIVES[str(activation)]
    return lambda z: slope + (1 - slope) * (z > 0)


def _leaky_slope(activation: Activation) -> float | None:
    """Return the slope of a leaky ReLU below 0, None for other activations."""
    if isinstance(activation, str):
        return _SLOPE if activation == "leaky_relu" else None
    match activation:
        case ("leaky_relu", int() | float() as slope) if 0 <= slope < 1:
            return float(slope)
    raise ValueError(
        f"The activation must be a name or, as a tuple, ('leaky_relu', slope) with a slope from 0 "
        f"to 1. Got {activation!r} instead."
    )


def mlp(*sizes: int, activation: Activation = "silu") -> nn.Sequential:
    """Stack linear layers with an activation between them; the last one stays linear."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation_layer(activation)]
    return nn.Sequential(*layers[:-1])


def set_linear(
    layers: nn.Sequential, slope: float, weight: Tensor, bias: Tensor, encodes: bool
) -> None:
    """Set weights so that the first outputs of a perceptron are `x @ weight.T + bias`.

    `slope` is that of activation(z) - activation(-z).

    Where it encodes, the first layer has this weight, else the last one. In between, numbers are
    carried by pairs of units, +z and -z. Other units stay as they were drawn, but nothing depends
    on them until they are trained.
    """
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    first, last = linears[0], linears[-1]
    identity = torch.eye(len(weight) if encodes else weight.shape[1]).to(weight)
    with torch.no_grad():
        for layer in linears:
            own = layer is (first if encodes else last)
            w, b = (weight, bias) if own else (identity, weight.new_zeros(len(identity)))
            if layer is not first:
                w = torch.cat([w, -w], 1) / slope
            if layer is not last:
                w, b = torch.cat([w, -w]), torch.cat([b, -b])
            layer.weight[: len(w)] = 0.0
            layer.weight[: len(w), : w.shape[1]] = w
            layer.bias[: len(b)] = b


class TiedDecoder(nn.Module):
    """A decoder whose weights are those of the encoder, transposed; its biases are its own."""

    def __init__(self, encoder: nn.Sequential, activation: Activation):
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


class FeatureTokenizer(nn.Module):
    """Turns each number of a row into a vector, number * weight + bias, (n, d) -> (n, t, width).

    A row of more numbers than `max_vectors` has `max_vectors` vectors: numbers that are so many
    columns apart share one, the sum of theirs.
    """

    def __init__(self, n_features: int, width: int, max_vectors: int = 128):
        super().__init__()
        self.n_vectors = min(n_features, max_vectors)
        self.weight = nn.Parameter(torch.randn(n_features, width))
        self.bias = nn.Parameter(torch.randn(self.n_vectors, width))

    def forward(self, x: Tensor) -> Tensor:
        scaled = x[..., None] * self.weight
        if self.n_vectors < x.shape[1]:
            scaled = F.pad(scaled, (0, 0, 0, -x.shape[1] % self.n_vectors))
            scaled = scaled.unflatten(1, (-1, self.n_vectors)).sum(1)
        return scaled + self.bias


class EncoderDecoder(AutoencoderModule):
    """Encoder and decoder are perceptrons; the decoder mirrors the encoder's hidden layers.

    Parameters
    ----------
    n_features : int
        Number of inputs.

    n_components : int
        Size of the code.

    hidden_layer_sizes : sequence of int
        Widths of the encoder's hidden layers.

    activation : str or tuple
        Activation between the layers.

    tied_weights : bool, default=False
        Whether the decoder uses the encoder's weights, transposed.

    linear_skip : bool, default=False
        Whether a linear map is added to the encoder, and another one to the decoder.

    sigmoid_output : bool, default=False
        Whether reconstructions pass through a sigmoid, so that they lie between 0 and 1.

    ordered : bool, default=False
        Whether training hides the last components of a code, as many as are drawn for each row, so
        that the first ones reconstruct rows by themselves (nested dropout).
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        hidden_layer_sizes: Sequence[int],
        activation: Activation,
        tied_weights: bool = False,
        linear_skip: bool = False,
        sigmoid_output: bool = False,
        ordered: bool = False,
    ):
        super().__init__()
        self.ordered = ordered
        self.noise = (Prefix((n_components,)),) if ordered else ()
        sizes = (n_features, *hidden_layer_sizes, n_components)
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = (
            TiedDecoder(self.encoder, activation)
            if tied_weights
            else mlp(*sizes[::-1], activation=activation)
        )
        self.skip_in = nn.Linear(n_features, n_components, bias=False) if linear_skip else None
        self.skip_out = nn.Linear(n_components, n_features, bias=False) if linear_skip else None
        self.output_activation = nn.Sigmoid() if sigmoid_output else None
        slope = _leaky_slope(activation)
        # activation(z) - activation(-z), as a multiple of z; 0 if it is none.
        self.slope = _MULTIPLES.get(str(activation), 0.0) if slope is None else 1 + slope
        # Half of the units of the narrowest layer can carry a number, or all of the code's.
        self.carried = min([n_components, *(width // 2 for width in hidden_layer_sizes)])
        self.projects = not (tied_weights or sigmoid_output) and min(self.slope, self.carried) > 0

    def project(self, mean: Tensor, directions: Tensor) -> None:
        v = directions[: self.carried]
        set_linear(self.encoder, self.slope, v, -(v @ mean), encodes=True)
        set_linear(self.decoder, self.slope, v.T, mean, encodes=False)
        if self.skip_in is not None and self.skip_out is not None:
            with torch.no_grad():
                self.skip_in.weight[:] = self.skip_out.weight[:] = 0.0

    def encode(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        return code if self.skip_in is None else code + self.skip_in(x)

    def decode(self, code: Tensor) -> Tensor:
        return self.output(code).recon

    def output(self, code: Tensor) -> EncoderDecoderOutput:
        """Return the output of the network, given the code, (n, k)."""
        logits = self.decoder(code)
        if self.skip_out is not None:
            logits = logits + self.skip_out(code)
        recon = logits if self.output_activation is None else self.output_activation(logits)
        return EncoderDecoderOutput(recon, code, logits)

    def forward(  # type: ignore[override]  # one draw at most
        self, x: Tensor, kept: Tensor | None = None
    ) -> EncoderDecoderOutput:
        code = self.encode(x)
        return self.output(code if kept is None else code * kept)

"""Convolutions along the steps of sequences."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.layers import Activation, activation_layer


class DilatedConvolutions(nn.Module):
    """Dilated convolutions with residual connections, (n, t, widths[0]) -> (n, t, widths[-1]).

    The dilation doubles from layer to layer. A convolution is written as a linear map of the steps
    under its kernel.
    """

    def __init__(self, widths: Sequence[int], kernel_size: int, activation: Activation):
        super().__init__()
        self.kernel_size = kernel_size
        pairs = list(pairwise((widths[0], *widths)))
        self.norms = nn.ModuleList(nn.LayerNorm(a) for a, _ in pairs)
        self.filters = nn.ModuleList(nn.Linear(kernel_size * a, b) for a, b in pairs)
        self.shortcuts = nn.ModuleList(
            nn.Identity() if a == b else nn.Linear(a, b) for a, b in pairs
        )
        self.activation = activation_layer(activation)

    def forward(self, h: Tensor) -> Tensor:
        layers = zip(self.norms, self.filters, self.shortcuts, strict=True)
        for depth, (norm, filters, shortcut) in enumerate(layers):
            neighbors = _unfold(self.activation(norm(h)), self.kernel_size, 2**depth)
            h = shortcut(h) + filters(neighbors)
        return h


class SequenceEncoder(nn.Module):
    """Dilated convolutions and a linear map of all steps, (n, t, widths[0]) -> (n, n_out).

    Steps that are not `observed`, (n, t), are left out.
    """

    def __init__(self, steps: int, widths: Sequence[int], n_out: int, **settings: Any):
        super().__init__()
        self.layer_size = steps * max(widths)
        self.convolutions = DilatedConvolutions(widths, **settings)
        self.to_code = nn.Linear(steps * widths[-1], n_out)

    def forward(self, h: Tensor, observed: Tensor) -> Tensor:
        mask = observed[..., None]
        return self.to_code((self.convolutions(h * mask) * mask).flatten(1))


class SequenceDecoder(nn.Module):
    """A linear map and dilated convolutions, (n, n_in) -> (n, t, widths[-1])."""

    def __init__(self, steps: int, widths: Sequence[int], n_in: int, **settings: Any):
        super().__init__()
        self.steps = steps
        self.from_code = nn.Linear(n_in, steps * widths[0])
        self.convolutions = DilatedConvolutions(widths, **settings)

    def forward(self, code: Tensor) -> Tensor:
        return self.convolutions(self.from_code(code).unflatten(1, (self.steps, -1)))


def _unfold(h: Tensor, kernel_size: int, dilation: int) -> Tensor:
    """Put the steps under a kernel side by side, (n, t, width) -> (n, t, kernel_size * width).

    The ends of sequences are padded with zeros.
    """
    steps, middle = h.shape[1], (kernel_size - 1) // 2
    # Each is cut at one end and padded at the other: gradients of slices would be filled up.
    shifts = [max(-steps, min((i - middle) * dilation, steps)) for i in range(kernel_size)]
    shifted = [F.pad(h, (0, 0, -shift, shift)) if shift else h for shift in shifts]
    return torch.cat(shifted, -1)

"""Convolutions along the steps of sequences."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.layers import activation_layer


class Dilated(nn.Module):
    """Filters over sequences, (n, t, width), each layer of which reaches twice as far.

    A filter is a linear map of a step and some around it, at a distance. Each layer adds to what it
    was given.
    """

    def __init__(self, widths: Sequence[int], kernel_size: int, activation: str):
        super().__init__()
        self.kernel_size = kernel_size
        pairs = list(pairwise((widths[0], *widths)))
        self.norms = nn.ModuleList(nn.LayerNorm(a) for a, _ in pairs)
        self.filters = nn.ModuleList(nn.Linear(kernel_size * a, b) for a, b in pairs)
        self.pass_by = nn.ModuleList(nn.Identity() if a == b else nn.Linear(a, b) for a, b in pairs)
        self.activation = activation_layer(activation)

    def forward(self, h: Tensor) -> Tensor:
        layers = zip(self.norms, self.filters, self.pass_by, strict=True)
        for depth, (norm, filters, pass_by) in enumerate(layers):
            around = _around(self.activation(norm(h)), self.kernel_size, 2**depth)
            h = pass_by(h) + filters(around)
        return h


def _around(h: Tensor, n: int, apart: int) -> Tensor:
    """Put beside each step the n steps around it that are so far apart; zeros beyond the ends."""
    before = (n - 1) // 2 * apart
    padded = F.pad(h, (0, 0, before, (n - 1) * apart - before))
    steps = h.shape[1]
    return torch.cat([padded[:, i * apart : i * apart + steps] for i in range(n)], -1)

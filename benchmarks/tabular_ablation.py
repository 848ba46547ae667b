"""Variants that `tabular_quality.py --ablation` compares: a label, and what makes the estimator.

What makes it is called with `training_data` and `random_state`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from sktae import Autoencoder, BaseAutoencoder, DenoisingAutoencoder
from sktae.nn.layers import Coded


class NoNetwork(BaseAutoencoder):
    """The terms of the score, on the input alone."""

    def network(self, shape):
        return Unchanged()

    @staticmethod
    def objective(x, out):
        return out.recon


class Unchanged(nn.Module):
    """The row is its own code, and nothing of it is explained."""

    noise = ()

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def decode(self, code):
        return self.nothing * torch.zeros_like(code)

    def forward(self, x):
        return Coded(self.decode(x), x)


denoising = partial(partial, DenoisingAutoencoder)

VARIANTS: list[tuple[str, Callable[..., Any]]] = [
    ("as it is", DenoisingAutoencoder),
    ("after one training step", denoising(max_steps=1)),
    ("without a network", partial(NoNetwork, max_steps=1)),
    ("the residual alone", denoising(score_method="residual")),
    ("neighbours alone", denoising(score_method="neighbours")),
    ("the mean squared error", denoising(score_method="error")),
    ("a code of 8", denoising(n_components=8)),
    ("noise 0.1", denoising(noise_level=0.1)),
    ("no noise", Autoencoder),
    ("150 steps", denoising(max_steps=150)),
    ("1000 steps", denoising(max_steps=1000)),
]

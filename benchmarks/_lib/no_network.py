"""The control of detectors: the score of an autoencoder that has learned nothing."""

import torch
from torch import nn

from sktae import BaseAutoencoder
from sktae.nn.layers import Coded
from sktae.nn.module import AutoencoderModule


class NoNetwork(BaseAutoencoder):
    """The terms of the score, on the input alone."""

    def network(self, spec):
        return Unchanged()

    @staticmethod
    def objective(x, out):
        return out.recon


class Unchanged(AutoencoderModule):
    """The row is its own code, and nothing of it is explained."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def decode(self, code):
        return self.nothing * torch.zeros_like(code)

    def forward(self, x):
        return Coded(self.decode(x), x)

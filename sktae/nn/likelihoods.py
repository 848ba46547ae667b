"""How rows scatter around what a decoder gives.

Each takes the decoder's output in natural form, a mean or a logit, and the log of a scale. They are
modules without weights, so that a network shows which one it has.
"""

import torch
from torch import Tensor, nn

from sktae.nn.losses import bernoulli_nll, gaussian_nll, laplace_nll


class Gaussian(nn.Module):
    """Normal noise around the mean."""

    @staticmethod
    def mean(natural: Tensor) -> Tensor:
        return natural

    @staticmethod
    def nll(x: Tensor, natural: Tensor, log_scale: Tensor) -> Tensor:
        return gaussian_nll(x, natural, log_scale)

    @staticmethod
    def quantile(u: Tensor, natural: Tensor, log_scale: Tensor) -> Tensor:
        return natural + log_scale.exp() * torch.special.ndtri(u)


class Laplace(Gaussian):
    """Noise with heavier tails: absolute errors count."""

    @staticmethod
    def nll(x: Tensor, natural: Tensor, log_scale: Tensor) -> Tensor:
        return laplace_nll(x, natural, log_scale)

    @staticmethod
    def quantile(u: Tensor, natural: Tensor, log_scale: Tensor) -> Tensor:
        away = u - 0.5
        return natural - log_scale.exp() * away.sign() * torch.log1p(-2 * away.abs())


class Bernoulli(nn.Module):
    """Yes or no, or a share between; the scale plays no part."""

    @staticmethod
    def mean(natural: Tensor) -> Tensor:
        return natural.sigmoid()

    @staticmethod
    def nll(x: Tensor, natural: Tensor, log_scale: Tensor) -> Tensor:
        return bernoulli_nll(x, natural)

    @staticmethod
    def quantile(u: Tensor, natural: Tensor, log_scale: Tensor) -> Tensor:
        return (u < natural.sigmoid()).to(u.dtype)


LIKELIHOODS = {"gaussian": Gaussian, "laplace": Laplace, "bernoulli": Bernoulli}

"""Likelihoods of rows, given what a decoder returns.

`decoded` is the decoder's output: the mean of a normal distribution, the median of a Laplace
distribution, or the logit of a Bernoulli distribution. `log_scale` is the logarithm of the scale,
which the Bernoulli distribution does not use. Likelihoods are modules without weights, so that the
representation of a network shows which one it has.
"""

import torch
from torch import Tensor, nn

from sktae.nn.losses import bernoulli_nll, gaussian_nll, laplace_nll


class Gaussian(nn.Module):
    """Normal distribution: the negative log-likelihood is a squared error."""

    @staticmethod
    def mean(decoded: Tensor) -> Tensor:
        return decoded

    @staticmethod
    def nll(x: Tensor, decoded: Tensor, log_scale: Tensor) -> Tensor:
        return gaussian_nll(x, decoded, log_scale)

    @staticmethod
    def quantile(u: Tensor, decoded: Tensor, log_scale: Tensor) -> Tensor:
        return decoded + log_scale.exp() * torch.special.ndtri(u)


class Laplace(Gaussian):
    """Laplace distribution: the negative log-likelihood is an absolute error."""

    @staticmethod
    def nll(x: Tensor, decoded: Tensor, log_scale: Tensor) -> Tensor:
        return laplace_nll(x, decoded, log_scale)

    @staticmethod
    def quantile(u: Tensor, decoded: Tensor, log_scale: Tensor) -> Tensor:
        centered = u - 0.5
        return decoded - log_scale.exp() * centered.sign() * torch.log1p(-2 * centered.abs())


class Bernoulli(nn.Module):
    """Bernoulli distribution, also for values between 0 and 1."""

    @staticmethod
    def mean(decoded: Tensor) -> Tensor:
        return decoded.sigmoid()

    @staticmethod
    def nll(x: Tensor, decoded: Tensor, log_scale: Tensor) -> Tensor:
        return bernoulli_nll(x, decoded)

    @staticmethod
    def quantile(u: Tensor, decoded: Tensor, log_scale: Tensor) -> Tensor:
        return (u < decoded.sigmoid()).to(u.dtype)


LIKELIHOODS = {"gaussian": Gaussian, "laplace": Laplace, "bernoulli": Bernoulli}

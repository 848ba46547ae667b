"""Losses, one value for each element; the objective is their sum over each row."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def squared(x: Tensor, recon: Tensor) -> Tensor:
    """Squared error."""
    return F.mse_loss(recon, x, reduction="none")


def masked_squared(x: Tensor, recon: Tensor) -> Tensor:
    """Squared error; 0 where x is missing, that is NaN."""
    return squared(torch.where(x.isnan(), recon, x), recon)


def token_nll(x: Tensor, logits: Tensor) -> Tensor:
    """-log softmax(logits) at the tokens x, (n, t, 1) and (n, t, v) -> (n, t); 0 where missing."""
    target_logits = logits.gather(-1, x.nan_to_num().long())
    nll = logits.logsumexp(-1) - target_logits.squeeze(-1)
    return torch.where(x.squeeze(-1).isnan(), 0.0, nll)


def gaussian_nll(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """-log N(x; mean, scale^2)."""
    return 0.5 * ((x - mean) * torch.exp(-log_scale)) ** 2 + log_scale + 0.5 * math.log(2 * math.pi)


def laplace_nll(x: Tensor, median: Tensor, log_scale: Tensor) -> Tensor:
    """-log Laplace(x; median, scale)."""
    return (x - median).abs() * torch.exp(-log_scale) + log_scale + math.log(2)


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """-log Bernoulli(x; sigmoid(logits)), for x in [0, 1]."""
    return F.softplus(logits) - x * logits


def reconstruction_loss(name: str, x: Tensor, out: Any) -> Tensor:
    """The loss of this name, "squared" or "cross_entropy", of x and a network's output."""
    return squared(x, out.recon) if name == "squared" else bernoulli_nll(x, out.logits)


def kl_to_normal(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1))."""
    return 0.5 * (mean**2 + logvar.exp() - 1 - logvar)


def total_correlation(z: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """log q(z) - sum_j log q(z_j), (n,), where q is the mixture of the batch's posteriors.

    It is large where the components of the code depend on each other.
    """
    deviation = z[:, None] - mean
    # log q(z_i | x_j) for each pair of rows and each component, (n, n, k), without its constant
    log_density = -0.5 * (deviation.square() * (-logvar).exp() + logvar)
    n, k = mean.shape
    joint, marginals = log_density.sum(2).logsumexp(1), log_density.logsumexp(1).sum(1)
    return joint - marginals + (k - 1) * math.log(n)


def normal_log_ratio(mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """log N(z; 0, 1) - log N(z; mean, exp(logvar)), at z = mean + eps * exp(logvar / 2)."""
    z = mean + eps * (logvar / 2).exp()
    return 0.5 * (eps**2 + logvar - z**2)


def kl_of_rates(target: float, rate: Tensor) -> Tensor:
    """KL(Bernoulli(target) || Bernoulli(rate)), the sparsity penalty of activation rates."""
    rate = rate.clamp(1e-6, 1 - 1e-6)
    return target * torch.log(target / rate) + (1 - target) * torch.log((1 - target) / (1 - rate))

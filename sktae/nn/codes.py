"""What may stand between encoder and decoder: sparse and discrete codes."""

import torch
from torch import Tensor
from torch.nn import functional as F


def top_k(z: Tensor, k: int) -> Tensor:
    """Keep the k largest entries of each row, (n, d) -> (n, d)."""
    if k >= z.shape[-1]:
        return z
    kept = z.topk(k, dim=-1)
    return torch.zeros_like(z).scatter(-1, kept.indices, kept.values)


def batch_top_k(z: Tensor, k: int) -> Tensor:
    """Keep the n * k largest entries of the whole batch, so that rows may differ in their share."""
    if k >= z.shape[-1]:
        return z
    kept = z.flatten().topk(k * len(z))
    return torch.zeros_like(z.flatten()).scatter(0, kept.indices, kept.values).view_as(z)


def straight_through(soft: Tensor, hard: Tensor) -> Tensor:
    """Go on with the hard code, and let gradients pass to the soft one as if they were the same."""
    return soft + (hard - soft).detach()


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """Number the rows of a codebook (k, d) that are nearest, (..., d) -> (...)."""
    return F.linear(z, -2 * codebook, codebook.square().sum(1)).argmin(-1)


def one_hot(index: Tensor, n: int) -> Tensor:
    """Put a one where the index says, (...) -> (..., n). (torch's own cannot be stacked.)"""
    return (index[..., None] == torch.arange(n, device=index.device)).float()


def logistic(u: Tensor) -> Tensor:
    """Turn uniform numbers into logistic noise: what decides a yes or no at random."""
    return torch.log(u) - torch.log1p(-u)


def gumbel(u: Tensor) -> Tensor:
    """Turn uniform numbers into Gumbel noise: what decides a choice at random."""
    return -torch.log(-torch.log(u))


def usage(index: Tensor, n: int) -> dict[str, Tensor]:
    """Return how many codes are in use, and how many it would be if all were used alike."""
    share = one_hot(index, n).flatten(0, -2).mean(0)
    return {
        "used_codes": (share > 0).sum(),
        "perplexity": torch.special.entr(share).sum().exp(),
    }

"""Sparse and discrete codes."""

import torch
from torch import Tensor
from torch.nn import functional as F

# Activations so near to a threshold, up or down, move it. Of the widths 1 and 2, with columns
# of variance 1, the second found more of known features that were superposed.
_BANDWIDTH = 2.0


def top_k(z: Tensor, k: int) -> Tensor:
    """Keep the k largest entries of each row, (n, d) -> (n, d)."""
    if k >= z.shape[-1]:
        return z
    kept = z.topk(k, dim=-1)
    return torch.zeros_like(z).scatter(-1, kept.indices, kept.values)


def batch_top_k(z: Tensor, k: int) -> Tensor:
    """Keep the n * k largest entries of the batch, so that rows may keep more or fewer than k."""
    if k >= z.shape[-1]:
        return z
    kept = z.flatten().topk(k * len(z))
    return torch.zeros_like(z.flatten()).scatter(0, kept.indices, kept.values).view_as(z)


def straight_through(soft: Tensor, hard: Tensor) -> Tensor:
    """Return the hard code; gradients go to the soft one, as if both were equal."""
    return soft + (hard - soft).detach()


def gate(z: Tensor, threshold: Tensor) -> Tensor:
    """Return 1 where z is above its threshold, 0 elsewhere; gradients move thresholds alone."""
    excess = z.detach() - threshold
    soft = (excess / _BANDWIDTH + 0.5).clamp(0, 1)
    return straight_through(soft, (excess > 0).to(soft.dtype))


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the nearest row of a codebook (k, d), (..., d) -> (...)."""
    return F.linear(z, -2 * codebook, codebook.square().sum(1)).argmin(-1)


def one_hot(index: Tensor, n: int) -> Tensor:
    """Encode indices as one-hot vectors, (...) -> (..., n). (torch's own does not allow `vmap`.)"""
    return (index[..., None] == torch.arange(n, device=index.device)).float()


def logistic(u: Tensor) -> Tensor:
    """Turn uniform numbers into logistic noise.

    Logits plus this noise are positive with probability sigmoid(logits).
    """
    return torch.log(u) - torch.log1p(-u)


def gumbel(u: Tensor) -> Tensor:
    """Turn uniform numbers into Gumbel noise.

    The argmax of logits plus this noise is a sample of softmax(logits).
    """
    return -torch.log(-torch.log(u))


def usage(index: Tensor, n: int) -> dict[str, Tensor]:
    """Return the number of codes in use, and their perplexity.

    The perplexity is the number of equally frequent codes that have the same entropy.
    """
    share = one_hot(index, n).flatten(0, -2).mean(0)
    return {
        "used_codes": (share > 0).sum(),
        "perplexity": torch.special.entr(share).sum().exp(),
    }

"""What may stand between encoder and decoder: sparse codes."""

import torch
from torch import Tensor


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

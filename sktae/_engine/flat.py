"""The parameters of a network as one vector, which one kernel updates.

Optimizers such as Adam treat each number by itself. So the parameters of a network can lie in one
vector, of which the network's own parameters are views, and one kernel updates them all instead of
one for each parameter. Gradients and moments lie in vectors of the same layout.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Vectors are padded to a multiple of 64 numbers, whole registers of a CPU (8 or 16 float32 each).
# Stacked vectors are updated by one kernel over all rows: without a remainder at its end, each row
# goes through the same vector instructions as alone.
_VECTOR_MULTIPLE = 64
# Parameters begin at multiples of 16 float32, which is a cache line (64 bytes). How a product of
# matrices is rounded can depend on the alignment of its factors, so it is the same for all.
_CACHE_LINE = 16


def flatten(parameters: Iterable[Tensor]) -> nn.Parameter:
    """Move parameters into one vector; they become views of it."""
    parameters = list(parameters)
    padded = [F.pad(p.detach().flatten(), (0, -p.numel() % _CACHE_LINE)) for p in parameters]
    flat = torch.cat(padded)
    flat = nn.Parameter(torch.cat([flat, flat.new_zeros(-len(flat) % _VECTOR_MULTIPLE)]))
    for parameter, view in zip(parameters, views(flat, shapes(parameters)), strict=True):
        parameter.data = view
    return flat


def views(flat: Tensor, shapes: Sequence[torch.Size], transposed: bool = False) -> list[Tensor]:
    """View a vector, or each row of a matrix, as tensors of these shapes, without the padding.

    With `transposed`, matrices lie in memory column by column, as a stack of models wants them.
    """
    sizes = [math.prod(shape) for shape in shapes]
    padded_sizes = [size + -size % _CACHE_LINE for size in sizes]
    padded_parts = flat.detach()[..., : sum(padded_sizes)].split(padded_sizes, -1)
    parts = []
    for padded, size, shape in zip(padded_parts, sizes, shapes, strict=True):
        part = padded[..., :size]
        if transposed and len(shape) == 2:
            parts.append(part.unflatten(-1, tuple(shape)[::-1]).mT)
        else:
            parts.append(part.unflatten(-1, tuple(shape)) if shape else part.squeeze(-1))
    return parts


def in_vector(flat: Tensor, parameters: Iterable[Tensor]) -> bool:
    """Tell whether parameters lie in a vector as `flatten` has put them there."""
    place = flat.data_ptr()
    for parameter in parameters:
        if parameter.data_ptr() != place:
            return False
        size = parameter.numel()
        place += (size + -size % _CACHE_LINE) * flat.element_size()
    return True


def shapes(parameters: Iterable[Tensor]) -> list[torch.Size]:
    return [parameter.shape for parameter in parameters]


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Add up the terms of an objective."""
    return functools.reduce(torch.add, terms.values())


def clip(gradient: Tensor, limit: float | Tensor) -> None:
    """Scale gradients that are longer than the limit down to it; the last axis holds a gradient."""
    norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    if norm.is_cpu and norm.numel() == 1 and norm.item() < 0.99 * limit:
        return  # to multiply by 1 takes most of the time
    # As torch.nn.utils.clip_grad_norm_ does, its small number against division by zero included.
    gradient.mul_((limit / (norm + 1e-6)).clamp_(max=1.0))

"""Embedding and readout of images: from patches of pixels to the vectors of a network, and back."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.sequences import NumberEmbedding


class ImageEmbedding(NumberEmbedding):
    """Images, (n, c, h, w): a linear map turns each patch into a vector.

    Patches are counted row by row. Those at the right and at the bottom are filled up with missing
    pixels.

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width of an image.

    patch : tuple of int
        Height and width of a patch.

    width_in : int
        Width of the vectors that the network takes.

    width_out : int
        Width of the vectors that the network returns.

    output_layers : iterable of Module, default=()
        What decoded images go through.

    Attributes
    ----------
    grid : tuple of int
        Rows and columns of patches.
    """

    def __init__(
        self,
        shape: Sequence[int],
        patch: Sequence[int],
        width_in: int,
        width_out: int,
        output_layers: Iterable[nn.Module] = (),
    ):
        self.shape, self.patch_shape = tuple(shape), tuple(patch)
        self.grid = patch_grid(shape, patch)
        super().__init__(math.prod(self.grid), shape[0] * math.prod(patch), 1, width_in, width_out)
        self.output_layers = nn.Sequential(*output_layers)

    def extra_repr(self) -> str:
        return f"patch={self.patch_shape}"

    def to_patches(self, x: Tensor) -> Tensor:
        """Cut images into patches, (n, c, h, w) -> (n, p, numbers of a patch)."""
        (_, height, width), (rows, columns), (down, right) = self.shape, self.grid, self.patch_shape
        x = F.pad(x, (0, columns * right - width, 0, rows * down - height), value=torch.nan)
        x = x.unflatten(3, (columns, right)).unflatten(2, (rows, down))
        return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def from_patches(self, patches: Tensor) -> Tensor:
        """Join patches, (n, p, numbers of a patch) -> (n, c, h, w)."""
        channels, height, width = self.shape
        x = patches.unflatten(2, (channels, *self.patch_shape)).unflatten(1, self.grid)
        x = x.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
        return self.output_layers(x[..., :height, :width])


def patch_grid(shape: Sequence[int], patch: Sequence[int]) -> tuple[int, int]:
    """Return how many rows and columns of patches cover an image of shape (c, h, w)."""
    return math.ceil(shape[1] / patch[0]), math.ceil(shape[2] / patch[1])

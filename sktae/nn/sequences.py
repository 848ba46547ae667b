"""Embedding and readout: from sequences to the vectors of a network, and back.

An embedding object cuts sequences into patches and turns each patch into one vector; its readout
turns vectors into patches again. Missing values are NaN. They enter the network as zeros, and the
mask of `observed` keeps it from using patches in which everything is missing.

The letters of shapes: n sequences, t steps, c channels, p patches, v tokens, k components.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SequenceOutput(NamedTuple):
    """What networks for sequences return."""

    recon: Tensor  # (n, t, c)
    code: Tensor  # (n, k)
    logits: Tensor  # (n, t, v) for tokens; for numbers, the reconstruction again


class NumberEmbedding(nn.Module):
    """Sequences of numbers, (n, t, c): a linear map turns each patch of steps into a vector.

    Parameters
    ----------
    steps, channels : int
        Shape of a sequence.

    patch : int
        Steps of a patch; the last patch is filled up with missing steps.

    width_in : int
        Width of the vectors that the network takes.

    width_out : int
        Width of the vectors that the network returns.
    """

    def __init__(self, steps: int, channels: int, patch: int, width_in: int, width_out: int):
        super().__init__()
        self.steps, self.channels, self.patch = steps, channels, patch
        self.n_patches = math.ceil(steps / patch)
        self.input_layer: nn.Module = nn.Linear(patch * channels, width_in)
        self.readout: nn.Module = nn.Linear(width_out, patch * channels)

    def to_patches(self, x: Tensor) -> Tensor:
        """Cut sequences into patches, (n, t, c) -> (n, p, patch * c)."""
        x = F.pad(x, (0, 0, 0, self.n_patches * self.patch - self.steps), value=torch.nan)
        return x.unflatten(1, (self.n_patches, self.patch)).flatten(2)

    def from_patches(self, patches: Tensor) -> Tensor:
        """Join patches, (n, p, patch * c) -> (n, t, c)."""
        return patches.unflatten(2, (self.patch, self.channels)).flatten(1, 2)[:, : self.steps]

    def embed(self, patches: Tensor) -> Tensor:
        """Turn patches into vectors, (n, p, patch * c) -> (n, p, width_in)."""
        return self.input_layer(patches.nan_to_num())

    def read_out(self, h: Tensor, noise: Tensor | None = None) -> Tensor:
        """Turn vectors into patches, (n, p, width_out) -> (n, p, patch * c); add noise, if any."""
        return self.readout(h) if noise is None else self.readout(h) + noise

    def output(self, code: Tensor, h: Tensor) -> SequenceOutput:
        """Return the output of a network, given the code and the vectors of its decoder."""
        recon = self.from_patches(self.read_out(h))
        return SequenceOutput(recon, code, recon)


class IdentityEmbedding(NumberEmbedding):
    """Sequences of numbers: the vectors are the patches themselves."""

    def __init__(self, steps: int, channels: int, patch: int):
        super().__init__(steps, channels, patch, patch * channels, patch * channels)
        self.input_layer = self.readout = nn.Identity()


class ChannelEmbedding(NumberEmbedding):
    """Sequences of numbers: a linear map turns all steps of a channel into one vector."""

    def __init__(self, steps: int, channels: int, width_in: int, width_out: int):
        super().__init__(channels, steps, 1, width_in, width_out)

    def to_patches(self, x: Tensor) -> Tensor:
        return x.mT

    def from_patches(self, patches: Tensor) -> Tensor:
        return patches.mT


class TokenEmbedding(nn.Module):
    """Sequences of tokens, (n, t, 1): each token has a vector, and a patch is one token.

    A further token, the last one, stands for all tokens outside of the vocabulary.

    Parameters
    ----------
    steps : int
        Length of a sequence.

    n_tokens : int
        Size of the vocabulary, without this unknown token.

    width_in : int
        Width of the vectors that the network takes.

    width_out : int
        Width of the vectors that the network returns.
    """

    def __init__(self, steps: int, n_tokens: int, width_in: int, width_out: int):
        super().__init__()
        self.n_patches, self.layer_size = steps, steps * (n_tokens + 1)
        self.input_layer = nn.Embedding(n_tokens + 1, width_in)
        self.readout = nn.Linear(width_out, n_tokens + 1)

    def to_patches(self, x: Tensor) -> Tensor:
        """Return sequences as they are, since a patch is one token."""
        return x

    from_patches = to_patches

    def embed(self, patches: Tensor) -> Tensor:
        """Turn tokens into vectors, (n, t, 1) -> (n, t, width_in)."""
        h = self.input_layer(patches.nan_to_num().long().squeeze(-1))
        return torch.where(patches.isnan(), 0.0, h)

    def read_out(self, h: Tensor, noise: Tensor | None = None) -> Tensor:
        """Turn vectors into tokens, (n, t, width_out) -> (n, t, 1).

        Without noise, these are the most likely ones. With noise, uniform numbers between 0 and 1,
        they are samples. The unknown token is never returned.
        """
        logits = self.readout(h)[..., :-1]
        if noise is None:
            return logits.argmax(-1, keepdim=True).to(h.dtype)
        # Invert the distribution function: count the tokens at which it has not reached the noise.
        below = logits.softmax(-1).cumsum(-1)[..., :-1] <= noise
        return below.sum(-1, keepdim=True).to(h.dtype)

    def output(self, code: Tensor, h: Tensor) -> SequenceOutput:
        """Return the output of a network, given the code and the vectors of its decoder."""
        return SequenceOutput(self.read_out(h), code, self.readout(h))


def observed(patches: Tensor) -> Tensor:
    """Return which patches hold at least one value, (n, p)."""
    return ~patches.isnan().all(2)

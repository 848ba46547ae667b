"""How sequences enter a network and leave it: as numbers, in patches, or as tokens.

What is missing is NaN; it enters as zero, and nothing attends to steps that are missing.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Recoded(NamedTuple):
    """What networks for sequences return."""

    recon: Tensor  # (n, t, c)
    code: Tensor  # (n, k)
    natural: Tensor  # the same for numbers; for tokens their logits, (n, t, v)


class Numbers(nn.Module):
    """Sequences of numbers, (n, t, c): each patch of so many steps is one vector."""

    def __init__(self, steps: int, channels: int, patch: int, width_in: int, width_out: int):
        super().__init__()
        self.steps, self.channels, self.patch = steps, channels, patch
        self.n_patches = math.ceil(steps / patch)
        self.embedding: nn.Module = nn.Linear(patch * channels, width_in)
        self.readout: nn.Module = nn.Linear(width_out, patch * channels)

    def split(self, x: Tensor) -> Tensor:
        """Cut sequences into patches, (n, p, patch * c)."""
        x = F.pad(x, (0, 0, 0, self.n_patches * self.patch - self.steps), value=torch.nan)
        return x.unflatten(1, (self.n_patches, self.patch)).flatten(2)

    def join(self, patches: Tensor) -> Tensor:
        """Put patches together again."""
        return patches.unflatten(2, (self.patch, self.channels)).flatten(1, 2)[:, : self.steps]

    def embed(self, patches: Tensor) -> Tensor:
        """Turn patches into vectors, (n, p, width)."""
        return self.embedding(patches.nan_to_num())

    def tell(self, h: Tensor, chance: Tensor | None = None) -> Tensor:
        """Turn vectors into patches: the likeliest, or those that chance, noise, makes of them."""
        return self.readout(h) if chance is None else self.readout(h) + chance

    def decoded(self, h: Tensor) -> Tensor:
        """Turn vectors into sequences."""
        return self.join(self.tell(h))

    def recoded(self, code: Tensor, h: Tensor) -> Recoded:
        """Return what the decoder's vectors stand for."""
        recon = self.decoded(h)
        return Recoded(recon, code, recon)


class Values(Numbers):
    """Sequences of numbers whose patches are taken as they are."""

    def __init__(self, steps: int, channels: int, patch: int):
        super().__init__(steps, channels, patch, patch * channels, patch * channels)
        self.embedding = self.readout = nn.Identity()


class Channels(Numbers):
    """Sequences of numbers: all steps of a channel are one vector."""

    def __init__(self, steps: int, channels: int, width_in: int, width_out: int):
        super().__init__(channels, steps, 1, width_in, width_out)

    def split(self, x: Tensor) -> Tensor:
        return x.mT

    def join(self, patches: Tensor) -> Tensor:
        return patches.mT


class Tokens(nn.Module):
    """Sequences of tokens, (n, t, 1); the last token of all is the unknown one."""

    def __init__(self, steps: int, n_tokens: int, width_in: int, width_out: int):
        super().__init__()
        self.n_patches = steps
        self.embedding = nn.Embedding(n_tokens + 1, width_in)
        self.readout = nn.Linear(width_out, n_tokens + 1)

    def split(self, x: Tensor) -> Tensor:
        return x

    join = split

    def embed(self, patches: Tensor) -> Tensor:
        """Turn tokens into vectors, (n, t, width)."""
        h = self.embedding(patches.nan_to_num().long().squeeze(-1))
        return torch.where(patches.isnan(), 0.0, h)

    def tell(self, h: Tensor, chance: Tensor | None = None) -> Tensor:
        """Turn vectors into tokens: the likeliest, or those that chance, from 0 to 1, falls on.

        The unknown one is none to choose.
        """
        logits = self.readout(h)[..., :-1]
        if chance is None:
            return logits.argmax(-1, keepdim=True).to(h.dtype)
        below = logits.softmax(-1).cumsum(-1)[..., :-1] <= chance
        return below.sum(-1, keepdim=True).to(h.dtype)

    decoded = tell

    def recoded(self, code: Tensor, h: Tensor) -> Recoded:
        """Return what the decoder's vectors stand for."""
        return Recoded(self.tell(h), code, self.readout(h))


def known(patches: Tensor) -> Tensor:
    """Say which patches are not missing altogether, (n, p)."""
    return ~patches.isnan().all(2)

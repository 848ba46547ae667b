"""Attention: each step of a sequence looks at others, and takes from those that matter to it."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.layers import activation_layer

Positions = Literal["sinusoidal", "learned"]
# From queries, keys and values, (n, heads, t, d) each, to what queries find.
Look = Callable[[Tensor, Tensor, Tensor], Tensor]


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Average values, weighted by softmax(query key^T / sqrt(d)) over the keys that are allowed.

    Queries are (n, heads, t, d), keys and values (n, heads, s, d), `allowed` is a mask that
    broadcasts to (n, heads, t, s). torch's fused kernel keeps no weights; stacks of models, for
    which there is none, take `attend_by_hand`.
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)


def attend_by_hand(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
) -> Tensor:
    """Do what `attend` does, weight by weight."""
    return _weights(query, key, allowed) @ value


def attend_openly(seen: list[Tensor], allowed: Tensor | None = None) -> Look:
    """Return what does the same and puts its weights, (n, heads, t, s), into a list."""

    def look(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        seen.append(_weights(query, key, allowed))
        return seen[-1] @ value

    return look


def _weights(query: Tensor, key: Tensor, allowed: Tensor | None) -> Tensor:
    logits = query @ key.mT / math.sqrt(query.shape[-1])
    if allowed is not None:
        logits = torch.where(allowed, logits, -torch.inf)
    return logits.softmax(-1)


def attend_nearby(
    query: Tensor, key: Tensor, value: Tensor, known: Tensor, reach: int, causal: bool
) -> Tensor:
    """Attend to keys at most `reach` steps away, at a cost that is linear in the length.

    Queries are taken in blocks as long as the reach: what they may look at lies in their own block
    and its neighbours. `known` is a mask for keys, (n, 1, 1, t).
    """
    n, _, steps, _ = query.shape
    n_blocks = math.ceil(steps / reach)
    after = n_blocks * reach - steps
    n_around = 2 if causal else 3

    def blocks(x: Tensor) -> Tensor:  # (n, h, t, d) to (n * blocks, h, reach, d)
        parts = F.pad(x, (0, 0, 0, after)).unflatten(2, (n_blocks, reach))
        return parts.transpose(1, 2).flatten(0, 1)

    def surroundings(x: Tensor) -> Tensor:  # (n, h, t, d) to (n * blocks, h, s, d)
        x = F.pad(x, (0, 0, reach, after + (n_around - 2) * reach))
        parts = x.unflatten(2, (n_blocks + n_around - 1, reach))
        around = torch.cat([parts[:, :, i : i + n_blocks] for i in range(n_around)], 3)
        return around.transpose(1, 2).flatten(0, 1)

    places = torch.arange(-reach, (n_around - 1) * reach, device=query.device)
    distance = places - torch.arange(reach, device=query.device)[:, None]
    near = (distance.abs() <= reach) & (distance <= (0 if causal else reach))
    there = surroundings(known.to(query.dtype).mT).mT > 0
    allowed = there & near | (distance == 0)
    found = attend(blocks(query), surroundings(key), surroundings(value), allowed)
    return found.unflatten(0, (n, n_blocks)).transpose(1, 2).flatten(2, 3)[:, :, :steps]


class Columns(nn.Module):
    """Turns each number of a row into a vector that moves along a line with it, (n, t, width).

    From more numbers than `most`, every so many of them share a vector.
    """

    def __init__(self, n: int, width: int, most: int = 128):
        super().__init__()
        self.n_vectors = min(n, most)
        self.direction = nn.Parameter(torch.randn(n, width))
        self.origin = nn.Parameter(torch.randn(self.n_vectors, width))

    def forward(self, x: Tensor) -> Tensor:
        moved = x[..., None] * self.direction
        if self.n_vectors < x.shape[1]:
            moved = F.pad(moved, (0, 0, 0, -x.shape[1] % self.n_vectors))
            moved = moved.unflatten(1, (-1, self.n_vectors)).sum(1)
        return moved + self.origin


class Attention(nn.Module):
    """Several heads, each of which looks for something else; they share the width.

    What they look at has the same width, or another.
    """

    def __init__(self, width: int, n_heads: int, other_width: int | None = None):
        super().__init__()
        self.n_heads = n_heads
        inner = n_heads * math.ceil(width / n_heads)
        self.query = nn.Linear(width, inner)
        # A bias of keys shifts all logits of a query alike, which softmax does not see.
        self.key = nn.Linear(other_width or width, inner, bias=False)
        self.value = nn.Linear(other_width or width, inner)
        self.out = nn.Linear(inner, width)

    def look_up(self, x: Tensor) -> list[Tensor]:
        """Return keys and values of steps, (n, s, width) to (n, heads, s, d) each."""
        return [self._heads(self.key(x)), self._heads(self.value(x))]

    def forward(self, x: Tensor, found: Sequence[Tensor], look: Look) -> Tensor:
        """Let the steps of x look at keys and values."""
        key, value = found
        return self.out(look(self._heads(self.query(x)), key, value).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention and a perceptron, each added to what it was given.

    With `other_width`, steps also look at those of another sequence, which has this width.
    """

    def __init__(self, width: int, n_heads: int, activation: str, other_width: int | None = None):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads)
        self.cross_norm = nn.LayerNorm(width) if other_width else None
        self.cross_attention = Attention(width, n_heads, other_width) if other_width else None
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            activation_layer(activation),
            nn.Linear(2 * width, width),
        )

    def forward(
        self, h: Tensor, look: Look, other: Tensor | None = None, past: list[Tensor] | None = None
    ) -> Tensor:
        """Refine steps (n, t, width). `past` keeps keys and values of the steps before them."""
        x = self.norm(h)
        found = self.attention.look_up(x)
        if past is not None:
            past[:] = [torch.cat(both, 2) for both in zip(past, found, strict=False)] or found
            found = past
        h = h + self.attention(x, found, look)
        if self.cross_norm is not None and self.cross_attention is not None and other is not None:
            seen = self.cross_attention.look_up(other)
            h = h + self.cross_attention(self.cross_norm(h), seen, attend)
        return h + self.mlp(h)


class Transformer(nn.Module):
    """Blocks of attention between the steps of sequences.

    Parameters
    ----------
    steps : int
        Length of the sequences.

    widths : sequence of int
        Numbers in a step, for each block; where they change, there is a linear map.

    n_heads : int
        Heads of each block.

    activation : str
        What stands between the layers of the perceptrons.

    positions : {"sinusoidal", "learned"} or None
        How steps know where they are.

    reach : int or None, default=None
        How far a step may look; None for any distance.

    causal : bool, default=False
        Whether steps look only back, and at themselves.

    mask : array-like of shape (steps, steps) or None, default=None
        Which steps (columns) a step (row) may look at, beside itself.

    crossed : bool, default=False
        Whether steps also look at another sequence, as wide as this one is at first.
    """

    positions: Tensor
    own: Tensor
    allowed: Tensor

    def __init__(
        self,
        steps: int,
        widths: Sequence[int],
        n_heads: int,
        activation: str,
        positions: Positions | None,
        reach: int | None = None,
        causal: bool = False,
        mask: Any = None,
        crossed: bool = False,
    ):
        super().__init__()
        other_width = widths[0] if crossed else None
        self.blocks = nn.ModuleList(Block(w, n_heads, activation, other_width) for w in widths)
        self.between = nn.ModuleList(
            nn.Identity() if a == b else nn.Linear(a, b) for a, b in pairwise((widths[0], *widths))
        )
        self.norm = nn.LayerNorm(widths[-1])
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(steps, widths[0]))
        else:
            places = sinusoidal(steps, widths[0]) if positions else torch.zeros(1, widths[0])
            self.register_buffer("positions", places, persistent=False)
        # A mask of its own takes the general road, at a cost that is quadratic in the length.
        # So does a short sequence, of which blocks and their neighbours are most.
        self.reach = reach if mask is None and reach is not None and 4 * reach < steps else None
        self.causal = causal
        where = torch.arange(steps)
        allowed = torch.ones(steps, steps, dtype=torch.bool)
        if causal:
            allowed &= where <= where[:, None]
        if reach is not None:
            allowed &= (where - where[:, None]).abs() <= reach
        if mask is not None:
            if np.shape(mask) != (steps, steps):
                raise ValueError(
                    f"The mask has shape {np.shape(mask)}, but attention is between {steps} "
                    f"patches, channels or columns, so it must be ({steps}, {steps})."
                )
            allowed &= torch.from_numpy(np.asarray(mask, dtype=bool))
        self.everywhere = bool(allowed.all())
        # Each step may look at itself, or there might be none to look at.
        self.register_buffer("own", torch.eye(steps, dtype=torch.bool), persistent=False)
        self.register_buffer("allowed", allowed | self.own, persistent=False)

    def forward(
        self,
        h: Tensor,
        known: Tensor | None = None,
        other: Tensor | None = None,
        seen: list[Tensor] | None = None,
    ) -> Tensor:
        """Refine steps (n, t, width), of which all or some are known, (n, t).

        With `seen`, all are known, and the weights of each block are put into it.
        """
        look: Look
        if seen is not None:
            look = attend_openly(seen, None if self.everywhere else self.allowed)
        elif self.reach is not None:
            known = torch.ones_like(h[..., 0], dtype=torch.bool) if known is None else known
            look = partial(
                attend_nearby, known=known[:, None, None], reach=self.reach, causal=self.causal
            )
        elif known is None:
            look = partial(attend, allowed=None if self.everywhere else self.allowed)
        elif self.everywhere:
            look = partial(attend, allowed=known[:, None, None])
        else:
            look = partial(attend, allowed=known[:, None, None] & self.allowed | self.own)
        h = h + self.positions
        for block, between in zip(self.blocks, self.between, strict=True):
            h = block(between(h), look, other)
        return self.norm(h)

    def next(self, h: Tensor, past: list[list[Tensor]], other: Tensor | None = None) -> Tensor:
        """Refine one more step, (n, 1, width); `past` has a list for each block, empty at first."""
        step = past[0][0].shape[2] if past[0] else 0
        look = partial(attend, allowed=self.allowed[step : step + 1, : step + 1])
        h = h + self.positions[min(step, len(self.positions) - 1)]
        for block, between, before in zip(self.blocks, self.between, past, strict=True):
            h = block(between(h), look, other, before)
        return self.norm(h)


class StepByStep(nn.Module):
    """A transformer that tells a sequence step by step, each knowing the ones before it.

    What it tells of is a code for each step, to which the steps attend. Of a code that is one
    vector, attention would make a linear map, so what comes of it, `whole`, is added to the steps.
    """

    def __init__(self, steps: int, widths: Sequence[int], whole: bool, **settings: Any):
        super().__init__()
        self.whole = whole
        self.start = nn.Parameter(torch.zeros(1, 1, widths[0]))
        settings |= {"causal": True, "crossed": not whole}
        self.transformer = Transformer(steps, widths, **settings)

    def forward(self, memory: Tensor, vectors: Tensor, known: Tensor) -> Tensor:
        """Tell all steps at once, given the true ones, (n, t, width)."""
        before = torch.cat([self.start.expand(len(memory), -1, -1), vectors[:, :-1]], 1)
        known = torch.cat([torch.ones_like(known[:, :1]), known[:, :-1]], 1)
        if self.whole:
            return self.transformer(before + memory, known)
        return self.transformer(before, known, memory)

    def generate(self, memory: Tensor, alphabet: Any, chance: Tensor | None = None) -> Tensor:
        """Tell one step after the other, in patches of an alphabet."""
        last, made = self.start.expand(len(memory), -1, -1), []
        past: list[list[Tensor]] = [[] for _ in self.transformer.blocks]
        for step in range(memory.shape[1]):
            at = slice(step, step + 1)
            told = (last + memory[:, at], past) if self.whole else (last, past, memory)
            h = self.transformer.next(*told)
            made.append(alphabet.tell(h, None if chance is None else chance[:, at]))
            last = alphabet.embed(made[-1])
        return torch.cat(made, 1)


def sinusoidal(steps: int, width: int) -> Tensor:
    """Return waves of falling frequency, (steps, width), by which steps know their place."""
    rates = torch.exp(-math.log(10_000) * torch.arange(math.ceil(width / 2)) * 2 / width)
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]

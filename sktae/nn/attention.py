"""Attention between the steps of sequences, or between the columns of a row.

The letters of shapes: n rows, h heads, t queries, s keys, d numbers of a head.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.nn.layers import Activation, activation_layer
from sktae.nn.sequences import NumberEmbedding, TokenEmbedding

Positions = Literal["sinusoidal", "learned"]
# From queries, keys and values, (n, h, t or s, d) each, to weighted means of the values.
AttentionFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
) -> Tensor:
    """Average values, weighted by softmax(query key^T / sqrt(d)) over the keys that are allowed.

    Queries are (n, h, t, d), keys and values (n, h, s, d), `allowed` is a mask that broadcasts to
    (n, h, t, s). torch's fused kernel does not return the weights, and there is none for stacks of
    models, which use `unfused_attention`.
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)


def unfused_attention(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
) -> Tensor:
    """Compute the same as `fused_attention` from matrix products."""
    return attention_weights(query, key, allowed) @ value


def attention_weights(query: Tensor, key: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the weights of values, (n, h, t, s), which add up to 1 over s."""
    logits = query @ key.mT / math.sqrt(query.shape[-1])
    if allowed is not None:
        logits = torch.where(allowed, logits, -torch.inf)
    return logits.softmax(-1)


def recording_attention(weights: list[Tensor], allowed: Tensor | None = None) -> AttentionFunction:
    """Return an attention function that appends its weights, (n, h, t, s), to a list."""

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        weights.append(attention_weights(query, key, allowed))
        return weights[-1] @ value

    return attend


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, observed: Tensor, reach: int, causal: bool
) -> Tensor:
    """Attend to keys at most `reach` steps away, at a cost that is linear in the length.

    Queries are taken in blocks of `reach` steps, so the keys that they may attend to lie in the
    same block and in its neighbors. `observed` is a mask for keys, (n, 1, 1, t). A query may always
    attend to its own step.
    """
    n, _, steps, _ = query.shape
    n_blocks = math.ceil(steps / reach)
    padding = n_blocks * reach - steps
    n_neighbors = 2 if causal else 3  # the block before, the block itself, the block after

    def blocks(x: Tensor) -> Tensor:  # (n, h, t, d) to (n * blocks, h, reach, d)
        parts = F.pad(x, (0, 0, 0, padding)).unflatten(2, (n_blocks, reach))
        return parts.transpose(1, 2).flatten(0, 1)

    def neighborhoods(x: Tensor) -> Tensor:  # (n, h, t, d) to (n * blocks, h, s, d)
        x = F.pad(x, (0, 0, reach, padding + (n_neighbors - 2) * reach))
        parts = x.unflatten(2, (n_blocks + n_neighbors - 1, reach))
        neighbors = torch.cat([parts[:, :, i : i + n_blocks] for i in range(n_neighbors)], 3)
        return neighbors.transpose(1, 2).flatten(0, 1)

    # Positions of keys and queries, counted from the first query of a block.
    key_position = torch.arange(-reach, (n_neighbors - 1) * reach, device=query.device)
    distance = key_position - torch.arange(reach, device=query.device)[:, None]
    near = (distance.abs() <= reach) & (distance <= (0 if causal else reach))
    # The mask becomes numbers, so that padding adds steps that are not observed.
    key_observed = neighborhoods(observed.to(query.dtype).mT).mT > 0
    allowed = key_observed & near | (distance == 0)
    out = fused_attention(blocks(query), neighborhoods(key), neighborhoods(value), allowed)
    return out.unflatten(0, (n, n_blocks)).transpose(1, 2).flatten(2, 3)[:, :, :steps]


class FeatureTokenizer(nn.Module):
    """Turns each number of a row into a vector, number * weight + bias, (n, d) -> (n, t, width).

    A row of more numbers than `max_vectors` has `max_vectors` vectors: numbers that are so many
    columns apart share one, the sum of theirs.
    """

    def __init__(self, n_features: int, width: int, max_vectors: int = 128):
        super().__init__()
        self.n_vectors = min(n_features, max_vectors)
        self.weight = nn.Parameter(torch.randn(n_features, width))
        self.bias = nn.Parameter(torch.randn(self.n_vectors, width))

    def forward(self, x: Tensor) -> Tensor:
        scaled = x[..., None] * self.weight
        if self.n_vectors < x.shape[1]:
            scaled = F.pad(scaled, (0, 0, 0, -x.shape[1] % self.n_vectors))
            scaled = scaled.unflatten(1, (-1, self.n_vectors)).sum(1)
        return scaled + self.bias


class Attention(nn.Module):
    """Multi-head attention: linear maps around an attention function.

    Keys and values come from vectors of width `context_width`, by default that of queries.
    """

    def __init__(self, width: int, n_heads: int, context_width: int | None = None):
        super().__init__()
        self.n_heads = n_heads
        inner = n_heads * math.ceil(width / n_heads)
        self.query = nn.Linear(width, inner)
        # A bias of keys adds the same to all logits of a query, which softmax ignores.
        self.key = nn.Linear(context_width or width, inner, bias=False)
        self.value = nn.Linear(context_width or width, inner)
        self.out = nn.Linear(inner, width)

    def keys_and_values(self, context: Tensor) -> list[Tensor]:
        """Return keys and values, (n, s, context_width) -> (n, h, s, d) each."""
        return [self._split_heads(self.key(context)), self._split_heads(self.value(context))]

    def forward(
        self, x: Tensor, keys_and_values: Sequence[Tensor], attend: AttentionFunction
    ) -> Tensor:
        """Attend from each vector of x, (n, t, width), to keys and values."""
        key, value = keys_and_values
        out = attend(self._split_heads(self.query(x)), key, value)
        return self.out(out.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Transformer block: attention and a perceptron, both with layer norm and residual connection.

    With `context_width`, cross-attention to a second sequence of this width comes between them.
    """

    def __init__(
        self, width: int, n_heads: int, activation: Activation, context_width: int | None = None
    ):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads)
        self.cross_norm = nn.LayerNorm(width) if context_width else None
        self.cross_attention = Attention(width, n_heads, context_width) if context_width else None
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            activation_layer(activation),
            nn.Linear(2 * width, width),
        )

    def forward(
        self,
        h: Tensor,
        attend: AttentionFunction,
        context: Tensor | None = None,
        cache: list[Tensor] | None = None,
    ) -> Tensor:
        """Transform vectors (n, t, width), which attend to each other and to `context`.

        `cache` holds keys and values of earlier steps, or is empty before the first step; those of
        `h` are added to it.
        """
        x = self.norm(h)
        keys_and_values = self.attention.keys_and_values(x)
        if cache is not None:
            if cache:
                pairs = zip(cache, keys_and_values, strict=True)
                keys_and_values = [torch.cat(pair, 2) for pair in pairs]
            cache[:] = keys_and_values
        h = h + self.attention(x, keys_and_values, attend)
        if self.cross_norm is not None and self.cross_attention is not None and context is not None:
            keys_and_values = self.cross_attention.keys_and_values(context)
            h = h + self.cross_attention(self.cross_norm(h), keys_and_values, fused_attention)
        return h + self.mlp(h)


class Transformer(nn.Module):
    """Transformer over sequences, (n, t, widths[0]) -> (n, t, widths[-1]).

    Parameters
    ----------
    steps : int
        Length t of the sequences.

    widths : sequence of int
        Width of each block. Where it changes, a linear map comes before the block.

    n_heads : int
        Heads of each block.

    activation : str or tuple
        Activation in the perceptrons.

    positions : {"sinusoidal", "learned"} or None
        Positional encoding that is added to the input.

    reach : int or None, default=None
        Steps attend to those at most `reach` steps away; None for all.

    causal : bool, default=False
        Whether steps attend only to themselves and to earlier ones.

    mask : array-like of shape (steps, steps) or None, default=None
        True where a step (row) may attend to another one (column). A step may always attend to
        itself.

    cross_attention : bool, default=False
        Whether steps also attend to a second sequence, of width `widths[0]`.
    """

    positions: Tensor
    diagonal: Tensor
    allowed: Tensor

    def __init__(
        self,
        steps: int,
        widths: Sequence[int],
        n_heads: int,
        activation: Activation,
        positions: Positions | None,
        reach: int | None = None,
        causal: bool = False,
        mask: Any = None,
        cross_attention: bool = False,
    ):
        super().__init__()
        context_width = widths[0] if cross_attention else None
        self.blocks = nn.ModuleList(Block(w, n_heads, activation, context_width) for w in widths)
        self.projections = nn.ModuleList(
            nn.Identity() if a == b else nn.Linear(a, b) for a, b in pairwise((widths[0], *widths))
        )
        self.norm = nn.LayerNorm(widths[-1])
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(steps, widths[0]))
        else:
            encoding = sinusoidal(steps, widths[0]) if positions else torch.zeros(1, widths[0])
            self.register_buffer("positions", encoding, persistent=False)
        # With a mask, attention is computed between all steps, at a cost that is quadratic in the
        # length. So it is for short sequences, where blocks and their neighbors are no fewer steps.
        self.reach = reach if mask is None and reach is not None and 4 * reach < steps else None
        self.causal = causal
        position = torch.arange(steps)
        allowed = torch.ones(steps, steps, dtype=torch.bool)
        if causal:
            allowed &= position <= position[:, None]
        if reach is not None:
            allowed &= (position - position[:, None]).abs() <= reach
        if mask is not None:
            if np.shape(mask) != (steps, steps):
                raise ValueError(
                    f"The mask has shape {np.shape(mask)}, but attention is between {steps} "
                    f"patches, channels or columns, so it must be ({steps}, {steps})."
                )
            allowed &= torch.from_numpy(np.asarray(mask, dtype=bool))
        self.all_allowed = bool(allowed.all())
        # A softmax over no keys is NaN, so each step may attend to itself.
        self.register_buffer("diagonal", torch.eye(steps, dtype=torch.bool), persistent=False)
        self.register_buffer("allowed", allowed | self.diagonal, persistent=False)

    def forward(
        self,
        h: Tensor,
        observed: Tensor | None = None,
        context: Tensor | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """Transform sequences (n, t, widths[0]).

        No step attends to one that is not observed, (n, t), except to itself; None for all
        observed. The attention weights of each block are appended to `weights`, if given, which
        needs all steps to be observed.
        """
        attend = self._attention_function(h, observed, weights)
        h = h + self.positions
        for block, projection in zip(self.blocks, self.projections, strict=True):
            h = block(projection(h), attend, context)
        return self.norm(h)

    def _attention_function(
        self, h: Tensor, observed: Tensor | None, weights: list[Tensor] | None
    ) -> AttentionFunction:
        """Choose the cheapest attention function that respects the masks."""
        if weights is not None:
            return recording_attention(weights, None if self.all_allowed else self.allowed)
        if self.reach is not None:
            if observed is None:
                observed = torch.ones_like(h[..., 0], dtype=torch.bool)
            keys = observed[:, None, None]
            return partial(local_attention, observed=keys, reach=self.reach, causal=self.causal)
        if observed is None:
            return partial(fused_attention, allowed=None if self.all_allowed else self.allowed)
        keys = observed[:, None, None]
        if self.all_allowed:
            return partial(fused_attention, allowed=keys)
        return partial(fused_attention, allowed=keys & self.allowed | self.diagonal)

    def next(self, h: Tensor, cache: list[list[Tensor]], context: Tensor | None = None) -> Tensor:
        """Transform one more step, (n, 1, widths[0]), of causal attention.

        `cache` has a list for each block, empty before the first step.
        """
        step = cache[0][0].shape[2] if cache[0] else 0
        attend = partial(fused_attention, allowed=self.allowed[step : step + 1, : step + 1])
        h = h + self.positions[min(step, len(self.positions) - 1)]
        for block, projection, keys_and_values in zip(
            self.blocks, self.projections, cache, strict=True
        ):
            h = block(projection(h), attend, context, keys_and_values)
        return self.norm(h)


class AutoregressiveTransformer(nn.Module):
    """Causal transformer that predicts each step of a sequence from the code and earlier steps.

    Parameters
    ----------
    steps : int
        Length of the sequences.

    widths : sequence of int
        Width of each block.

    vector_code : bool
        Whether there is one code for the sequence, instead of one for each step. Steps attend to
        codes of steps. Cross-attention to a single code would be a linear map of it, so `memory` is
        then added to the steps.

    **settings
        Further arguments of `Transformer`.
    """

    def __init__(self, steps: int, widths: Sequence[int], vector_code: bool, **settings: Any):
        super().__init__()
        self.vector_code = vector_code
        self.start = nn.Parameter(torch.zeros(1, 1, widths[0]))
        settings |= {"causal": True, "cross_attention": not vector_code}
        self.transformer = Transformer(steps, widths, **settings)

    def forward(self, memory: Tensor, vectors: Tensor, observed: Tensor) -> Tensor:
        """Predict all steps at once from the true earlier steps, (n, t, width): teacher forcing."""
        shifted = torch.cat([self.start.expand(memory.shape[0], -1, -1), vectors[:, :-1]], 1)
        observed = torch.cat([torch.ones_like(observed[:, :1]), observed[:, :-1]], 1)
        if self.vector_code:
            return self.transformer(shifted + memory, observed)
        return self.transformer(shifted, observed, memory)

    def generate(
        self,
        memory: Tensor,
        embedding: NumberEmbedding | TokenEmbedding,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Generate patches one by one, (n, p, ...), each from those generated before it."""
        last, patches = self.start.expand(memory.shape[0], -1, -1), []
        cache: list[list[Tensor]] = [[] for _ in self.transformer.blocks]
        for step in range(memory.shape[1]):
            now = slice(step, step + 1)
            if self.vector_code:
                h = self.transformer.next(last + memory[:, now], cache)
            else:
                h = self.transformer.next(last, cache, memory)
            patches.append(embedding.read_out(h, None if noise is None else noise[:, now]))
            last = embedding.embed(patches[-1])
        return torch.cat(patches, 1)


def sinusoidal(steps: int, width: int) -> Tensor:
    """Return the sinusoidal positional encoding, (steps, width)."""
    components = torch.arange(math.ceil(width / 2), dtype=torch.float32)
    rates = torch.exp(-math.log(10_000) * components * 2 / width)
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]

"""Attention between the steps of sequences, or between the columns of a row.

The letters of shapes: n rows, h heads, t queries, s keys, d numbers of a head.
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sktae.nn.attending import (
    AttentionFunction,
    Similarity,
    Weighting,
    Weights,
    full_attention,
    linear_attention,
    local_attention,
    low_rank_attention,
    recording_attention,
)
from sktae.nn.convolution import DilatedConvolutions
from sktae.nn.layers import Activation, activation_layer
from sktae.nn.recurrent import Recurrent

Positions = Literal["sinusoidal", "learned", "recurrent"]
Kind = Literal["full", "causal", "local", "linear", "low_rank"]


class Options(NamedTuple):
    """What the blocks of a transformer are made of."""

    n_heads: int
    activation: Activation
    similarity: Similarity = "dot"
    weighting: Weighting = "softmax"
    feedforward: float = 2.0  # width of the perceptron, as a multiple of that of the block
    kernel_size: int | None = None  # of a convolution beside attention
    attention: Kind = "full"
    rank: int = 32  # keys that low-rank attention leaves


class Attention(nn.Module):
    """Multi-head attention: linear maps around an attention function.

    Keys and values come from vectors of width `context_width`, by default that of queries.
    """

    def __init__(self, width: int, options: Options, steps: int, context_width: int | None = None):
        super().__init__()
        self.n_heads = options.n_heads
        d = math.ceil(width / self.n_heads)
        inner = self.n_heads * d
        self.query = nn.Linear(width, inner)
        # A bias of keys adds the same to all logits of a query, which softmax of products ignores.
        self.key = nn.Linear(context_width or width, inner, bias=False)
        self.value = nn.Linear(context_width or width, inner)
        self.out = nn.Linear(inner, width)
        self.weights = Weights(self.n_heads, d, options.similarity, options.weighting)
        self.shorten = None
        if options.attention == "low_rank":
            self.shorten = nn.Linear(steps, options.rank, bias=False)

    def keys_and_values(self, context: Tensor) -> list[Tensor]:
        """Return keys and values, (n, s, context_width) -> (n, h, s, d) each."""
        return [self._split_heads(self.key(context)), self._split_heads(self.value(context))]

    def forward(
        self, x: Tensor, keys_and_values: Sequence[Tensor], attend: AttentionFunction
    ) -> Tensor:
        """Attend from each vector of x, (n, t, width), to keys and values."""
        key, value = keys_and_values
        out = attend(self._split_heads(self.query(x)), key, value, self)
        return self.out(out.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def extra_repr(self) -> str:
        return f"n_heads={self.n_heads}"  # which shapes need not show


class Block(nn.Module):
    """Transformer block: attention and a perceptron, both with layer norm and residual connection.

    With a kernel size, a convolution comes after attention. With `context_width`, cross-attention
    to a second sequence of this width comes between them.
    """

    def __init__(self, width: int, options: Options, steps: int, context_width: int | None = None):
        super().__init__()
        inner = max(1, round(options.feedforward * width))
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, options, steps)
        self.convolution = None
        if options.kernel_size is not None:
            self.convolution = DilatedConvolutions(
                (width,), options.kernel_size, options.activation
            )
        self.cross_norm = nn.LayerNorm(width) if context_width else None
        self.cross_attention = None
        if context_width:
            self.cross_attention = Attention(width, options, steps, context_width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, inner),
            activation_layer(options.activation),
            nn.Linear(inner, width),
        )

    def forward(
        self,
        h: Tensor,
        attend: AttentionFunction,
        context: Tensor | None = None,
        cache: list[Tensor] | None = None,
        kept: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Transform vectors (n, t, width), which attend to each other and to `context`.

        `cache` holds keys and values of earlier steps, or is empty before the first step; those of
        `h` are added to it. `kept` are factors of what attention and perceptron add, with dropout.
        """
        x = self.norm(h)
        keys_and_values = self.attention.keys_and_values(x)
        if cache is not None:
            if cache:
                pairs = zip(cache, keys_and_values, strict=True)
                keys_and_values = [torch.cat(pair, 2) for pair in pairs]
            cache[:] = keys_and_values
        added = self.attention(x, keys_and_values, attend)
        h = h + (added if kept is None else added * kept[0])
        if self.convolution is not None:
            h = self.convolution(h)
        if self.cross_norm is not None and self.cross_attention is not None and context is not None:
            keys_and_values = self.cross_attention.keys_and_values(context)
            h = h + self.cross_attention(self.cross_norm(h), keys_and_values, full_attention)
        added = self.mlp(h)
        return h + (added if kept is None else added * kept[1])


class Transformer(nn.Module):
    """Transformer over sequences, (n, t, widths[0]) -> (n, t, widths[-1]).

    Parameters
    ----------
    steps : int
        Length t of the sequences.

    widths : sequence of int
        Width of each block. Where it changes, a linear map comes before the block.

    options : Options
        What blocks are made of.

    positions : {"sinusoidal", "learned", "recurrent"} or None
        Positional encoding that is added to the input.

    reach : int, default=16
        With attention="local", steps attend to those at most `reach` steps away; in a grid, at most
        so many rows and columns.

    causal : bool, default=False
        Whether steps attend only to themselves and to earlier ones, as with attention="causal".

    mask : array-like of shape (steps, steps) or None, default=None
        True where a step (row) may attend to another one (column). A step may always attend to
        itself.

    cross_attention : bool, default=False
        Whether steps also attend to a second sequence, of width `widths[0]`.

    columns : int, default=1
        Number of columns, if the steps are a grid, row by row.

    Attributes
    ----------
    n_kept : int
        How many numbers of a sequence dropout concerns.
    """

    positions: Tensor
    diagonal: Tensor
    allowed: Tensor

    def __init__(
        self,
        steps: int,
        widths: Sequence[int],
        options: Options,
        positions: Positions | None,
        reach: int = 16,
        causal: bool = False,
        mask: Any = None,
        cross_attention: bool = False,
        columns: int = 1,
    ):
        super().__init__()
        context_width = widths[0] if cross_attention else None
        self.blocks = nn.ModuleList(Block(w, options, steps, context_width) for w in widths)
        self.steps, self.widths, self.n_kept = steps, tuple(widths), 2 * steps * sum(widths)
        self.projections = nn.ModuleList(
            nn.Identity() if a == b else nn.Linear(a, b) for a, b in pairwise((widths[0], *widths))
        )
        self.norm = nn.LayerNorm(widths[-1])
        self.recurrence = None
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(steps, widths[0]))
        elif positions == "recurrent":
            self.positions = nn.Parameter(0.02 * torch.randn(1, widths[0]))
            self.recurrence = Recurrent(widths[0], (widths[0],), "gru")
        else:
            encoding = torch.zeros(1, widths[0])
            if positions is not None:
                encoding = sinusoidal(steps, widths[0], columns)
            self.register_buffer("positions", encoding, persistent=False)
        # With a mask or in a grid, attention is computed between all steps, at a cost that is
        # quadratic in the length. So it is for short sequences, where blocks and their neighbors
        # are no fewer steps.
        local = options.attention == "local"
        in_blocks = local and mask is None and columns == 1 and 4 * reach < steps
        self.reach = reach if in_blocks else None
        self.causal, self.kind = causal or options.attention == "causal", options.attention
        position = torch.arange(steps)
        allowed = torch.ones(steps, steps, dtype=torch.bool)
        if self.causal:
            allowed &= position <= position[:, None]
        if local:
            for place in (position // columns, position % columns):
                allowed &= (place - place[:, None]).abs() <= reach
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
        kept: Tensor | None = None,
    ) -> Tensor:
        """Transform sequences (n, t, widths[0]).

        No step attends to one that is not observed, (n, t), except to itself; None for all
        observed. The attention weights of each block are appended to `weights`, if given. `kept`,
        (n, n_kept), are the factors of dropout.
        """
        attend = self._attention_function(h, observed, weights)
        h = h + self.encoding()
        parts = [None] * len(self.widths) if kept is None else self._parts(kept)
        for block, projection, part in zip(self.blocks, self.projections, parts, strict=True):
            h = block(projection(h), attend, context, kept=part)
        return self.norm(h)

    def encoding(self) -> Tensor:
        """Return what is added to vectors so that they know their place, (t or 1, widths[0])."""
        if self.recurrence is None:
            return self.positions
        return self.recurrence(self.positions.expand(1, self.steps, -1))[0]

    def _parts(self, kept: Tensor) -> list[Any]:
        """Return the factors of dropout for attention and perceptron of each block."""
        sizes = [2 * self.steps * width for width in self.widths]
        return [part.unflatten(1, (2, self.steps, -1)).unbind(1) for part in kept.split(sizes, 1)]

    def _attention_function(
        self, h: Tensor, observed: Tensor | None, weights: list[Tensor] | None
    ) -> AttentionFunction:
        """Choose the cheapest attention function that respects the masks."""
        keys = None if observed is None else observed[:, None, None]
        if self.kind == "linear":
            return partial(linear_attention, observed=keys, causal=self.causal, weights=weights)
        if self.kind == "low_rank" and weights is None:
            return partial(low_rank_attention, observed=keys)
        allowed = None if self.all_allowed else self.allowed
        if keys is not None:
            allowed = keys if allowed is None else keys & allowed | self.diagonal
        if weights is not None:
            return recording_attention(weights, allowed)
        if self.reach is not None:
            if keys is None:
                keys = torch.ones_like(h[:, None, None, :, 0], dtype=torch.bool)
            return partial(local_attention, observed=keys, reach=self.reach, causal=self.causal)
        return partial(full_attention, allowed=allowed)

    def next(self, h: Tensor, cache: list[list[Tensor]], context: Tensor | None = None) -> Tensor:
        """Transform one more step, (n, 1, widths[0]), of causal attention.

        `cache` has a list for each block, empty before the first step.
        """
        step = cache[0][0].shape[2] if cache[0] else 0
        attend: AttentionFunction = linear_attention  # of all keys: there are no later ones
        if self.kind != "linear":
            attend = partial(full_attention, allowed=self.allowed[step : step + 1, : step + 1])
        encoding = self.encoding()
        h = h + encoding[min(step, len(encoding) - 1)]
        for block, projection, keys_and_values in zip(
            self.blocks, self.projections, cache, strict=True
        ):
            h = block(projection(h), attend, context, keys_and_values)
        return self.norm(h)


def sinusoidal(steps: int, width: int, columns: int = 1) -> Tensor:
    """Return the sinusoidal positional encoding, (steps, width).

    In a grid with several rows and columns, the first half encodes the row, the second the column.
    """
    rows = steps // columns
    if rows > 1 and columns > 1:
        down = sinusoidal(rows, math.ceil(width / 2)).repeat_interleave(columns, 0)
        return torch.cat([down, sinusoidal(columns, width // 2).repeat(rows, 1)], 1)
    components = torch.arange(math.ceil(width / 2), dtype=torch.float32)
    rates = torch.exp(-math.log(10_000) * components * 2 / width)
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]

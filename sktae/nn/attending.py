"""Attention functions: how the values of a sequence are averaged for each of its queries.

The letters of shapes: n rows, h heads, t queries, s keys, d numbers of a head.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Similarity = Literal["dot", "additive"]
Weighting = Literal["softmax", "relu"]
# From queries, keys and values, (n, h, t or s, d) each, and the layer that they belong to, to
# weighted means of the values, (n, h, t, d).
AttentionFunction = Callable[[Tensor, Tensor, Tensor, Any], Tensor]

# From so many keys on, torch's fused kernel is used; for fewer, matrix products are faster. Without
# it, recorded steps of a TransformerAutoencoder with patch_size=1 took .80 of the time at 15 keys,
# .94 at 30, .93 at 48, 1.00 at 64 and 1.13 at 128 (one core).
_MANY_KEYS = 64
# With fewer keys than a vector register holds, torch's softmax takes ten times as long as with so
# many: 2.0 ms against 0.2 ms for 15 keys of 128 x 4 x 15 queries (one core).
_LANES = 16
# Linear attention divides by the sum of the weights, and by no less than this.
_LEAST = 1e-6
# Running sums are taken over chunks of so many steps.
_CHUNK = 64


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
    return softmax_weights(scaled_products(query, key), allowed) @ value


def scaled_products(query: Tensor, key: Tensor) -> Tensor:
    """Return query key^T / sqrt(d), (n, h, t, s)."""
    return query @ key.mT / math.sqrt(query.shape[-1])


def softmax_weights(logits: Tensor, allowed: Tensor | None) -> Tensor:
    """Return weights of values, (n, h, t, s), that add up to 1 over the keys that are allowed.

    Where none is, as in a sequence that is hidden as a whole, all count alike.
    """
    if allowed is not None:
        logits = torch.where(allowed, logits, torch.finfo(logits.dtype).min)
    n_keys = logits.shape[-1]
    if n_keys >= _LANES:
        return logits.softmax(-1)
    padded = F.pad(logits, (0, _LANES - n_keys), value=-torch.inf)
    return padded.softmax(-1)[..., :n_keys]


def relu_weights(logits: Tensor, allowed: Tensor | None) -> Tensor:
    """Return relu(logits), divided by the number of keys that are allowed, (n, h, t, s)."""
    if allowed is None:
        return logits.relu() / logits.shape[-1]
    allowed = allowed.to(logits.dtype)
    return logits.relu() * allowed / allowed.sum(-1, keepdim=True).clamp(min=1)


class Weights(nn.Module):
    """How much each key counts for a query.

    Parameters
    ----------
    n_heads, d : int
        Heads, and numbers of a head.

    similarity : {"dot", "additive"}
        query key^T / sqrt(d), or a learned direction times tanh(query + key).

    weighting : {"softmax", "relu"}
        How similarities become weights.
    """

    def __init__(self, n_heads: int, d: int, similarity: Similarity, weighting: Weighting):
        super().__init__()
        self.direction = None
        if similarity == "additive":
            self.direction = nn.Parameter(torch.randn(n_heads, d, 1) / math.sqrt(d))
        self.weighting = weighting
        self.is_usual = similarity == "dot" and weighting == "softmax"

    def forward(self, query: Tensor, key: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return the weights, (n, h, t, s), of the keys that are allowed."""
        if self.direction is None:
            logits = scaled_products(query, key)
        else:
            sums = torch.tanh(query[:, :, :, None] + key[:, :, None])  # (n, h, t, s, d)
            logits = (sums @ self.direction[:, None]).squeeze(-1)
        weigh = softmax_weights if self.weighting == "softmax" else relu_weights
        return weigh(logits, allowed)

    def average(
        self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """Return the weighted means of the values, (n, h, t, d)."""
        if self.is_usual and key.shape[-2] >= _MANY_KEYS:
            return fused_attention(query, key, value, allowed)
        return self(query, key, allowed) @ value

    def extra_repr(self) -> str:
        return f"weighting={self.weighting}"


def full_attention(
    query: Tensor, key: Tensor, value: Tensor, layer: Any, allowed: Tensor | None = None
) -> Tensor:
    """Attend to all keys that are allowed."""
    return layer.weights.average(query, key, value, allowed)


def recording_attention(weights: list[Tensor], allowed: Tensor | None = None) -> AttentionFunction:
    """Return an attention function that appends its weights, (n, h, t, s), to a list."""

    def attend(query: Tensor, key: Tensor, value: Tensor, layer: Any) -> Tensor:
        weights.append(layer.weights(query, key, allowed))
        return weights[-1] @ value

    return attend


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layer: Any,
    observed: Tensor,
    reach: int,
    causal: bool,
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
    parts = blocks(query), neighborhoods(key), neighborhoods(value)
    out = layer.weights.average(*parts, allowed)
    return out.unflatten(0, (n, n_blocks)).transpose(1, 2).flatten(2, 3)[:, :, :steps]


def linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layer: Any,
    observed: Tensor | None = None,
    causal: bool = False,
    weights: list[Tensor] | None = None,
) -> Tensor:
    """Average values by products of positive features, at a cost that is linear in the length.

    The weight of a key is f(query) f(key)^T with f(x) = elu(x) + 1 (Katharopoulos et al. 2020), so
    sums over keys are taken once for all queries, or as running sums. `observed` is a mask for
    keys, (n, 1, 1, s). The weights are appended to a list, if there is one, at a quadratic cost.
    """
    query, key = F.elu(query) + 1, F.elu(key) + 1
    if observed is not None:
        key = key * observed.to(key.dtype).mT
    if weights is not None:
        products = (query @ key.mT).tril() if causal else query @ key.mT
        weights.append(products / products.sum(-1, keepdim=True).clamp(min=_LEAST))
    value = F.pad(value, (0, 1), value=1.0)  # the last number of a mean is the sum of its weights
    sums = _running(query, key, value) if causal else query @ (key.mT @ value)
    return sums[..., :-1] / sums[..., -1:].clamp(min=_LEAST)


def _running(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return sums of values over keys up to each query, weighted by query key^T, (n, h, t, d).

    Within chunks, all pairs are taken; what comes before a chunk is one sum.
    """
    steps = query.shape[2]
    n_chunks = math.ceil(steps / _CHUNK)
    query, key, value = (
        F.pad(x, (0, 0, 0, n_chunks * _CHUNK - steps)).unflatten(2, (n_chunks, _CHUNK))
        for x in (query, key, value)
    )
    earlier = F.pad((key.mT @ value).cumsum(2)[:, :, :-1], (0, 0, 0, 0, 1, 0))
    sums = query @ earlier + (query @ key.mT).tril() @ value
    return sums.flatten(2, 3)[:, :, :steps]


def low_rank_attention(
    query: Tensor, key: Tensor, value: Tensor, layer: Any, observed: Tensor | None = None
) -> Tensor:
    """Attend to a few learned sums of keys, at a cost that is linear in the length (Linformer).

    `observed` is a mask for keys, (n, 1, 1, s).
    """
    if observed is not None:
        known = observed.to(key.dtype).mT
        key, value = key * known, value * known
    short_key, short_value = (layer.shorten(x.mT).mT for x in (key, value))
    return layer.weights.average(query, short_key, short_value)

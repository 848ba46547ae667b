"""Transformers that encode the patches of rows to a code and decode it again."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sktae.nn.attention import Transformer
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import NumberEmbedding, TokenEmbedding, observed
from sktae.randomness import Mask


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

    def forward(
        self, memory: Tensor, vectors: Tensor, observed: Tensor, kept: Tensor | None = None
    ) -> Tensor:
        """Predict all steps at once from the true earlier steps, (n, t, width): teacher forcing."""
        shifted = torch.cat([self.start.expand(memory.shape[0], -1, -1), vectors[:, :-1]], 1)
        observed = torch.cat([torch.ones_like(observed[:, :1]), observed[:, :-1]], 1)
        if self.vector_code:
            return self.transformer(shifted + memory, observed, kept=kept)
        return self.transformer(shifted, observed, memory, kept=kept)

    @property
    def n_kept(self) -> int:
        return self.transformer.n_kept

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


class TransformerNetwork(AutoencoderModule):
    """Transformer that encodes patches to a code, and one that decodes them.

    Parameters
    ----------
    embedding : NumberEmbedding or TokenEmbedding
        How rows become patches and vectors, and vectors rows.

    widths : sequence of int
        Width of each block of the encoder, and of the decoder.

    n_components : int
        Size of the code of a row, or of each patch.

    vector_code : bool
        Whether there is one code for the row, instead of one for each patch.

    dropout : float
        Share of the numbers, added by attention and by perceptrons, that are 0 in training.

    autoregressive : bool, default=False
        Whether each patch is decoded from the code and the patches before it.

    **settings
        Further arguments of `Transformer`.
    """

    def __init__(
        self,
        embedding: Any,
        widths: Sequence[int],
        n_components: int,
        vector_code: bool,
        dropout: float,
        autoregressive: bool = False,
        **settings: Any,
    ):
        super().__init__()
        steps = embedding.n_patches
        self.embedding, self.vector_code = embedding, vector_code
        self.autoregressive = autoregressive
        self.layer_size = 2 * steps * max(widths)
        self.encoder = Transformer(steps, widths, **settings)
        patches_per_code = steps if vector_code else 1
        self.to_code = nn.Linear(patches_per_code * widths[-1], n_components)
        self.from_code = nn.Linear(n_components, patches_per_code * widths[0])
        if autoregressive:
            self.decoder = AutoregressiveTransformer(steps, widths, vector_code, **settings)
        else:
            self.decoder = Transformer(steps, widths, **settings)
        self.dropout, self.sizes = dropout, [self.encoder.n_kept, self.decoder.n_kept]
        if dropout > 0:
            self.noise = (Mask((sum(self.sizes),), 1 - dropout),)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Any:  # type: ignore[override]
        parts: Sequence[Any] = (None, None)
        if kept is not None:
            parts = (kept / (1 - self.dropout)).split(self.sizes, 1)
        patches = self.embedding.to_patches(x)
        vectors, mask = self.embedding.embed(patches), observed(patches)  # (n, p, width), (n, p)
        code = self.code(self.encoder(vectors, mask, kept=parts[0]) * mask[..., None])
        if self.autoregressive:
            h = self.decoder(self.memory(code), vectors, mask, kept=parts[1])
        else:
            h = self.decoder(self.memory(code), kept=parts[1])
        return self.embedding.output(code, h)

    def attention_map(self, x: Tensor) -> Tensor:
        """Return the weights of the encoder, averaged over blocks and heads, (n, p, p)."""
        patches, weights = self.embedding.to_patches(x), list[Tensor]()
        self.encoder(self.embedding.embed(patches), observed(patches), weights=weights)
        return torch.cat(weights, 1).mean(1)

    def code(self, h: Tensor) -> Tensor:
        """Return the code, given the output of the encoder, (n, p, width) -> (n, k)."""
        return self.to_code(h.flatten(1) if self.vector_code else h).flatten(1)

    def memory(self, code: Tensor) -> Tensor:
        """Return the input of the decoder, (n, k) -> (n, p, width)."""
        shape = self.embedding.n_patches, -1
        if self.vector_code:
            return self.from_code(code).unflatten(1, shape)
        return self.from_code(code.unflatten(1, shape))

    def decode(self, code: Tensor, noise: Tensor | None = None) -> Tensor:
        memory = self.memory(code)
        if self.autoregressive:
            patches = self.decoder.generate(memory, self.embedding, noise)
        else:
            patches = self.embedding.read_out(self.decoder(memory))
        return self.embedding.from_patches(patches)

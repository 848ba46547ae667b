"""Transformer autoencoder (Vaswani et al. 2017; patches: Nie et al. 2023)."""

from typing import Literal

import torch
from torch import nn

from sktae.base import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.attending import Similarity, Weighting
from sktae.nn.attention import AutoregressiveTransformer, Options, Positions, Transformer
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import ChannelEmbedding, observed
from sktae.parameters import Count, Positive, Rate, SomeWidths, Table
from sktae.randomness import Mask


class Network(AutoencoderModule):
    def __init__(
        self, embedding, widths, n_components, vector_code, autoregressive, dropout, **settings
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

    def forward(self, x, kept=None):
        kept = (None, None) if kept is None else (kept / (1 - self.dropout)).split(self.sizes, 1)
        patches = self.embedding.to_patches(x)
        vectors, mask = self.embedding.embed(patches), observed(patches)  # (n, p, width), (n, p)
        h = self.encoder(vectors, mask, kept=kept[0]) * mask[..., None]
        code = self.to_code(h.flatten(1) if self.vector_code else h).flatten(1)
        if self.autoregressive:
            h = self.decoder(self.memory(code), vectors, mask, kept=kept[1])
        else:
            h = self.decoder(self.memory(code), kept=kept[1])
        return self.embedding.output(code, h)

    def attention_map(self, x):
        """Return the weights of the encoder, averaged over blocks and heads, (n, p, p)."""
        patches, weights = self.embedding.to_patches(x), []
        self.encoder(self.embedding.embed(patches), observed(patches), weights=weights)
        return torch.cat(weights, 1).mean(1)

    def memory(self, code):
        """Return the input of the decoder, (n, k) -> (n, p, width)."""
        shape = self.embedding.n_patches, -1
        if self.vector_code:
            return self.from_code(code).unflatten(1, shape)
        return self.from_code(code.unflatten(1, shape))

    def decode(self, code, noise=None):
        memory = self.memory(code)
        if self.autoregressive:
            patches = self.decoder.generate(memory, self.embedding, noise)
        else:
            patches = self.embedding.read_out(self.decoder(memory))
        return self.embedding.to_sequences(patches)


class TransformerAutoencoder(SequenceAutoencoder):
    """Transformer autoencoder: encodes sequences with self-attention between patches of steps.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code of the sequence, "auto" is 128; or, with `bottleneck="steps"`, of each
        patch, "auto" is 8.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the transformer blocks of the encoder, and of the decoder. "auto" is (64, 64).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.001, or 0.002 where the whole code has fewer
        numbers than a sequence has values.

    n_heads : int, default=4
        Attention heads of each block.

    along : {"steps", "channels"}, default="steps"
        Between what attention is computed: patches of steps, or channels, each with all its steps.

    attention : {"full", "causal", "local", "linear", "low_rank"}, default="full"
        Which patches a patch may attend to: "full" allows all, "causal" the patch itself and
        earlier ones, "local" those at most `reach` patches away. "linear" and "low_rank" allow all,
        but weights are products of positive features of queries and keys, or keys are `rank`
        learned sums. The cost of "full" and "causal" is quadratic in the length, that of the others
        linear.

    rank : int, default=32
        Number of keys that "low_rank" attention leaves.

    similarity : {"dot", "additive"}, default="dot"
        How a query is compared with a key: by their product, or by a learned direction times the
        hyperbolic tangent of their sum. "linear" attention has neither.

    weighting : {"softmax", "relu"}, default="softmax"
        How similarities become weights: with the sum 1, or those below 0 as 0, divided by the
        number of keys.

    reach : int, default=16
        Largest distance of "local" attention, in patches.

    mask : array-like of shape (n_patches, n_patches) or None, default=None
        True where a patch (row) may attend to another one (column). A patch may always attend to
        itself. With `along="channels"`, it is the adjacency matrix of a graph of channels. None
        allows all.

    positions : {"sinusoidal", "learned", "recurrent"} or None, default="sinusoidal"
        Positional encoding of patches. "recurrent" are the states of a GRU, whose input is learned.

    feedforward : float, default=2.0
        Width of the perceptron in a block, as a multiple of that of the block.

    kernel_size : int or None, default=None
        Size of a convolution along patches, after the attention of each block; None for none. It
        sees later patches, so neither attention nor the decoder can be causal.

    dropout : float, default=0.0
        Share of the numbers, added by attention and by perceptrons, that are 0 in training.

    bottleneck : {"vector", "steps"}, default="vector"
        Whether the code is one vector for the sequence, or one for each patch.

    decoder : {"parallel", "autoregressive"}, default="parallel"
        Whether all patches are decoded at once, or each from the code and the patches before it. In
        training and in scores, these are the true ones. When it decodes a code, they are its own
        predictions.

    References
    ----------
    .. [1] Vaswani, A., Shazeer, N., Parmar, N., Uszkoreit, J., Jones, L., Gomez, A. N., Kaiser, L.
       and Polosukhin, I. (2017). Attention Is All You Need. NeurIPS.
    .. [2] Nie, Y., Nguyen, N. H., Sinthong, P. and Kalagnanam, J. (2023). A Time Series is Worth 64
       Words: Long-term Forecasting with Transformers. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import TransformerAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> TransformerAutoencoder(2, n_channels=8, max_steps=20).fit_transform(X).shape
    (1797, 2)
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    n_heads: Count = 4
    along: Literal["steps", "channels"] = "steps"
    attention: Literal["full", "causal", "local", "linear", "low_rank"] = "full"
    rank: Count = 32
    similarity: Similarity = "dot"
    weighting: Weighting = "softmax"
    reach: Count = 16
    mask: Table | None = None
    positions: Positions | None = "sinusoidal"
    feedforward: Positive = 2.0
    kernel_size: Count | None = None
    dropout: Rate = 0.0
    bottleneck: Literal["vector", "steps"] = "vector"
    decoder: Literal["parallel", "autoregressive"] = "parallel"

    def _auto(self, shape):
        components = 128 if self.bottleneck == "vector" else 8
        return Auto(components, widths=((64, 64), (64, 64)), rates=(1e-3, 2e-3))

    def _code_size(self, n_components, shape):
        if self.bottleneck == "vector":
            return n_components
        return n_components * (shape[1] if self.along == "channels" else self._n_patches(shape[0]))

    @property
    def _autoregressive(self):
        return self.decoder == "autoregressive"

    def network(self, spec):
        self._check_combination()
        shape = self.feedforward, self.kernel_size, self.attention, self.rank
        return Network(
            self._transformer_embedding(spec),
            spec.widths,
            spec.n_components,
            self.bottleneck == "vector",
            self._autoregressive,
            self.dropout,
            options=Options(self.n_heads, self.activation, self.similarity, self.weighting, *shape),
            positions=self.positions,
            reach=self.reach,
            mask=self.mask,
        )

    def _check_combination(self):
        """Raise where one option of attention says what another one cannot do."""
        kind, in_order, masked = self.attention, self._autoregressive, self.mask is not None
        unusual = self.similarity != "dot" or self.weighting != "softmax"
        if kind == "linear" and (unusual or masked):
            raise ValueError(f"attention={kind!r} needs similarity='dot', softmax and no mask.")
        if kind == "low_rank" and (masked or in_order):
            raise ValueError(f"attention={kind!r} needs no mask and decoder='parallel'.")
        if self.kernel_size is not None and (kind == "causal" or in_order):
            raise ValueError(f"kernel_size={self.kernel_size} sees later patches; set it to None.")

    def attention_map(self, X):
        """Compute how much the encoder attends from patch to patch, over blocks and heads.

        Parameters
        ----------
        X : array-like
            Sequences to encode.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_patches, n_patches)
            For each patch, means of its weights for each patch; with `along="channels"`, for each
            channel. "low_rank" attention has none.
        """
        if self.attention == "low_rank":
            raise ValueError("attention='low_rank' has no weights for patches, but for their sums.")
        return self._apply(lambda network, x: network.attention_map(x), self._rows(X))

    def _transformer_embedding(self, spec):
        widths = spec.widths[0], spec.widths[-1]
        if self.along == "steps":
            return self._embedding(spec, *widths)
        if self.n_tokens is None and not self._autoregressive:
            return ChannelEmbedding(*spec.shape, *widths)
        raise ValueError("along='channels' needs numbers, n_tokens=None, and decoder='parallel'.")

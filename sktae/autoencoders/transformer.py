"""Transformer autoencoder (Vaswani et al. 2017; patches: Nie et al. 2023)."""

from typing import Literal

from torch import nn

from sktae.base import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.attention import AutoregressiveTransformer, Positions, Transformer
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import ChannelEmbedding, observed
from sktae.parameters import Count, SomeWidths, Table


class Network(AutoencoderModule):
    def __init__(self, embedding, widths, n_components, vector_code, autoregressive, **settings):
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

    def forward(self, x):
        patches = self.embedding.to_patches(x)
        vectors, mask = self.embedding.embed(patches), observed(patches)  # (n, p, width), (n, p)
        h = self.encoder(vectors, mask) * mask[..., None]
        code = self.to_code(h.flatten(1) if self.vector_code else h).flatten(1)
        if self.autoregressive:
            h = self.decoder(self.memory(code), vectors, mask)
        else:
            h = self.decoder(self.memory(code))
        return self.embedding.output(code, h)

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

    attention : {"full", "causal", "local"}, default="full"
        Which patches a patch may attend to: "full" allows all, "causal" the patch itself and
        earlier ones, "local" those at most `reach` patches away. The cost of "local" is linear in
        the length, that of the others quadratic.

    reach : int, default=16
        Largest distance of "local" attention, in patches.

    mask : array-like of shape (n_patches, n_patches) or None, default=None
        True where a patch (row) may attend to another one (column). A patch may always attend to
        itself. With `along="channels"`, it is the adjacency matrix of a graph of channels. None
        allows all.

    positions : {"sinusoidal", "learned"} or None, default="sinusoidal"
        Positional encoding of patches.

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
    attention: Literal["full", "causal", "local"] = "full"
    reach: Count = 16
    mask: Table | None = None
    positions: Positions | None = "sinusoidal"
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
        return Network(
            self._transformer_embedding(spec),
            spec.widths,
            spec.n_components,
            self.bottleneck == "vector",
            self._autoregressive,
            n_heads=self.n_heads,
            activation=self.activation,
            positions=self.positions,
            reach=self.reach if self.attention == "local" else None,
            causal=self.attention == "causal",
            mask=self.mask,
        )

    def _transformer_embedding(self, spec):
        widths = spec.widths[0], spec.widths[-1]
        if self.along == "steps":
            return self._embedding(spec, *widths)
        if self.n_tokens is None and not self._autoregressive:
            return ChannelEmbedding(*spec.shape, *widths)
        raise ValueError("along='channels' needs numbers, n_tokens=None, and decoder='parallel'.")

"""Transformer autoencoder (Vaswani et al. 2017; patches: Nie et al. 2023)."""

from typing import Literal

from sktae.base import Auto
from sktae.families.attention import AttentionMixin
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.sequences import ChannelEmbedding
from sktae.nn.transformer import TransformerNetwork
from sktae.parameters import Count, SomeWidths

# Steps for tokens with wide codes. In benchmarks/results/quality/sequences.csv, new logs are hardly
# more likely after 500, and anomalies are found as well.
_TOKEN_STEPS = 300
# Blocks for numbers with wide codes. One with twice the learning rate does what two do, in half of
# the time ("one block" and "two blocks" there); after 300 steps it reproduces beats less well.
_NUMBER_WIDTHS, _NUMBER_RATE = (64,), 2e-3


class TransformerAutoencoder(AttentionMixin, SequenceAutoencoder):
    """Transformer autoencoder: encodes sequences with self-attention between patches of steps.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code of the sequence, "auto" is 128; or, with `bottleneck="steps"`, of each
        patch, "auto" is 8.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the transformer blocks of the encoder, and of the decoder. "auto" is (64,) for
        numbers whose code has at least as many numbers as a sequence, else (64, 64).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.001 for tokens whose code has at
        least as many numbers as a sequence has tokens.

    max_steps : int, "auto" or None, default="auto"
        Number of training steps. "auto" is 500, or 300 for tokens whose code has at least as many
        numbers as a sequence has tokens. Where it has fewer numbers than a sequence, it is also at
        most 120 passes over the sequences.

    along : {"steps", "channels"}, default="steps"
        Between what attention is computed: patches of steps, or channels, each with all its steps.

    mask : array-like of shape (n_patches, n_patches) or None, default=None
        True where a patch (row) may attend to another one (column). A patch may always attend to
        itself. With `along="channels"`, it is the adjacency matrix of a graph of channels. None
        allows all.

    kernel_size : int or None, default=None
        Size of a convolution along patches, after the attention of each block; None for none. It
        sees later patches, so neither attention nor the decoder can be causal.

    bottleneck : {"vector", "steps"}, default="vector"
        Whether the code is one vector for the sequence, or one for each patch.

    decoder : {"parallel", "autoregressive"}, default="parallel"
        Whether all patches are decoded at once, or each from the code and the patches before it. In
        training and in scores, these are the true ones. When it decodes a code, they are its own
        predictions.

    Attributes
    ----------
    code_shape_ : tuple of int
        Shape of the code of a sequence, which `transform` returns as a row: (n_components,), or
        with `bottleneck="steps"`, (n_patches, n_components), or with channels in place of patches.

    See Also
    --------
    RecurrentAutoencoder
    ConvolutionalSequenceAutoencoder
    AutoregressiveAutoencoder

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
    along: Literal["steps", "channels"] = "steps"
    kernel_size: Count | None = None
    bottleneck: Literal["vector", "steps"] = "vector"
    decoder: Literal["parallel", "autoregressive"] = "parallel"

    def _auto(self, shape):
        components = 128 if self.bottleneck == "vector" else 8
        if self.n_tokens is None:
            return Auto(components, (_NUMBER_WIDTHS, (64, 64)), rates=(_NUMBER_RATE, 2e-3))
        return Auto(components, ((64, 64), (64, 64)), rates=(1e-3, 2e-3), steps=(_TOKEN_STEPS, 500))

    def _n_codes(self, shape):
        if self.bottleneck == "vector":
            return ()
        return (shape[1] if self.along == "channels" else self._n_patches(shape[0]),)

    @property
    def _autoregressive(self):
        return self.decoder == "autoregressive"

    def network(self, spec):
        ordered = self._autoregressive
        if self.attention == "low_rank" and ordered:
            raise ValueError("attention='low_rank' needs no mask and decoder='parallel'.")
        if self.kernel_size is not None and (self.attention == "causal" or ordered):
            raise ValueError(f"kernel_size={self.kernel_size} sees later patches; set it to None.")
        return TransformerNetwork(
            self._transformer_embedding(spec),
            spec.widths,
            spec.n_components,
            self.bottleneck == "vector",
            self.dropout,
            ordered,
            **self._transformer_settings(self.kernel_size),
        )

    def _transformer_embedding(self, spec):
        widths = spec.widths[0], spec.widths[-1]
        if self.along == "steps":
            return self._embedding(spec, *widths)
        if self.n_tokens is None and not self._autoregressive:
            return ChannelEmbedding(*spec.shape, *widths)
        raise ValueError("along='channels' needs numbers, n_tokens=None, and decoder='parallel'.")

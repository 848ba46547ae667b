"""Transformer autoencoder (Vaswani et al. 2017; patches after Nie et al. 2023)."""

from typing import Literal

from torch import nn

from sktae._training.spec import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.attention import Positions, StepByStep, Transformer
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import Channels, known
from sktae.parameters import Count, SomeWidths, Table


class Network(AutoencoderModule):
    def __init__(self, alphabet, widths, n_components, whole, stepwise, **settings):
        super().__init__()
        steps = alphabet.n_patches
        at_once = steps if whole else 1
        self.alphabet, self.whole, self.stepwise = alphabet, whole, stepwise
        self.layer_size = 2 * steps * max(widths)
        self.encoder = Transformer(steps, widths, **settings)
        self.squeeze = nn.Linear(at_once * widths[-1], n_components)
        self.widen = nn.Linear(n_components, at_once * widths[0])
        if stepwise:
            self.decoder = StepByStep(steps, widths, whole, **settings)
        else:
            self.decoder = Transformer(steps, widths, **settings)

    def forward(self, x):
        patches = self.alphabet.split(x)
        vectors, there = self.alphabet.embed(patches), known(patches)
        h = self.encoder(vectors, there) * there[..., None]
        code = self.squeeze(h.flatten(1) if self.whole else h).flatten(1)
        told = (vectors, there) if self.stepwise else ()
        return self.alphabet.recoded(code, self.decoder(self.memory(code), *told))

    def memory(self, code):
        if self.whole:
            return self.widen(code).unflatten(1, (self.alphabet.n_patches, -1))
        return self.widen(code.unflatten(1, (self.alphabet.n_patches, -1)))

    def decode(self, code, chance=None):
        memory, alphabet = self.memory(code), self.alphabet
        if self.stepwise:
            return alphabet.join(self.decoder.generate(memory, alphabet, chance))
        return alphabet.decoded(self.decoder(memory))


class TransformerAutoencoder(SequenceAutoencoder):
    """Transformer autoencoder: sequences whose steps look at each other.

    Minimises the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code: of the whole ("auto" is 128), or of each patch (8).

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the blocks of the encoder, and of the decoder. "auto" is (64, 64).

    n_heads : int, default=4
        Heads of attention in each block.

    along : {"steps", "channels"}, default="steps"
        What attends to what: patches of steps, or channels, each with all its steps.

    attention : {"full", "causal", "local"}, default="full"
        Where a patch may look: anywhere, back, or at most `reach` patches away, at linear cost.

    reach : int, default=16
        How far "local" attention looks.

    mask : array-like of shape (n_patches, n_patches) or None, default=None
        Where each patch (row) may look, beside itself; along channels, a graph of them.

    positions : {"sinusoidal", "learned"} or None, default="sinusoidal"
        How patches know where they are.

    bottleneck : {"vector", "steps"}, default="vector"
        Whether the code is one vector for the sequence, or one for each patch.

    decoder : {"parallel", "autoregressive"}, default="parallel"
        Whether all patches are told at once, or each from those before it: in training and scores
        the true ones, elsewhere those told.

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
    def _stepwise(self):
        return self.decoder == "autoregressive"

    def network(self, spec):
        return Network(
            self._patches(spec),
            spec.widths,
            spec.n_components,
            self.bottleneck == "vector",
            self._stepwise,
            n_heads=self.n_heads,
            activation=self.activation,
            positions=self.positions,
            reach=self.reach if self.attention == "local" else None,
            causal=self.attention == "causal",
            mask=self.mask,
        )

    def _patches(self, spec):
        ends = spec.widths[0], spec.widths[-1]
        if self.along == "steps":
            return self._alphabet(spec, *ends)
        if self.n_tokens is None and not self._stepwise:
            return Channels(*spec.shape, *ends)
        raise ValueError("along='channels' needs numbers, n_tokens=None, and decoder='parallel'.")

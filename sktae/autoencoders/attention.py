"""Attention autoencoder (tokens: Gorishniy et al. 2021; contraction: Rifai et al. 2011)."""

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.base import Auto, BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.nn.attention import Options, Transformer
from sktae.nn.layers import FeatureTokenizer, mlp
from sktae.nn.losses import reconstruction_loss
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count, NonNegative, Rate, SomeWidths, Table
from sktae.randomness import Mask, Normal

# The Jacobian is taken from how a small step changes the code: first derivatives are then enough.
# Rows are in random order, so those at the start of a batch, one in so many, stand for all.
_STEP, _SHARE = 0.1, 4


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k)
    weights: Tensor  # (n, blocks * heads, t, t), of each query (row) for the keys
    squared_jacobian: Tensor  # (n, k), its sum estimates the squared norm of the encoder's Jacobian
    logits: Tensor  # (n, d), the reconstruction before the sigmoid, if there is one


class Network(AutoencoderModule):
    def __init__(self, d, k, widths, n_heads, activation, dropout, contraction, mask, sigmoid):
        super().__init__()
        self.noise = (Mask((d,), 1 - dropout),) + contraction * (Normal((d,)),)
        settings = {"options": Options(n_heads, activation), "positions": None}
        self.row_tokenizer = FeatureTokenizer(d, widths[0])
        self.code_tokenizer = FeatureTokenizer(k, widths[-1], max_vectors=k)
        t = self.row_tokenizer.n_vectors
        self.layer_size = max(n_heads * t * t, n_heads * k * k, d * widths[0])
        self.row_blocks = Transformer(t, widths, mask=mask, **settings)
        self.to_code = nn.Linear(t * widths[-1], k)
        self.code_block = Transformer(k, widths[-1:], **settings)
        self.code_readout = nn.Linear(widths[-1], 1)
        self.decoder = mlp(k, 4 * max(widths), d, activation=activation)
        self.output_activation = nn.Sigmoid() if sigmoid else nn.Identity()

    def encode(self, x):
        """Apply attention between columns, then between components; return code and weights."""
        weights = []
        h = self.row_blocks(self.row_tokenizer(x), weights=weights)  # (n, t, width)
        code = self.to_code(h.flatten(1))
        h = self.code_block(self.code_tokenizer(code))  # (n, k, width)
        return code + self.code_readout(h).squeeze(2), torch.cat(weights, 1)

    def forward(self, x, kept=None, direction=None):
        x = x if kept is None else x * kept
        if direction is None:
            code, weights = self.encode(x)
            squared_jacobian = torch.zeros(())
        else:  # |J|^2 is the mean of |J v|^2 over normal directions v
            n, n_moved = x.shape[0], math.ceil(x.shape[0] / _SHARE)
            moved = x[:n_moved] + _STEP * direction[:n_moved]
            codes, weights = self.encode(torch.cat([x, moved]))
            code, weights = codes[:n], weights[:n]
            slope = (codes[n:] - code[:n_moved]) / _STEP
            # The rows at the start count for the others, so that the mean is that of all.
            squared_jacobian = F.pad(slope.square() * (n / n_moved), (0, 0, 0, n - n_moved))
        logits = self.decoder(code)
        recon = self.output_activation(logits)
        return Output(recon, code, weights, squared_jacobian, logits)

    def decode(self, code):
        return self.output_activation(self.decoder(code))


def contractive_objective(loss, x, out, *, alpha):
    reconstruction = reconstruction_loss(loss, x, out)
    return {"reconstruction": reconstruction, "contraction": alpha * out.squared_jacobian}


def entropy_objective(loss, x, out, *, alpha):
    entropy = torch.special.entr(out.weights.clamp(min=1e-9)).sum(3).mean(1)
    return {"reconstruction": reconstruction_loss(loss, x, out), "entropy": alpha * entropy}


class AttentionAutoencoder(LossMixin, BaseAutoencoder):
    """Attention autoencoder: attends to the columns of a row that matter for each other.

    The encoder embeds each column as a token and applies self-attention to the tokens, and then to
    the components of the code. The decoder is a perceptron. With more than 128 columns, those that
    are 128 apart share a token.

    Minimizes :math:`\\|x - g(f(\\tilde x))\\|^2`, where some columns of :math:`\\tilde x` are
    masked, plus :math:`\\alpha \\|\\partial f / \\partial x\\|_F^2`, estimated from one random
    direction for a quarter of the rows of a batch, or plus :math:`\\alpha \\sum_j H(a_j)`, with the
    entropy :math:`H` of the attention weights :math:`a_j` of column :math:`j`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 16.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the transformer blocks of the encoder. "auto" is (32,).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.01 where the code has fewer
        components than a row has columns.

    n_heads : int, default=4
        Attention heads of each block.

    dropout : float, default=0.1
        Share of the columns that are masked in training, drawn for each row.

    penalty : {"contraction", "entropy"}, default="contraction"
        What the penalty keeps small: the Jacobian of the code, or the entropy of attention weights,
        so that columns attend to few others.

    alpha : float, default=0.01
        Weight :math:`\\alpha` of the penalty.

    mask : array-like of shape (n_tokens, n_tokens) or None, default=None
        True where a column's token (row of the mask) may attend to another one. A token may always
        attend to itself. None allows all.

    See Also
    --------
    MaskedAutoencoder
    DenoisingAutoencoder
    TransformerAutoencoder

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I., Khrulkov, V. and Babenko, A. (2021). Revisiting Deep
       Learning Models for Tabular Data. NeurIPS.
    .. [2] Rifai, S., Vincent, P., Muller, X., Glorot, X. and Bengio, Y. (2011). Contractive
       Auto-Encoders: Explicit Invariance During Feature Extraction. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import AttentionAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> AttentionAutoencoder(max_steps=20).fit(X).attention_map(X).shape
    (150, 4, 4)
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    n_heads: Count = 4
    dropout: Rate = 0.1
    penalty: Literal["contraction", "entropy"] = "contraction"
    alpha: NonNegative = 0.01
    mask: Table | None = None

    def network(self, spec):
        return Network(
            *spec.shape,
            spec.n_components,
            spec.widths,
            self.n_heads,
            self.activation,
            self.dropout,
            self.penalty == "contraction",
            self.mask,
            self._cross_entropy,
        )

    def _auto(self, shape):
        return Auto(components=16, widths=((32,), (32,)))

    @property
    def objective(self):
        contraction = self.penalty == "contraction"
        return partial(contractive_objective if contraction else entropy_objective, self.loss)

    def attention_map(self, X: Any) -> Any:
        """Compute the attention weights of columns, averaged over blocks and heads.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_features, n_features)
            For each row and column, its attention to each column; these add up to 1. With more than
            128 columns, the shape is (n_samples, 128, 128), since columns share tokens.
        """
        return self._apply(lambda network, x: network(x).weights.mean(1), self._rows(X))

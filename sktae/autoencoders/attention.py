"""Attention autoencoder (tokens: Gorishniy et al. 2021; contraction: Rifai et al. 2011)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sktae._training.spec import Auto
from sktae.base import BaseAutoencoder
from sktae.nn.attention import Columns, Transformer
from sktae.nn.layers import mlp
from sktae.nn.losses import squared
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count, NonNegative, Rate, SomeWidths, Table
from sktae.randomness import Mask, Normal


class Attended(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k)
    weights: Tensor  # (n, blocks * heads, t, t), who looked at whom
    slope: Tensor  # (n, d), adds up to the squared norm of the encoder's Jacobian


class Network(AutoencoderModule):
    def __init__(self, d, k, widths, n_heads, activation, dropout, contracts, mask):
        super().__init__()
        self.noise = (Mask((d,), 1 - dropout),) + contracts * (Normal((k,)),)
        settings = {"n_heads": n_heads, "activation": activation, "positions": None}
        self.columns, self.parts = Columns(d, widths[0]), Columns(k, widths[-1], most=k)
        t = self.columns.n_vectors
        self.layer_size = max(n_heads * t * t, n_heads * k * k, d * widths[0])
        self.blocks = Transformer(t, widths, mask=mask, **settings)
        self.squeeze = nn.Linear(t * widths[-1], k)
        self.block = Transformer(k, widths[-1:], **settings)
        self.join = nn.Linear(widths[-1], 1)
        self.decoder = mlp(k, 4 * max(widths), d, activation=activation)

    def encode(self, x):
        """Let columns look at each other, and then the parts of the code."""
        seen = []
        code = self.squeeze(self.blocks(self.columns(x), seen=seen).flatten(1))
        found = self.block(self.parts(code), seen=[])
        return code + self.join(found).squeeze(2), torch.cat(seen, 1)

    def forward(self, x, kept=None, direction=None):
        x = x if kept is None else x * kept
        if direction is None:
            code, weights = self.encode(x)
            slope = torch.zeros(())
        else:  # |J|^2 is the mean of |J' v|^2 over normal directions v
            code, pull, weights = torch.func.vjp(self.encode, x, has_aux=True)
            slope = pull(direction)[0].square()
        return Attended(self.decode(code), code, weights, slope)


def contractive(x, out, *, alpha):
    return {"reconstruction": squared(x, out.recon), "contraction": alpha * out.slope}


def decisive(x, out, *, alpha):
    entropy = torch.special.entr(out.weights.clamp(min=1e-9)).sum(3).mean(1)
    return {"reconstruction": squared(x, out.recon), "entropy": alpha * entropy}


class AttentionAutoencoder(BaseAutoencoder):
    """Attention autoencoder: columns that look at each other.

    Each column is a token, which takes from those that matter to it in this row. The components of
    the code then do the same. From 129 columns on, every 128th of them share a token.

    Minimises :math:`\\|x - g(f(\\tilde x))\\|^2`, where some columns of :math:`\\tilde x` are
    hidden, plus :math:`\\lambda \\|\\partial f / \\partial x\\|_F^2`, estimated from one random
    direction per row, or plus :math:`\\lambda \\sum_j H(a_j)`, with the entropy of where a column
    :math:`j` looks.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 16.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the blocks of attention. "auto" is (32,).

    n_heads : int, default=4
        Heads of attention in each block.

    dropout : float, default=0.1
        Share of the columns that are hidden in training, drawn for each row.

    penalty : {"contraction", "entropy"}, default="contraction"
        What is kept small: how far the code moves with the row, or how many columns one looks at.

    alpha : float, default=0.01
        Weight :math:`\\lambda` of the penalty.

    mask : array-like of shape (n_tokens, n_tokens) or None, default=None
        Where each token (row of the mask) may look, beside itself; None for everywhere.

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
        )

    def _auto(self, shape):
        return Auto(components=16, widths=((32,), (32,)))

    @property
    def objective(self):
        return contractive if self.penalty == "contraction" else decisive

    def attention_map(self, X):
        """Say where each column looked, on average over blocks and heads.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to look at.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_features, n_features)
            For each row and column, how much it took from each column; they add up to 1. Tokens
            take the place of columns where there are fewer.
        """
        return self._apply(lambda network, x: network(x).weights.mean(1), self._rows(X))

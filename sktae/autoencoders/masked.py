"""Masked autoencoder (Devlin et al. 2019; He et al. 2022; bins: Gorishniy et al. 2022)."""

from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.base import Auto, BaseAutoencoder
from sktae.nn.bins import Bins, LevelEmbedding
from sktae.nn.layers import activation_layer, mlp
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count
from sktae.randomness import Uniform

# Of each row, a share of columns between these is masked in training.
_MASKED = 0.1, 0.7
# Weight of the columns that are not masked, so that rows are reproduced, too.
_VISIBLE = 0.2
# The network has no more than so many bins in all, where there are not too many columns.
_BINS = 4096


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k)
    expected: Tensor  # (n, d), what each column should be, given those of other groups
    nll: Tensor  # (n, d), minus the log-probability of its bin
    masked: Tensor  # (n, d), which of the values that are there are masked, in training


class Network(AutoencoderModule):
    """Learns in which bins the values of masked columns are, from those of visible ones."""

    takes_missing = True  # a missing value is one that is masked

    def __init__(self, sizes, activation, n_bins, column_of, n_groups):
        super().__init__()
        d, *hidden = sizes
        column = torch.full((d,), -1)  # indicators of missing values are no columns
        column[: len(column_of)] = torch.as_tensor(column_of)
        self.register_buffer("column", column, persistent=False)
        n_columns = 1 + int(column.max())
        self.noise = (Uniform((1 + n_columns,)),)
        n_groups = min(n_groups, n_columns)
        groups = [torch.nonzero(column % n_groups == g)[:, 0].tolist() for g in range(n_groups)]
        self.groups = [group for group in groups if group]
        self.bins = Bins(d, n_bins)
        self.embedding = LevelEmbedding(d, n_bins, hidden[0])
        self.encoder = nn.Sequential(
            activation_layer(activation), mlp(*hidden, activation=activation)
        )
        self.decoder = mlp(*hidden[::-1], d * (n_bins + 2), activation=activation)
        self.layer_size = d * (n_bins + 2)

    def start(self, x):
        head = self.decoder[-1]
        head.weight.mul_(0.1)
        # A category has several inputs, a place in its vector each.
        is_place = (self.column[:, None] == self.column).sum(1) > 1
        head.bias.copy_(self.bins.learn(x, is_place & (self.column >= 0)).flatten())

    def logits(self, code):
        return self.decoder(code).unflatten(1, self.bins.means.shape)

    def decode(self, code):
        return self.bins.mean(self.logits(code))

    def forward(self, x, u=None):
        levels, masked = self.bins.levels(x), x.isnan()
        if u is not None:
            low, high = _MASKED
            masked = masked | (u[:, 1:] < low + (high - low) * u[:, :1])[:, self.column]
        embedded = self.embedding(levels, masked)
        code = self.encoder(embedded)
        logits = self.logits(code)
        recon = expected = self.bins.mean(logits)
        if u is None:
            logits = self.predict(levels, masked, embedded)
            expected = self.bins.mean(logits)
        nll = self.bins.nll(logits, x)
        return Output(recon, code, expected, nll, masked & ~x.isnan())

    def predict(self, levels, missing, embedded):
        """Predict the columns of each group from all others, (n, d, bins)."""
        hidden, head = self.decoder[:-1], self.decoder[-1]
        weight, bias = (part.unflatten(0, self.bins.means.shape) for part in head.parameters())
        logits = []
        for group in self.groups:
            code = self.encoder(embedded + self.embedding.change(levels, missing, group))
            own = weight[group].flatten(0, 1), bias[group].flatten()
            predicted = F.linear(hidden(code), *own)
            logits.append(predicted.unflatten(1, (len(group), -1)))
        return torch.cat(logits, 1)[:, np.argsort(np.concatenate(self.groups))]


class MaskedAutoencoder(BaseAutoencoder):
    """Masked autoencoder: predicts masked columns of a row from those that are visible.

    To do so, the network must learn how columns depend on each other, and how values are
    distributed. It gets and predicts the values as bins: quantiles of each column. When rows are
    scored, each column is predicted from others, so that a value is unusual where it is unlikely
    given the rest of the row. Missing values count as masked.

    Minimizes :math:`-\\sum_{j \\in m} \\log p(b_j | x_{\\setminus m})` over random masks
    :math:`m`, with the bin :math:`b_j` of column :math:`j`; columns that are visible count a fifth.

    Parameters
    ----------
    n_bins : int or "auto", default="auto"
        Number of bins of a column. "auto" is 16, and fewer, but not below 4, in tables of more than
        256 columns. A column with fewer values than that has a bin for each.

    max_steps : int, "auto" or None, default="auto"
        Number of training steps. "auto" is 500, but at most 60 passes over the rows, or the network
        would memorize small tables.

    n_groups : int, default=4
        Number of groups of columns that are masked in turn when rows are scored. With more of them,
        a column is predicted from more others, and scores take longer. Nothing else depends on it.

    See Also
    --------
    DenoisingAutoencoder
    AutoencoderImputer

    References
    ----------
    .. [1] Devlin, J., Chang, M.-W., Lee, K. and Toutanova, K. (2019). BERT: Pre-training of Deep
       Bidirectional Transformers for Language Understanding. NAACL.
    .. [2] He, K., Chen, X., Xie, S., Li, Y., Dollar, P. and Girshick, R. (2022). Masked
       Autoencoders Are Scalable Vision Learners. CVPR.
    .. [3] Gorishniy, Y., Rubachev, I. and Babenko, A. (2022). On Embeddings for Numerical Features
       in Tabular Deep Learning. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.metrics import roc_auc_score
    >>> from sktae import MaskedAutoencoder
    >>> X, benign = load_breast_cancer(return_X_y=True)
    >>> model = MaskedAutoencoder(random_state=0).fit(X[benign == 1][:250])
    >>> bool(roc_auc_score(benign, model.score_samples(X)) > 0.9)
    True
    """

    n_bins: Literal["auto"] | Count = "auto"
    n_groups: Count = 4

    # Residuals have measures of their own; values say more about where a row is.
    _space: ClassVar = {"features": 1.0, "code": 1.0, "ranks": 1.0}

    def _auto(self, shape):
        # After more passes over a small table, its values would be likely, and new ones would not.
        return Auto(passes=(60, 60))

    def network(self, spec):
        n_bins = max(4, min(16, _BINS // spec.shape[0])) if self.n_bins == "auto" else self.n_bins
        columns = spec.inputs.column_of
        return Network(spec.sizes, self.activation, n_bins, columns, self.n_groups)

    @staticmethod
    def objective(x, out):
        share = out.masked.to(x.dtype)
        share = share / share.mean(1, keepdim=True).clamp(min=1e-6)
        return {"reconstruction": (share + _VISIBLE) * out.nll}

    @staticmethod
    def residual(x, out):
        return x - out.expected

    @staticmethod
    def nll(x, out):
        return out.nll

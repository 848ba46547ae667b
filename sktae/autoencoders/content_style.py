"""Content and style apart (Bouchacourt et al. 2018; averages after Hosoya 2019)."""

from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from sktae.families.density import DensityAutoencoder
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal
from sktae.nn.posteriors import NormalCode
from sktae.parameters import NonNegative, NonNegativeCount
from sktae.randomness import Label


class Grouped(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), the mean of the code: content, then style
    logvar: Tensor  # (n, k)
    z: Tensor  # (n, k), a draw
    natural: Tensor  # (n, d)
    log_scale: Tensor  # (d,)
    share: Tensor  # (n, k), what a row has in a component, which its group may have in common


class Network(NormalCode):
    """In training, the rows of a group in a batch have their mean content in common."""

    def __init__(self, *parts, n_content):
        super().__init__(*parts)
        self.noise += (Label(),)
        self.n_content = n_content

    def forward(self, x, eps=None, group=None):
        mean, logvar = self.encoder(x).chunk(2, -1)
        if group is None:
            return self.posterior(mean, logvar, eps)
        known = (group[:, None] == group) & (group[:, None] >= 0)
        together = (known | torch.eye(len(x), dtype=torch.bool, device=x.device)).to(x.dtype)
        share = 1 / together.sum(1, keepdim=True)
        n = self.n_content
        mean = torch.cat([share * (together @ mean[:, :n]), mean[:, n:]], 1)
        shares = torch.cat([share.expand(-1, n), torch.ones_like(mean[:, n:])], 1)
        return Grouped(*self.posterior(mean, logvar, eps), shares)


def negative_elbo(likelihood, x, out, *, beta):
    nll = LIKELIHOODS[likelihood].nll(x, out.natural, out.log_scale)
    return {
        "reconstruction": nll,
        "divergence": beta * out.share * kl_to_normal(out.code, out.logvar),
    }


class ContentStyleAutoencoder(DensityAutoencoder):
    """Content-style autoencoder: what rows of a group have in common, and how each differs.

    `fit(X, y)` takes the group of each row; -1 and NaN stand for unknown. In training, rows of a
    group are told from the mean of their contents and from the style of each, so that content must
    be what they share. Later it is read off a row alone, so that new rows need no group, and `swap`
    tells the content of one row in the style of another. Without `y`, it is a variational
    autoencoder.

    Minimises :math:`-E_q \\log p(x|c, s) + \\beta KL(q(c|x_1, ..., x_n) \\| N(0, 1)) / n + \\beta
    KL(q(s|x) \\| N(0, 1))`, for the content :math:`c` of the :math:`n` rows of a group in a batch
    and the style :math:`s`.

    Parameters
    ----------
    n_content : int or "auto", default="auto"
        How many components of the code, the first ones, are content; "auto" is half of them.

    beta : float, default=1.0
        Weight of the divergence from the prior.

    References
    ----------
    .. [1] Bouchacourt, D., Tomioka, R. and Nowozin, S. (2018). Multi-Level Variational Autoencoder:
       Learning Disentangled Representations from Grouped Observations. AAAI.
    .. [2] Hosoya, H. (2019). Group-based Learning of Disentangled Representations with
       Generalizability for Novel Contents. IJCAI.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ContentStyleAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> model = ContentStyleAutoencoder(8, max_steps=50, random_state=0).fit(X, y)
    >>> model.swap(X[:5], X[5:10]).shape
    (5, 64)
    """

    n_content: NonNegativeCount | Literal["auto"] = "auto"
    beta: NonNegative = 1.0

    def network(self, spec):
        return Network(*self._parts_of(spec), n_content=self._n_content(spec.n_components))

    def _n_content(self, size):
        n = size // 2 if self.n_content == "auto" else self.n_content
        if n > size:
            raise ValueError(
                f"n_content={n} of ContentStyleAutoencoder must be at most "
                f"n_components={size}, of which it is a part."
            )
        return n

    @property
    def objective(self):
        return partial(negative_elbo, self.likelihood)

    def _groups(self, y, n):
        if y is None:
            return None
        y = column_or_1d(y)
        if len(y) != n:
            raise ValueError(f"y has the groups of {len(y)} rows, but X has {n} rows.")
        codes, _ = pd.factorize(np.where(y == -1, None, y))
        return torch.from_numpy(codes).float()

    def swap(self, X_content, X_style):
        """Tell the content of some rows in the style of others.

        Parameters
        ----------
        X_content : array-like of shape (n_samples, n_features)
            Whose content is taken.

        X_style : array-like of shape (n_samples, n_features)
            Whose style is taken, row by row.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            What is made of both.
        """
        codes = [
            self._apply(lambda network, x: network(x).code, self._rows(X))
            for X in (X_content, X_style)
        ]
        if len(codes[0]) != len(codes[1]):
            raise ValueError(
                f"X_content has {len(codes[0])} rows and X_style {len(codes[1])}; swap needs a "
                f"style for each content."
            )
        n = self.net_.module_.n_content
        return self.inverse_transform(np.hstack([codes[0][:, :n], codes[1][:, n:]]))

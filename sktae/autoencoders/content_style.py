"""Content-style autoencoder (Bouchacourt et al. 2018; means of groups: Hosoya 2019)."""

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


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), the mean of the code: content, then style
    logvar: Tensor  # (n, k)
    z: Tensor  # (n, k), a sample of the code
    decoded: Tensor  # (n, d)
    log_scale: Tensor  # (d,)
    weight: Tensor  # (n, k), of the row's divergence: 1 / group size for content, 1 for style


class Network(NormalCode):
    """In training, the content of a row is the mean over the rows of its group in the batch."""

    def __init__(self, *parts, n_content):
        super().__init__(*parts)
        self.noise += (Label(),)
        self.n_content = n_content

    def forward(self, x, eps=None, group=None):
        mean, logvar = self.encoder(x).chunk(2, -1)
        if group is None:
            return self.posterior(mean, logvar, eps)
        # (n, n), 1 where two rows belong to one group; rows of unknown group, -1, are alone
        same = (group[:, None] == group) & (group[:, None] >= 0)
        same = (same | torch.eye(len(x), dtype=torch.bool, device=x.device)).to(x.dtype)
        weight = 1 / same.sum(1, keepdim=True)
        content, style = mean[:, : self.n_content], mean[:, self.n_content :]
        mean = torch.cat([weight * (same @ content), style], 1)
        weight = torch.cat([weight.expand_as(content), torch.ones_like(style)], 1)
        return Output(*self.posterior(mean, logvar, eps), weight)


def negative_elbo(likelihood, x, out, *, beta):
    nll = LIKELIHOODS[likelihood].nll(x, out.decoded, out.log_scale)
    return {
        "reconstruction": nll,
        "divergence": beta * out.weight * kl_to_normal(out.code, out.logvar),
    }


class ContentStyleAutoencoder(DensityAutoencoder):
    """Content-style autoencoder: separates what a group's rows share from how each row differs.

    `fit(X, y)` takes the group of each row, -1 or NaN if it is unknown. The code has two parts,
    content and style. In training, a row is decoded from its own style and from the mean content of
    its group, so content must be what the rows of a group share. After the fit, both parts are
    computed from the row alone, so new rows need no group. `swap` combines the content of one row
    with the style of another. Without `y`, the model is a variational autoencoder.

    Minimizes :math:`-E_q \\log p(x|c, s) + \\beta KL(q(c|x_1, ..., x_n) \\| N(0, 1)) / n + \\beta
    KL(q(s|x) \\| N(0, 1))`, for the content :math:`c` of the :math:`n` rows of a group in a batch
    and the style :math:`s`.

    Parameters
    ----------
    n_content : int or "auto", default="auto"
        Number of components that are content, the first ones of the code; "auto" is half of them.

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
        return Network(*self._network_arguments(spec), n_content=self._n_content(spec.n_components))

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
        """Combine the content of rows with the style of other rows.

        Parameters
        ----------
        X_content : array-like of shape (n_samples, n_features)
            Rows whose content is taken.

        X_style : array-like of shape (n_samples, n_features)
            Rows whose style is taken, one for each row of `X_content`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            Rows that are decoded from both.
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

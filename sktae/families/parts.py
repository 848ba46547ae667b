"""Normal codes whose parts mean something: content and style, independent components."""

from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal, total_correlation
from sktae.parameters import Declared, NonNegative, NonNegativeCount


def negative_elbo(likelihood, x, out, *, beta):
    nll = LIKELIHOODS[likelihood].nll(x, out.decoded, out.log_scale)
    divergence = beta * out.weight * kl_to_normal(out.code, out.logvar)
    return {"reconstruction": nll, "divergence": divergence}


def penalized_negative_elbo(likelihood, x, out, *, beta, gamma):
    dependence = gamma * total_correlation(out.z, out.code, out.logvar)
    return {**negative_elbo(likelihood, x, out, beta=beta), "dependence": dependence}


def numbered(y, n):
    """Number the groups of n rows; -1 and NaN, which stand for an unknown one, become -1."""
    y = column_or_1d(y)
    if len(y) != n:
        raise ValueError(f"y has the labels of {len(y)} rows, but X has {n} rows.")
    codes, _ = pd.factorize(np.where(y == -1, None, y))
    return torch.from_numpy(codes).float()


def _has_content(estimator: Any) -> bool:
    if estimator.n_content == 0:
        raise AttributeError(
            f"swap of {type(estimator).__name__} needs content, but n_content=0: set it to the "
            f"number of components that rows of a group share, or to 'auto'."
        )
    return True


class ContentStyleMixin(Declared):
    """Divides a normal code into content, which the rows of a group share, and style.

    It comes before a density, whose network is a `GroupedCode`.

    Parameters
    ----------
    beta : float, default=1.0
        Weight :math:`\\beta` of the divergence from the prior.

    n_content : int or "auto", default="auto"
        Number of components that are content, the first ones of the code; "auto" is half of them.
        With 0, `y` is ignored.
    """

    beta: NonNegative = 1.0
    n_content: NonNegativeCount | Literal["auto"] = "auto"

    @property
    def objective(self):
        return partial(negative_elbo, self.likelihood)

    def _content_size(self, n_components):
        n = n_components // 2 if self.n_content == "auto" else self.n_content
        if n > n_components:
            raise ValueError(
                f"n_content={n} of {type(self).__name__} must be at most "
                f"n_components={n_components}, of which it is a part."
            )
        return n

    def _groups(self, y, n):
        return None if y is None or self.n_content == 0 else numbered(y, n)

    @available_if(_has_content)
    def swap(self, X_content: Any, X_style: Any) -> Any:
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


class CodePartsMixin(ContentStyleMixin):
    """Divides a normal code into content and style, or into independent components.

    Parameters
    ----------
    gamma : float, default=0.0
        Weight :math:`\\gamma` of the total correlation, which measures how the components of the
        code depend on each other. Above 0, each component tends to represent one of the causes of
        rows. :math:`q(z)` is the mean of the :math:`q(z|x)` of a batch, so take large batches.
        Where `y` has few groups, the components of their contents depend on each other, so leave
        it at 0.

    n_content : int or "auto", default=0
        Number of components that are content: what the rows of a group have in common. They are
        the first ones of the code, and the others are style. "auto" is half of them. `y` of `fit`
        then has the group of each row, -1 or NaN if it is unknown. In training, a row is decoded
        from its own style and the mean content of its group, so take batches with several rows of
        each group; after the fit, both are computed from the row alone. With 0, `y` is ignored.
    """

    gamma: NonNegative = 0.0
    n_content: NonNegativeCount | Literal["auto"] = 0

    @property
    def objective(self):
        # The total correlation takes all pairs of rows, also for nothing.
        if self.gamma == 0:
            return super().objective
        return partial(penalized_negative_elbo, self.likelihood)

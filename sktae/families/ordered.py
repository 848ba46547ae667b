"""Codes whose components are ordered, for autoencoders that are also smaller ones."""

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_is_fitted

from sktae._engine.rows import Loaded
from sktae.inputs.scaling import FLOATS, from_tensor
from sktae.nn.losses import masked_squared
from sktae.parameters import Declared

# Shares of variance are those of this many training rows.
_ROWS = 4096


def prefix_errors(network, x):
    """The squared error of each row, decoded from 1, 2, ..., k components, (n, d) -> (n, k)."""
    code = network(x).code
    kept = torch.ones(code.shape[1], code.shape[1]).tril()
    errors = [masked_squared(x, network.decode(code * row)).sum(1) for row in kept.to(code)]
    return torch.stack(errors, 1)


class OrderedMixin(Declared):
    """Gives an autoencoder the parameter `ordered_components`; its network has `ordered`.

    Parameters
    ----------
    ordered_components : bool, default=False
        Whether components are ordered roughly as those of PCA, the most important first, so that
        one fit also has all smaller codes, worse ones than fits of their own: `transform(X)[:, :k]`
        is the code of k components, which `inverse_transform` decodes. In training, each row keeps
        only its first components, at random from one to all, and the others are 0 (nested dropout,
        Rippel et al. 2014).

    Attributes
    ----------
    explained_variance_ratio_ : ndarray of shape (n_components,)
        With `ordered_components`, how much each component adds to the share of variance explained
        by those before it, as that of PCA. It is measured on training rows as inputs of the
        network, that is with columns scaled as `standardize` says.
    """

    ordered_components: bool = False

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as from `transform`. With `ordered_components`, they may have the first
            components only.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            The decoded rows.
        """
        check_is_fitted(self)
        if not self.net_.module_.ordered:
            return super().inverse_transform(X)
        codes = check_array(from_tensor(X), dtype=FLOATS)
        n_hidden = max(0, self.n_components_ - codes.shape[1])
        return super().inverse_transform(np.pad(codes, ((0, 0), (0, n_hidden))))

    @property
    def explained_variance_ratio_(self):
        check_is_fitted(self)
        if not self.net_.module_.ordered:
            raise AttributeError(
                f"explained_variance_ratio_ of {type(self).__name__} needs components with an "
                f"order: set ordered_components=True before the fit."
            )
        x = Loaded(self._fitted.memory.x.to(self.net_.device)).spread(_ROWS)
        errors = self._apply(prefix_errors, x).sum(0, dtype=np.float64)
        rows = x.x.double()
        total = float((rows - rows.nanmean(0)).square().nansum())
        explained = total - np.array([total, *errors])
        return np.diff(explained) / total if total else np.zeros(len(errors))

"""The autoencoder inside another estimator."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktae.base import BaseAutoencoder


class InnerMixin:
    """Gives an estimator the columns of the autoencoder inside, `estimator_`, once it is fitted."""

    estimator_: Any

    @property
    def n_features_in_(self) -> int:
        check_is_fitted(self)
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.estimator_.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")


def check_inner(owner: Any, estimator: Any) -> None:
    """Raise unless what another estimator got is an autoencoder."""
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            f"The 'estimator' parameter of {type(owner).__name__} must be an autoencoder of sktae. "
            f"Got {estimator!r} instead."
        )


def without_threshold(estimator: Any) -> Any:
    """Return an unfitted autoencoder that trains no second one for a threshold."""
    if estimator.calibration == "cross":
        estimator.calibration = None
    return estimator

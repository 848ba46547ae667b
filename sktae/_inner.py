"""The autoencoder inside another estimator."""

from typing import Any

from sktae.base import BaseAutoencoder


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

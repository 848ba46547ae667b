"""From anomalies to scores, labels and p-values, once for every detector of rows."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.base import OutlierMixin


class ScoreMixin(OutlierMixin):
    """Scores rows and compares scores with a threshold; scikit-learn's signs and labels.

    A fit leaves `offset_`, `calibration_scores_`, and in `_scored_by` the values that the
    parameters in `_score_parameters` had.
    """

    # Parameters that scores depend on, and that may be set after the fit.
    _score_parameters: ClassVar[tuple[str, ...]]

    offset_: float
    calibration_scores_: np.ndarray | None
    _scored_by: dict[str, Any]

    @abstractmethod
    def _validated(self, X: Any) -> Any:
        """Validate rows for a fitted detector, and return them as raw rows."""

    @abstractmethod
    def _anomalies(self, raw: Any) -> np.ndarray:
        """Return the anomalies of raw rows, (n,): the higher, the more unusual."""

    def score_samples(self, X):
        """Score each row by how well it fits the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to score.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The higher, the more normal.
        """
        return -self._anomalies(self._validated(X))

    def decision_function(self, X):
        """Score each row relative to the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to score.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            `score_samples(X) - offset_`: negative for outliers.
        """
        scores = self.score_samples(X)
        check_scored_as_in_fit(self, "offset_ is a threshold for")
        return scores - self.offset_

    def predict(self, X):
        """Tell outliers from inliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        """Compute how often normal rows would look at least as unusual.

        Of new rows from the same source as the training rows, at most a share of `alpha` has a
        p-value of `alpha` or less, whatever the model (conformal p-values). Outliers among the
        training rows make p-values larger.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            Between 1 / (n + 1), for n held-out rows, and 1.
        """
        scores = self.score_samples(X)
        if self.calibration_scores_ is None:
            raise ValueError(
                f"p_values needs the scores of rows that the fit has not seen: set "
                f"calibration_fraction of {type(self).__name__}, to 0.2 say, and fit again "
                f"(partial_fit holds out none)."
            )
        check_scored_as_in_fit(self, "p_values compares with")
        n_as_low = np.searchsorted(self.calibration_scores_, scores, side="right")
        return (1 + n_as_low) / (1 + len(self.calibration_scores_))


def score_settings(estimator: Any) -> dict[str, Any]:
    """Return the values of the parameters that scores depend on."""
    return {name: getattr(estimator, name) for name in estimator._score_parameters}


def check_scored_as_in_fit(estimator: Any, purpose: str) -> None:
    """Raise if a parameter that scores depend on was changed after the fit.

    `purpose` begins the reason in the message, such as "p_values compares with".
    """
    for name, value in score_settings(estimator).items():
        fitted = estimator._scored_by[name]
        if value != fitted:
            raise ValueError(
                f"{name} of {type(estimator).__name__} is {value!r} now, but {purpose} scores by "
                f"{fitted!r}, as it was in the fit; fit again, or set it back."
            )

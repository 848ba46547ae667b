"""From anomalies to scores, labels and p-values, once for every detector of rows."""

from abc import abstractmethod
from typing import Any, ClassVar, cast

import numpy as np
from sklearn.base import OutlierMixin

from sktae._warnings import warn


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

    def score_samples(self, X: Any) -> np.ndarray:
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
        anomalies = self._anomalies(self._validated(X))
        return np.negative(anomalies, out=anomalies)  # of many rows, a copy takes memory

    def decision_function(self, X: Any) -> np.ndarray:
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

    def predict(self, X: Any) -> np.ndarray:
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

    def fit_predict(self, X: Any, y: Any = None, **kwargs: Any) -> np.ndarray:
        """Fit, and tell outliers from inliers among the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training rows.

        y : array-like of shape (n_samples,) or None, default=None
            Passed to `fit`.

        **kwargs : dict
            Further arguments of `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        return self.fit(X, y, **kwargs).predict(X)

    def p_values(self, X: Any) -> np.ndarray:
        """Compute how often normal rows would look at least as unusual.

        Of new rows from the same source as the training rows, a share of at most `alpha` has a
        p-value of `alpha` or less (conformal p-values). This is exact on average, whatever the
        model, if `calibration` is a float. With "cross" it is approximate, because the scores that
        rows are compared with are those of models of half of the rows. Outliers among the training
        rows make p-values larger.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            Between 1 / (n + 1), for n rows in `calibration_scores_`, and 1.
        """
        return p_values(self, self.score_samples(X))

    def select(self, X: Any, fdr: float = 0.1) -> np.ndarray:
        """Select outliers, of which at most a given share is expected to be normal rows.

        The procedure of Benjamini and Hochberg is applied to `p_values` of all rows together. So
        the rows selected depend on the other rows in `X`: with many outliers among them, more
        p-values are small enough. The expected share of normal rows among those selected, the
        false discovery rate, is at most `fdr` if p-values are valid.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge together.

        fdr : float, default=0.1
            False discovery rate, between 0 and 1.

        Returns
        -------
        selected : ndarray of shape (n_samples,), bool
            Mask of the rows selected. None are if `fdr` is too small for the number of rows in
            `calibration_scores_`; a warning says so.
        """
        if not 0 < fdr < 1:
            raise ValueError(f"fdr must be above 0 and below 1. Got {fdr!r} instead.")
        p = self.p_values(X)
        selected = benjamini_hochberg(p, fdr)
        if len(p) and not selected.any():
            self._warn_if_coarse(p, fdr)
        return selected

    def _warn_if_coarse(self, p: np.ndarray, fdr: float) -> None:
        """Warn if p-values of which none is selected cannot be as low as they would have to be."""
        n_known = len(cast(np.ndarray, self.calibration_scores_))
        least = 1 / (1 + n_known)
        n_least = int((p <= least).sum())
        # So many normal rows have the least p-value by chance, and twice as many seldom do.
        if fdr < least or n_least > 2 * least * len(p):
            most = max(1, n_least)
            warn(
                f"No row is selected: the {most} most unusual of {len(p)} rows would need p-values "
                f"of at most {fdr * most / len(p):.2g} for fdr={fdr:g}, but with the {n_known} "
                f"rows in calibration_scores_, none is below {least:.2g}. Pass a larger fdr, or "
                f"fit {type(self).__name__} with more rows to compare with: more of X, or a larger "
                f"calibration."
            )


def p_values(detector: Any, scores: np.ndarray) -> np.ndarray:
    """Compare scores with those of rows that the model of a detector has not seen."""
    calibration, name = detector.calibration_scores_, type(detector).__name__
    if calibration is None:
        raise ValueError(
            f"{name} has no scores of rows that its model has not seen, which p-values compare "
            f"with: set calibration of {name} to 0.2, say, or to 'cross', and call fit. With "
            f"'cross', few rows, partial_fit and warm_start give none."
        )
    check_scored_as_in_fit(detector, "p_values compares with")
    return (1 + calibration.searchsorted(scores, "right")) / (1 + len(calibration))


def benjamini_hochberg(p: np.ndarray, fdr: float) -> np.ndarray:
    """Return a mask of the p-values that are selected at a false discovery rate, (n,)."""
    # Of sorted p-values, all up to the last one below its part of the rate.
    ascending = np.sort(p)
    below = np.flatnonzero(ascending <= fdr * np.arange(1, len(p) + 1) / len(p))
    return p <= (ascending[below[-1]] if len(below) else 0)


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

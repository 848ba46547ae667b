"""Scorers of outlier detectors on rows whose labels are known."""

import reprlib
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils import check_array, check_scalar, column_or_1d


def average_precision_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Score a detector by its average precision: `scoring=average_precision_scorer`.

    It is called with a detector, rows and their labels: 1 for outliers and 0 for normal rows, or
    scikit-learn's -1 for outliers and 1 for normal rows. It uses `score_samples`. Random scores get
    the share of outliers. `scoring="average_precision"` of scikit-learn takes the rows labeled 1 as
    what is to be found among the *high* scores, so it rates how well normal rows are found.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sktae.metrics import average_precision_scorer
    >>> X, y = [[0], [1], [0], [9], [1], [0]], [0, 0, 0, 1, 0, 0]
    >>> average_precision_scorer(IsolationForest(random_state=0).fit(X), X, y)
    1.0
    """
    return float(average_precision_score(_outliers(y), -estimator.score_samples(X)))


def roc_auc_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Score a detector by the area under the ROC curve: `scoring=roc_auc_scorer`.

    It takes the same labels as `average_precision_scorer`. Random scores get 0.5. With the labels 1
    for outliers and 0 for normal rows, `scoring="roc_auc"` of scikit-learn gives 1 minus this
    value, so a search would choose the worst detector.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sktae.metrics import roc_auc_scorer
    >>> X, y = [[0], [1], [0], [9], [1], [0]], [1, 1, 1, -1, 1, 1]
    >>> roc_auc_scorer(IsolationForest(random_state=0).fit(X), X, y)
    1.0
    """
    return float(roc_auc_score(_outliers(y), -estimator.score_samples(X)))


def precision_at_k_scorer(*, k: int) -> partial[float]:
    """Make a scorer by the precision at k: `scoring=precision_at_k_scorer(k=20)`.

    It is the share of outliers among the `k` most unusual rows. If several rows have the same score
    and not all of them are among these, each counts as its chance to be.

    The scorer takes the same labels as `average_precision_scorer`.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sktae.metrics import precision_at_k_scorer
    >>> X, y = [[0], [1], [0], [9], [1], [0]], [0, 0, 0, 1, 0, 0]
    >>> precision_at_k_scorer(k=1)(IsolationForest(random_state=0).fit(X), X, y)
    1.0
    """
    return partial(_precision_at_k, k=check_scalar(k, "k", Integral, min_val=1))


def _precision_at_k(estimator: Any, X: Any, y: Any, *, k: int) -> float:
    outliers, scores = _outliers(y), estimator.score_samples(X)
    if k > len(scores):
        raise ValueError(
            f"k={k} of precision_at_k_scorer is larger than the number of rows to score, "
            f"{len(scores)}; in a search, that is the number of rows of a fold."
        )
    last = np.partition(scores, k - 1)[k - 1]
    first, tied = scores < last, scores == last
    hits = outliers[first].sum() + (k - first.sum()) * outliers[tied].mean()
    return float(hits / k)


def _outliers(y: Any) -> np.ndarray:
    """Return which rows are outliers by their labels, in either convention."""
    y = column_or_1d(check_array(y, ensure_2d=False, input_name="y"))
    labels = np.unique(y).tolist()
    for outlier, normal in ((1, 0), (-1, 1)):
        if set(labels) == {outlier, normal}:
            return y == outlier
    raise ValueError(
        f"y must be 1 for outliers and 0 for normal rows, or -1 for outliers and 1 for normal "
        f"rows, with at least one of either, but its values are {reprlib.repr(labels)}. In a "
        f"search, cv=StratifiedKFold() puts both into each fold."
    )

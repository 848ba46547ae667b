"""What a user knows of the training rows: which are outliers, and which are not."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_sample_weight, _num_samples

_MEANINGS = "-1 for a known outlier, 1 for a known inlier, and 0 or NaN where nothing is known"


def check_labels(owner: Any, y: Any, X: Any) -> np.ndarray:
    """Check what `y` says of the rows of X, both as a user passed them.

    Return a mask of the known outliers, (n,).
    """
    name = type(owner).__name__
    if y is None:
        raise ValueError(
            f"use_labels=True of {name} needs y, which has {_MEANINGS}: pass it to fit, or set "
            f"use_labels=False."
        )
    if owner._groups(y, _num_samples(y)) is not None:
        raise ValueError(
            f"y of {name} has the groups of rows, so it cannot say which are outliers: set "
            f"use_labels=False."
        )
    labels, n = column_or_1d(y), _num_samples(X)
    if len(labels) != n:
        raise ValueError(f"y has labels of {len(labels)} rows, but X has {n} rows.")
    labels = np.where(pd.isna(labels), 0, labels.astype(object))
    unknown = ~np.isin(labels, (-1, 0, 1))
    if unknown.any():
        row = unknown.argmax()
        raise ValueError(
            f"y has {labels[row]!r} for row {row}, but with use_labels=True of {name} it must have "
            f"{_MEANINGS}."
        )
    outliers = labels.astype(int) == -1
    if outliers.all():
        raise ValueError(
            f"y has -1 for all {n} rows, so {name} has none to learn from: give it rows of which "
            f"nothing is known, too."
        )
    if not outliers.any() and labels.any():
        raise ValueError(
            f"y has 1, for inliers, but no outlier, which is -1, so {name} can learn nothing from "
            f"it. If 1 means an outlier in y, pass -y."
        )
    return outliers


def set_apart(outliers: np.ndarray, sample_weight: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return weights that are 0 for known outliers, and the numbers of those that had another."""
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return np.where(outliers, 0.0, weights), np.flatnonzero(outliers & (weights != 0))

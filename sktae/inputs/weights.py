"""Weights of rows: checked, and made relative to the largest."""

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight


def check_weights(sample_weight: Any, X: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Check the weights of rows as a user passed both.

    Return the weights above 0, None if they are equal, and the numbers of the rows that have them,
    None for all rows. So equal weights are like none, and rows of weight 0 can be left out.
    """
    if sample_weight is None:
        return None, None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError(
            f"sample_weight has {weights.min():g} for row {weights.argmin()}, but weights must be "
            f"0 or more."
        )
    if not weights.any():  # scikit-learn < 1.9 does not check this
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weights = weights / weights.max()
    rows = np.flatnonzero(weights)
    positive = weights[rows]
    differ = bool((positive != positive[0]).any())
    return positive if differ else None, rows if len(rows) < len(weights) else None

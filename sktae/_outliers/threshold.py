"""The score below which rows are outliers."""

from typing import Any

import numpy as np

# Share of outliers that "auto" contamination assumes.
_AUTO_SHARE = 0.01


def threshold(
    contamination: Any,
    training: np.ndarray,
    calibration: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> float:
    """Return the threshold for a share of outliers.

    `training` are scores of training rows, which may have weights, and `calibration` those of
    held-out rows, in ascending order. With held-out rows, the share is that of false alarms among
    new rows, and the threshold is a conformal quantile.
    """
    share = _AUTO_SHARE if contamination == "auto" else contamination
    if calibration is None:
        return float(percentile(training, 100 * share, weights))
    n = len(calibration)
    # p-values are multiples of 1 / (n + 1), so a smaller share could flag nothing.
    rank = int(share * (n + 1) + 1e-9) - 1
    if rank < 0 and contamination != "auto":
        raise ValueError(
            f"contamination={contamination} asks for false alarms that the {n} rows of "
            f"calibration_fraction cannot assure; hold out more, or allow at least 1 / {n + 1}."
        )
    return float(calibration[max(0, rank)])


def percentile(values: np.ndarray, q: Any, weights: np.ndarray | None = None) -> np.ndarray:
    """Return percentiles of values, (n,), by linear interpolation.

    A value counts as often as its weight says, in units of the smallest weight.
    """
    if weights is None:
        return np.percentile(values, q)
    order = np.argsort(values, kind="stable")
    counts = weights[order] / weights.min()
    last = np.cumsum(counts) - 1
    # The first and the last place of each value, if all were written down so often, in order.
    places = np.ravel([last - counts + 1, last], order="F")
    return np.interp(np.divide(q, 100) * last[-1], places, np.repeat(values[order], 2))

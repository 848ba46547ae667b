"""The score below which rows are outliers."""

import math
from typing import Any

import numpy as np


def threshold(
    estimator: Any,
    training: np.ndarray,
    calibration: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> float:
    """Return the threshold that a detector's parameters ask for.

    `training` are scores of training rows, which may have weights, and `calibration` those of rows
    that their model has not seen, in ascending order. A `contamination` is a share of the training
    rows. With "auto", the threshold is a conformal quantile of the calibration scores, or, if there
    are none, a quantile of the training scores. If halves of the rows have judged each other, one
    training row at least is an outlier, if the rate is then still right within its standard error.
    """
    if estimator.contamination != "auto":
        return float(percentile(training, 100 * estimator.contamination, weights))
    rate = estimator.false_alarm_rate
    if calibration is None:
        return float(percentile(training, 100 * rate, weights))
    # P-values are multiples of 1 / (n + 1), so with a smaller rate no row would be an outlier.
    n = len(calibration)
    rank = int(rate * (n + 1) + 1e-9) - 1
    limit, lowest = calibration[max(0, rank)], training.min()
    if estimator.calibration == "cross" and lowest >= limit:
        p_value = (1 + calibration.searchsorted(lowest, "right")) / (n + 1)
        error = math.sqrt(rate * (1 - rate) / n)  # the standard error of a rate among n rows
        limit = np.nextafter(lowest, np.inf) if p_value <= rate + error else limit
    return float(limit)


def no_higher(calibration: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Return calibration scores of halves of the rows, lowered to those of training rows.

    A model fits its training rows no worse than new ones, so the scores of new rows should not lie
    above those of training rows of the same rank. Where many rows are equal they can, because one
    model of half of the rows gives all of them a score that the model of all rows does not.
    """
    return np.minimum(calibration, np.percentile(training, np.linspace(0, 100, len(calibration))))


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

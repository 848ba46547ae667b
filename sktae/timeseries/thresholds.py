"""The score below which timepoints are outliers: by rows, or by how often an event may be false."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sktae._outliers.threshold import threshold
from sktae._warnings import warn
from sktae.timeseries.validation import timedelta

# Thresholds come from so many excerpts of so many rows, if there are more.
_N_EXCERPTS, _EXCERPT = 8, 8192

# With contamination=None, the threshold is so many times the largest training anomaly. New normal
# rows look more unusual than training rows, but seldom by this factor.
_MARGIN = 1.5

# Largest anomalies are taken of blocks of so many windows, since neighboring rows are alike.
_BLOCK_WINDOWS = 2
# A warning says so if false alarms are to be rarer than one in so many times the rows known.
_FAR = 10


def excerpts(series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return evenly spaced excerpts of long series, whose scores stand for those of all rows."""
    found = []
    for rows in series:
        if len(rows) <= _N_EXCERPTS * _EXCERPT:
            found += [rows] if len(rows) else []
        else:
            firsts = np.linspace(0, len(rows) - _EXCERPT, _N_EXCERPTS).astype(int)
            found += [rows[first : first + _EXCERPT] for first in firsts]
    return found


def check_promise(detector: Any) -> None:
    """Raise if `false_alarms_per` asks for what cannot be known, before anything is learned."""
    per, name = detector.false_alarms_per, type(detector).__name__
    if per is None:
        return
    _rows_in(detector, per)
    if detector.calibration is None:
        raise ValueError(
            f"false_alarms_per={per!r} of {name} needs scores of rows that were not learned: set "
            f"calibration to 'cross', or to a share of the rows, such as 0.3."
        )


def series_threshold(
    detector: Any, training: np.ndarray, held_out: Sequence[np.ndarray] | None
) -> float:
    """Return the threshold that a detector's parameters ask for.

    `training` are the scores of training rows, in ascending order, and `held_out` those of series
    that their model has not seen, in the order of time.
    """
    if detector.false_alarms_per is not None:
        return _by_events(detector, held_out)
    calibration = None if held_out is None else np.sort(np.hstack(held_out))
    if detector.contamination is None:
        reference = training if calibration is None else calibration
        # An anomaly of 0 is a perfect reconstruction, but scores of estimators have no zero.
        from_residuals = detector._kinds.shapes[0].from_residuals
        zero = 0.0 if from_residuals else np.median(reference)
        return float(zero + _MARGIN * (reference[0] - zero))
    return threshold(detector, training, calibration)


def _by_events(detector: Any, held_out: Sequence[np.ndarray] | None) -> float:
    """Return the threshold below which there is one false event in `false_alarms_per`.

    The largest anomalies of blocks of rows, as far as they are above their median, are taken to be
    exponential, with the mean of those that are known.
    """
    name, per = type(detector).__name__, detector.false_alarms_per
    if held_out is None:
        raise ValueError(
            f"false_alarms_per={per!r} of {name} needs scores of rows that were not learned, and "
            f"here are none, since the series are short, or since partial_fit holds none out: call "
            f"fit, on series of at least eight windows."
        )
    n_rows, block = _rows_in(detector, per), _BLOCK_WINDOWS * detector.window_size_
    largest = np.sort(
        [
            -part[start : start + block].min()
            for part in held_out
            for start in range(0, max(1, len(part) - block + 1), block)
        ]
    )
    n_known = sum(map(len, held_out))
    if n_rows > _FAR * n_known:
        warn(
            f"false_alarms_per={per!r} of {name} is {n_rows / n_known:.0f} times as long as the "
            f"{n_known} rows that the threshold comes from, so it is uncertain.",
        )
    median = np.median(largest)
    excess = largest[largest > median] - median
    if not len(excess):
        return -float(largest[-1])
    share = min(1.0, 2 * block / n_rows)  # of blocks above the median, those that are false events
    return -float(median - excess.mean() * np.log(share))


def _rows_in(detector: Any, per: int | str) -> float:
    """Return how many rows there are in a number of rows, or in a duration."""
    if not isinstance(per, str):
        return float(per)
    name = type(detector).__name__
    try:
        seconds = timedelta(per).total_seconds()
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(
            f"false_alarms_per of {name} must be a number of rows, or a duration such as '30D'. "
            f"Got {per!r} instead."
        )
    if not detector._spacing:
        raise ValueError(
            f"false_alarms_per={per!r} of {name} is a duration, so X must be a DataFrame whose "
            f"index holds times; or give a number of rows."
        )
    return seconds / detector._spacing

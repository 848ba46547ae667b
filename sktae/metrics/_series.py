"""Metrics of anomaly detection in series: by ranges (VUS) and by events."""

import reprlib
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_scalar, column_or_1d

_N_THRESHOLDS = 250  # on the scores, as many as in TSB-AD


def vus_pr(y_true: Any, anomaly_scores: Any, *, window: int) -> float:
    """Compute the volume under the surface of precision and recall (VUS-PR).

    An alarm shortly before or after an event is partly right. So events get buffers before and
    after, whose points count less the farther they are from the event. The area under the curve of
    precision and recall is averaged over buffers of all lengths up to `window`. Only the ranks of
    the scores matter. Results are those of TSB-AD, with its 250 thresholds at equal steps through
    the sorted scores.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 or True for anomalous points, 0 or False for normal ones, in the order of time.

    anomaly_scores : array-like of shape (n,)
        The higher, the more anomalous: minus the `score_samples` of a detector.

    window : int
        Length of the longest buffer, half of it before an event and half after; 0 for none. TSB-AD
        uses the `period` of the series. Results for different windows are not comparable.

    Returns
    -------
    volume : float
        Between 0 and 1. Random scores get about the share of anomalous points, and several times
        that if buffers are much longer than events.

    References
    ----------
    .. [1] Paparrizos, J., Boniol, P., Palpanas, T., Tsay, R. S., Elmore, A. and Franklin, M. J.
       (2022). Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly
       Detection. PVLDB.

    Examples
    --------
    >>> from sktae.metrics import vus_pr
    >>> round(vus_pr([0, 0, 0, 1, 1, 0], [0.1, 0.2, 0.1, 0.3, 0.9, 0.8], window=2), 2)
    0.87
    """
    recall, _, precision = _surface(y_true, anomaly_scores, window)
    return float((np.diff(recall, prepend=0) * precision).sum(axis=1).mean())


def vus_roc(y_true: Any, anomaly_scores: Any, *, window: int) -> float:
    """Compute the volume under the surface of true and false positive rates (VUS-ROC).

    As `vus_pr`, but with the area under the ROC curve, on which false alarms have little effect if
    anomalies are few. Random scores get 0.5 without buffers, but up to 0.9 if buffers are long and
    events short.

    Examples
    --------
    >>> from sktae.metrics import vus_roc
    >>> round(vus_roc([0, 0, 0, 1, 1, 0], [0.1, 0.2, 0.1, 0.3, 0.9, 0.8], window=2), 2)
    0.91
    """
    recall, false_alarms, _ = _surface(y_true, anomaly_scores, window)
    y, x = (np.pad(r, ((0, 0), (1, 1)), constant_values=(0, 1)) for r in (recall, false_alarms))
    return float(np.trapezoid(y, x).mean())


def event_precision_recall(y_true: Any, y_pred: Any) -> tuple[float, float]:
    """Compute precision and recall of events: runs of anomalous or of flagged points.

    These favor long alarms: one over almost all of the series overlaps with every event. So look at
    the share of flagged points, too.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        1 or True for points that are anomalous, or flagged, and 0 or False for others, in the
        order of time. If `y_pred` is from `predict` of a detector, pass `y_pred == -1`.

    Returns
    -------
    precision, recall : float
        Share of the flagged events that overlap with a true one, 0.0 if there are none, and share
        of the true events in which at least one point is flagged.

    Examples
    --------
    >>> from sktae.metrics import event_precision_recall
    >>> event_precision_recall([0, 1, 1, 0, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0, 0, 1])
    (0.5, 0.5)
    """
    # At least one point must not be flagged, or both shares are 1 whatever the truth.
    true, flagged = _labels(y_true, "y_true", needed=(0, 1)), _labels(y_pred, "y_pred", needed=(0,))
    check_consistent_length(true, flagged)
    return _share_overlapping(flagged, true), _share_overlapping(true, flagged)


def event_f1(y_true: Any, y_pred: Any) -> float:
    """Compute the F1 score of events: the harmonic mean of `event_precision_recall`.

    Examples
    --------
    >>> from sktae.metrics import event_f1
    >>> event_f1([0, 1, 1, 0, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0, 0, 1])
    0.5
    """
    precision, recall = event_precision_recall(y_true, y_pred)
    return 2 * precision * recall / (precision + recall) if recall else 0.0


def vus_pr_scorer(*, window: int) -> partial[float]:
    """Make a scorer of detectors by `vus_pr`: `scoring=vus_pr_scorer(window=40)`.

    It is called with a detector, rows in the order of time and their labels, 1 for anomalies. It
    uses `score_samples`.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sktae.metrics import vus_pr_scorer
    >>> X, y = [[0], [1], [0], [9], [1], [0]], [0, 0, 0, 1, 0, 0]
    >>> vus_pr_scorer(window=0)(IsolationForest(random_state=0).fit(X), X, y)
    1.0
    """
    return partial(_vus_pr, window=check_scalar(window, "window", Integral, min_val=0))


def event_f1_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Score a detector by `event_f1`: `scoring=event_f1_scorer`.

    It is called with a detector, rows in the order of time and their labels, 1 for anomalies. It
    uses `predict`.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sktae.metrics import event_f1_scorer
    >>> X, y = [[0], [1], [0], [9], [1], [0]], [0, 0, 0, 1, 0, 0]
    >>> event_f1_scorer(IsolationForest(contamination=0.1, random_state=0).fit(X), X, y)
    1.0
    """
    return event_f1(y, estimator.predict(X) == -1)


def period(x: Any) -> int:
    """Estimate the period of a series, (n,), as TSB-AD does for the `window` of `vus_pr`.

    It is the lag, from 4 on, at which the autocorrelation of the first 20,000 points has its
    highest peak. If there is no peak, or that lag is not between 6 and 303, it is 125.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import period
    >>> period(np.sin(2 * np.pi * np.arange(1000) / 40))
    40
    """
    x = column_or_1d(check_array(x, ensure_2d=False, dtype=np.float64, input_name="x"))[:20_000]
    spectrum = np.fft.rfft(x - x.mean(), 2 * len(x))
    r = np.fft.irfft(abs(spectrum) ** 2)[: min(401, len(x))]  # autocorrelations, by lag
    lags = np.arange(4, len(r) - 1)
    peaks = lags[(r[lags] > r[lags - 1]) & (r[lags] > r[lags + 1])]
    highest = int(max(peaks, key=r.__getitem__, default=0))
    return highest if 6 <= highest <= 303 else 125


def _surface(y_true: Any, scores: Any, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return recall, false positive rate and precision, each (window + 1, thresholds)."""
    check_scalar(window, "window", Integral, min_val=0)
    scores = column_or_1d(check_array(scores, ensure_2d=False, input_name="anomaly_scores"))
    true = _labels(y_true, "y_true", needed=(0, 1))
    check_consistent_length(true, scores)
    thresholds = np.sort(scores)[::-1][np.linspace(0, len(scores) - 1, _N_THRESHOLDS).astype(int)]
    # The number of the first threshold, the highest, at which a point is flagged.
    first = _N_THRESHOLDS - np.searchsorted(thresholds[::-1], scores, side="right")
    events, normal = _runs(true), np.flatnonzero(~true)
    nearest, second = _two_nearest(normal, *events)
    buffered, detected = np.empty((2, window + 1, _N_THRESHOLDS))
    for length in range(window + 1):
        within = nearest <= length // 2
        # The weights of overlapping buffers add up, to at most 1. Those of any two reach it.
        alone = second[within] > length // 2
        weights = np.where(alone, np.sqrt(1 - nearest[within] / length), 1)
        buffered[length] = _cumulated(first[normal[within]], weights)
        detected[length] = _share_detected(first, *events, length // 2)
    hits, flagged = _cumulated(first[true]) + buffered, _cumulated(first)
    positives = true.sum() + buffered / 2
    # The second factor is the existence reward of VUS: the share of events that are detected.
    recall = np.minimum(hits / positives, 1) * detected
    return recall, (flagged - hits) / (len(true) - positives), hits / flagged


def _cumulated(first: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return, for each threshold, the total weight of the points that are flagged at it."""
    return np.cumsum(np.bincount(first, weights, minlength=_N_THRESHOLDS))


def _two_nearest(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the distances of points between events to their two nearest events, (2, points)."""
    k = np.searchsorted(ends, points)  # number of events before each point
    ends, starts = np.append([-np.inf] * 2, ends), np.append(starts, [np.inf] * 2)
    four = points - ends[k], points - ends[k + 1], starts[k] - points, starts[k + 1] - points
    return np.sort(four, axis=0)[:2]


def _share_detected(
    first: np.ndarray, starts: np.ndarray, ends: np.ndarray, half: int
) -> np.ndarray:
    """Return, for each threshold, the share of events in which a point is flagged.

    Events get buffers of length `half` on both sides. Those that overlap then are one.
    """
    separate = ends[:-1] + half < starts[1:] - half
    starts = np.maximum(starts - half, 0)[np.append(True, separate)]
    stops = np.minimum(ends + half + 1, len(first))[np.append(separate, True)]
    bounds = np.column_stack([starts, stops]).ravel()  # may end behind the last point
    earliest = np.minimum.reduceat(np.append(first, _N_THRESHOLDS), bounds)[::2]
    return _cumulated(earliest) / len(earliest)


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last positions of the runs of True in a mask."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges[::2], edges[1::2] - 1


def _share_overlapping(mask: np.ndarray, other: np.ndarray) -> float:
    """Return the share of the runs of True in a mask that overlap with those of another."""
    starts, _ = _runs(mask)
    overlapping = np.unique(np.searchsorted(starts, np.flatnonzero(mask & other), side="right"))
    return len(overlapping) / max(1, len(starts))


def _vus_pr(estimator: Any, X: Any, y: Any, *, window: int) -> float:
    return vus_pr(y, -estimator.score_samples(X), window=window)


def _labels(values: Any, name: str, needed: tuple[int, ...]) -> np.ndarray:
    """Return labels as booleans; raise if one is not 0 or 1, or if a needed one is missing."""
    values = column_or_1d(check_array(values, ensure_2d=False, input_name=name))
    labels = np.unique(values).tolist()
    if not set(needed) <= set(labels) <= {0, 1}:
        raise ValueError(
            f"{name} must be 1 for anomalies and 0 for the rest, with at least one "
            f"{' and one '.join(map(str, needed))}, but its values are {reprlib.repr(labels)}; of "
            f"scikit-learn's labels, 1 and -1, pass {name} == -1."
        )
    return values.astype(bool)

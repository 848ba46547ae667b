"""How well the anomalies of a series are found, counting by events, and causes are told apart."""

import reprlib
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_scalar, column_or_1d

_CUTS = 250  # through the scores, as many as in TSB-AD


def vus_pr(y_true: Any, anomaly_scores: Any, *, window: int) -> float:
    """Volume under the surface of precision and recall (VUS-PR).

    An alarm shortly before or after an event is not quite wrong. So events get buffers, whose
    points count less the farther out they are, and the area under the curve of precision and
    recall is averaged over buffers of all lengths up to `window`. Only the order of the scores
    matters. The numbers are those of TSB-AD: cuts are at 250 equal steps through the sorted scores.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 or True for anomalous points, 0 or False for normal ones, in the order of time.

    anomaly_scores : array-like of shape (n,)
        Larger for more anomalous points: minus the `score_samples` of a detector.

    window : int
        Length of the longest buffer, half of it before an event and half after; 0 is none. TSB-AD
        takes the `period` of the series. Values for different windows do not compare.

    Returns
    -------
    volume : float
        Between 0 and 1. Scores at random get about the share of points that are anomalous, and
        several times that if buffers are much longer than events.

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
    """Volume under the surface of true and false positive rates (VUS-ROC).

    As `vus_pr`, with the area under the ROC curve, which hardly feels false alarms where anomalies
    are few. Scores at random get 0.5 without buffers, but up to 0.9 if these are long and events
    short.

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
    """Precision and recall of events, which are runs of anomalous or of flagged points.

    Long alarms are favoured: one over almost all of the series touches every event. So look at the
    share of flagged points, too.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        1 or True for points that are anomalous, or flagged, and 0 or False for others, in the
        order of time. Of what `predict` of a detector gives, pass `y_pred == -1`.

    Returns
    -------
    precision, recall : float
        Share of the flagged events that touch a true one, 0.0 if there are none, and share of the
        true events in which at least one point is flagged.

    Examples
    --------
    >>> from sktae.metrics import event_precision_recall
    >>> event_precision_recall([0, 1, 1, 0, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0, 0, 1])
    (0.5, 0.5)
    """
    # If all points were flagged, both shares would be 1, whatever is true.
    true, flagged = _labels(y_true, "y_true", needed=(0, 1)), _labels(y_pred, "y_pred", needed=(0,))
    check_consistent_length(true, flagged)
    return _share_met(flagged, true), _share_met(true, flagged)


def event_f1(y_true: Any, y_pred: Any) -> float:
    """F1 score of events: the harmonic mean of what `event_precision_recall` gives.

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

    It is called with a detector, rows in the order of time and their labels, 1 for anomalies, and
    goes by `score_samples`.

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

    It takes rows in the order of time and their labels, 1 for anomalies, and goes by `predict`.

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
    """Length of the period of a series, (n,), as TSB-AD finds it: the usual `window` of `vus_pr`.

    It is the lag between 6 and 303 at which the autocorrelation of the first 20,000 points has its
    highest peak, or 125 if there is none, or a higher one outside of that range.

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
    """Return recall, rate of false alarms and precision, each (window + 1, cuts)."""
    check_scalar(window, "window", Integral, min_val=0)
    scores = column_or_1d(check_array(scores, ensure_2d=False, input_name="anomaly_scores"))
    true = _labels(y_true, "y_true", needed=(0, 1))
    check_consistent_length(true, scores)
    cuts = np.sort(scores)[::-1][np.linspace(0, len(scores) - 1, _CUTS).astype(int)]
    first = _CUTS - np.searchsorted(cuts[::-1], scores, side="right")  # cut that flags a point
    runs, others = _runs(true), np.flatnonzero(~true)
    near, next_near = _two_nearest(others, *runs)
    buffered, found = np.empty((2, window + 1, _CUTS))
    for length in range(window + 1):
        within = near <= length // 2
        # Where buffers overlap they add up, to 1 at most: that is what any two make.
        alone = next_near[within] > length // 2
        weights = np.where(alone, np.sqrt(1 - near[within] / length), 1)
        buffered[length] = _so_far(first[others[within]], weights)
        found[length] = _share_found(first, *runs, length // 2)
    hits, flagged = _so_far(first[true]) + buffered, _so_far(first)
    positives = true.sum() + buffered / 2
    recall = np.minimum(hits / positives, 1) * found
    return recall, (flagged - hits) / (len(true) - positives), hits / flagged


def _so_far(first: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Add up, for each cut, what is flagged at it."""
    return np.cumsum(np.bincount(first, weights, minlength=_CUTS))


def _two_nearest(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return how far the two nearest events are from points between events, (2, points)."""
    k = np.searchsorted(ends, points)  # how many events lie before
    ends, starts = np.append([-np.inf] * 2, ends), np.append(starts, [np.inf] * 2)
    four = points - ends[k], points - ends[k + 1], starts[k] - points, starts[k + 1] - points
    return np.sort(four, axis=0)[:2]


def _share_found(first: np.ndarray, starts: np.ndarray, ends: np.ndarray, half: int) -> np.ndarray:
    """Return, for each cut, the share of events with anything flagged; overlapping ones are one."""
    apart = ends[:-1] + half < starts[1:] - half
    starts = np.maximum(starts - half, 0)[np.append(True, apart)]
    stops = np.minimum(ends + half + 1, len(first))[np.append(apart, True)]
    steps = np.column_stack([starts, stops]).ravel()  # may end behind the last point
    earliest = np.minimum.reduceat(np.append(first, _CUTS), steps)[::2]
    return _so_far(earliest) / len(earliest)


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where runs of True have their first points, and where their last."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges[::2], edges[1::2] - 1


def _share_met(mask: np.ndarray, other: np.ndarray) -> float:
    """Return the share of the runs of True in a mask in which the other is True somewhere."""
    starts, _ = _runs(mask)
    met = np.unique(np.searchsorted(starts, np.flatnonzero(mask & other), side="right"))
    return len(met) / max(1, len(starts))


def _vus_pr(estimator: Any, X: Any, y: Any, *, window: int) -> float:
    return vus_pr(y, -estimator.score_samples(X), window=window)


def _labels(values: Any, name: str, needed: tuple[int, ...]) -> np.ndarray:
    """Return labels as booleans; raise if there are others than 0 and 1, or if one is missing."""
    values = column_or_1d(check_array(values, ensure_2d=False, input_name=name))
    found = np.unique(values).tolist()
    if not set(needed) <= set(found) <= {0, 1}:
        raise ValueError(
            f"{name} must be 1 for anomalies and 0 for the rest, with at least one "
            f"{' and one '.join(map(str, needed))}, but its values are {reprlib.repr(found)}; of "
            f"scikit-learn's labels, 1 and -1, pass {name} == -1."
        )
    return values.astype(bool)

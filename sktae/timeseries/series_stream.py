"""A series that arrives row by row, scored by a detector that many series may share."""

import copy
from typing import Any

import numpy as np
import pandas as pd

from sktae._outliers.scores import check_scored_as_in_fit
from sktae.timeseries.events import find_events


class SeriesStream:
    """Follows one series with a fitted detector, which many of them may share.

    `WindowedDetector.stream` makes one for each machine, say. The detector is read and not changed.

    Parameters
    ----------
    detector : WindowedDetector
        The fitted detector.

    series : label, default=None
        Which series of the fit it is, if each has its own scale.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import WindowedDetector
    >>> X = np.sin(np.arange(1200) / 5)[:, np.newaxis]
    >>> detector = WindowedDetector(window_size=30, contamination=None, random_state=0).fit(X)
    >>> first, second = detector.stream(), detector.stream()
    >>> first.score(X[:100]).shape, second.score(X[:40]).shape
    ((71,), (11,))
    >>> first.score(last=True).shape
    (29,)
    >>> len(first.events())
    0
    """

    detector: Any
    series: Any
    _state: tuple | None  # the streams of measures and the time of the last row, as of a detector
    _n_rows: int  # that were given
    _labels: pd.Index  # of rows whose scores are not final, or that may be events
    _found: np.ndarray  # the parts of the anomaly of rows that may be events
    _over: list[pd.DataFrame]  # events that no later row can change

    def __init__(self, detector: Any, series: Any = None):
        self.detector, self.series = detector, series
        self.reset()

    def reset(self) -> None:
        """Forget all rows, so that the next one begins another series."""
        self._state, self._n_rows, self._labels = None, 0, pd.RangeIndex(0)
        self._found, self._over = np.zeros((0, 1)), []

    def score(self, rows: Any = None, last: bool = False) -> np.ndarray:
        """Score the next rows of the series; scores are those of `score_samples`.

        Parameters
        ----------
        rows : array-like of shape (n_timepoints, n_channels), dict, Series or None, default=None
            The next rows, if there are any. Or one row, by the names of its channels: a dict, or a
            Series, whose name is the time.

        last : bool, default=False
            Whether the series ends with them. Then the scores of all its rows are returned, and
            the next call begins another series.

        Returns
        -------
        scores : ndarray of shape (n_final,)
            The scores that have become final, up to `delay_` rows before the last row given.
        """
        if self._state is None:
            self.reset()  # what is known of an earlier series is kept until another one begins
        found, n_rows, labels, self._state = self.detector._advance(
            self._state, rows, last, "reasons", self.series
        )
        first, begin = self._n_rows - len(self._labels), self._n_rows
        self._n_rows += n_rows
        if labels is None and self._labels.dtype.kind == "i":
            self._labels = pd.RangeIndex(first, self._n_rows)
        else:
            labels = pd.RangeIndex(begin, self._n_rows) if labels is None else labels
            # Of no rows, an index would give its type to those that follow.
            self._labels = self._labels.append(labels) if len(self._labels) else labels
        width = found.shape[1]
        self._found = np.concatenate([self._found.reshape(-1, width), found])
        scores = -self.detector._kinds.split(self._found)[0]
        self._forget(scores)
        return scores[len(scores) - len(found) :]

    def events(self) -> pd.DataFrame:
        """List the events of the series so far, as `WindowedDetector.events` does.

        Returns
        -------
        events : DataFrame
            As of `WindowedDetector.events`, and a last column `over`: False for an event that later
            rows may prolong. Of a series that has ended, all are over.
        """
        check_scored_as_in_fit(self.detector, "offset_ is a threshold for")
        events = [*self._over, self._events().assign(over=self._state is None)]
        # Frames without events would turn the labels of the others into objects.
        return pd.concat([frame for frame in events if len(frame)] or events[:1], ignore_index=True)

    def _rest(self) -> np.ndarray:
        """Return the scores that would be final if the series ended here; it does not."""
        ended = copy.copy(self)
        ended._state = copy.deepcopy(self._state)
        return ended.score(last=True)

    def _events(self, n: int | None = None) -> pd.DataFrame:
        """Return the events in the first n rows that are kept."""
        detector, found = self.detector, self._found[:n]
        anomalies, reasons = detector._kinds.split(found)
        causal = detector.aggregation == "causal"
        distances = detector.window_size_, detector._gap, causal
        labels, names = self._labels[: len(found)], detector._channel_names(None)
        return find_events(-anomalies, detector.offset_, *distances, labels, reasons, names)

    def _forget(self, scores: np.ndarray) -> None:
        """Keep only rows that may be part of an event, or become one."""
        n, flagged = len(scores), np.flatnonzero(scores < self.detector.offset_)
        if len(flagged):
            following = np.append(flagged, n)  # the next row may be flagged
            ends = np.flatnonzero(np.diff(following) > self.detector.window_size_)
            n = int(following[ends[-1] + 1 if len(ends) else 0])
            if len(ends):
                self._over = [*self._over, self._events(n).assign(over=True)]
        self._labels, self._found = self._labels[n:], self._found[n:]

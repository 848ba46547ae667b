"""What is asked of a detector for series: answers for each timepoint."""

import numpy as np
import pandas as pd
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sktae._outliers.scores import check_scored_as_in_fit
from sktae.inputs.scaling import FLOATS
from sktae.timeseries.reverse_windowing import Overlapped, Placed, Stream
from sktae.timeseries.validation import _check_times, _times, parted


class TimelineMixin(OutlierMixin):
    """Scores timepoints by the errors of the windows around them; scikit-learn's signs and labels.

    The host has the parameters `group`, `stride` and `aggregation`, and what its fit leaves:
    `_channels`, `_layout`, `_errors`, `window_`, `offset_`, `calibration_scores_`.
    """

    def score_samples(self, X):
        """Score each timepoint by how well what is around it fits what was learnt.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to score, as in `fit`. One shorter than a window is lengthened by its last
            row.

        Returns
        -------
        scores : ndarray of shape (n_timepoints,), or list of such
            The higher, the more normal. They depend on at most `delay_` later rows.
        """
        return _each(lambda found: -found[:, 0], self._found(X, "anomaly"))

    def decision_function(self, X):
        """Score each timepoint relative to the threshold.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to score, as in `fit`.

        Returns
        -------
        decision : ndarray of shape (n_timepoints,), or list of such
            `score_samples(X) - offset_`: negative for outliers.
        """
        scores = self.score_samples(X)
        check_scored_as_in_fit(self, "offset_ is a threshold for")
        return _each(lambda scores: scores - self.offset_, scores)

    def predict(self, X):
        """Tell outliers from inliers.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to judge, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_timepoints,), or list of such
            -1 for outliers, +1 for inliers.
        """
        return _each(lambda decision: np.where(decision < 0, -1, 1), self.decision_function(X))

    def p_values(self, X):
        """Say how often timepoints like those held out would look as unusual.

        They are approximate: neighbouring timepoints share windows, so that there are fewer
        independent ones among those held out than rows, and unusual ones come in a row.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to judge, as in `fit`.

        Returns
        -------
        p_values : ndarray of shape (n_timepoints,), or list of such
            Between 1 / (n + 1), for n held-out rows, and 1.
        """
        scores = self.score_samples(X)
        known = self.calibration_scores_
        if known is None:
            raise ValueError(
                f"p_values needs the scores of rows that the fit has not seen: set "
                f"calibration_fraction of {type(self).__name__}, to 0.2 say, and fit again "
                f"(partial_fit holds out none)."
            )
        check_scored_as_in_fit(self, "p_values compares with")
        return _each(lambda s: (1 + known.searchsorted(s, "right")) / (1 + len(known)), scores)

    def score_next(self, rows=None, last=False):
        """Score a series while it arrives: the same scores, as soon as they are final.

        The rows of a series are given in chunks of any size. What is returned are scores of the
        rows that come next after those scored so far, up to `delay_` rows before the last one.

        Parameters
        ----------
        rows : array-like of shape (n_timepoints, n_channels) or None, default=None
            The next rows of the series, if there are any.

        last : bool, default=False
            Whether the series ends with them. Then the scores of all its rows are returned, and
            the next call begins another series.

        Returns
        -------
        scores : ndarray of shape (n_final,)
            The higher, the more normal.
        """
        check_is_fitted(self)
        stream, until = self._stream or (self._new_stream("anomaly"), None)
        if rows is None:
            rows = np.empty((0, self.n_features_in_))
        else:
            _check_times(rows, before=until)
            until = until if (times := _times(rows)) is None or not len(times) else times[-1]
            rows = self._one_series(rows, reset=False)
        found = stream.push(rows, *self._ways("anomaly"), last)
        self._stream = None if last else (stream, until)
        return -found[:, 0]

    def error_map(self, X):
        """Show where, and in which channel, the reconstruction fails.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to look at, as in `fit`.

        Returns
        -------
        errors : ndarray of shape (n_timepoints, n_channels), or list of such
            Means over the windows that cover a row, on the scale of the score: with
            `aggregation="mean"`, the score is minus the quadratic mean of a row.
        """
        self._check_channels_are_told()
        return self._found(X, "map")

    def explain(self, X):
        """Say which channels make timepoints unusual.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to explain, as in `fit`.

        Returns
        -------
        contributions : DataFrame of shape (n_timepoints, n_channels), or list of such
            What each channel adds to the anomaly; a row adds up to minus its score.
        """
        self._check_channels_are_told()
        found = self._found(X, "channels")
        if isinstance(found, list):
            return [self._frame(part, x) for part, x in zip(found, X, strict=True)]
        return self._frame(found, X)

    def events(self, X):
        """List the intervals of outliers.

        Those with less than a window between them are one.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to judge, as in `fit`.

        Returns
        -------
        events : DataFrame, or list of such
            In order of time: `start`, `end` and `peak`, labels of the first, the last and the most
            unusual row (of the index of a DataFrame, else numbers); `score` of the peak;
            `channels`, the fewest that make up half of the anomaly, the largest first, or none if
            the estimator cannot tell. With `group`, a first column says in which series.
        """
        scores = self.score_samples(X)
        check_scored_as_in_fit(self, "offset_ is a threshold for")
        parts, (series, places) = parted(X, self.group)[0], self._series(X)
        if places is None:
            return [self._events(*one) for one in zip(parts, series, scores, strict=True)]
        found = [
            self._events(part, rows, scores[place])
            for part, rows, place in zip(parts, series, places, strict=True)
        ]
        if self.group is None:
            return found[0]
        for events, place in zip(found, places, strict=True):
            events.insert(0, self.group, [X[self.group].iloc[place[0]]] * len(events))
        # Frames without events would turn the labels of the others into floats.
        return pd.concat([events for events in found if len(events)] or found, ignore_index=True)

    # -- the private twins ---------------------------------------------------------------------

    def _series(self, X, reset=False):
        """Return the series in X as arrays, and the places of their rows in X, None for a list."""
        parts, places = parted(X, self.group)
        settings = {"dtype": FLOATS, "reset": False}
        _check_times(*parts)
        first = validate_data(self, parts[0], **{**settings, "reset": reset})
        return [first, *(validate_data(self, part, **settings) for part in parts[1:])], places

    def _one_series(self, X, reset):
        if self.group is not None and self.group in getattr(X, "columns", ()):
            raise ValueError(
                f"{type(self).__name__} goes on with one series here, but the rows have a column "
                f"{self.group!r}, which is its group; give those of one group without it."
            )
        _check_times(X)
        return validate_data(self, X, dtype=FLOATS, reset=reset)

    def _found(self, X, kind):
        check_is_fitted(self)
        series, places = self._series(X)
        found = [self._through(rows, kind) for rows in series]
        if places is None:
            return found
        whole = np.empty((sum(map(len, found)), found[0].shape[1]))
        for place, part in zip(places, found, strict=True):
            whole[place] = part
        return whole

    def _through(self, rows, kind):
        """Return the "anomaly" of a series, also by "channels", or its "map" of errors."""
        return self._new_stream(kind).push(rows, *self._ways(kind), last=True)

    def _new_stream(self, kind):
        usual, size = self._errors.usual, (self.window_size_, self.stride)
        if kind == "map" or self.aggregation == "mean":
            collect = Overlapped(*size, len(usual))
        else:
            collect = Placed(*size, usual, causal=self.aggregation == "causal")
        return Stream(self._channels, collect, self._layout)

    def _ways(self, kind):
        """Return what reads windows, and what finishes rows."""
        errors = self._errors
        by_time = kind == "map" or self.aggregation == "mean"
        finish = {"anomaly": errors.pooled, "channels": errors.shares, "map": np.asarray}[kind]
        return errors.of_times if by_time else errors.of_windows, finish

    def _check_channels_are_told(self):
        check_is_fitted(self)
        if not self._errors.by_features:
            raise ValueError(
                f"{type(self).__name__} cannot tell channels apart here, since "
                f"{type(self.estimator_).__name__} was asked for one score for each window; an "
                f"estimator that reconstructs, with errors='auto', gives the errors of channels."
            )

    def _names(self, X):
        if isinstance(X, pd.DataFrame):
            return [name for name in X.columns if self.group is None or name != self.group]
        return getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])

    def _frame(self, found, X):
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(found, index=index, columns=self._names(X))

    def _events(self, X, rows, scores):
        labels = X.index if isinstance(X, pd.DataFrame) else range(len(scores))
        outliers, found = np.flatnonzero(scores < self.offset_), []
        if len(outliers) and self._errors.by_features:
            contributions = self._through(rows, "channels")
        cuts = np.flatnonzero(np.diff(outliers) > self.window_size_) + 1
        for span in np.split(outliers, cuts) if len(outliers) else []:
            start, end = span[0], span[-1]
            peak = start + scores[start : end + 1].argmin()
            leading = ()
            if self._errors.by_features:
                leading = self._leading(contributions[start : end + 1].sum(axis=0), X)
            found.append((labels[start], labels[end], labels[peak], scores[peak], leading))
        return pd.DataFrame(found, columns=["start", "end", "peak", "score", "channels"])

    def _leading(self, contributions, X):
        order = np.argsort(-contributions, kind="stable")
        reached = np.cumsum(contributions[order]) >= contributions.sum() / 2
        names = self._names(X)
        return tuple(names[i] for i in order[: reached.argmax() + 1])


def _each(function, found):
    """Apply a function to what was found, for each series in a list."""
    return [function(part) for part in found] if isinstance(found, list) else function(found)

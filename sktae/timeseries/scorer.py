"""The methods of a detector for series: scores, labels, reasons and events of each row."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from sktae._outliers.scores import check_scored_as_in_fit, p_values
from sktae.inputs.scaling import validated_floats
from sktae.timeseries.channels import Channels
from sktae.timeseries.events import concat_events, find_events
from sktae.timeseries.kinds import Kinds
from sktae.timeseries.reverse_windowing import OverlapAverage, WindowAverage
from sktae.timeseries.series_scales import SeriesScales
from sktae.timeseries.series_stream import SeriesStream
from sktae.timeseries.streams import RowStream, Streams, WindowStream
from sktae.timeseries.validation import (
    check_channels,
    check_one_series,
    check_spacing,
    check_steps,
    check_times,
    one_row,
    plain_row,
    rows_of,
    spacing_of,
    split_series,
    time_index,
)

# The automatic stride is one part of a window, of so many. Errors are smoothed over a window, so
# that smaller strides gain nothing.
_STRIDES = 16


class SeriesScoreMixin(OutlierMixin):
    """Scores the rows of series by the errors of windows; scikit-learn's signs and labels.

    The class that inherits has the parameters `group`, `stride` and `aggregation`, and its fit sets
    the attributes below.
    """

    estimator_: Any
    window_size_: int
    delay_: int
    n_features_in_: int
    offset_: float
    calibration_scores_: np.ndarray | None
    _channels: Channels
    _gap: int  # a row changes scores of others that are at most so many rows away
    _kinds: Kinds
    _scales: SeriesScales | None  # of the series of the fit, if each has its own
    _spacing: float | None  # of the rows of the fit, in seconds, if their times are known
    _scored_by: dict[str, Any]  # the settings that `offset_` belongs to
    _stream: tuple | None  # of `score_next`: the stream, and the time of its last row if known
    _last_rows: np.ndarray  # what `partial_fit` goes on with
    _n_waiting: int  # of these, rows that have not been trained on
    _seed: int

    def score_samples(self, X: Any) -> Any:
        """Score each timepoint by how well the rows around it are reproduced.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to score, as in `fit`. The last row of a series shorter than a window is
            repeated to the length of a window.

        Returns
        -------
        scores : ndarray of shape (n_timepoints,), or list of such
            The higher, the more normal. They depend on at most `delay_` later rows.
        """
        return _each(lambda anomalies: -anomalies[:, 0], self._compute(X, "anomaly"))

    def decision_function(self, X: Any) -> Any:
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

    def predict(self, X: Any) -> Any:
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

    def p_values(self, X: Any) -> Any:
        """Compute how often normal timepoints would look at least as unusual.

        They are approximate: neighboring timepoints share windows, so they are not independent, as
        conformal p-values assume.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to judge, as in `fit`.

        Returns
        -------
        p_values : ndarray of shape (n_timepoints,), or list of such
            Between 1 / (n + 1), for n rows in `calibration_scores_`, and 1.
        """
        return _each(lambda scores: p_values(self, scores), self.score_samples(X))

    def score_next(self, rows: Any = None, last: bool = False) -> np.ndarray:
        """Score a series while it arrives. Scores are those of `score_samples`.

        Give the rows of a series in chunks of any size. A score is returned once no later row can
        change it: the scores follow those returned so far, up to `delay_` rows before the last row
        given.

        Parameters
        ----------
        rows : array-like of shape (n_timepoints, n_channels), dict, Series or None, default=None
            The next rows of the series, if there are any. Or one row, by the names of its channels:
            a dict, or a Series, whose name is the time.

        last : bool, default=False
            Whether the series ends with them. Then the scores of all its rows are returned, and
            the next call begins another series.

        Returns
        -------
        scores : ndarray of shape (n_final,)
            The higher, the more normal.
        """
        found, *_, self._stream = self._advance(self._stream, rows, last, "anomaly", None)
        return -found[:, 0]

    def stream(self, series: Any = None) -> SeriesStream:
        """Return an object that follows one series, so that many can be scored by one detector.

        Parameters
        ----------
        series : label, default=None
            With `standardize="series"`, which series of the fit it is, as the column `group` had
            it. Rows that arrive are scaled as those of the fit were, since they are too few to be
            scaled by themselves.

        Returns
        -------
        stream : SeriesStream
            Its `score` takes the next rows, and its `events` lists what happened so far.
        """
        check_is_fitted(self)
        self._check_known(series)
        return SeriesStream(self, series)

    def error_map(self, X: Any) -> Any:
        """Compute the error of each timepoint in each channel.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to reconstruct, as in `fit`.

        Returns
        -------
        errors : ndarray of shape (n_timepoints, n_channels), or list of such
            Means over the windows that cover a row, of `window_size`, on the scale of the shape:
            with `aggregation="mean"`, the quadratic mean of a row is its shape by these windows.
        """
        self._check_errors_by_channel()
        return self._compute(X, "map")

    def explain(self, X: Any) -> Any:
        """Compute which channels make timepoints unusual.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to explain, as in `fit`.

        Returns
        -------
        contributions : DataFrame of shape (n_timepoints, n_channels), or list of such
            What each channel adds to the anomaly; a row adds up to minus its score.
        """
        self._check_errors_by_channel()
        contributions = self._compute(X, "contributions")
        if isinstance(contributions, list):
            return [self._to_frame(c, x) for c, x in zip(contributions, X, strict=True)]
        return self._to_frame(contributions, X)

    def events(self, X: Any) -> Any:
        """List the intervals of outliers.

        Outliers that are at most a window apart belong to one event.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            The series to judge, as in `fit`.

        Returns
        -------
        events : DataFrame, or list of such
            One row for each event, in order of time. `start`, `end` and `peak` are the labels of
            its first, its last and its most unusual row: from the index of a DataFrame, else row
            numbers. `duration` is the time from start to end, if labels are times, else the number
            of rows. `score` is that of the peak. `kind` is "level" if most rows of the event
            are outside of the levels of training, else "shape" or "jump", whichever is more of the
            peak's anomaly. A jump is as long as the rows that jump, though rows around it are
            outliers, too, since their windows hold it; unless these are more on one side.
            `channels` are the fewest that make up half of the anomaly, the largest first; empty if
            scores are not by channel. With `group`, a first column names the series.
        """
        scores = self.score_samples(X)
        check_scored_as_in_fit(self, "offset_ is a threshold for")
        (parts, _, groups), (series, positions) = split_series(X, self.group), self._series(X)
        if positions is None:
            return [self._events(*one) for one in zip(parts, series, scores, strict=True)]
        events = [
            self._events(part, rows, scores[own])
            for part, rows, own in zip(parts, series, positions, strict=True)
        ]
        if self.group is None:
            return events[0]
        return concat_events(events, self.group, groups)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # -- the private twins ---------------------------------------------------------------------

    def _series(self, X):
        """Return the series in X, each on its scale, and the positions of their rows."""
        series, positions, names = self._read(X, reset=False)
        return [self._scaled(*one) for one in zip(series, names, strict=True)], positions

    def _scaled(self, rows, name):
        """Return the rows of a series on its own scale, if each has one."""
        if self._scales is None:
            return rows
        return self._scales.transform(rows, self._scales.numbers.get(name))

    def _check_known(self, name):
        """Raise if no scale is known for the rows of a series that arrive one after the other."""
        owner = type(self).__name__
        if self._scales is None and name is not None:
            raise ValueError(
                f"series={name!r} names no series, since all have one scale with standardize="
                f"{self.standardize} of {owner}; leave it out, or fit with standardize='series'."
            )
        if self._scales is not None and name not in self._scales.numbers:
            known = ", ".join(map(repr, list(self._scales.numbers)[:5])) or "none by name"
            raise ValueError(
                f"With standardize='series' of {owner}, rows that arrive have the scale of a "
                f"series of the fit, and series={name!r} is none of them ({known}): name one, as "
                f"in stream(name), or fit with `group`, or with standardize=True."
            )

    def _read(self, X, reset):
        """Return the series in X as arrays, the positions of their rows, and their names."""
        parts, positions, names = split_series(X, self.group)
        check_times(*parts)
        spacing = spacing_of(*parts)
        if reset:
            self._spacing = spacing
        else:
            check_spacing(spacing, self._spacing)
        series = [validated_floats(self, parts[0], reset=reset)]
        series += [validated_floats(self, x, reset=False) for x in parts[1:]]
        if reset:
            check_channels(self, series)
        return series, positions, names

    def _one_series(self, X, reset, name=None):
        """Return the rows of one series, the only one that a method goes on with, as an array.

        Their group may be given beside them if it is known which one it must be, by name.
        """
        X = rows_of(X)
        if self.group is not None and self.group in getattr(X, "columns", ()):
            if name is None or (X[self.group] != name).any():
                which = "one series" if name is None else f"the series {name!r}"
                raise ValueError(
                    f"{type(self).__name__} goes on with {which} here, but the rows have a column "
                    f"{self.group!r}, which is their group; give those of one group without it."
                )
            X = X.drop(columns=self.group)
        check_one_series(X)
        check_times(X)
        if reset:
            self._spacing = spacing_of(X)
        rows = validated_floats(self, X, reset=reset)
        if reset:
            check_channels(self, [rows])
        return rows

    def _advance(self, state, rows, last, output, name):
        """Go on with a series.

        Return what is final, the number of rows, their times if known, and the state.
        """
        check_is_fitted(self)
        self._check_known(name)
        stream, last_time = state or (self._new_stream(output), None)
        times = None
        plain = plain_row(self, rows, last_time)
        if rows is None:
            rows = np.empty((0, self.n_features_in_))
        elif plain is not None:
            rows, times = self._scaled(plain[0], name), plain[1]
            last_time = last_time if times is None else times[0]
        else:
            rows = rows_of(one_row(self, rows))
            check_times(rows, after=last_time)
            times = time_index(rows)
            if times is not None and len(times):
                check_steps(times, last_time, self._spacing)
                last_time = times[-1]
            rows = self._scaled(self._one_series(rows, reset=False, name=name), name)
        found = stream.process(rows, *self._functions(output), last)
        return found, len(rows), times, None if last else (stream, last_time)

    def _compute(self, X, output):
        """Return an output for each row of X (see `_functions`), (n, k), or a list of such."""
        check_is_fitted(self)
        series, positions = self._series(X)
        results = [self._process(rows, output) for rows in series]
        if positions is None:
            return results
        joined = np.empty((sum(map(len, results)), results[0].shape[1]))
        for own, result in zip(positions, results, strict=True):
            joined[own] = result
        return joined

    def _process(self, rows, output):
        return self._new_stream(output).process(rows, *self._functions(output), last=True)

    def _new_stream(self, output):
        kinds, causal = self._kinds, self.aggregation == "causal"
        if output == "map":
            return Streams([self._window_stream(kinds.shapes[0], by_time=True, causal=False)])
        by_time = self.aggregation == "mean"
        return Streams(
            [
                *(self._window_stream(shape, by_time, causal) for shape in kinds.shapes),
                *(RowStream(measure, causal) for measure in kinds.rows.values()),
            ]
        )

    def _window_stream(self, shape, by_time, causal):
        default, size = shape.errors.training_mean, shape.layout.window_size
        stride = self._stride(size)
        if by_time:
            aggregator = OverlapAverage(size, stride, len(default))
        else:
            aggregator = WindowAverage(size, stride, default, causal)
        return WindowStream(self._channels, aggregator, shape.layout)

    def _stride(self, window_size, learning=False):
        """Return the stride of windows of some size; `stride` is that of the longest."""
        if self.stride == "auto":
            return 1 if learning else max(1, window_size // _STRIDES)
        return max(1, int(self.stride) * window_size // self.window_size_)

    def _functions(self, output):
        """Return what the streams of an output measure by, and what combines the measures.

        "anomaly" is one number for each row, (n, 1), and "contributions" are the channels' shares
        of it, (n, c). "reasons" are the shares of kinds and channels, if there are any, else the
        anomaly. "sizes" are the errors by window size, (n, sizes). "map" are the channels' errors,
        (n, c), whatever the aggregation.
        """
        kinds = self._kinds
        if output == "map":
            shape = kinds.shapes[0]
            return [shape.errors.by_time], lambda errors: errors[0] / shape.largest
        by_time = self.aggregation == "mean"
        windows = [s.errors.by_time if by_time else s.errors.by_window for s in kinds.shapes]
        combine = {
            "anomaly": kinds.anomaly,
            "contributions": kinds.contributions,
            "reasons": kinds.reasons,
            "sizes": kinds.by_size,
        }
        return [*windows, *kinds.rows.values()], combine[output]

    def _check_errors_by_channel(self):
        check_is_fitted(self)
        if not self._kinds.shapes[0].from_residuals:
            raise ValueError(
                f"{type(self).__name__} has no errors by channel here, since "
                f"{type(self.estimator_).__name__} gives one score for each window; use an "
                f"estimator that reconstructs, with errors='auto'."
            )

    def _channel_names(self, X):
        if isinstance(X, pd.DataFrame):
            return [name for name in X.columns if self.group is None or name != self.group]
        return getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])

    def _to_frame(self, values, X):
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(values, index=index, columns=self._channel_names(X))

    def _events(self, X, rows, scores):
        """Return the events of one series, X as it was given and its rows as an array."""
        reasons = None
        if (scores < self.offset_).any():
            reasons = self._kinds.split(self._process(rows, "reasons"))[1]
        labels = X.index if isinstance(X, pd.DataFrame) else range(len(scores))
        distances = self.window_size_, self._gap, self.aggregation == "causal"
        names = self._channel_names(X)
        return find_events(scores, self.offset_, *distances, labels, reasons, names)


def _each(function, values):
    """Apply a function to an array, or to each array of a list."""
    return [function(part) for part in values] if isinstance(values, list) else function(values)

"""The detector of outliers in time series."""

import copy
import warnings
from dataclasses import field
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils.metaestimators import available_if

from sktae._outliers.scores import score_settings
from sktae._training.checkpoint import check_seed
from sktae._warnings import warn
from sktae.autoencoders.denoising import DenoisingAutoencoder
from sktae.base import BaseAutoencoder
from sktae.parameters import (
    Contamination,
    Count,
    Declared,
    Fraction,
    Seed,
    plain_copy,
    take_over,
)
from sktae.randomness import seed_of
from sktae.timeseries.channels import VIEWS, Channels
from sktae.timeseries.kinds import Jumps, Kinds, Levels, row_channels
from sktae.timeseries.scorer import SeriesScoreMixin
from sktae.timeseries.series_scales import SeriesScales
from sktae.timeseries.shape import Shape
from sktae.timeseries.thresholds import check_promise, excerpts, series_threshold

# The automatic window size, and at most one of so many parts of the longest series.
_WINDOW_SIZE, _PARTS = 200, 4

# Shorter windows are a fraction of the longest, one part of so many, if they have so many rows.
_SCALE, _SHORTEST = 4, 25

# Levels are means over one part of a window: one of so many.
_LEVEL_PARTS = 3

# After `partial_fit`, the scale of errors and the threshold come from so many last rows.
_MEMORY = 10_000

# With `calibration="cross"`, each of so many parts of a series is judged by a detector that has
# learned the others, if their longest stretch has so many windows side by side; fewer are
# overfitted, and scores of other rows are far too low.
_FOLDS, _FEWEST_WINDOWS = 4, 2

# If the largest training anomaly is smaller than this, it is a rounding error.
_ROUNDING = 1e-9


def _learns_in_chunks(detector: "WindowedDetector") -> bool:
    return detector.estimator is None or hasattr(detector.estimator, "partial_fit")


class WindowedDetector(SeriesScoreMixin, Declared):
    """Detector of outliers in time series. Rows are timepoints, and each gets a score.

    The detector slides a window over the series, and an estimator learns to reconstruct windows.
    Where it reconstructs badly, the series is unlike the training series. This is how errors become
    scores:

    1. The error of a channel in a window is the mean of the largest eighth of its squared
       residuals, divided by the largest such error in training. A window may also be reproduced
       better than all training windows, as where a sensor freezes. Then the error is the share by
       which it falls below the least training error, if that is larger.
    2. A timepoint gets the error of the window whose middle is nearest. A moving average as long as
       a window smooths these errors.
    3. The *shape* of a timepoint is the quadratic mean over channels, in which channels of two
       values hardly count beside others, divided by the largest in training. A second copy of the
       estimator does the same with windows of a quarter of the length; the larger one counts.
    4. Beside the shape, there are the *jump* of a row from its neighbors and its *level*, as far as
       they are beyond all of training. The anomaly is
       :math:`\\log(1 + shape) + 5 \\log(1 + jump) + .25 \\log(1 + level)`. The score is minus
       the anomaly.

    Missing values are NaN. The estimator gets lines from the known values before to those after
    them, but they have no error, and windows of which more than half is missing are not learned.

    Neighboring timepoints are not independent. Do not shuffle them, and split them by
    `TimeSeriesSplit`.

    Parameters
    ----------
    estimator : estimator or None, default=None
        Learns windows. Any autoencoder, any estimator with `transform` and `inverse_transform`, or
        a detector with `score_samples`. It is copied and stays unfitted. None is
        `DenoisingAutoencoder(training_data="clean")`.

    window_size : int or "auto", default="auto"
        Number of rows in a window. "auto" is 200, and at most a quarter of the longest series.

    n_scales : int, default=2
        Number of window sizes. Each is a quarter of the one before, but none is below 25 rows. Each
        has its own copy of `estimator`, and the largest error counts. Short windows show what is
        short. With 1, all windows have `window_size` rows.

    stride : int or "auto", default="auto"
        Number of rows from the start of one window to the start of the next. "auto" is 1 in the fit
        and a sixteenth of a window in scores. A larger stride is faster, but locates outliers less
        exactly.

    standardize : bool or "series", default=True
        Whether each channel is scaled to mean 0 and variance 1 in the training rows, and clipped at
        20 standard deviations. A channel that is constant in the training rows keeps its units.
        "series": before that, each series is scaled by its own training rows, so that a series of
        small values counts as much as one of large values. A series that was not in the fit is
        scaled by the rows that are given. So are series of a list, which have no names; see
        `group`.

    views : tuple or list of {"raw", "centered", "difference"}, default=("centered", "difference")
        Forms in which the estimator gets each channel: its values ("raw"), its values minus their
        mean in the window ("centered"), or the differences of consecutive values ("difference").
        Without "raw", a shift to a new level is an anomaly where it begins, not as long as it
        lasts.

    channels : {"independent", "joint"}, default="independent"
        "independent": each channel of a window is an input of its own, and one estimator learns
        from all of them. "joint": all channels of a window are one input, so the estimator can
        learn how they depend on each other. If the estimator gives scores instead of errors,
        channels are always joint.

    jumps : bool, default=True
        Whether jumps count: a row that is farther from the middle between its neighbors than any
        training row. So single rows stand out that a mean over a window would hide.

    levels : bool, default=True
        Whether levels count: a mean over a third of a window that is outside of the range of such
        means in training. It counts less, the more levels drifted in training.

    errors : {"auto", "score"}, default="auto"
        What is computed for a window. "auto": squared residuals, if the estimator reconstructs
        windows, else its score. "score": minus its `score_samples`, one number for a window, which
        is used as it is.

    reduction : {"worst", "mean", "max"}, default="worst"
        How the squared residuals of a channel in a window become one error: the mean of the largest
        eighth, the mean of all, or the largest.

    aggregation : {"center", "causal", "mean"}, default="center"
        How the errors of windows become errors of timepoints. "center": a timepoint gets the error
        of the window whose middle is nearest; then a moving average as long as a window smooths.
        "causal": it gets the error of the window that ends there, and the average is over the past.
        Then scores need no later rows, but respond later to an outlier; timepoints before the first
        complete window get the mean error of training. "mean": the mean of the errors at the
        timepoint in all windows that cover it, without `reduction`.

    training_data : {"clean", "contaminated"}, default="clean"
        What you know of the training rows. "clean": they have hardly any outliers, so errors are
        compared with the largest of training. "contaminated": they have some, so errors are
        compared with their mean. The estimator has its own parameter of this name, which is not
        changed.

    max_windows : int, default=20000
        Largest number of training inputs. If there are more, so many are drawn at random. With
        independent channels, each channel of a window counts as one input.

    group : str or None, default=None
        Column of a DataFrame that names the series of each row. It is no channel.

    contamination : float, "auto" or None, default="auto"
        Share of the training rows that `predict` labels as outliers. With "auto",
        `false_alarm_rate` sets the threshold instead. None sets it beyond all rows in
        `calibration_scores_`, or all training rows if there are none, at 1.5 times the largest
        anomaly, so that new normal rows seldom exceed it. (If the estimator gives scores, the
        distance from their median counts.) It changes only `offset_`.

    false_alarm_rate : float, default=0.01
        Share of new normal rows that `predict` labels as outliers, if `contamination` is "auto". It
        is at least 1 / (n + 1), for n rows in `calibration_scores_`. If there are none, it is a
        share of the training rows.

    false_alarms_per : int, str or None, default=None
        How seldom a false event may be: one, on average, in so many normal rows, or in a duration
        such as "30D", if the index of the DataFrame holds times. It sets the threshold instead of
        `contamination` and needs `calibration`.

    calibration : "cross", float or None, default=None
        Where the scores come from that new rows are compared with, for the threshold of `predict`
        and for `p_values`. None: there are no such scores, so no `p_values`, and the threshold
        comes from the training rows. "cross": each quarter of a series is scored by a detector that
        is trained on the others; the detector itself is trained on all rows. That takes four more
        fits. If a series is too short for that, and after `partial_fit`, there are no such scores.
        A float: this share of the rows, at the end of each series, is held out of the
        fit. Rows in the middle, or right before the end, whose windows would overlap with both
        sides, are left out.

    random_state : int, RandomState instance or None, default=None
        The same number gives the same model. Every `random_state` inside `estimator` is set to it;
        with None, those stay as they are.

    Attributes
    ----------
    estimator_ : estimator
        The fitted copy of `estimator`.

    window_size_ : int
        Number of rows in a window.

    delay_ : int
        Number of later rows that the score of a row depends on.

    offset_ : float
        Threshold on `score_samples`.

    calibration_scores_ : ndarray or None
        Scores of rows by a detector that has not seen them, in ascending order; see `calibration`.

    n_features_in_ : int
        Number of channels seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the channels seen in `fit`, where all of them are strings.

    See Also
    --------
    DenoisingAutoencoder
    ConvolutionalSequenceAutoencoder

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import DenoisingAutoencoder, WindowedDetector
    >>> X = np.sin(np.arange(1200) / 5)[:, np.newaxis]
    >>> X[1000:1010] = 0
    >>> detector = WindowedDetector(window_size=30, random_state=0).fit(X[:800])
    >>> scores = detector.score_samples(X)
    >>> scores.shape, bool(990 < scores.argmin() < 1020)
    ((1200,), True)
    """

    estimator: BaseEstimator | None = field(default=None, kw_only=False)
    window_size: Literal["auto"] | Count = "auto"
    n_scales: Count = 2
    stride: Literal["auto"] | Count = "auto"
    standardize: bool | Literal["series"] = True
    views: tuple | list = ("centered", "difference")
    channels: Literal["independent", "joint"] = "independent"
    jumps: bool = True
    levels: bool = True
    errors: Literal["auto", "score"] = "auto"
    reduction: Literal["worst", "mean", "max"] = "worst"
    aggregation: Literal["center", "causal", "mean"] = "center"
    training_data: Literal["clean", "contaminated"] = "clean"
    max_windows: Count = 20_000
    group: str | None = None
    contamination: Literal["auto"] | Contamination | None = "auto"
    false_alarm_rate: Fraction = 0.01
    false_alarms_per: Count | str | None = None
    calibration: Literal["cross"] | Fraction | None = None
    random_state: Seed = None

    _score_parameters: ClassVar = ("aggregation", "stride")

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the estimator on the windows of one or more series.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            A series, in the order of time. Or several of any lengths: as a list, or with `group`
            as one DataFrame. No window has rows of two series.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        self : object
            The fitted detector.
        """
        fresh = plain_copy(self)
        fresh._train(X)
        take_over(self, fresh)  # only now: a fit that fails leaves what was there
        return self

    @available_if(_learns_in_chunks)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one pass over the windows that end in the next rows of one series.

        New rows wait until they are as many as in a window, since the estimator would overfit to a
        few windows. The window size and the scaling of channels are those of the first chunk. The
        scale of errors and the threshold come from the last 10,000 rows. After `fit`, the rows
        continue its last series. No rows are held out.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels)
            The next rows.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        self : object
            The fitted detector.
        """
        fresh = plain_copy(self)
        if hasattr(self, "estimator_"):
            shapes = [shape.copied() for shape in self._kinds.shapes]
            fresh.estimator_ = shapes[0].estimator
            fresh._kinds = Kinds(shapes, self._kinds.jumps, self._kinds.levels)
        fresh._train_chunk(X)
        take_over(self, fresh)
        return self

    # -- the private twins ---------------------------------------------------------------------

    def _train(self, X):
        series, _, names = self._read(X, reset=True)
        self._set_up(max(map(len, series)))
        check_seed(self, self.estimator_)  # it is not resumed if other windows are drawn
        series = self._on_own_scales(series, names)
        training = [rows[: self._n_train(len(rows))] for rows in series]
        longest = max(map(len, training))
        if longest < self.window_size_:
            raise ValueError(
                f"calibration={self.calibration} of {type(self).__name__} "
                f"leaves too little to learn from: {longest} rows of n_samples="
                f"{max(map(len, series))}, less than window_size={self.window_size_}, since "
                f"{self._gap} rows before those held out are left out as well."
            )
        self._learn(training)
        calibration = None
        if self.calibration == "cross":
            calibration = self._crossed(series)
        elif self.calibration is not None:
            calibration = [self._scores(rows)[-self._n_held_out(len(rows)) :] for rows in series]
        self._set_threshold(training, calibration)
        self._keep_last_rows(series[-1])
        self._stream, self._n_waiting = None, 0

    def _learn(self, series):
        """Learn the scales of channels, windows, and the scales of all measures."""
        self._channels.fit([rows for rows in series if len(rows)])
        for shape in self._kinds.shapes:
            shape.learn(self, series, self._seed)
        self._fit_kinds(series)

    def _fit_kinds(self, series):
        """Learn what jumps and levels are normal, and by what the errors of shapes are divided."""
        shapes, jumps, levels = self._kinds.shapes, None, None
        self._kinds = Kinds(shapes, None, None)
        if shapes[0].from_residuals:
            errors = np.concatenate([self._process(part, "sizes") for part in excerpts(series)])
            self._kinds.fit_scales(errors, self.training_data)
            channels = row_channels([rows for rows in series if len(rows)])
            scaled = [channels.transform(rows, rows[:0])[:, 0] for rows in series]
            if self.jumps:
                jumps = Jumps(channels, self.training_data).fit(scaled)
            if self.levels:
                length = max(1, self.window_size_ // _LEVEL_PARTS)
                levels = Levels(channels, self.training_data, length).fit(scaled)
        self._kinds = Kinds(shapes, jumps, levels)
        self.delay_ = self._new_stream("anomaly").delay

    def _crossed(self, series):
        """Return the scores that parts of the series get by detectors that have not seen them."""
        folds: list[tuple[list, list]] = [([], []) for _ in range(_FOLDS)]
        for rows in series:
            cuts = [len(rows) * number // _FOLDS for number in range(_FOLDS + 1)]
            for (others, own), first, end in zip(folds, cuts, cuts[1:], strict=False):
                others += [rows[: max(0, first - self._gap)], rows[end + self._gap :]]
                own.append(rows[first:end])
        if min(max(map(len, o)) for o, _ in folds) < _FEWEST_WINDOWS * self.window_size_:
            return None
        scores = []
        for others, own in folds:
            part = copy.copy(self)
            part._begin()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the fit of the detector itself has warned
                part._learn(others)
            scores += [part._scores(rows) for rows in excerpts(own)]
        return scores

    def _train_chunk(self, X):
        first = not hasattr(self, "estimator_")
        rows = self._one_series(X, reset=first)
        if first:
            self._set_up(len(rows))
            rows = self._on_own_scales([rows], [None])[0]
            self._channels.fit([rows])
            self._last_rows, self._stream, self._n_waiting = rows[:0], None, 0
        elif self._scales is not None:
            rows = self._scales.transform(rows, -1)
        self._n_waiting += len(rows)  # rows that have not been trained on
        rows = np.concatenate([self._last_rows, rows])
        n_trained = len(rows) - self._n_waiting
        self._keep_last_rows(rows)
        if self._n_waiting < self.window_size_:
            return
        shapes = self._kinds.shapes
        for shape in shapes:
            shape.learn_more(self, rows, n_trained, self._seed)
            shape.fit_errors(self, shape.windows([self._last_rows]))
        self._n_waiting = 0
        self._fit_kinds([self._last_rows])
        self._set_threshold([self._last_rows], None)

    def _set_up(self, n_rows):
        """Set what a fit needs before it sees values; the longest series has `n_rows`."""
        name, views = type(self).__name__, self.views
        window_size = self.window_size
        if window_size == "auto":
            window_size = min(_WINDOW_SIZE, max(1, n_rows // _PARTS))
        if window_size > n_rows:
            raise ValueError(
                f"window_size={window_size} of {name} is longer than the series, n_samples="
                f"{n_rows}; make it shorter, or 'auto'."
            )
        if self.stride != "auto" and self.stride > window_size:
            raise ValueError(
                f"stride={self.stride} of {name} is longer than window_size={window_size}, so "
                f"that no window would see the rows between; set it to {window_size} at most."
            )
        if not views or not set(views) <= set(VIEWS):
            raise ValueError(
                f"The 'views' parameter of {name} must be a tuple of "
                f"{', '.join(map(repr, VIEWS))}. Got {views!r} instead."
            )
        check_promise(self)
        self.window_size_ = window_size
        # So many rows between two parts of a series, and no score in one depends on rows in both.
        n_windows = 2 if self.aggregation == "causal" else 1
        self._gap = n_windows * window_size + self._stride(window_size) - 1
        self._seed = seed_of(self.random_state)
        self._begin()

    def _begin(self):
        """Set up unfitted copies of the estimator, one for each window size."""
        estimator, size = self._new_estimator(), self.window_size_
        ours = isinstance(estimator, BaseAutoencoder)
        dtype = np.float32 if ours else np.float64
        self._channels = Channels(self.views, bool(self.standardize), dtype)
        shapes = [Shape(self, estimator, self._channels, size, self._stride(size, learning=True))]
        while len(shapes) < self.n_scales and shapes[0].from_residuals:
            size //= _SCALE
            if size < _SHORTEST:
                break
            settings = self._channels, size, self._stride(size, learning=True)
            shapes.append(Shape(self, self._new_estimator(), *settings))
        self.estimator_, self._kinds = estimator, Kinds(shapes, None, None)

    def _on_own_scales(self, series, names):
        """Return series as they are, or each scaled by its own rows that are trained on."""
        self._scales = None
        if self.standardize != "series":
            return series
        # Of a series too short to be trained on, all rows have to do.
        parts = [rows[: self._n_train(len(rows)) or len(rows)] for rows in series]
        self._scales = SeriesScales().fit(parts, names)
        return [self._scales.transform(rows, number) for number, rows in enumerate(series)]

    def _new_estimator(self):
        # Its training_data is about its own scores, which are not used here; "clean" costs least.
        default = DenoisingAutoencoder(training_data="clean")
        estimator = default if self.estimator is None else clone(self.estimator)
        params = estimator.get_params()
        # No threshold of the estimator itself is needed.
        crossed = [p for p in params if p.split("__")[-1] == "calibration" and params[p] == "cross"]
        estimator.set_params(**dict.fromkeys(crossed))
        if self.random_state is not None:
            seeds = [p for p in params if p.split("__")[-1] == "random_state"]
            estimator.set_params(**dict.fromkeys(seeds, self._seed))
        return estimator

    def _n_held_out(self, n_rows):
        return max(1, round(self.calibration * n_rows))

    def _n_train(self, n_rows):
        if not isinstance(self.calibration, Real):
            return n_rows
        return max(0, n_rows - self._n_held_out(n_rows) - self._gap)

    def _set_threshold(self, training, held_out):
        """Set the threshold, from training series and the scores of others."""
        scores = np.sort(np.hstack([self._scores(part) for part in excerpts(training)]))
        varies = not self._channels.constant.all()
        if self._kinds.shapes[0].from_residuals and -scores[0] < _ROUNDING and varies:
            warn(
                f"{self.estimator_!r} reproduces the windows of the fit exactly, so that scores of "
                f"{type(self).__name__} are those of rounding; give it a smaller code than "
                f"window_size={self.window_size_} allows.",
            )
        self.calibration_scores_ = None if held_out is None else np.sort(np.hstack(held_out))
        self.offset_ = series_threshold(self, scores, held_out)
        self._scored_by = score_settings(self)

    def _scores(self, rows):
        return -self._process(rows, "anomaly")[:, 0]

    def _keep_last_rows(self, rows):
        """Keep the last rows of a series for `partial_fit`, from the start of a window on."""
        n = max(_MEMORY, 2 * self.window_size_)
        stride = self._stride(self.window_size_, learning=True)
        self._last_rows = rows[max(0, len(rows) - n) // stride * stride :].copy()

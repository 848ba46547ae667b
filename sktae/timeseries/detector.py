"""The detector of outliers in time series."""

import copy
import math
import warnings
from numbers import Real
from typing import ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from sktae._outliers.scores import score_settings
from sktae._outliers.threshold import threshold
from sktae._training.checkpoint import check_seed
from sktae.autoencoders.denoising import DenoisingAutoencoder
from sktae.base import BaseAutoencoder
from sktae.parameters import (
    Contamination,
    Count,
    Declared,
    Fraction,
    Seed,
    plain_copy,
    positional,
    take_over,
)
from sktae.randomness import generator, seed_of
from sktae.timeseries.channels import VIEWS, Channels
from sktae.timeseries.errors import WindowErrors
from sktae.timeseries.scorer import SeriesScoreMixin
from sktae.timeseries.windows import Layout, Windows

# The automatic window size, and at most one of so many parts of the longest series.
_WINDOW_SIZE, _PARTS = 200, 4

# The scale of errors is learned from about so many windows.
_ERROR_WINDOWS = 4096

# After `partial_fit`, the scale of errors and the threshold come from so many last rows.
_MEMORY = 10_000

# The threshold comes from so many excerpts of so many rows, if there are more.
_N_EXCERPTS, _EXCERPT = 8, 8192

# With contamination=None, the threshold is so many times the largest training anomaly. New normal
# rows look more unusual than training rows, but seldom by this factor.
_MARGIN = 1.5

# With `calibration="cross"`, halves of series judge each other if the longest has so many windows
# side by side; fewer are overfitted, and scores of other rows are far too low.
_FEWEST_WINDOWS = 2

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
    3. The anomaly of a timepoint is the quadratic mean over channels, in which channels of two
       values hardly count beside others. The score is minus the anomaly.

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

    stride : int, default=1
        Number of rows from the start of one window to the start of the next. A larger stride is
        faster, but locates outliers less exactly.

    standardize : bool, default=True
        Whether each channel is scaled to mean 0 and variance 1 in the training rows, and clipped at
        20 standard deviations. A channel that is constant in the training rows keeps its units.

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

    calibration : "cross", float or None, default=None
        Where the scores come from that new rows are compared with, for the threshold of `predict`
        and for `p_values`. None: there are no such scores, so no `p_values`, and the threshold
        comes from the training rows. "cross": each half of a series is scored by a detector that
        is trained on the other half; the detector itself is trained on all rows. That takes two
        more fits. Where halves are shorter than two windows, and after `partial_fit`, there are no
        such scores. A float: this share of the rows, at the end of each series, is held out of the
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

    estimator: BaseEstimator | None = positional(None)
    window_size: Literal["auto"] | Count = "auto"
    stride: Count = 1
    standardize: bool = True
    views: tuple | list = ("centered", "difference")
    channels: Literal["independent", "joint"] = "independent"
    errors: Literal["auto", "score"] = "auto"
    reduction: Literal["worst", "mean", "max"] = "worst"
    aggregation: Literal["center", "causal", "mean"] = "center"
    training_data: Literal["clean", "contaminated"] = "clean"
    max_windows: Count = 20_000
    group: str | None = None
    contamination: Literal["auto"] | Contamination | None = "auto"
    false_alarm_rate: Fraction = 0.01
    calibration: Literal["cross"] | Fraction | None = None
    random_state: Seed = None

    _score_parameters: ClassVar = ("aggregation", "stride")

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
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
    def partial_fit(self, X, y=None):
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
            # Other libraries' estimators change in place, ours swap their state in one step.
            ours = isinstance(self.estimator_, BaseAutoencoder)
            fresh.estimator_ = (
                copy.copy(self.estimator_) if ours else copy.deepcopy(self.estimator_)
            )
        fresh._train_chunk(X)
        take_over(self, fresh)
        return self

    # -- the private twins ---------------------------------------------------------------------

    def _train(self, X):
        series, _ = self._series(X, reset=True)
        self._set_up(max(map(len, series)))
        check_seed(self, self.estimator_)  # it is not resumed if other windows are drawn
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
            ends = [self._scores(rows)[-self._n_held_out(len(rows)) :] for rows in series]
            calibration = np.sort(np.hstack(ends))
        self._set_threshold(training, calibration)
        self._keep_last_rows(series[-1])
        self._stream, self._n_waiting = None, 0

    def _learn(self, series):
        """Learn the scales of channels, the windows and the scale of errors."""
        self._channels.fit([rows for rows in series if len(rows)])
        windows = self._windows(series)
        self.estimator_.fit(self._inputs_of(self._drawn(windows)))
        self._fit_errors(windows)

    def _crossed(self, series):
        """Return the scores that halves of the series, each by a detector, give each other."""
        gap, scores = self._gap, []
        cut = [(rows[: len(rows) // 2], rows[len(rows) // 2 :]) for rows in series]
        learnt = [first[: max(0, len(first) - gap)] for first, _ in cut], [e[gap:] for _, e in cut]
        judged = [last for _, last in cut], [first for first, _ in cut]
        if min(max(map(len, half)) for half in learnt) < _FEWEST_WINDOWS * self.window_size_:
            return None
        for half, other in zip(learnt, judged, strict=True):
            part = copy.copy(self)
            part.estimator_ = self._new_estimator()
            part._channels = copy.copy(self._channels)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the fit of the detector itself has warned
                part._learn(half)
            scores += [part._scores(rows) for whole in other for rows in _excerpts(whole)]
        return np.sort(np.hstack(scores))

    def _train_chunk(self, X):
        first = not hasattr(self, "estimator_")
        rows = self._one_series(X, reset=first)
        if first:
            self._set_up(len(rows))
            self._channels.fit([rows])
            self._last_rows, self._stream, self._n_waiting = rows[:0], None, 0
        self._n_waiting += len(rows)  # rows that have not been trained on
        rows = np.concatenate([self._last_rows, rows])
        n_trained = len(rows) - self._n_waiting
        windows = self._windows([rows])
        windows.starts = windows.starts[windows.starts + self.window_size_ > n_trained]
        self._keep_last_rows(rows)
        if self._n_waiting >= self.window_size_ and len(windows):
            self._n_waiting = 0
            self.estimator_.partial_fit(self._inputs_of(self._drawn(windows)))
            self._fit_errors(self._windows([self._last_rows]))
            self._set_threshold([self._last_rows], None)

    def _set_up(self, n_rows):
        """Set what a fit needs before it sees values; the longest series has `n_rows`."""
        name, stride, views = type(self).__name__, self.stride, self.views
        window_size = self.window_size
        if window_size == "auto":
            window_size = min(_WINDOW_SIZE, max(1, n_rows // _PARTS))
        if window_size > n_rows:
            raise ValueError(
                f"window_size={window_size} of {name} is longer than the series, n_samples="
                f"{n_rows}; make it shorter, or 'auto'."
            )
        if stride > window_size:
            raise ValueError(
                f"stride={stride} of {name} is longer than window_size={window_size}, so that no "
                f"window would see the rows between; set it to {window_size} at most."
            )
        if not views or not set(views) <= set(VIEWS):
            raise ValueError(
                f"The 'views' parameter of {name} must be a tuple of "
                f"{', '.join(map(repr, VIEWS))}. Got {views!r} instead."
            )
        self.window_size_ = window_size
        # So many rows between two parts of a series, and no score in one depends on rows in both.
        self._gap = (2 if self.aggregation == "causal" else 1) * window_size + stride - 1
        self._seed = seed_of(self.random_state)
        self.estimator_ = self._new_estimator()
        ours = isinstance(self.estimator_, BaseAutoencoder)
        self._channels = Channels(views, self.standardize, np.float32 if ours else np.float64)
        self._from_residuals = self._can_use_residuals()
        independent = self._from_residuals and self.channels == "independent"
        flat = not get_tags(self.estimator_).input_tags.three_d_array
        self._layout = Layout(window_size, views, independent, flat)

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

    def _can_use_residuals(self):
        """Whether errors are squared residuals, instead of minus the scores of the estimator."""
        estimator = self.estimator_
        reconstructs = hasattr(estimator, "reconstruction_error") or (
            hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
        )
        if self.errors == "auto" and reconstructs:
            return True
        if hasattr(estimator, "score_samples"):
            return False
        raise ValueError(
            f"estimator={estimator!r} of {type(self).__name__} cannot judge windows by "
            f"errors={self.errors!r}: it needs score_samples or, with errors='auto', transform and "
            f"inverse_transform."
        )

    def _n_held_out(self, n_rows):
        return max(1, round(self.calibration * n_rows))

    def _n_train(self, n_rows):
        if not isinstance(self.calibration, Real):
            return n_rows
        return max(0, n_rows - self._n_held_out(n_rows) - self._gap)

    def _windows(self, series):
        """Return the windows of one or more series."""
        values = [self._channels.transform(rows, rows[:0]) for rows in series]
        firsts = np.cumsum([0, *map(len, series)])
        starts = [
            first + np.arange(0, len(rows) - self.window_size_ + 1, self.stride)
            for first, rows in zip(firsts, series, strict=False)
        ]
        return Windows(np.concatenate(values), np.concatenate(starts), self._layout)

    def _drawn(self, windows):
        """Return a random sample of the windows if there are more than `max_windows`."""
        return windows.draw(self.max_windows, generator(self._seed, "sample").initial_seed())

    def _inputs_of(self, windows):
        """Return windows as a Dataset if the estimator takes one, else as an array."""
        return windows if isinstance(self.estimator_, BaseAutoencoder) else windows[:]

    def _fit_errors(self, windows):
        starts = windows.starts[:: math.ceil(len(windows.starts) / _ERROR_WINDOWS)]
        self._errors = WindowErrors(
            self.estimator_,
            self._from_residuals,
            self._channels,
            self._layout,
            self.reduction,
            self.training_data,
        ).fit(Windows(windows.values, starts, self._layout))
        self.delay_ = self._new_stream("anomaly").aggregator.delay

    def _set_threshold(self, training, calibration):
        """Set the threshold, from training series and the sorted scores of other rows."""
        excerpts = [excerpt for rows in training for excerpt in _excerpts(rows)]
        scores = np.sort(np.hstack([self._scores(excerpt) for excerpt in excerpts]))
        varies = not self._channels.constant.all()
        if self._from_residuals and -scores[0] < _ROUNDING and varies:
            warnings.warn(
                f"{self.estimator_!r} reproduces the windows of the fit exactly, so that scores of "
                f"{type(self).__name__} are those of rounding; give it a smaller code than "
                f"window_size={self.window_size_} allows.",
                UserWarning,
                stacklevel=5,  # where the user calls fit
            )
        self.calibration_scores_, self._scored_by = calibration, score_settings(self)
        if self.contamination is None:
            reference = scores if calibration is None else calibration
            # An anomaly of 0 is a perfect reconstruction, but scores of estimators have no zero.
            zero = 0.0 if self._from_residuals else np.median(reference)
            self.offset_ = float(zero + _MARGIN * (reference[0] - zero))
        else:
            self.offset_ = threshold(self, scores, calibration)

    def _scores(self, rows):
        return -self._process(rows, "anomaly")[:, 0]

    def _keep_last_rows(self, rows):
        """Keep the last rows of a series for `partial_fit`, from the start of a window on."""
        n = max(_MEMORY, 2 * self.window_size_)
        self._last_rows = rows[max(0, len(rows) - n) // self.stride * self.stride :].copy()


def _excerpts(rows):
    """Return evenly spaced excerpts of a series, whose scores stand for those of all rows."""
    if len(rows) <= _N_EXCERPTS * _EXCERPT:
        return [rows] if len(rows) else []
    firsts = np.linspace(0, len(rows) - _EXCERPT, _N_EXCERPTS).astype(int)
    return [rows[first : first + _EXCERPT] for first in firsts]

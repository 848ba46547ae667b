"""Series: rows are timepoints, an estimator judges windows of them, each timepoint has a score."""

import copy
import math
import warnings
from typing import ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from sktae._outliers.scores import score_settings
from sktae._outliers.threshold import threshold
from sktae.autoencoders.denoising import DenoisingAutoencoder
from sktae.base import BaseAutoencoder
from sktae.parameters import Contamination, Count, Declared, Fraction, Seed, positional
from sktae.randomness import generator, seed_of
from sktae.timeseries.channels import VIEWS, Channels
from sktae.timeseries.errors import WindowErrors
from sktae.timeseries.scorer import TimelineMixin
from sktae.timeseries.windows import Layout, Windows

# Windows are so long, or else this share of the rows.
_WINDOW, _SHARE = 200, 4


# How large errors are is learnt from about so many windows; after chunks, from so many rows.
_SAMPLE, _MEMORY = 4096, 10_000


# Normal rows that are new look more unusual than those of training, but seldom by this factor.
_MARGIN = 1.5


# Anomalies are of the size of the largest in training; what is so small is none.
_ROUNDING = 1e-9


# The threshold comes from so many stretches of so many rows, if there are more.
_STRETCHES, _STRETCH = 8, 8192


def _learns_in_chunks(detector: "WindowedDetector") -> bool:
    return detector.estimator is None or hasattr(detector.estimator, "partial_fit")


class WindowedDetector(TimelineMixin, Declared):
    """Detector for series: rows are timepoints, and each has a score.

    The estimator learns windows of consecutive rows and is asked how badly it reproduces each of
    them. In each channel, the squared residuals where they are largest, over the largest that a
    window of the training had, are the error of the timepoint in the window's middle; below the
    least that one had, what is missing is. The mean over a window around a timepoint is the
    channel's error there, and the quadratic mean over channels is the timepoint's anomaly, which is
    minus its score. Channels that take two values only hardly count beside others.

    Neighbouring timepoints are no independent rows: do not shuffle them, and split them by
    `TimeSeriesSplit`.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What learns windows; it is copied and stays unfitted. Any autoencoder, anything with
        `transform` and `inverse_transform`, or a detector with `score_samples`. None is
        `DenoisingAutoencoder(training_data="clean")`.

    window_size : int or "auto", default="auto"
        Rows in a window. "auto" is 200, and at most a quarter of the rows of the longest series.

    stride : int, default=1
        A window begins every so many rows. Timepoints between middles have the score of the nearest
        one. More is faster, and less exact.

    standardize : bool, default=True
        Whether each channel is scaled by the fitted rows, to mean 0 and variance 1, and cut off at
        20 standard deviations. A channel that stood still in the fitted rows keeps its units.

    views : tuple or list of {"raw", "centered", "difference"}, default=("centered", "difference")
        What the estimator sees of each channel: its values, how they lie around their mean in the
        window, or by how much they differ from those one row before. Without "raw", a new level is
        an anomaly where it begins, not as long as it lasts.

    channels : {"independent", "joint"}, default="independent"
        Whether the estimator sees one channel of a window at a time, learning from all of them, or
        all in one row. Where it is asked for its own score, it sees them together.

    errors : {"auto", "score"}, default="auto"
        What is asked of the estimator. "auto": the error of each value of a window, if it can tell
        them, else its score. "score": minus its `score_samples`, one number for a window, which is
        taken as it is.

    reduction : {"worst", "mean", "max"}, default="worst"
        What becomes of the errors at the times of a window: the mean of the largest eighth, or of
        all, or the largest.

    aggregation : {"center", "causal", "mean"}, default="center"
        How errors of windows come to timepoints. "center": to the middle of the window, then
        smoothed by a mean as long as a window. "causal": to its last row, smoothed over the past,
        so that a score is there at once, but reacts later; until the first window is complete, it
        is what is usual. "mean": the errors at a timepoint in all windows that cover it, without
        `reduction`.

    training_data : {"clean", "contaminated"}, default="clean"
        What you know of the fitted rows. "clean": hardly any is an outlier, so that the largest
        errors there are still normal. "contaminated": there are some, which are to be found, and
        errors are compared with their mean. The estimator has to be told by itself.

    max_windows : int, default=20000
        From more windows than this, so many are drawn to learn from. Channels that are seen apart
        have windows of their own.

    group : str or None, default=None
        Column of a DataFrame that says to which series a row belongs. It is no channel.

    contamination : float, "auto" or None, default="auto"
        Share of outliers in the training rows, where `predict` puts its threshold; "auto" puts it
        at 1 %. With None, it lies beyond all of them, at 1.5 times the largest anomaly (if the
        estimator gives scores, counted from their median), so that new rows that are normal seldom
        pass it. With `calibration_fraction`, the share of false alarms
        among new rows instead. It does not change the fit.

    calibration_fraction : float or None, default=None
        Share of the rows, at the end of each series, that the fit does not see; their scores give
        `p_values` and the threshold of `predict`. Rows before them that share windows with both
        sides are left out.

    random_state : int, RandomState instance or None, default=None
        The same number gives the same model; every `random_state` inside `estimator` is set to it.
        With None, those stay as they are.

    Attributes
    ----------
    estimator_ : estimator
        The fitted copy of `estimator`.

    window_size_ : int
        Rows in a window.

    delay_ : int
        How many later rows the score of a row depends on.

    offset_ : float
        Threshold on `score_samples`.

    calibration_scores_ : ndarray or None
        Scores of the rows that `calibration_fraction` held out, in ascending order.

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
    calibration_fraction: Fraction | None = None
    random_state: Seed = None

    _score_parameters: ClassVar = ("aggregation", "stride")

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Learn windows of one or more series.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels), or list of such
            A series, in the order of time; or several, of any lengths, as a list or, with `group`,
            in one DataFrame. No window reaches from one series into another.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        self : object
            The fitted detector.
        """
        fresh = copy.copy(self)
        fresh._train(X)
        self.__dict__ = fresh.__dict__  # only now: a fit that fails leaves what was there
        return self

    @available_if(_learns_in_chunks)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y=None):
        """Train for one pass over the windows that end in the next rows of one series.

        Rows wait until there are as many as in a window, or a few would be learnt by heart. Window
        and scales are those of the first chunk. What errors are compared with, and the threshold,
        come from the last 10,000 rows. After `fit`, rows go on where its last series ended. No rows
        are held out.

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
        fresh = copy.copy(self)
        if hasattr(self, "estimator_"):
            # Other libraries' estimators change in place, ours swap their state in one step.
            ours = isinstance(self.estimator_, BaseAutoencoder)
            fresh.estimator_ = (
                copy.copy(self.estimator_) if ours else copy.deepcopy(self.estimator_)
            )
        fresh._train_on(X)
        self.__dict__ = fresh.__dict__
        return self

    # -- the private twins ---------------------------------------------------------------------

    def _train(self, X):
        series, _ = self._series(X, reset=True)
        self._begin(max(map(len, series)))
        parts = [rows[: self._n_train(len(rows))] for rows in series]
        longest = max(map(len, parts))
        if longest < self.window_size_:
            raise ValueError(
                f"calibration_fraction={self.calibration_fraction} of {type(self).__name__} "
                f"leaves too little to learn from: {longest} rows of n_samples="
                f"{max(map(len, series))}, less than window_size={self.window_size_}, since "
                f"{self._gap} rows before those held out are left out as well."
            )
        self._channels.fit([part for part in parts if len(part)])
        windows = self._cut(parts)
        self.estimator_.fit(self._readable(self._drawn(windows)))
        self._learn_errors(windows)
        held_out = None
        if self.calibration_fraction is not None:
            ends = [self._scores_of(rows)[-self._n_held_out(len(rows)) :] for rows in series]
            held_out = np.sort(np.hstack(ends))
        self._judge(parts, held_out)
        self._remember(series[-1])
        self._stream, self._n_waiting = None, 0

    def _train_on(self, X):
        known = hasattr(self, "estimator_")
        rows = self._one_series(X, reset=not known)
        if not known:
            self._begin(len(rows))
            self._channels.fit([rows])
            self._memory, self._stream, self._n_waiting = rows[:0], None, len(rows)
        self._n_waiting += len(rows) if known else 0
        rows = np.concatenate([self._memory, rows])
        n_before = len(rows) - self._n_waiting
        windows = self._cut([rows])
        windows.starts = windows.starts[windows.starts + self.window_size_ > n_before]
        self._remember(rows)
        if self._n_waiting >= self.window_size_ and len(windows):
            self._n_waiting = 0
            self.estimator_.partial_fit(self._readable(self._drawn(windows)))
            self._learn_errors(self._cut([self._memory]))
            self._judge([self._memory], None)

    def _begin(self, n_rows):
        """Settle what a fit goes by, where the longest series has so many rows."""
        name, stride, views = type(self).__name__, self.stride, self.views
        window = self.window_size
        if window == "auto":
            window = min(_WINDOW, max(1, n_rows // _SHARE))
        if window > n_rows:
            raise ValueError(
                f"window_size={window} of {name} is longer than the series, n_samples={n_rows}; "
                f"make it shorter, or 'auto'."
            )
        if stride > window:
            raise ValueError(
                f"stride={stride} of {name} is longer than window_size={window}, so that no window "
                f"would see the rows between; set it to {window} at most."
            )
        if not views or not set(views) <= set(VIEWS):
            raise ValueError(
                f"The 'views' parameter of {name} must be a tuple of "
                f"{', '.join(map(repr, VIEWS))}. Got {views!r} instead."
            )
        self.window_size_ = window
        self._gap = (2 * window if self.aggregation == "causal" else window) + stride - 1
        self._seed = seed_of(self.random_state)
        self.estimator_ = self._new_estimator()
        ours = isinstance(self.estimator_, BaseAutoencoder)
        self._channels = Channels(views, self.standardize, np.float32 if ours else np.float64)
        self._by_features = self._tells_features()
        apart = self._by_features and self.channels == "independent"
        flat = not get_tags(self.estimator_).input_tags.three_d_array
        self._layout = Layout(window, views, apart, flat)

    def _new_estimator(self):
        # What it would find out about outliers concerns its own scores, which are not asked for.
        default = DenoisingAutoencoder(training_data="clean")
        estimator = default if self.estimator is None else clone(self.estimator)
        if self.random_state is not None:
            seeds = [p for p in estimator.get_params() if p.split("__")[-1] == "random_state"]
            estimator.set_params(**dict.fromkeys(seeds, self._seed))
        return estimator

    def _n_held_out(self, n_rows):
        return max(1, round((self.calibration_fraction or 0) * n_rows))

    def _n_train(self, n_rows):
        if self.calibration_fraction is None:
            return n_rows
        return max(0, n_rows - self._n_held_out(n_rows) - self._gap)

    def _cut(self, parts):
        """Return the windows of some series."""
        seen = [self._channels(rows, rows[:0]) for rows in parts]
        firsts = np.cumsum([0, *map(len, parts)])
        starts = [
            first + np.arange(0, len(rows) - self.window_size_ + 1, self.stride)
            for first, rows in zip(firsts, parts, strict=False)
        ]
        return Windows(np.concatenate(seen), np.concatenate(starts), self._layout)

    def _drawn(self, windows):
        """Return as many windows as may be learnt from, in order."""
        return windows.draw(self.max_windows, generator(self._seed, "sample").initial_seed())

    def _readable(self, windows):
        """Return windows as the estimator takes them: as a Dataset, or else as an array."""
        return windows if isinstance(self.estimator_, BaseAutoencoder) else windows[:]

    def _learn_errors(self, windows):
        starts = windows.starts[:: math.ceil(len(windows.starts) / _SAMPLE)]
        self._errors = WindowErrors(
            self.estimator_,
            self._by_features,
            self._channels,
            self._layout,
            self.reduction,
            self.training_data,
        ).fit(Windows(windows.seen, starts, self._layout))
        self.delay_ = self._new_stream("anomaly").collect.delay

    def _tells_features(self):
        """Say whether the estimator is asked for the error of each number."""
        estimator = self.estimator_
        ways = [("reconstruction_error",), ("transform", "inverse_transform")]
        if self.errors == "auto" and any(all(hasattr(estimator, m) for m in way) for way in ways):
            return True
        if hasattr(estimator, "score_samples"):
            return False
        raise ValueError(
            f"estimator={estimator!r} of {type(self).__name__} cannot judge windows by "
            f"errors={self.errors!r}: it needs score_samples or, with errors='auto', transform and "
            f"inverse_transform."
        )

    def _judge(self, parts, held_out):
        """Set the threshold by the scores of training rows, and of those held out."""
        stretches = [stretch for part in parts for stretch in _stretches(part)]
        scores = np.sort(np.hstack([self._scores_of(stretch) for stretch in stretches]))
        if self._by_features and -scores[0] < _ROUNDING and not self._channels.still.all():
            warnings.warn(
                f"{self.estimator_!r} reproduces the windows of the fit exactly, so that scores of "
                f"{type(self).__name__} are those of rounding; give it a smaller code than "
                f"window_size={self.window_size_} allows.",
                UserWarning,
                stacklevel=5,  # where the user calls fit
            )
        self.calibration_scores_, self._scored_by = held_out, score_settings(self)
        if self.contamination is None:
            known = scores if held_out is None else held_out
            usual = 0.0 if self._by_features else np.median(known)  # scores may begin anywhere
            self.offset_ = float(usual + _MARGIN * (known[0] - usual))
        else:
            self.offset_ = threshold(self.contamination, scores, held_out)

    def _scores_of(self, rows):
        return -self._through(rows, "anomaly")[:, 0]

    def _remember(self, rows):
        """Keep the last rows of a series, from the beginning of a window on."""
        n = max(_MEMORY, 2 * self.window_size_)
        self._memory = rows[max(0, len(rows) - n) // self.stride * self.stride :].copy()


def _stretches(rows):
    """Return rows whose scores stand for those of all: stretches that lie evenly."""
    if len(rows) <= _STRETCHES * _STRETCH:
        return [rows] if len(rows) else []
    firsts = np.linspace(0, len(rows) - _STRETCH, _STRETCHES).astype(int)
    return [rows[first : first + _STRETCH] for first in firsts]

"""A display of the scores of rows and of the threshold."""

import math
from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktae._pipelines import last_step
from sktae._pipelines import p_values as p_values_of
from sktae.metrics._detection import _outliers
from sktae.plot._axes import _COLORS, _foreground, _legend, _new_axes, _trim

# If scores lie so many times as far below their median as above it, the axis is linear only near
# the median, and logarithmic far from it.
_FAR = 10.0
_TRAINING = "training rows"


class ScoreDisplay:
    """How scores of rows, or their p-values, are distributed, and how many are outliers.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_samples,)
        Scores, or p-values, of groups of rows by the name of the group.

    threshold : float or None, default=None
        Rows with scores below it, or with p-values up to it, are flagged as outliers. None if there
        is no threshold.

    p_values : bool, default=False
        Whether `scores` are p-values.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sktae import DenoisingAutoencoder
    >>> from sktae.plot import ScoreDisplay
    >>> X, benign = load_breast_cancer(return_X_y=True)
    >>> model = DenoisingAutoencoder(max_steps=50, random_state=0).fit(X[benign == 1])
    >>> display = ScoreDisplay.from_estimator(model, X, y=1 - benign)
    """

    def __init__(self, scores: dict[str, np.ndarray], threshold=None, p_values=False):
        self.scores, self.threshold, self.p_values = scores, threshold, p_values

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, X_train=None, p_values=False, ax=None, **kwargs
    ):
        """Score rows and draw their scores.

        Parameters
        ----------
        estimator : fitted outlier detector
            Anything that has `score_samples`. Its threshold is `offset_`, if it has one. A Pipeline
            or a search has that of the detector inside.

        X : array-like
            The rows.

        y : array-like of shape (n_samples,) or None, default=None
            Labels: 1 for outliers and 0 for normal rows, or -1 for outliers and 1 for normal rows.

        X_train : array-like or None, default=None
            Rows of the fit, to be compared with `X`.

        p_values : bool, default=False
            Whether p-values are drawn instead of scores. The estimator must have `p_values`.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ScoreDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        final = last_step(estimator)
        score, threshold = estimator.score_samples, getattr(final, "offset_", None)
        if p_values:
            score = partial(p_values_of, estimator)
            known = final.calibration_scores_
            threshold = (1 + known.searchsorted(threshold)) / (1 + len(known))
        training = None if X_train is None else score(X_train)
        settings = {"threshold": threshold, "p_values": p_values, "ax": ax}
        return cls.from_predictions(score(X), y, training=training, **settings, **kwargs)

    @classmethod
    def from_predictions(
        cls, scores, y=None, *, training=None, threshold=None, p_values=False, ax=None, **kwargs
    ):
        """Draw scores that are there already.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Scores, the higher the more normal, or p-values.

        y : array-like of shape (n_samples,) or None, default=None
            Labels: 1 for outliers and 0 for normal rows, or -1 for outliers and 1 for normal rows.

        training : array-like of shape (n_training_samples,) or None, default=None
            Scores, or p-values, of the training rows.

        threshold : float or None, default=None
            Rows with scores below it, or with p-values up to it, are flagged as outliers.

        p_values : bool, default=False
            Whether `scores` are p-values.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ScoreDisplay
            The display, with the plot.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if y is None:
            groups = {"rows" if training is None else "new rows": scores}
        else:
            outlier = _outliers(y)
            groups = {"normal rows": scores[~outlier], "outliers": scores[outlier]}
        if training is not None:
            groups[_TRAINING] = np.asarray(training, dtype=np.float64)
        return cls(groups, threshold, p_values).plot(ax, **kwargs)

    def plot(self, ax=None, *, bins=40):
        """Draw a histogram of each group, in percent of its rows.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        bins : int, default=40
            Number of bins.

        Returns
        -------
        display : ScoreDisplay
            This display.
        """
        self.ax_ = _new_axes((6.5, 4.0)) if ax is None else ax
        self.figure_ = self.ax_.figure
        foreground, edges = _foreground(self.ax_), self._edges(bins)
        colors = iter(_COLORS)
        for name, scores in self.scores.items():
            look = {"color": foreground, "histtype": "step"}
            if name != _TRAINING:
                look = {"color": next(colors), "alpha": 0.7}
            share = np.full(len(scores), 100 / len(scores))
            self.ax_.hist(scores, edges, weights=share, label=self._label(name, scores), **look)
        if self.threshold is not None:
            label = f"threshold {self.threshold:.3g}"
            self.ax_.axvline(self.threshold, color=foreground, linestyle="--", label=label)
        name = "p-value" if self.p_values else "score (low: unusual)"
        self.ax_.set(xlabel=name, ylabel="% of the rows")
        _trim(self.ax_)
        _legend(self.ax_)
        return self

    def _edges(self, bins):
        """Return the edges of bins that look equally wide, and scale the axis."""
        if self.p_values:
            return np.linspace(0, 1, bins + 1)
        scores = np.concatenate(list(self.scores.values()))
        low, middle, high = np.quantile(scores, [0, 0.5, 1])
        width = high - middle
        far = _FAR * width
        if middle - low <= far or low >= -far or width == 0:
            return np.linspace(low, high, bins + 1)
        self.ax_.set_xscale("asinh", linear_width=width)
        # Two powers of ten, and 0: more numbers would overlap.
        powers = np.arange(math.ceil(math.log10(width)), math.floor(math.log10(-low)) + 1)
        ticks = [*-(10.0 ** powers[:: math.ceil(len(powers) / 2)]), 0]
        self.ax_.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        self.ax_.set_xticks([], minor=True)
        edges = width * np.sinh(np.linspace(*np.arcsinh([low / width, high / width]), bins + 1))
        edges[[0, -1]] = low, high  # to the last digit, so that no score is outside
        return edges

    def _label(self, name, scores):
        if self.threshold is None:
            return name
        flagged = scores <= self.threshold if self.p_values else scores < self.threshold
        return f"{name}:\n{100 * np.mean(flagged):.3g} % flagged"

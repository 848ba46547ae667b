"""A display of how well detectors find outliers."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from sktae._pipelines import last_step
from sktae.metrics._detection import _outliers
from sktae.plot._axes import _COLORS, _foreground, _legend, _new_axes, _trim

_STYLES = ["-", "--", "-.", ":"]


class DetectionCurveDisplay:
    """How well detectors tell outliers from normal rows, at each threshold.

    The ROC curve shows the true positive rate, the share of outliers that are flagged, by the false
    positive rate, the share of normal rows that are flagged. The precision-recall curve shows the
    precision, the share of outliers among the flagged rows, by the recall, which is another word
    for the true positive rate. scikit-learn's `RocCurveDisplay` takes the rows labeled 1 as
    what has *high* scores, so scores of detectors have the wrong sign for it.

    Parameters
    ----------
    outlier : ndarray of bool of shape (n_samples,)
        Which rows are outliers.

    scores : dict of str to ndarray of shape (n_samples,)
        Scores of the rows by each detector, the higher the more normal.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import IsolationForest
    >>> from sktae import DenoisingAutoencoder
    >>> from sktae.plot import DetectionCurveDisplay
    >>> X, benign = load_breast_cancer(return_X_y=True)
    >>> train = X[benign == 1][:200]
    >>> detectors = {
    ...     "autoencoder": DenoisingAutoencoder(max_steps=50, random_state=0).fit(train),
    ...     "forest": IsolationForest(random_state=0).fit(train),
    ... }
    >>> display = DetectionCurveDisplay.from_estimator(detectors, X, 1 - benign)
    """

    def __init__(self, outlier: np.ndarray, scores: dict[str, np.ndarray]):
        self.outlier, self.scores = outlier, scores

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, **kwargs):
        """Score rows by one or more detectors and draw a curve of each.

        Parameters
        ----------
        estimator : fitted outlier detector, or dict of str to such
            Anything that has `score_samples`; in a dict, by the names that the legend shows.

        X : array-like
            The rows, the same for all detectors.

        y : array-like of shape (n_samples,)
            Labels: 1 for outliers and 0 for normal rows, or -1 for outliers and 1 for normal rows.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : DetectionCurveDisplay
            The display, with the plot.
        """
        if not isinstance(estimator, Mapping):
            estimator = {type(last_step(estimator)).__name__: estimator}
        for detector in estimator.values():
            check_is_fitted(detector)
        scores = {name: detector.score_samples(X) for name, detector in estimator.items()}
        return cls.from_predictions(y, scores, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, y, scores, *, ax=None, **kwargs):
        """Draw a curve of each of several scores of the same rows.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels: 1 for outliers and 0 for normal rows, or -1 for outliers and 1 for normal rows.

        scores : array-like of shape (n_samples,), or dict of str to such
            Scores, the higher the more normal; in a dict, by the names that the legend shows.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : DetectionCurveDisplay
            The display, with the plot.
        """
        if not isinstance(scores, Mapping):
            scores = {"scores": scores}
        outlier = _outliers(y)
        arrays = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
        check_consistent_length(outlier, *arrays.values())
        return cls(outlier, arrays).plot(ax, **kwargs)

    def plot(self, ax=None, *, kind="roc"):
        """Draw curves, with the area under each in the legend.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        kind : {"roc", "precision_recall"}, default="roc"
            Which curve. The legend has the area under the ROC curve, AUROC, or the average
            precision, AP. A dotted line shows random scores.

        Returns
        -------
        display : DetectionCurveDisplay
            This display.
        """
        if kind not in ("roc", "precision_recall"):
            raise ValueError(f"kind must be 'roc' or 'precision_recall'. Got {kind!r} instead.")
        self.ax_ = _new_axes((6.0, 4.0)) if ax is None else ax
        self.figure_ = self.ax_.figure
        for number, (name, scores) in enumerate(self.scores.items()):
            look = {
                "color": _COLORS[number % len(_COLORS)],
                "linestyle": _STYLES[number // len(_COLORS) % len(_STYLES)],
            }
            if kind == "roc":
                x, y, _ = roc_curve(self.outlier, -scores)
                area = f"AUROC {roc_auc_score(self.outlier, -scores):.3f}"
                self.ax_.plot(x, y, label=f"{name}\n{area}", **look)
            else:
                precision, recall, _ = precision_recall_curve(self.outlier, -scores)
                area = f"AP {average_precision_score(self.outlier, -scores):.3f}"
                steps = {"drawstyle": "steps-post", "label": f"{name}\n{area}"}
                self.ax_.plot(recall, precision, **steps, **look)
        share = self.outlier.mean()
        chance = [0, 1] if kind == "roc" else [share, share]
        self.ax_.plot([0, 1], chance, color=_foreground(self.ax_), linestyle=":", label="by chance")
        rates = "false positive rate", "true positive rate"
        names = rates if kind == "roc" else ("recall", "precision")
        self.ax_.set(xlabel=names[0], ylabel=names[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _trim(self.ax_)
        _legend(self.ax_)
        return self

"""A display of a series, its anomaly scores and its events."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import _pyplot

# Colors that most people with a color vision deficiency tell apart.
_COLORS = {"shape": "#0072B2", "jump": "#D55E00", "level": "#009E73"}
_INCHES = 1.3  # of a channel


class SeriesDisplay:
    """Channels of a series above their anomaly score, with events in the color of their kind.

    Parameters
    ----------
    values : DataFrame of shape (n_timepoints, n_channels)
        The series.

    anomalies : ndarray of shape (n_timepoints,)
        Minus the scores: the higher, the more unusual.

    threshold : float
        Anomalies above it are outliers.

    events : DataFrame
        Intervals of outliers, as `WindowedDetector.events` lists them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes of the channels, and at last those of the anomaly.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import WindowedDetector
    >>> from sktae.plot import SeriesDisplay
    >>> X = np.sin(np.arange(1200) / 5)[:, np.newaxis]
    >>> X[1000:1010] = 0
    >>> detector = WindowedDetector(window_size=30, random_state=0).fit(X[:800])
    >>> display = SeriesDisplay.from_estimator(detector, X)
    """

    def __init__(
        self, values: pd.DataFrame, anomalies: np.ndarray, threshold: float, events: pd.DataFrame
    ):
        self.values, self.anomalies = values, anomalies
        self.threshold, self.events = threshold, events

    @classmethod
    def from_estimator(cls, estimator, X, *, axes=None, **kwargs):
        """Score a series and draw it.

        Parameters
        ----------
        estimator : fitted WindowedDetector
            Any detector of series that has `score_samples`, `offset_` and `events`.

        X : DataFrame of pandas, or array-like of shape (n_timepoints, n_channels)
            One series. Of a detector with `group`, the rows of one group.

        axes : array of matplotlib Axes or None, default=None
            Where to draw: one for each channel that is shown, and one for the anomaly. None is a
            new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : SeriesDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        values, several = X, isinstance(X, list | tuple)
        group = getattr(estimator, "group", None)
        if not isinstance(X, pd.DataFrame):
            values = None if several else pd.DataFrame(np.asarray(X))
        elif group in X:
            several, values = X[group].nunique() > 1, X.drop(columns=group)
        elif group is not None:
            several, values = X.index.get_level_values(group).nunique() > 1, X.droplevel(group)
        if several:
            raise ValueError("SeriesDisplay draws one series, but X holds several; give one.")
        scores, events = estimator.score_samples(X), estimator.events(X)
        return cls(values, -scores, -estimator.offset_, events).plot(axes, **kwargs)

    def plot(self, axes=None, *, n_channels=4):
        """Draw channels above the anomaly; those that are named by most events come first.

        Parameters
        ----------
        axes : array of matplotlib Axes or None, default=None
            Where to draw: one for each channel that is shown, and one for the anomaly. None is a
            new figure.

        n_channels : int, default=4
            Largest number of channels to draw.

        Returns
        -------
        display : SeriesDisplay
            This display.
        """
        shown = self._shown(n_channels)
        if axes is None:
            size = 10, _INCHES * (len(shown) + 1.5)
            _, axes = _pyplot().subplots(
                len(shown) + 1,
                1,
                figsize=size,
                sharex=True,
                height_ratios=[*[1] * len(shown), 1.5],
                layout="constrained",
            )
        axes = np.ravel(axes)
        if len(axes) != len(shown) + 1:
            raise ValueError(
                f"SeriesDisplay needs {len(shown) + 1} axes, one for each channel shown and one "
                f"for the anomaly. Got {len(axes)} instead."
            )
        for ax, name in zip(axes, shown, strict=False):
            ax.plot(self.values.index, self.values[name], color="0.2", lw=0.8)
            ax.set_ylabel(str(name), rotation=0, ha="right", va="center")
        axes[-1].plot(self.values.index, self.anomalies, color="black", lw=1)
        axes[-1].axhline(self.threshold, color="0.4", lw=1, ls="--")
        axes[-1].set_ylabel("anomaly", rotation=0, ha="right", va="center")
        for ax in axes:
            ax.spines[["top", "right"]].set_visible(False)
            self._shade(ax)
        kinds = [kind for kind in _COLORS if kind in set(self.events["kind"])]
        patches = [_pyplot().Rectangle((0, 0), 1, 1, color=_COLORS[kind]) for kind in kinds]
        if kinds:
            above = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
            axes[0].legend(patches, kinds, ncols=3, frameon=False, **above)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _shown(self, n_channels):
        """Return the channels to draw: in their order, those that events name most often."""
        names = [name for names in self.events["channels"] for name in names]
        named = pd.Series(names, dtype=object)
        counts = named.value_counts().reindex(list(self.values), fill_value=0)
        first = counts.sort_values(ascending=False, kind="stable").index[:n_channels]
        return [name for name in self.values if name in set(first)]

    def _shade(self, ax):
        for event in self.events.itertuples():
            ax.axvspan(event.start, event.end, color=_COLORS[event.kind], alpha=0.2, lw=0)

"""A display of a series, its anomaly scores and its events."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import _COLORS, _foreground, _pyplot, _trim

_KINDS = dict(zip(("shape", "jump", "level"), _COLORS, strict=False))
_SHADE, _PALE = 0.4, 0.1  # opacity of events, and on channels that they do not name
_FEWEST, _MOST = 4, 12  # channels that are drawn by default
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

    def plot(self, axes=None, *, n_channels=None):
        """Draw channels above the anomaly; events are pale on channels that they do not name.

        Parameters
        ----------
        axes : array of matplotlib Axes or None, default=None
            Where to draw: one for each channel that is shown, and one for the anomaly. None is a
            new figure.

        n_channels : int or None, default=None
            Largest number of channels to draw; those that most events name come first. None is all
            that events name, but four at least and twelve at most.

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
            ax.plot(self.times, self.values[name], color=_foreground(ax), lw=0.8)
            ax.set_ylabel(str(name), rotation=0, ha="right", va="center")
        axes[-1].plot(self.times, self.anomalies, color=_foreground(axes[-1]), lw=1)
        axes[-1].axhline(self.threshold, color="0.5", lw=1, ls="--")
        axes[-1].set_ylabel("anomaly", rotation=0, ha="right", va="center")
        for ax in axes:
            ax.locator_params(axis="y", nbins=3)
            _trim(ax)
        for ax, name in zip(axes, [*shown, None], strict=True):
            self._shade(ax, name)
        self._name_times(axes[-1])
        kinds = [kind for kind in _KINDS if kind in set(self.events["kind"])]
        style = {"alpha": _SHADE, "lw": 0}
        patches = [_pyplot().Rectangle((0, 0), 1, 1, color=_KINDS[kind], **style) for kind in kinds]
        if kinds:
            above = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
            axes[0].legend(patches, kinds, ncols=3, frameon=False, **above)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    @property
    def times(self):
        """The index of the series; periods as their first moments."""
        index = self.values.index
        return index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index

    def _name_times(self, ax):
        """Write dates in few characters, since long ones would overlap."""
        if isinstance(self.times, pd.DatetimeIndex):
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            zone = self.times.tz
            locator = AutoDateLocator(minticks=3, maxticks=7, tz=zone)
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))

    def _shown(self, n_channels):
        """Return the channels to draw: in their order, those that events name most often."""
        names = [name for names in self.events["channels"] for name in names]
        named = pd.Series(names, dtype=object)
        counts = named.value_counts().reindex(list(self.values), fill_value=0)
        if n_channels is None:
            n_channels = min(max(_FEWEST, (counts > 0).sum()), _MOST)
        first = counts.sort_values(ascending=False, kind="stable").index[:n_channels]
        return [name for name in self.values if name in set(first)]

    def _shade(self, ax, channel):
        """Shade the events on a channel; on None, the anomaly, all alike."""
        for event in self.events.itertuples():
            ends = (_moment(time) for time in (event.start, event.end))
            named = channel is None or channel in event.channels
            alpha = _SHADE if named else _PALE
            ax.axvspan(*ends, color=_KINDS[event.kind], alpha=alpha, lw=1)  # seen even if short


def _moment(time):
    return time.to_timestamp() if isinstance(time, pd.Period) else time

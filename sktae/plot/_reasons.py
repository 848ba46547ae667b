"""A display of the reasons why rows are unusual."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktae._outliers.explain import ExplainMixin
from sktae._pipelines import explain
from sktae.plot._axes import _COLORS, _new_axes, _places, _trim

# Columns that are shown of one row, and of many.
_FEW, _MANY = 5, 12
# Contributions beyond this quantile have the same color, or one row would outshine all others.
_BRIGHTEST = 0.98
# So many names of rows are written.
_N_NAMES = 5


class ReasonsDisplay:
    """What each column adds to the anomaly of a row, as bars, or of many rows, as a heat map.

    Parameters
    ----------
    reasons : DataFrame of shape (n_samples, n_features)
        Contributions of columns, as from `explain`.

    values : ndarray of shape (n_samples, n_features) or None, default=None
        The rows, to be written beside the names of columns.

    expected : ndarray of shape (n_samples, n_features) or None, default=None
        What the other columns of a row let expect of each.

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
    >>> from sktae.plot import ReasonsDisplay
    >>> X = load_breast_cancer(as_frame=True).data
    >>> model = DenoisingAutoencoder(max_steps=50, random_state=0).fit(X)
    >>> worst = model.score_samples(X).argsort()
    >>> bars = ReasonsDisplay.from_estimator(model, X.iloc[worst[:1]])
    >>> heat_map = ReasonsDisplay.from_estimator(model, X.iloc[worst[:20]])
    """

    def __init__(self, reasons: pd.DataFrame, values=None, expected=None):
        self.reasons, self.values, self.expected = reasons, values, expected

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, **kwargs):
        """Explain rows and draw the reasons.

        Parameters
        ----------
        estimator : fitted outlier detector
            Anything that has `explain`.

        X : array-like of shape (n_samples, n_features)
            The rows: bars for one, a heat map for more.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ReasonsDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        table = explain(estimator, X)
        reasons = pd.DataFrame(
            np.asarray(table), getattr(table, "index", None), columns=list(table.columns)
        )
        values = np.asarray(X, dtype=object)
        names = getattr(X, "columns", reasons.columns)  # a pipeline may have made others
        if values.shape != reasons.shape or list(names) != list(reasons.columns):
            return cls(reasons).plot(ax, **kwargs)
        return cls(reasons, values, _expected(estimator, X)).plot(ax, **kwargs)

    def plot(self, ax=None, *, n_columns=None, cmap="viridis"):
        """Draw the columns that contribute most.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        n_columns : int or None, default=None
            Number of columns. None is 5 for one row, and 12 for more.

        cmap : str or Colormap, default="viridis"
            Colors of the heat map. The largest 2 % of contributions have the same color.

        Returns
        -------
        display : ReasonsDisplay
            This display.
        """
        one = len(self.reasons) == 1
        n_columns = n_columns or (_FEW if one else _MANY)
        self.ax_ = _new_axes((6.0, 3.5) if one else (7.0, 4.5)) if ax is None else ax
        self.figure_ = self.ax_.figure
        means = self.reasons.to_numpy().mean(axis=0)
        order = np.argsort(-means, kind="stable")[:n_columns]
        if one:
            self._draw_bars(order)
        else:
            self._draw_map(order, cmap)
        return self

    def _draw_bars(self, order):
        reasons = self.reasons.to_numpy()[0]
        names = [self._name(column) for column in order]
        self.ax_.barh(range(len(order)), reasons[order], color=_COLORS[0])
        if n_others := len(reasons) - len(order):
            names.append(f"{n_others} others")
            others = reasons.sum() - reasons[order].sum()
            self.ax_.barh(len(order), others, color="0.5")
        size = "medium" if self.expected is None else "small"  # which takes two lines
        self.ax_.set_yticks(range(len(names)), names, fontsize=size)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="contribution")
        _trim(self.ax_)

    def _draw_map(self, order, cmap):
        shown = self.reasons.to_numpy()[:, order].T
        brightest = np.quantile(shown, _BRIGHTEST)
        picture = self.ax_.imshow(shown, vmax=brightest, cmap=cmap, aspect="auto")
        self.figure_.colorbar(picture, ax=self.ax_, label="contribution", extend="max")
        lines = _places(self.ax_, len(order))
        self.ax_.set_yticks(lines, [_text(self.reasons.columns[n]) for n in order[lines]])
        places = np.arange(0, len(self.reasons), -(-len(self.reasons) // _N_NAMES))
        names = [str(self.reasons.index[place]) for place in places]
        self.ax_.set_xticks(places, names, rotation=90)
        self.ax_.set(xlabel="row")

    def _name(self, column):
        """Return the name of a column, with its value in the row and what was expected."""
        name = _text(self.reasons.columns[column])
        if self.values is None:
            return name
        name = f"{name} = {_text(self.values[0, column])}"
        if self.expected is None:
            return name
        return f"{name}\nexpected {_text(self.expected[0, column])}"


def _expected(estimator: Any, X: Any) -> Any:
    """Return what the other columns let expect of each, (n, d); None if it takes long to know."""
    if not isinstance(estimator, ExplainMixin):
        return None
    raw = np.array(estimator._validated(X))  # since torch takes no arrays that are read-only
    expected = estimator._expected(raw, estimator._parts(raw.shape[1:]))
    return np.asarray(estimator._inputs.to_table(expected), dtype=object)


def _text(value: Any) -> str:
    """Write a value, or a name that may have several parts, in few characters."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)

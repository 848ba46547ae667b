"""A display of how the loss fell during a fit."""

from itertools import chain, cycle

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktae._pipelines import last_step
from sktae.plot._axes import _COLORS, _foreground, _legend, _new_axes, _trim


class TrainingDisplay:
    """Losses by epoch of a fit, and the terms that they are the sum of.

    scikit-learn's `LearningCurveDisplay` is another picture: scores by the number of training rows.

    Parameters
    ----------
    history : DataFrame
        One row for each epoch, as the `history_` of an autoencoder.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import VariationalAutoencoder
    >>> from sktae.plot import TrainingDisplay
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = VariationalAutoencoder(2, early_stopping=True, random_state=0).fit(X)
    >>> display = TrainingDisplay.from_estimator(model)
    """

    def __init__(self, history: pd.DataFrame):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw the history of a fit.

        Parameters
        ----------
        estimator : fitted autoencoder
            Anything that has `history_`, or a Pipeline or a search that ends with it.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : TrainingDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        final = last_step(estimator)
        if not hasattr(final, "history_"):
            raise ValueError(
                f"TrainingDisplay draws history_, which {type(final).__name__} does not have; "
                f"give an autoencoder."
            )
        return cls(final.history_).plot(ax, **kwargs)

    def plot(self, ax=None, *, terms=True):
        """Draw losses by epoch; the epoch with the lowest validation loss is marked.

        The axis of losses is logarithmic if all of them are positive.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        terms : bool, default=True
            Whether the terms of the objective are drawn, if there are several.

        Returns
        -------
        display : TrainingDisplay
            This display.
        """
        self.ax_ = _new_axes((6.5, 4.0)) if ax is None else ax
        self.figure_ = self.ax_.figure
        names = [name.removeprefix("train_") for name in self.history.filter(regex="^train_")]
        names = names if terms else names[:1]
        colors = dict(zip(names, chain([_foreground(self.ax_)], cycle(_COLORS)), strict=False))
        has_validation, epochs = "valid_loss" in self.history, self.history["epoch"]
        for name, color in colors.items():
            label = name if len(names) > 1 else "training"
            self.ax_.plot(epochs, self.history[f"train_{name}"], color=color, label=label)
        for name, color in colors.items() if has_validation else ():
            label = "validation" if name == "loss" else None
            losses = self.history[f"valid_{name}"]
            self.ax_.plot(epochs, losses, color=color, linestyle="--", label=label)
        if has_validation:
            best = self.history["valid_loss"].idxmin()
            point = epochs[best], self.history.loc[best, "valid_loss"]
            look = {"color": _COLORS[-2], "marker": "o", "linestyle": "", "zorder": 3}
            self.ax_.plot(*point, label=f"best: epoch {epochs[best]}", **look)
        positive = all((line.get_ydata() > 0).all() for line in self.ax_.lines)
        self.ax_.set(xlabel="epoch", ylabel="loss", yscale="log" if positive else "linear")
        if positive:
            self._write_plain_numbers()
        self.ax_.locator_params(axis="x", integer=True)
        _trim(self.ax_)
        if len(self.ax_.lines) > 1:
            _legend(self.ax_)
        return self

    def _write_plain_numbers(self):
        """Write 20 beside the axis of losses, not a power of ten, which takes twice the space."""
        from matplotlib.ticker import LogFormatter

        self.ax_.yaxis.set_major_formatter(LogFormatter())
        self.ax_.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))

"""A display of attention."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import _new_axes, _places


class AttentionDisplay:
    """How much each column, patch or channel attends to each other one.

    For images, there is a map for each patch, at its place: how much it attends to all patches.

    Parameters
    ----------
    weights : ndarray of shape (n, n)
        The attention of each (row) to each (column).

    names : sequence of str or None, default=None
        What is written beside rows, before their numbers; None for numbers alone.

    grid : tuple of int or None, default=None
        Rows and columns of the patches of images; None for anything else.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import AttentionAutoencoder
    >>> from sktae.plot import AttentionDisplay
    >>> X = load_iris(as_frame=True).data
    >>> model = AttentionAutoencoder(max_steps=20, random_state=0).fit(X)
    >>> display = AttentionDisplay.from_estimator(model, X)
    """

    def __init__(self, weights: np.ndarray, names=None, grid=None):
        self.weights, self.names, self.grid = weights, names, grid

    @classmethod
    def from_estimator(cls, estimator, X, *, names=None, ax=None, **kwargs):
        """Compute attention weights and draw their mean over rows.

        Parameters
        ----------
        estimator : fitted estimator
            Anything that has `attention_map`.

        X : array-like
            The rows, sequences or images.

        names : sequence of str or None, default=None
            What is written beside rows, before their numbers. None takes the names of the columns
            of the fit, if there is attention between these. There are none beside maps of patches.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : AttentionDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        weights = np.asarray(estimator.attention_map(X)).mean(axis=0)
        own = getattr(estimator, "feature_names_in_", ())
        if names is None and len(own) == len(weights):
            names = list(own)
        grid = getattr(estimator, "grid_shape_", None)
        return cls(weights, names, grid).plot(ax, **kwargs)

    def plot(self, ax=None, *, cmap="viridis"):
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        cmap : str or Colormap, default="viridis"
            Colors of weights.

        Returns
        -------
        display : AttentionDisplay
            This display.
        """
        self.ax_ = _new_axes((5.0, 4.2)) if ax is None else ax
        self.figure_ = self.ax_.figure
        shown = self.weights if self.grid is None else _maps(self.weights, self.grid)
        # Patches are as wide as high; columns fill the axes, beside long names.
        aspect = "auto" if self.grid is None else "equal"
        picture = self.ax_.imshow(shown, vmin=0, cmap=cmap, aspect=aspect)
        self.figure_.colorbar(picture, ax=self.ax_, label="attention")
        if self.grid is not None:
            rows, columns = self.grid
            for place in range(1, rows):
                self.ax_.axhline(place * rows - 0.5, color="white")
            for place in range(1, columns):
                self.ax_.axvline(place * columns - 0.5, color="white")
            self.ax_.set(xticks=[], yticks=[], title="from each patch, at its place, to all")
            return self
        self.ax_.set(xlabel="to", ylabel="from")
        self.ax_.locator_params(integer=True)
        if self.names is not None:
            places = _places(self.ax_, len(self.names))
            self.ax_.set_yticks(places, [f"{self.names[place]}  {place}" for place in places])
        return self


def _maps(weights: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Arrange the rows of weights between the patches of a grid as maps, at their places."""
    rows, columns = grid
    maps = weights.reshape(rows, columns, rows, columns)
    return maps.swapaxes(1, 2).reshape(rows * rows, columns * columns)

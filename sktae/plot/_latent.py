"""A display of codes."""

import math
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import (
    _colour_map,
    _coloured,
    _drawn,
    _first,
    _name_rows,
    _new_axes,
)

# Where there are no more kinds of labels than this, each has a colour of its own.
_MANY_LABELS = 10
# Colour maps of no more colours are lists, those of more are scales.
_LISTED = 20
# So many lines of a legend stand below each other.
_LINES = 16


class LatentDisplay:
    """Codes in the plane; or, where codes are maps, their channels beside the images.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2) or (n_images, n_channels, height, width)
        Points, or maps.

    labels : ndarray of shape (n_samples,) or None, default=None
        What points are coloured by.

    names : tuple of str, default=("component 0", "component 1")
        Names of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where they are drawn.

    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import Autoencoder
    >>> from sktae.plot import LatentDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = Autoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> display = LatentDisplay.from_estimator(model, X, y)
    """

    def __init__(self, codes, labels=None, names=("component 0", "component 1")):
        self.codes, self.names = codes, names
        self.labels = None if labels is None else np.asarray(labels)

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, components=None, n_images=8, ax=None, **kwargs
    ):
        """Encode rows and draw their codes.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
            Anything that has `transform`.

        X : array-like
            The rows.

        y : array-like of shape (n_samples,) or None, default=None
            What to colour points by: labels, or numbers.

        components : tuple of two ints or None, default=None
            Which components are the axes. None for the two directions in which codes vary most,
            or the components themselves where there are two.

        n_images : int, default=8
            Of how many images to draw maps, from the first one on.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LatentDisplay
            What was computed and drawn.
        """
        check_is_fitted(estimator)
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        shape = getattr(last, "code_shape_", ())
        if len(shape) == 3:
            codes = np.asarray(estimator.transform(_first(X, n_images)))
            return cls(codes.reshape(-1, *shape)).plot(ax, **kwargs)
        codes = np.asarray(estimator.transform(X))
        if codes.shape[1] < 2:
            raise ValueError(
                f"LatentDisplay draws two components, but codes of {type(estimator).__name__} have "
                f"{codes.shape[1]}; a histogram of them says as much."
            )
        if components is None and codes.shape[1] > 2:
            names = "first direction", "second direction"
            return cls(PCA(2).fit_transform(codes), y, names).plot(ax, **kwargs)
        first, second = components or (0, 1)
        names = f"component {first}", f"component {second}"
        return cls(codes[:, [first, second]], y, names).plot(ax, **kwargs)

    def plot(self, ax=None, *, cmap=None, **kwargs):
        """Draw points, or maps: a column for each image, a row for each channel.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        cmap : str, Colormap or None, default=None
            Colours of labels, numbers or maps.

        **kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : LatentDisplay
            This display.
        """
        if self.codes.ndim == 4:
            channels = [
                _coloured(channel[:, np.newaxis], channel.min(), channel.max(), cmap or "viridis")
                for channel in self.codes.swapaxes(0, 1)
            ]
            self.ax_ = _drawn(channels, ax)
            _name_rows(
                self.ax_, [f"channel {i}" for i in range(len(channels))], self.codes.shape[2]
            )
        else:
            self.ax_ = _new_axes((5.0, 4.5)) if ax is None else ax
            self._scatter({"s": 12, "linewidths": 0, **kwargs}, cmap)
            self.ax_.set(xlabel=self.names[0], ylabel=self.names[1])
        self.figure_ = self.ax_.figure
        return self

    def _scatter(self, how: dict[str, Any], cmap: Any) -> None:
        if self.labels is None:
            self.ax_.scatter(*self.codes.T, **how)
            return
        kinds = np.unique(self.labels)
        if len(kinds) > _MANY_LABELS and self.labels.dtype.kind in "fiu":
            points = self.ax_.scatter(*self.codes.T, c=self.labels, cmap=cmap or "viridis", **how)
            self.ax_.figure.colorbar(points, ax=self.ax_)
            return
        colours = _colour_map(cmap or ("tab10" if len(kinds) <= _MANY_LABELS else "turbo"))
        # A list of colours is taken one by one, a scale of them from end to end.
        listed = colours.N <= _LISTED
        for number, kind in enumerate(kinds):
            colour = colours(number % colours.N if listed else number / max(1, len(kinds) - 1))
            points = self.codes[self.labels == kind].T
            self.ax_.scatter(*points, color=colour, label=str(kind), **how)
        beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        n_columns = math.ceil(len(kinds) / _LINES)
        self.ax_.legend(frameon=False, markerscale=1.5, ncols=n_columns, **beside)

"""A display of codes."""

import math
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import (
    _colormap,
    _draw,
    _first,
    _name_rows,
    _new_axes,
    _pyplot,
    _to_colors,
)

# More distinct numbers than this are drawn by a continuous color map, with a color bar.
_MAX_CLASSES = 10
# Color maps of up to so many colors are qualitative, such as "tab20".
_MAX_QUALITATIVE = 20
# Rows in a column of the legend.
_LEGEND_ROWS = 16


class LatentDisplay:
    """Codes as points in the plane. Codes that are maps are drawn as pictures.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2) or (n_images, n_channels, height, width)
        Points, or maps.

    labels : ndarray of shape (n_samples,) or None, default=None
        Labels or numbers by which points are colored.

    names : tuple of str, default=("component 0", "component 1")
        Names of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

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
        cls, estimator, X, y=None, *, components=None, squares=False, n_images=8, ax=None, **kwargs
    ):
        """Encode rows and draw their codes.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
            Anything that has `transform`.

        X : array-like
            The rows.

        y : array-like of shape (n_samples,) or None, default=None
            Labels or numbers by which points are colored.

        components : tuple of two ints or None, default=None
            The components to draw. None draws the first two principal components of the codes,
            or the codes themselves if they have two components.

        squares : bool, default=False
            Whether codes that are vectors are pictures, too: their numbers fill a square, line by
            line.

        n_images : int, default=8
            Number of pictures, from the first row on.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LatentDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        shape = getattr(last, "code_shape_", ())
        if len(shape) == 3 or squares:
            codes = np.asarray(estimator.transform(_first(X, n_images)), dtype=np.float64)
            maps = codes.reshape(-1, *shape) if len(shape) == 3 else _squares(codes)
            return cls(maps).plot(ax, **kwargs)
        codes = np.asarray(estimator.transform(X))
        if codes.shape[1] < 2:
            raise ValueError(
                f"LatentDisplay draws two components, but codes of {type(estimator).__name__} have "
                f"{codes.shape[1]}; draw a histogram of them instead."
            )
        if components is None and codes.shape[1] > 2:
            names = "first direction", "second direction"
            return cls(PCA(2).fit_transform(codes), y, names).plot(ax, **kwargs)
        first, second = components or (0, 1)
        names = f"component {first}", f"component {second}"
        return cls(codes[:, [first, second]], y, names).plot(ax, **kwargs)

    def plot(self, ax=None, *, channels="all", colorbar=False, cmap=None, **kwargs):
        """Draw points, or maps: a column for each image, a row for each channel.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        channels : {"all", "mean"}, default="all"
            Whether all channels of a map are drawn, each on its own scale, or their mean.

        colorbar : bool, default=False
            Whether a bar beside maps says which colors are which numbers. Then all have one scale.

        cmap : str, Colormap or None, default=None
            Colors of labels, numbers or maps.

        **kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : LatentDisplay
            This display.
        """
        if self.codes.ndim == 4:
            self._draw_maps(ax, channels, colorbar, cmap or "viridis")
        else:
            self.ax_ = _new_axes((5.0, 4.5)) if ax is None else ax
            self._scatter({"s": 12, "linewidths": 0, **kwargs}, cmap)
            self.ax_.set(xlabel=self.names[0], ylabel=self.names[1])
        self.figure_ = self.ax_.figure
        return self

    def _draw_maps(self, ax: Any, channels: str, colorbar: bool, cmap: Any) -> None:
        maps = self.codes.swapaxes(0, 1)  # (channels, images, height, width)
        names = [f"channel {i}" for i in range(len(maps))]
        if channels == "mean":
            maps, names = maps.mean(axis=0, keepdims=True), ["mean"]
        elif channels != "all":
            raise ValueError(f"channels must be 'all' or 'mean'. Got {channels!r} instead.")
        parts = [maps] * len(maps) if colorbar else maps
        limits = [(np.nanmin(part), np.nanmax(part)) for part in parts]
        rows = [
            _to_colors(row[:, np.newaxis], *ends, cmap)
            for row, ends in zip(maps, limits, strict=True)
        ]
        self.ax_ = _draw(rows, ax)
        _name_rows(self.ax_, names if len(names) > 1 or channels == "mean" else [""], maps.shape[2])
        if colorbar:
            colors = _pyplot().cm.ScalarMappable(_pyplot().Normalize(*limits[0]), _colormap(cmap))
            self.ax_.figure.colorbar(colors, ax=self.ax_, fraction=0.03)

    def _scatter(self, style: dict[str, Any], cmap: Any) -> None:
        if self.labels is None:
            self.ax_.scatter(*self.codes.T, **style)
            return
        classes = np.unique(self.labels)
        if len(classes) > _MAX_CLASSES and self.labels.dtype.kind in "fiu":
            points = self.ax_.scatter(*self.codes.T, c=self.labels, cmap=cmap or "viridis", **style)
            self.ax_.figure.colorbar(points, ax=self.ax_)
            return
        colors = _colormap(cmap or ("tab10" if len(classes) <= _MAX_CLASSES else "turbo"))
        # Colors of a qualitative map are taken in order, those of a continuous one evenly.
        qualitative = colors.N <= _MAX_QUALITATIVE
        for number, label in enumerate(classes):
            position = number % colors.N if qualitative else number / max(1, len(classes) - 1)
            points = self.codes[self.labels == label].T
            self.ax_.scatter(*points, color=colors(position), label=str(label), **style)
        beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        n_columns = math.ceil(len(classes) / _LEGEND_ROWS)
        self.ax_.legend(frameon=False, markerscale=1.5, ncols=n_columns, **beside)


def _squares(codes: np.ndarray) -> np.ndarray:
    """Return vectors as maps, (n, 1, side, side), with NaN where numbers do not fill the square."""
    n, size = codes.shape
    side = math.ceil(math.sqrt(size))
    padded = np.pad(codes, ((0, 0), (0, side**2 - size)), constant_values=np.nan)
    return padded.reshape(n, 1, side, side)

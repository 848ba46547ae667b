"""A display of codes."""

import math
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from sktae._pipelines import last_step
from sktae.plot._axes import (
    _colormap,
    _draw,
    _first,
    _name_rows,
    _new_axes,
    _pyplot,
    _to_colors,
    _to_images,
)
from sktae.plot._points import _scatter


class LatentDisplay:
    """Codes as points in the plane. Codes that are maps are drawn as pictures, below the images.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2) or (n_images, n_channels, height, width)
        Points, or maps.

    labels : ndarray of shape (n_samples,) or None, default=None
        Labels or numbers by which points are colored.

    names : tuple of str, default=("component 0", "component 1")
        Names of the two axes.

    images : ndarray of shape (n_images, n_channels, height, width) or None, default=None
        The images that maps are codes of, to be drawn above them.

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

    def __init__(self, codes, labels=None, names=("component 0", "component 1"), images=None):
        self.codes, self.names, self.images = codes, names, images
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
        final = last_step(estimator)
        shape = getattr(final, "code_shape_", ())
        if len(shape) == 3 or squares:
            few, image_shape = _first(X, n_images), getattr(final, "image_shape_", None)
            codes = np.asarray(estimator.transform(few), dtype=np.float64)
            maps = codes.reshape(-1, *shape) if len(shape) == 3 else _squares(codes)
            images = None if image_shape is None else _to_images(few, image_shape)
            return cls(maps, images=images).plot(ax, **kwargs)
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
        """Draw points, or maps: a column for each image, with a row for it and for each channel.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        channels : {"all", "mean"}, default="all"
            Whether all channels of a map are drawn, each on its own scale, or their mean.

        colorbar : bool, default=False
            Whether a bar beside maps says which colors are which numbers. Then all have one scale.

        cmap : str, Colormap or None, default=None
            Colors of labels, numbers or maps. None is "viridis" for numbers and maps; labels have
            colors, and markers, that are told apart with any color vision.

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
            style = {"s": 12, "linewidths": 0, **kwargs}
            _scatter(self.ax_, self.codes, self.labels, style, cmap)
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
        names = names if len(names) > 1 or channels == "mean" else ["code"]
        if self.images is not None:
            limits_of_images = np.nanmin(self.images), np.nanmax(self.images)
            rows.insert(0, _to_colors(self.images, *limits_of_images, "gray"))
            names.insert(0, "image")
        height, width = np.max([row.shape[1:3] for row in rows], axis=0)
        self.ax_ = _draw([_enlarged(row, height, width) for row in rows], ax)
        _name_rows(self.ax_, names, height)
        if colorbar:
            colors = _pyplot().cm.ScalarMappable(_pyplot().Normalize(*limits[0]), _colormap(cmap))
            self.ax_.figure.colorbar(colors, ax=self.ax_, fraction=0.03)


def _enlarged(row: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return images, (n, h, w, 3), with pixels repeated to a height and a width."""
    _, h, w, _ = row.shape
    return row[:, np.arange(height) * h // height][:, :, np.arange(width) * w // width]


def _squares(codes: np.ndarray) -> np.ndarray:
    """Return vectors as maps, (n, 1, side, side), with NaN where numbers do not fill the square."""
    n, size = codes.shape
    side = math.ceil(math.sqrt(size))
    padded = np.pad(codes, ((0, 0), (0, side**2 - size)), constant_values=np.nan)
    return padded.reshape(n, 1, side, side)

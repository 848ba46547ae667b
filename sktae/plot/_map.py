"""A display of maps."""

import math
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sktae.plot._axes import _foreground, _new_axes, _to_colors, _to_images
from sktae.plot._points import _colors, _scatter

# Pictures along each axis, or places where a feature is decoded.
_PICTURES, _PLACES = 16, 80
# Of so many features, an error lists the names.
_NAMED = 12
# The pale color map of categories has so many colors.
_PASTELS = 9
# Pictures are so much paler than the points on them.
_PALE = 0.5
# Nothing is decoded where the nearest code is farther than this share of the map's diagonal: there
# is nothing that the decoder could have learned it from.
_REACH = 1 / 24
# The axes hold the codes between these two quantiles, and so much more of that range on each side:
# all codes of most maps, but not a few far ones, for which the others would shrink to a spot.
_MIDDLE, _AROUND = (0.01, 0.99), 0.35
_BELOW: dict[str, Any] = {"location": "bottom", "fraction": 0.05, "pad": 0.13}
# Of so many points, each is opaque; of more, the fainter the more there are, so that their density
# shows.
_OPAQUE = 2_000
# Of so many points, each is as large as it gets; of more, the smaller the more there are.
_LARGE, _LARGEST, _SMALLEST = 200, 40, 14


class MapDisplay:
    """Codes of two numbers as a map, and what lies where.

    The axes hold the middle 98 % of the codes in each component, and a margin. The few points that
    lie farther out are drawn on the border. With pictures, the axes have a shape in which these are
    not stretched.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2)
        Points.

    labels : ndarray of shape (n_samples,) or None, default=None
        Labels of the points, or numbers by which they are colored. Points whose label is missing
        are gray, and lie under the others; so are those of -1 among several classes.

    decoded : ndarray of shape (n, n) or (n, n, height, width, 3), or None, default=None
        What is decoded at places of a grid, from the lowest on: values of a feature, numbers or
        categories, or pictures. NaN where nothing is.

    name : str, default=""
        Name of the feature.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import NeighborAutoencoder
    >>> from sktae.plot import MapDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = NeighborAutoencoder(max_steps=50, random_state=0).fit(X)
    >>> display = MapDisplay.from_estimator(model, X, y, decoded=(8, 8))
    """

    def __init__(self, codes, labels=None, decoded=None, name=""):
        self.codes, self.decoded, self.name = codes, decoded, name
        self.labels = None if labels is None else np.asarray(labels)

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, decoded=None, ax=None, **kwargs):
        """Encode rows, and decode places between them.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
            Anything that has `transform`, with two components, and `inverse_transform`.

        X : array-like
            The rows.

        y : array-like of shape (n_samples,) or None, default=None
            Labels of the rows, or numbers by which points are colored.

        decoded : str, int, tuple of int or None, default=None
            What is decoded: the name or the number of a feature, whose values color the map, or
            the shape of an image, (height, width) or (3, height, width), of which pictures are
            drawn. None for points alone.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : MapDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        if decoded is not None and not hasattr(estimator, "inverse_transform"):
            raise ValueError(
                f"decoded={decoded!r} needs inverse_transform, which this "
                f"{type(estimator).__name__} lacks, as a step cannot be inverted. Give the table "
                f"as it is to an estimator of sktae, which scales columns and codes categories."
            )
        codes = np.asarray(estimator.transform(X), dtype=np.float64)
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(
                f"MapDisplay draws codes of two components, but those of "
                f"{type(estimator).__name__} have the shape {codes.shape[1:]}."
            )
        if y is not None:
            check_consistent_length(codes, y)
        if decoded is None:
            return cls(codes, y).plot(ax, **kwargs)
        is_picture = isinstance(decoded, tuple | list)
        places = _grid(codes, _PICTURES if is_picture else _PLACES)
        rows = estimator.inverse_transform(places.reshape(-1, 2))
        if is_picture:
            pictures, shown = (_to_images(part, tuple(decoded)) for part in (rows, X))
            low, high = np.nanmin(shown), np.nanmax(shown)
            found, name = _to_colors(pictures, low, high, "gray_r"), ""
        else:
            found, name = _feature(estimator, X, rows, decoded)
        distances = KDTree(codes).query(places.reshape(-1, 2))[0]
        found[distances > _REACH * math.dist(*_corners(codes))] = np.nan
        return cls(codes, y, found.reshape(*places.shape[:2], *found.shape[1:]), name).plot(
            ax, **kwargs
        )

    def plot(self, ax=None, *, cmap="viridis", labels_cmap=None, **kwargs):
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        cmap : str or Colormap, default="viridis"
            Colors of the values of a feature.

        labels_cmap : str, Colormap or None, default=None
            Colors of the labels. None is "viridis" for more than ten numbers; other labels have
            colors, and markers, that are told apart with any color vision.

        **kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : MapDisplay
            This display.
        """
        self.ax_ = _new_axes((7.0, 6.0)) if ax is None else ax
        (left, bottom), (right, top) = _corners(self.codes)
        behind = {"extent": (left, right, bottom, top), "origin": "lower", "aspect": "auto"}
        style = {"linewidths": 0.0}
        if self.decoded is not None and self.decoded.ndim == 2:
            _draw_values(self.ax_, self.decoded, self.name, cmap, behind)
            # Points have the color of some place, so they are outlined.
            style = {"linewidths": 0.6, "edgecolors": self.ax_.get_facecolor()}
        elif self.decoded is not None:
            pictures = _pale(self.decoded, _foreground(self.ax_))
            self.ax_.imshow(pictures, **behind)
            # As many pictures lie side by side as one above the other, so none is stretched.
            self.ax_.set_box_aspect(pictures.shape[0] / pictures.shape[1])
        # The more points, the smaller, then the fainter. Markers on the border are drawn whole.
        n = max(1, len(self.codes))
        size = np.clip(_LARGEST * math.sqrt(_LARGE / n), _SMALLEST, _LARGEST)
        style |= {"s": size, "alpha": min(1.0, math.sqrt(_OPAQUE / n)), "clip_on": False, **kwargs}
        if self.labels is None:
            style = {"color": _foreground(self.ax_), **style}
        inside = self.codes.clip((left, bottom), (right, top))
        _scatter(self.ax_, inside, self.labels, style, labels_cmap)
        self.ax_.set(xlim=(left, right), ylim=(bottom, top))
        self.ax_.set(xlabel="component 0", ylabel="component 1")
        self.figure_ = self.ax_.figure
        return self


def _draw_values(ax: Any, decoded: np.ndarray, name: str, cmap: Any, behind: Any) -> None:
    """Color places by numbers or by categories; their bar is below, since a legend is beside."""
    from matplotlib.colors import ListedColormap

    if decoded.dtype.kind == "f":
        values = ax.imshow(decoded, cmap=cmap, alpha=0.8, **behind)
        ax.figure.colorbar(values, ax=ax, label=name, **_BELOW)
        return
    missing = np.asarray(pd.isna(decoded))
    numbers = np.full(decoded.shape, np.nan)
    categories, numbers[~missing] = np.unique(decoded[~missing].astype(str), return_inverse=True)
    n = len(categories)
    limits = {"vmin": -0.5, "vmax": n - 0.5, "interpolation": "nearest"}
    colors = ListedColormap(list(_colors(n, "Pastel1" if n <= _PASTELS else cmap)))
    values = ax.imshow(numbers, cmap=colors, alpha=0.8, **limits, **behind)
    bar = ax.figure.colorbar(values, ax=ax, label=name, ticks=range(n), **_BELOW)
    bar.set_ticklabels(categories)


def _pale(decoded: np.ndarray, ink: Any) -> np.ndarray:
    """Return pictures on a grid, (n, n, height, width, 3), as one pale picture with an alpha.

    Gray ones are drawn with ink on nothing, so that they suit a light and a dark style.
    """
    gap = (max(1, decoded.shape[2] // 8),) * 2  # around each picture
    around = (0, 0), (0, 0), gap, gap, (0, 0)
    framed = np.pad(decoded, around, constant_values=np.nan)
    n, _, height, width, _ = framed.shape
    # Lines of a picture run downwards, those of the grid upwards.
    colors = framed[:, :, ::-1].swapaxes(1, 2).reshape(n * height, n * width, 3)
    alpha = np.where(np.isnan(colors[..., :1]), 0.0, _PALE)
    colors = np.nan_to_num(colors, nan=1.0)
    if (colors == colors[..., :1]).all():
        alpha, colors = alpha * (1 - colors[..., :1]), np.full_like(colors, _rgb(ink))
    return np.concatenate([colors, alpha], axis=-1)


def _rgb(color: Any) -> Any:
    from matplotlib.colors import to_rgb

    return to_rgb(color)


def _corners(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest corner of the map, with a margin."""
    lowest, highest = codes.min(axis=0), codes.max(axis=0)
    low, high = np.quantile(codes, _MIDDLE, axis=0)
    around = _AROUND * (high - low)
    low, high = np.maximum(lowest, low - around), np.minimum(highest, high + around)
    margin = np.where(high > low, 0.05 * (high - low), 0.5)
    return low - margin, high + margin


def _grid(codes: np.ndarray, n: int) -> np.ndarray:
    """Return the middles of n by n cells of the map, (n, n, 2), the lowest row first."""
    low, high = _corners(codes)
    x, y = (a + (b - a) * (np.arange(n) + 0.5) / n for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(x, y), axis=-1)


def _feature(estimator: Any, X: Any, rows: Any, wanted: Any) -> tuple[np.ndarray, str]:
    """Return the values of a feature in decoded rows, and its name."""
    names = list(getattr(estimator, "feature_names_in_", getattr(X, "columns", [])))
    n_features = np.shape(rows)[1]
    number = names.index(wanted) if wanted in names else wanted
    is_number = isinstance(number, Integral) and not isinstance(number, bool)
    if not is_number or not 0 <= int(number) < n_features:
        some = ", ".join(map(str, names[:_NAMED])) + ", ..." * (len(names) > _NAMED)
        raise ValueError(
            f"decoded={wanted!r} must be the name or the number of one of the {n_features} "
            f"features{f' ({some})' * bool(names)}, or the shape of an image."
        )
    values = np.asarray(rows)[:, number]
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        values = values.astype(object)  # categories
    return values, str(names[number] if names else f"feature {number}")

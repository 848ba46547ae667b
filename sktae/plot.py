"""Displays: what a picture needs is computed once, and drawn as often as one likes."""

import math
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# Where there are no more kinds of labels than this, each has a colour of its own.
_MANY_LABELS = 10
# Colour maps of no more colours are lists, those of more are scales.
_LISTED = 20
# So many lines of a legend stand below each other.
_LINES = 16
# The height of an image, and the width of a figure at most.
_INCHES, _WIDEST = 1.1, 14.0


class ReconstructionDisplay:
    """Images side by side with what a model makes of them.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_channels, height, width)
        The images.

    reconstructions : ndarray of shape (n_images, n_channels, height, width)
        What is left of them after passing through the code.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where they are drawn.

    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ConvolutionalAutoencoder
    >>> from sktae.plot import ReconstructionDisplay
    >>> X = load_digits().images
    >>> model = ConvolutionalAutoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X, n_images=10, errors=True)
    """

    def __init__(self, images: np.ndarray, reconstructions: np.ndarray):
        self.images, self.reconstructions = images, reconstructions

    @classmethod
    def from_estimator(cls, estimator, X, *, n_images=8, image_shape=None, ax=None, **kwargs):
        """Reconstruct images and draw them.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
            Anything that has `reconstruct`, or `transform` and `inverse_transform`.

        X : array-like
            The images.

        n_images : int, default=8
            How many of them to draw, from the first one on.

        image_shape : tuple of int or None, default=None
            Shape of images that come as rows, for estimators that do not know it: height and width,
            or channels, height and width.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            What was computed and drawn.
        """
        check_is_fitted(estimator)
        X = _first(X, n_images)
        if hasattr(estimator, "reconstruct"):
            made = estimator.reconstruct(X)
        else:
            made = estimator.inverse_transform(estimator.transform(X))
        shape = image_shape or getattr(estimator, "image_shape_", None)
        return cls(_pictures(X, shape), _pictures(made, shape)).plot(ax, **kwargs)

    def plot(self, ax=None, *, errors=False, cmap="gray", error_cmap="magma"):
        """Draw images above their reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        errors : bool, default=False
            Whether to draw squared errors below, their mean over channels.

        cmap : str or Colormap, default="gray"
            Colours of images that have not three channels.

        error_cmap : str or Colormap, default="magma"
            Colours of errors.

        Returns
        -------
        display : ReconstructionDisplay
            This display.
        """
        ends = self.images.min(), self.images.max()
        rows = {
            "image": _coloured(self.images, *ends, cmap),
            "reconstruction": _coloured(self.reconstructions, *ends, cmap),
        }
        if errors:
            wrong = ((self.images - self.reconstructions) ** 2).mean(axis=1, keepdims=True)
            rows["error"] = _coloured(wrong, 0.0, wrong.max(), error_cmap)
        self.ax_ = _drawn(list(rows.values()), ax)
        _name_rows(self.ax_, list(rows), self.images.shape[2])
        self.figure_ = self.ax_.figure
        return self


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


def _first(X: Any, n: int) -> Any:
    """Return the first rows of an array, of a frame, of a list or of a Dataset."""
    if n < 1:
        raise ValueError(f"n_images must be at least 1. Got {n!r} instead.")
    if not hasattr(X, "__getitem__") or hasattr(X, "shape") or isinstance(X, list):
        return X[:n]
    items = [X[number] for number in range(min(n, len(X)))]
    return np.stack([np.asarray(i[0] if isinstance(i, tuple | list) else i) for i in items])


def _pictures(X: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Return images as (n, channels, height, width)."""
    X = np.asarray(X, dtype=np.float64)
    if shape is None and X.ndim == 2:
        raise ValueError(
            f"X has rows of {X.shape[1]} numbers; to draw them as images, say their image_shape, "
            f"(height, width) or (channels, height, width)."
        )
    shape = tuple(X.shape[1:] if shape is None else shape)
    return X.reshape(len(X), *(1,) * (3 - len(shape)), *shape)


def _coloured(images: np.ndarray, low: float, high: float, cmap: Any) -> np.ndarray:
    """Turn images into colours, (n, height, width, 3)."""
    shares = np.clip((images - low) / max(high - low, 1e-12), 0, 1)
    if shares.shape[1] == 3:
        return shares.transpose(0, 2, 3, 1)
    return _colour_map(cmap)(shares.mean(axis=1))[..., :3]


def _drawn(rows: list[np.ndarray], ax: Any) -> Any:
    """Draw rows of images, (n, height, width, 3) each, as one picture."""
    n, height, width, _ = rows[0].shape
    gap = max(1, height // 16)
    padded = [np.pad(row, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1) for row in rows]
    whole = np.vstack([np.hstack(list(row)) for row in padded])[:-gap, :-gap]
    if ax is None:
        wide, high = _INCHES * n * max(1.0, width / height), _INCHES * len(rows)
        scale = min(1.0, _WIDEST / wide)
        ax = _new_axes((scale * wide + 1, max(1.0, scale * high)))
    ax.imshow(whole, interpolation="nearest")
    return ax


def _name_rows(ax: Any, names: list[str], height: int) -> None:
    gap = max(1, height // 16)
    ax.set(xticks=[], yticks=[(height + gap) * i + (height - 1) / 2 for i in range(len(names))])
    ax.set_yticklabels(names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _new_axes(size: tuple[float, float]) -> Any:
    return _pyplot().subplots(figsize=size, layout="compressed")[1]


def _colour_map(name: Any) -> Any:
    return _pyplot().get_cmap(name)


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            'Displays need matplotlib; install it with: pip install "sktae[plot]".'
        ) from error
    return matplotlib.pyplot

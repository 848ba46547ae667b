"""What displays share: axes, colors, legends, and grids of images."""

import math
from typing import Any

import numpy as np

# Colors that are told apart with any color vision (Okabe and Ito 2008), on white and on black.
_COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]

# Once there are as many classes as colors, the next ones have the next marker.
_MARKERS = "oX^sDv*P"
# Height of a line of text, in units of the size of the font.
_LINE = 1.3
# In inches: the height of an image, and the largest width of a figure.
_IMAGE_HEIGHT, _MAX_WIDTH = 1.1, 14.0


def _first(X: Any, n: int, name: str = "n_images") -> Any:
    """Return the first rows of an array, a DataFrame, a list or a Dataset."""
    if n < 1:
        raise ValueError(f"{name} must be at least 1. Got {n!r} instead.")
    if not hasattr(X, "__getitem__") or hasattr(X, "shape") or isinstance(X, list):
        return X[:n]
    items = [X[number] for number in range(min(n, len(X)))]
    return np.stack([np.asarray(i[0] if isinstance(i, tuple | list) else i) for i in items])


def _to_images(X: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Return images as (n, channels, height, width)."""
    try:
        X = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X has values that are no numbers, so it has no images: {error}."
        ) from error
    if shape is None and X.ndim == 2:
        raise ValueError(
            f"X has rows of {X.shape[1]} numbers; to draw them as images, give their image_shape, "
            f"(height, width) or (channels, height, width)."
        )
    shape = tuple(X.shape[1:] if shape is None else shape)
    if math.prod(shape) != math.prod(X.shape[1:]):
        raise ValueError(f"Images of X have shape {X.shape[1:]}, which does not fit into {shape}.")
    return X.reshape(len(X), *(1,) * (3 - len(shape)), *shape)


def _to_colors(images: np.ndarray, low: float, high: float, cmap: Any) -> np.ndarray:
    """Convert images with values between low and high to RGB, (n, height, width, 3).

    What is missing, NaN, is white.
    """
    values = np.clip((images - low) / max(high - low, 1e-12), 0, 1)
    if values.shape[1] == 3:
        return values.transpose(0, 2, 3, 1)
    values = values.mean(axis=1)
    colors = _colormap(cmap)(values)[..., :3]
    return np.where(np.isnan(values)[..., np.newaxis], 1.0, colors)


def _draw(rows: list[np.ndarray], ax: Any) -> Any:
    """Draw rows of images, (n, height, width, 3) each, as one grid with transparent gaps."""
    n, height, width, _ = rows[0].shape
    gap = max(1, height // 16)
    opaque = [np.concatenate([row, np.ones_like(row[..., :1])], axis=-1) for row in rows]
    padded = [np.pad(row, ((0, 0), (0, gap), (0, gap), (0, 0))) for row in opaque]
    grid = np.vstack([np.hstack(list(row)) for row in padded])[:-gap, :-gap]
    if ax is None:
        total_width = _IMAGE_HEIGHT * n * max(1.0, width / height)
        total_height = _IMAGE_HEIGHT * len(rows)
        scale = min(1.0, _MAX_WIDTH / total_width)
        ax = _new_axes((scale * total_width + 1, max(1.0, scale * total_height)))
    ax.imshow(grid, interpolation="nearest")
    return ax


def _name_rows(ax: Any, names: list[str], height: int) -> None:
    gap = max(1, height // 16)
    ax.set(xticks=[], yticks=[(height + gap) * i + (height - 1) / 2 for i in range(len(names))])
    ax.set_yticklabels(names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _reconstruct(estimator: Any, X: Any) -> Any:
    if hasattr(estimator, "reconstruct"):
        return estimator.reconstruct(X)
    return estimator.inverse_transform(estimator.transform(X))


def _foreground(ax: Any) -> Any:
    """Return the color of text in axes: dark on a light style, light on a dark one."""
    return ax.xaxis.label.get_color()


def _legend(ax: Any, **kwargs: Any) -> None:
    """Draw a legend beside axes, where it hides nothing."""
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    ax.legend(frameon=False, handlelength=1.5, **beside, **kwargs)


def _places(ax: Any, n: int) -> np.ndarray:
    """Return which of n names beside axes are written, as many as fit below each other."""
    height = 72 * ax.bbox.height / ax.figure.dpi  # in points, as the size of text
    return np.arange(0, n, math.ceil(_LINE * n * ax.xaxis.label.get_size() / height))


def _trim(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def _new_axes(size: tuple[float, float]) -> Any:
    return _pyplot().subplots(figsize=size, layout="compressed")[1]


def _colormap(name: Any) -> Any:
    return _pyplot().get_cmap(name)


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            'Displays need matplotlib; install it with: pip install "sktae[plot]".'
        ) from error
    return matplotlib.pyplot

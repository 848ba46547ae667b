"""Images: arrays of pixels become tensors, and tensors images."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor

from sktae.datasets import pixels_of
from sktae.inputs.datasets import DatasetRows, is_dataset
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import (
    CLIP,
    FLOATS,
    check_n_features,
    check_rows_hold_values,
    chunked,
    coarse,
    fit_scaler,
    from_tensor,
    pooled_moments,
    rounding,
    scaled,
    unscaled,
)

# The dtypes of raw images. Bytes stay bytes, which take an eighth of the memory.
_DTYPES = (*FLOATS, np.uint8)

# The range of values for each output activation, and for bytes; rounding errors may exceed them.
RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_BYTES = (0.0, 255.0)
_TOLERANCE = 1e-6

# An image looks as if channels came last where its last size is that of gray, RGB or RGBA, and both
# others are larger than this.
_LAST_CHANNELS, _MANY = (1, 3, 4), 8


@dataclass
class Image(Inputs):
    """Images, (n, channels, height, width), or (n, height, width) where they have one channel.

    They may come as rows of `image_shape`. Without an `image_shape`, a row is an image one pixel
    high.

    Parameters
    ----------
    standardize : bool
        Whether each channel is scaled to mean 0 and variance 1 for the network.

    image_shape : tuple of int or None, default=None
        Channels, height and width, or height and width.

    output_activation : {"auto", "linear", "sigmoid", "tanh"}, default="auto"
        The range of the values. "linear": any. "sigmoid": 0 to 1, or 0 to 255 for bytes. "tanh":
        -1 to 1. "auto": the narrowest of these that holds the training values.

    unit_interval : bool, default=False
        Whether values for the network lie between 0 and 1. Those of later images are clipped to
        that.

    Attributes
    ----------
    layout : tuple of int
        Shape of an image, or of a row, in the fit. Later images are reshaped to it.

    range : tuple of two floats or None
        Range of the values, in the units of `X`; None for any.
    """

    standardize: bool | Literal["shared"]
    image_shape: Any = None
    output_activation: str = "auto"
    unit_interval: bool = False

    def __post_init__(self) -> None:
        if self.image_shape is not None:
            self.image_shape = tuple(map(int, self.image_shape))

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate images, and reshape them to the layout of the fit."""
        X = from_tensor(X)
        if is_dataset(X):
            rows = DatasetRows(X, (1, 2, 3), _DTYPES)
            self._check_shape(estimator, rows.shape, reset)
            if not reset and rows.shape[1:] != self.layout:
                raise ValueError(
                    f"The Dataset given as X has images of shape {rows.shape[1:]}, but "
                    f"{type(estimator).__name__} was fitted on those of shape {self.layout}."
                )
            return rows
        X, as_table = self._validated(estimator, _stacked(X), reset)
        self._check_shape(estimator, X.shape, reset, as_table)
        return X if reset else X.reshape(len(X), *self.layout)

    def _validated(self, estimator: Any, X: Any, reset: bool) -> tuple[np.ndarray, bool]:
        """Return an array, and whether it was validated as a table, with its number of columns."""
        if getattr(X, "ndim", 2) == 2 and (reset or len(self.layout) == 1):
            X = validate_data(
                estimator, X, dtype=_DTYPES, ensure_all_finite="allow-nan", reset=reset
            )
            check_rows_hold_values(X)
            return X, True
        X = check_array(
            X,
            dtype=_DTYPES,
            allow_nd=True,
            ensure_all_finite="allow-nan",
            estimator=estimator,
            input_name="X",
        )
        check_rows_hold_values(X)
        return X, False

    def _check_shape(
        self, estimator: Any, shape: tuple[int, ...], reset: bool, as_table: bool = False
    ) -> None:
        name, given = type(estimator).__name__, shape[1:]
        expected = self.image_shape if reset else self.shape
        if not 2 <= len(shape) <= 4:
            raise ValueError(
                f"X has {len(shape)} dimensions, but images are (n, channels, height, width), (n, "
                f"height, width), or rows with an image_shape."
            )
        if expected is None:
            if len(given) == 3 and given[2] in _LAST_CHANNELS and min(given[:2]) > _MANY:
                raise ValueError(
                    f"X has shape {shape}, which looks like (n, height, width, channels), but "
                    f"{name} takes (n, channels, height, width): give it X.transpose(0, 3, 1, 2), "
                    f"or set image_shape={given} if its images do have {given[0]} channels."
                )
        elif not _same_pixels(given, expected):
            what = f"image_shape={expected} of {name} asks for {_format_shape(expected)}"
            if not reset:
                what = f"{name} was fitted on images of {_format_shape(expected)}"
            raise ValueError(
                f"X has images of {_format_shape(given)} numbers, but {what}. Channels come first; "
                f"a single image goes into a list, [X]."
            )
        if not as_table:
            check_n_features(estimator, math.prod(given), reset)

    def fit(self, X: Any, weights: np.ndarray | None = None) -> "Image":
        """Learn the shape of images, the scale of each channel, and the range of their values."""
        self.layout = tuple(X.shape[1:])
        shape = self.image_shape or (self.layout if len(self.layout) > 1 else (1, *self.layout))
        self.shape = _with_channels(shape)
        scaler, incomplete, self.clipped = fit_scaler(chunked(X), bool(self.standardize), weights)
        self.mean, self.rounding = scaler.mean_, rounding(scaler)
        self.coarse = coarse(scaler)
        self.has_missing = bool(incomplete.any())
        self.range = self._range(X)
        if self.standardize and not self.unit_interval:
            self.shift, self.scale = pooled_moments(
                scaler, (self.shape[0], -1), 1, self.standardize
            )
        else:
            self.shift = np.zeros(self.shape[0])
            self.scale = np.full(self.shape[0], _BYTES[1] if X.dtype == np.uint8 else 1.0)
        return self

    def _range(self, X: Any) -> tuple[float, float] | None:
        """Return the range of the values that X is given to have, None for any."""
        if X.dtype == np.uint8:
            return None if self.output_activation == "linear" and not self.unit_interval else _BYTES
        if self.unit_interval:
            return RANGES["sigmoid"]
        if self.output_activation != "auto":
            return RANGES.get(self.output_activation)
        low, high = extremes(X)
        for bounds in RANGES.values():
            if bounds[0] - _TOLERANCE <= low and high <= bounds[1] + _TOLERANCE:
                return bounds
        return None

    def check(self, X: Any) -> None:
        """Raise if images for training have values outside a required range."""
        if self.range is None or X.dtype == np.uint8:
            return
        (low, high), (smallest, largest) = self.range, extremes(X)
        if smallest < low - _TOLERANCE or largest > high + _TOLERANCE:
            what = f"output_activation={self.output_activation!r}"
            if self.unit_interval:
                what = "this likelihood or loss"
            raise ValueError(
                f"X must lie between {low:g} and {high:g} for {what}, but its values run from "
                f"{smallest:.4g} to {largest:.4g}; scale it."
            )

    @property
    def axes(self) -> tuple[str, ...]:
        return ("channel", "row", "column")[-len(self.layout) :]

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Convert raw images to inputs of the network, (n, channels, height, width)."""
        low, high = (0.0, 1.0) if self.unit_interval else (-CLIP, CLIP)
        shift, scale = (v.reshape(-1, 1, 1) for v in (self.shift, self.scale))
        return scaled(rows.reshape(-1, *self.shape), shift, scale, low, high)

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Convert outputs of the network to images in the layout and units of `X`."""
        scale, shift = (v.reshape(-1, 1, 1) for v in (self.scale, self.shift))
        images = unscaled(z, shift, scale, dtype)
        if self.range is not None:  # outputs are within it already, but for rounding errors
            images = images.clip(*self.range)
        return images.reshape(-1, *self.layout)

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return the squared error of each value, in the units of `X`."""
        return (X.astype(np.float64) - reconstruction) ** 2

    def summary(self, x: Tensor) -> Tensor:
        """Return the features by which inputs of the network are compared with others, (n, d)."""
        return x.flatten(1).nan_to_num(0.0)


def _stacked(X: Any) -> Any:
    """Stack a list of images to an array; anything else is returned as it is."""
    if not isinstance(X, list | tuple) or not X:
        return X
    X = [pixels_of(image) for image in X]
    if np.ndim(X[0]) < 2:
        return X
    shapes = {np.shape(image) for image in X}
    if len(shapes) > 1:
        raise ValueError(
            f"The images of X have different shapes: {sorted(shapes)}. Crop, pad or resize them to "
            f"one."
        )
    return np.stack(X)


def extremes(X: Any) -> tuple[float, float]:
    """Return the smallest and the largest number of all rows."""
    ends = [(np.nanmin(chunk), np.nanmax(chunk)) for chunk in chunked(X)]
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def _with_channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return (channels, height, width) for a shape that may lack the first ones."""
    return (1,) * (3 - len(shape)) + tuple(shape)


def _same_pixels(given: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether images, or rows, of one shape can be reshaped to images of another."""
    if len(given) == 1:
        return math.prod(given) == math.prod(expected)
    return _with_channels(given) == _with_channels(expected)


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

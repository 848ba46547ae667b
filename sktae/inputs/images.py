"""Images become tensors here, and tensors images."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor
from torch.utils.data import Dataset

from sktae.inputs.datasets import DatasetRows
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import FAR, FLOATS, check_width, chunks_of, pooled, scaler_of

# What images may hold; bytes stay bytes, which take an eighth of the memory.
_NUMBERS = (*FLOATS, np.uint8)

# The ranges that outputs are known to keep to, but for what arithmetic leaves over.
RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_BYTES = (0.0, 255.0)
_TOLERANCE = 1e-6

# More channels than this, and last a size as small as those of colours: channels come last.
_COLOURS, _MANY = (1, 3, 4), 8


@dataclass
class Image(Inputs):
    """Images, (n, channels, height, width), or (n, height, width) where they have one channel.

    They may come as rows, whose shape is then `image_shape`; without one, each row is an image one
    pixel high.

    Parameters
    ----------
    standardize : bool
        Whether the network sees each channel with mean 0 and variance 1.

    image_shape : tuple of int or None, default=None
        Channels, height and width, or height and width.

    output_activation : {"auto", "linear", "sigmoid", "tanh"}, default="auto"
        The range of the values: any; 0 to 1, or 0 to 255 for bytes; -1 to 1. "auto" finds out.

    unit_interval : bool, default=False
        Whether the network sees values between 0 and 1; of later images, what lies beyond is cut
        off.
    """

    standardize: bool
    image_shape: Any = None
    output_activation: str = "auto"
    unit_interval: bool = False

    def __post_init__(self) -> None:
        if self.image_shape is not None:
            self.image_shape = tuple(map(int, self.image_shape))

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate images; they are given the layout of those of the fit."""
        if isinstance(X, Dataset):
            rows = DatasetRows(X, (1, 2, 3), _NUMBERS)
            self._check_shape(estimator, rows.shape, reset)
            if not reset and rows.shape[1:] != self.layout:
                raise ValueError(
                    f"The Dataset given as X has images of shape {rows.shape[1:]}, but "
                    f"{type(estimator).__name__} was fitted on those of shape {self.layout}."
                )
            return rows
        X, named = self._validated(estimator, _stacked(X), reset)
        self._check_shape(estimator, X.shape, reset, named)
        return X if reset else X.reshape(len(X), *self.layout)

    def _validated(self, estimator: Any, X: Any, reset: bool) -> tuple[np.ndarray, bool]:
        """Return an array of numbers, and whether it was judged as a table with its columns."""
        if getattr(X, "ndim", 2) == 2 and (reset or len(self.layout) == 1):
            return validate_data(estimator, X, dtype=_NUMBERS, reset=reset), True
        found = check_array(X, dtype=_NUMBERS, allow_nd=True, estimator=estimator, input_name="X")
        return found, False

    def _check_shape(
        self, estimator: Any, shape: tuple[int, ...], reset: bool, named: bool = False
    ) -> None:
        name, own = type(estimator).__name__, shape[1:]
        wanted = self.image_shape if reset else self.shape
        if not 2 <= len(shape) <= 4:
            raise ValueError(
                f"X has {len(shape)} dimensions, but images are (n, channels, height, width), (n, "
                f"height, width), or rows with an image_shape."
            )
        if wanted is None:
            if len(own) == 3 and own[2] in _COLOURS and min(own[:2]) > _MANY:
                raise ValueError(
                    f"X has shape {shape}, which looks like (n, height, width, channels), but "
                    f"{name} takes (n, channels, height, width): give it X.transpose(0, 3, 1, 2), "
                    f"or set image_shape={own} if its images do have {own[0]} channels."
                )
        elif not _fits(own, wanted):
            what = f"image_shape={wanted} of {name} asks for {_times(wanted)}"
            if not reset:
                what = f"{name} was fitted on images of {_times(wanted)}"
            raise ValueError(
                f"X has images of {_times(own)} numbers, but {what}. Channels come first; a single "
                f"image goes into a list, [X]."
            )
        if not named:
            check_width(estimator, math.prod(own), reset)

    def fit(self, X: Any) -> "Image":
        """Learn the shape of images, the scale of each channel, and the range of their values."""
        self.layout = tuple(X.shape[1:])
        found = self.image_shape or (self.layout if len(self.layout) > 1 else (1, *self.layout))
        self.shape = _full(found)
        scaler = scaler_of(chunks_of(X), self.standardize)
        self.mean = scaler.mean_
        self.range = self._range(X)
        if self.standardize and not self.unit_interval:
            self.shift, self.scale = pooled(scaler, (self.shape[0], -1), 1)
        else:
            self.shift = np.zeros(self.shape[0])
            self.scale = np.full(self.shape[0], _BYTES[1] if X.dtype == np.uint8 else 1.0)
        return self

    def _range(self, X: Any) -> tuple[float, float] | None:
        """Return the range that the output shall keep to."""
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
        """Raise where these images are not fit for training."""
        if self.range is None or X.dtype == np.uint8:
            return
        (low, high), (least, largest) = self.range, extremes(X)
        if least < low - _TOLERANCE or largest > high + _TOLERANCE:
            what = f"output_activation={self.output_activation!r}"
            if self.unit_interval:
                what = "this likelihood or loss"
            raise ValueError(
                f"X must lie between {low:g} and {high:g} for {what}, but its values run from "
                f"{least:.4g} to {largest:.4g}; scale it."
            )

    @property
    def axes(self) -> tuple[str, ...]:
        return ("channel", "row", "column")[-len(self.layout) :]

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Turn raw images into what the network sees, (n, channels, height, width)."""
        low, high = (0.0, 1.0) if self.unit_interval else (-FAR, FAR)
        offset = torch.from_numpy(-self.shift / self.scale).view(-1, 1, 1)
        factor = torch.from_numpy(1 / self.scale).view(-1, 1, 1)
        x = rows.double().reshape(-1, *self.shape)
        return torch.addcmul(offset, x, factor).float().clamp(low, high)

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into images in the units of `X`."""
        scale, shift = (v.reshape(-1, 1, 1) for v in (self.scale, self.shift))
        found = z.astype(np.float64) * scale + shift
        if self.range is not None:  # but for what arithmetic leaves over, it is there already
            found = found.clip(*self.range)
        return found.reshape(-1, *self.layout).astype(dtype)

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return how wrong images in the units of `X` are, number by number."""
        return (X.astype(np.float64) - reconstruction) ** 2

    def summary(self, x: Tensor) -> Tensor:
        """Return the numbers by which prepared images are compared, (n, d)."""
        return x.flatten(1)


def _stacked(X: Any) -> Any:
    """Make an array of a list of images."""
    if not isinstance(X, list | tuple) or not X or np.ndim(X[0]) < 2:
        return X
    shapes = {np.shape(image) for image in X}
    if len(shapes) > 1:
        raise ValueError(
            f"The images of X have different shapes: {sorted(shapes)}. Crop, pad or resize them to "
            f"one."
        )
    return np.stack(X)


def extremes(X: Any) -> tuple[float, float]:
    """Return the least and the largest number of all rows."""
    ends = [(chunk.min(), chunk.max()) for chunk in chunks_of(X)]
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def _full(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Write a shape with channels."""
    return (1,) * (3 - len(shape)) + tuple(shape)


def _fits(own: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Say whether images, or rows, of one shape can be had as images of another."""
    if len(own) == 1:
        return math.prod(own) == math.prod(wanted)
    return _full(own) == _full(wanted)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

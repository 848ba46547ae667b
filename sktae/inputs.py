"""Arrays become tensors here and nowhere else, and tensors arrays."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

# What arrays may hold; anything else is converted to the first.
FLOATS = (np.float64, np.float32)

# Beyond a million standard deviations a value says no more, and its square still fits float32.
FAR = 1e6

# The scales of columns are learnt from chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


class DatasetRows:
    """A torch Dataset that is read like an array, and checked as it is read.

    Its items are rows, or tuples that begin with one. Where it has `__getitems__`, many are read at
    once. Where it has a number `gap`, its rows are windows in the order of time, and those up to
    `gap` apart overlap.
    """

    def __init__(
        self, dataset: Dataset, dimensions: tuple[int, ...] = (1,), kinds: tuple[Any, ...] = FLOATS
    ):
        if isinstance(dataset, IterableDataset):
            raise ValueError(
                "X is an IterableDataset, whose rows cannot be told by number; give a Dataset with "
                "__len__ and __getitem__."
            )
        if len(dataset) == 0:  # type: ignore[arg-type]
            raise ValueError("The Dataset given as X has no rows.")
        self.dataset = dataset
        first = _row(dataset[0])
        if first.ndim not in dimensions or first.dtype.kind not in "fiub":
            raise ValueError(
                f"The Dataset given as X must have rows of numbers, or tuples that begin with one, "
                f"but its first item is {dataset[0]!r}."
            )
        self.dtype = first.dtype if first.dtype in kinds else np.dtype(kinds[0])
        self.shape = (len(dataset), *first.shape)  # type: ignore[arg-type]
        self.gap: int | None = getattr(dataset, "gap", None)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        numbers = range(*rows.indices(len(self))) if isinstance(rows, slice) else rows.tolist()
        if hasattr(self.dataset, "__getitems__"):
            items = self.dataset.__getitems__(list(numbers))
        else:
            items = [self.dataset[number] for number in numbers]
        found = items if isinstance(items, np.ndarray) else np.stack([_row(item) for item in items])
        found = found.astype(self.dtype, copy=False)
        if not np.isfinite(found).all():
            raise ValueError("The Dataset given as X contains NaN or infinity.")
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype)


def _row(item: Any) -> np.ndarray:
    return np.asarray(item[0] if isinstance(item, tuple | list) else item)


class Selected:
    """Some rows of an array or of a Dataset, read where they lie."""

    def __init__(self, X: Any, rows: np.ndarray):
        self.X, self.rows, self.dtype = X, rows, X.dtype
        self.shape = (len(rows), *X.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self.X[self.rows[rows]]


class Tabular:
    """Rows of numeric columns, (n, d).

    Parameters
    ----------
    standardize : bool
        Whether the network sees each column with mean 0 and variance 1.

    unit_interval : bool
        Whether the values must lie between 0 and 1; of later rows, what lies beyond is cut off.
    """

    def __init__(self, standardize: bool, unit_interval: bool = False):
        self.settings = (standardize, unit_interval)

        # What an estimator should know of its input, as fitted attributes.
        self.learnt: dict[str, Any] = {}

    def checked(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate rows in scikit-learn's way; a torch Dataset is validated as it is read."""
        if getattr(X, "ndim", 2) > 2:
            raise ValueError(
                f"Found array with dim {X.ndim}, but {type(estimator).__name__} takes rows, "
                f"(n_samples, n_features). There are others for sequences, such as "
                f"TransformerAutoencoder, and for images, such as ConvolutionalAutoencoder."
            )
        if not isinstance(X, Dataset):
            return validate_data(estimator, X, dtype=FLOATS, reset=reset)
        rows = DatasetRows(X)
        check_width(estimator, rows.shape[1], reset)
        return rows

    def fit(self, X: Any) -> "Tabular":
        """Learn the shape of a row and the scale of each column."""
        standardize, _ = self.settings
        self.shape = X.shape[1:]
        scaler = scaler_of(chunks_of(X), standardize)
        self.mean = scaler.mean_
        self.shift = self.mean if standardize else np.zeros(self.shape)
        self.scale = scaler.scale_ if standardize else np.ones(self.shape)
        return self

    def check(self, X: Any) -> None:
        """Raise where these rows are not fit for training."""
        _, unit_interval = self.settings
        if not unit_interval:
            return
        low = min(chunk.min() for chunk in chunks_of(X))
        high = max(chunk.max() for chunk in chunks_of(X))
        # The tolerance is for what MinMaxScaler's arithmetic leaves over.
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood or loss, but its values run from "
                f"{low:.4g} to {high:.4g}; scale it with MinMaxScaler."
            )

    def prepare(self, rows: Tensor) -> Tensor:
        """Turn raw rows into what the network sees."""
        low, high = (0.0, 1.0) if self.settings[1] else (-FAR, FAR)
        offset = torch.from_numpy(-self.shift / self.scale)
        factor = torch.from_numpy(1 / self.scale)
        return torch.addcmul(offset, rows.double(), factor).float().clamp(low, high)

    def array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        return (z.astype(np.float64) * self.scale + self.shift).astype(dtype)

    def errors(self, X: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Return how wrong rows in the units of `X` are, number by number."""
        return (X.astype(np.float64) - made) ** 2

    def summary(self, x: Tensor) -> Tensor:
        """Return the numbers by which prepared rows are compared, (n, d)."""
        return x.flatten(1)


def float_of(dtype: np.dtype) -> np.dtype:
    """Return the type of what is computed from numbers of this type."""
    return np.result_type(dtype, np.float32)


def check_width(estimator: Any, width: int, reset: bool) -> None:
    """Do for Datasets and panels what `validate_data` does for tables."""
    if reset:
        estimator.n_features_in_ = width
        vars(estimator).pop("feature_names_in_", None)
    elif width != estimator.n_features_in_:
        raise ValueError(
            f"X has {width} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def scaler_of(chunks: Iterator[np.ndarray], scaled: bool) -> StandardScaler:
    """Learn mean and variance of each number of a row."""
    scaler, largest = StandardScaler(), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in chunks:
            scaler.partial_fit(chunk.reshape(len(chunk), -1).astype(np.float64))
            largest = max(largest, np.nanmax(abs(chunk)))
    seen = np.asarray(scaler.n_samples_seen_) > 0
    if scaled and not np.isfinite(scaler.scale_[np.broadcast_to(seen, scaler.scale_.shape)]).all():
        raise ValueError(
            f"X has values up to {largest:.4g}, whose variance is too large for a float; "
            f"divide them by a constant."
        )
    return scaler


def pooled(
    scaler: StandardScaler, shape: tuple[int, ...], axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of numbers that belong together, along an axis of this shape."""
    mean, variance = (np.nan_to_num(v).reshape(shape) for v in (scaler.mean_, scaler.var_))
    seen = np.broadcast_to(scaler.n_samples_seen_, scaler.mean_.shape).reshape(shape)
    n = seen.sum(axis=axis)
    share = seen / np.maximum(np.expand_dims(n, axis), 1)
    whole = (share * mean).sum(axis=axis)
    spread = (share * (variance + (mean - np.expand_dims(whole, axis)) ** 2)).sum(axis=axis)
    # What is left of a constant after so many sums is noise.
    noise = (n * whole * np.finfo(float).eps) ** 2
    return whole, np.where(spread > noise, np.sqrt(spread), 1.0)


def chunks_of(X: Any) -> Iterator[np.ndarray]:
    """Walk through rows without holding many of them."""
    size = max(1, _CHUNK_NUMBERS // math.prod(X.shape[1:]))
    for start in range(0, len(X), size):
        yield X[start : start + size]

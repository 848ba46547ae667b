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
_FAR = 1e6

# The scales of columns are learnt from chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


class DatasetRows:
    """A torch Dataset that is read like an array, and checked as it is read.

    Its items are rows, or tuples that begin with one.
    """

    def __init__(self, dataset: Dataset):
        if isinstance(dataset, IterableDataset):
            raise ValueError(
                "X is an IterableDataset, whose rows cannot be told by number; give a Dataset with "
                "__len__ and __getitem__."
            )
        self.dataset = dataset
        first = self._row(0)
        if first.ndim != 1 or first.dtype.kind not in "fiub":
            raise ValueError(
                f"The Dataset given as X must have rows of numbers, or tuples that begin with one, "
                f"but its first item is {dataset[0]!r}."
            )
        self.dtype = first.dtype if first.dtype in FLOATS else np.dtype(FLOATS[0])
        self.shape = (len(dataset), *first.shape)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        numbers = range(*rows.indices(len(self))) if isinstance(rows, slice) else rows.tolist()
        found = np.stack([self._row(number) for number in numbers]).astype(self.dtype, copy=False)
        if not np.isfinite(found).all():
            raise ValueError("The Dataset given as X contains NaN or infinity.")
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype)

    def _row(self, number: int) -> np.ndarray:
        item = self.dataset[number]
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


def checked(estimator: Any, X: Any, reset: bool) -> Any:
    """Validate rows in scikit-learn's way; a torch Dataset is validated as it is read."""
    if not isinstance(X, Dataset):
        return validate_data(estimator, X, dtype=FLOATS, reset=reset)
    rows = DatasetRows(X)
    if reset:
        estimator.n_features_in_ = rows.shape[1]
        vars(estimator).pop("feature_names_in_", None)
    elif rows.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {rows.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    return rows


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

    def fit(self, X: Any) -> "Tabular":
        """Learn the shape of a row and the scale of each column."""
        standardize, _ = self.settings
        self.shape = X.shape[1:]
        scaler = StandardScaler()
        with np.errstate(over="ignore", invalid="ignore"):
            for chunk in _chunks(X):
                scaler.partial_fit(chunk.astype(np.float64))
        self.mean = scaler.mean_
        if standardize and not np.isfinite(scaler.scale_).all():
            largest = max(abs(chunk).max() for chunk in _chunks(X))
            raise ValueError(
                f"X has values up to {largest:.4g}, whose variance is too large for a float; "
                f"divide them by a constant."
            )
        self.shift = self.mean if standardize else np.zeros(self.shape)
        self.scale = scaler.scale_ if standardize else np.ones(self.shape)
        return self

    def check(self, X: Any) -> None:
        """Raise where these rows are not fit for training."""
        _, unit_interval = self.settings
        if not unit_interval:
            return
        low = min(chunk.min() for chunk in _chunks(X))
        high = max(chunk.max() for chunk in _chunks(X))
        # The tolerance is for what MinMaxScaler's arithmetic leaves over.
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood, but its values run from "
                f"{low:.4g} to {high:.4g}; scale it with MinMaxScaler."
            )

    def prepare(self, rows: Tensor) -> Tensor:
        """Turn raw rows into what the network sees."""
        low, high = (0.0, 1.0) if self.settings[1] else (-_FAR, _FAR)
        offset = torch.from_numpy(-self.shift / self.scale)
        factor = torch.from_numpy(1 / self.scale)
        return torch.addcmul(offset, rows.double(), factor).float().clamp(low, high)

    def array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        return (z.astype(np.float64) * self.scale + self.shift).astype(dtype)


def _chunks(X: Any) -> Iterator[np.ndarray]:
    """Walk through rows without holding many of them."""
    size = max(1, _CHUNK_NUMBERS // math.prod(X.shape[1:]))
    for start in range(0, len(X), size):
        yield X[start : start + size]

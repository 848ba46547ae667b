"""Rows that are read only when they are indexed: Datasets, sparse tables, selected rows."""

from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset

from sktae.datasets import TableDataset, pixels_of
from sktae.inputs.scaling import FLOATS


def is_dataset(X: Any) -> bool:
    """Return whether X is a Dataset: of torch, or, as those of Hugging Face, with its methods."""
    return isinstance(X, Dataset) or hasattr(X, "__getitems__")


class DatasetRows:
    """A torch Dataset that is indexed like an array. Rows are validated as they are read.

    Parameters
    ----------
    dataset : Dataset
        Its items are rows, tuples that begin with one, or mappings with one. If it has
        `__getitems__`, many are read in one call. If it has an integer `gap`, its rows are windows
        in the order of time, and those up to `gap` apart overlap.

    ndims : tuple of int, default=(1,)
        Numbers of dimensions that a row may have.

    dtypes : tuple of types, default=FLOATS
        The dtypes that rows may have; others are converted to the first.
    """

    def __init__(
        self, dataset: Dataset, ndims: tuple[int, ...] = (1,), dtypes: tuple[Any, ...] = FLOATS
    ):
        if isinstance(dataset, IterableDataset):
            raise ValueError(
                "X is an IterableDataset, which cannot be indexed; give a Dataset with __len__ and "
                "__getitem__."
            )
        if isinstance(dataset, TableDataset) and dataset.categorical:
            name = dataset.columns[dataset.categorical[0]]
            raise TypeError(
                f"Column {name!r} of the TableDataset given as X holds categories, but rows of "
                f"numbers are needed here: leave it out by columns."
            )
        if len(dataset) == 0:  # type: ignore[arg-type]
            raise ValueError("The Dataset given as X has no rows.")
        self.dataset = dataset
        first = _row(dataset[0])
        if first.ndim not in ndims or first.dtype.kind not in "fiub":
            raise ValueError(
                f"The Dataset given as X must have rows of numbers, or tuples that begin with one, "
                f"but its first item is {dataset[0]!r}."
            )
        self.dtype = first.dtype if first.dtype in dtypes else np.dtype(dtypes[0])
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
        batch = items if isinstance(items, np.ndarray) else np.stack([_row(item) for item in items])
        batch = batch.astype(self.dtype, copy=False)
        if not np.isfinite(batch).all():
            raise ValueError("The Dataset given as X contains NaN or infinity.")
        return batch

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype)


def _row(item: Any) -> np.ndarray:
    return np.asarray(pixels_of(item[0] if isinstance(item, tuple | list) else item))


class SparseRows:
    """A sparse table that is indexed like an array. Rows become dense as they are read.

    Parameters
    ----------
    table : CSR array or matrix
        The rows.
    """

    def __init__(self, table: Any):
        self.table, self.dtype, self.shape = table, table.dtype, table.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self.table[rows].toarray()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.table.toarray().astype(dtype or self.dtype)

    @property
    def stored(self) -> np.ndarray:
        """The numbers that are stored, which may be missing; all others are 0."""
        return self.table.data


class Selected:
    """Selected rows of an array or of a Dataset, read only when they are indexed."""

    def __init__(self, X: Any, rows: np.ndarray):
        if isinstance(X, Selected):
            X, rows = X.X, X.rows[rows]
        self.X: Any = X
        self.rows, self.dtype = rows, X.dtype
        self.shape = (len(rows), *X.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self.X[self.rows[rows]]

"""Tables from files, read only when they are wanted."""

import copy
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from sktae.datasets._readers import Arrow, Polars, Reader, Vocabulary, parquet

# Tables are copied in batches of about this many numbers (8 MB in float64).
_BATCH_NUMBERS = 2**20


class TableDataset(Dataset):
    """The rows of a table that is larger than memory, in Parquet files, Arrow or Polars.

    Give it to an autoencoder of tables as `X`. The table is read once: when rows are first wanted,
    its columns are copied to a temporary file without compression, of which rows are then read in
    any order. So fits and scores need little memory, and give the same results as with the table in
    memory. The file is deleted together with this object. It takes 4 bytes for each value if
    float32 holds all columns of numbers exactly, else 8. The environment variable `TMPDIR` says
    where it is.

    In the file, a category is a number: that of its value among the distinct values of the column,
    which stay in memory.

    Parameters
    ----------
    source : str, path-like, pyarrow.dataset.Dataset or polars.LazyFrame
        A Parquet file, a folder of Parquet files, or anything that Arrow or Polars reads batch by
        batch. Files and Arrow need pyarrow, which `pip install "sktae[arrow]"` installs.

    columns : sequence of str or None, default=None
        Names of the columns to read, which must hold numbers, booleans, strings or categories. None
        for all.

    Attributes
    ----------
    columns : list of str
        Names of the columns.

    categorical : list of int
        Numbers of the columns of strings or categories.

    container : {"pandas", "polars"}
        In what kind of DataFrame models return rows that have categories or booleans.

    dtype : dtype
        float32 or float64. Missing values are NaN.

    shape : tuple of two ints
        Number of rows and of columns.

    Examples
    --------
    >>> import polars as pl
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder
    >>> from sktae.datasets import TableDataset
    >>> frame = pl.from_numpy(load_iris().data, ["a", "b", "c", "d"]).lazy()
    >>> table = TableDataset(frame, columns=["a", "c", "d"])
    >>> table.shape
    (150, 3)
    >>> Autoencoder(max_steps=50, random_state=0).fit(table).score_samples(table).shape
    (150,)
    """

    def __init__(self, source: Any, columns: Sequence[str] | None = None):
        self._source: Reader
        if isinstance(source, str | PathLike):
            self._source = Arrow(parquet(source))
        elif hasattr(source, "to_batches") and hasattr(source, "schema"):
            self._source = Arrow(source)
        elif hasattr(source, "collect_batches"):
            self._source = Polars(source)
        else:
            raise TypeError(
                f"source of TableDataset must be the path of a Parquet file or folder, a "
                f"pyarrow.dataset.Dataset or a polars.LazyFrame. Got {source!r} instead."
            )
        self.container = self._source.container
        kinds = self._source.kinds()
        self.columns = list(kinds if columns is None else columns)
        for name in self.columns:
            if name not in kinds:
                raise ValueError(
                    f"columns of TableDataset has {name!r}, but the table has no such column; its "
                    f"columns are {list(kinds)}."
                )
            if not isinstance(kinds[name], np.dtype):
                raise ValueError(
                    f"Column {name!r} of the table holds {kinds[name]}, but TableDataset takes "
                    f"numbers, booleans and strings only: make numbers of it, or leave it out by "
                    f"columns."
                )
        if not self.columns:
            raise ValueError("The table given to TableDataset has no columns.")
        self._kinds = [kinds[name] for name in self.columns]
        self.categorical = [n for n, kind in enumerate(self._kinds) if kind.kind == "O"]
        numbers = [kind for kind in self._kinds if kind.kind != "O"]
        exact = all(np.can_cast(kind, np.float32) for kind in numbers)
        self.dtype = np.dtype(np.float32 if exact else np.float64)
        self._codes: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def plain(self) -> bool:
        """Whether all columns hold numbers."""
        return all(kind.kind in "fiu" for kind in self._kinds)

    @cached_property
    def _copied(self) -> "_Copy":
        file = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as this object is used
        n_rows, missing = 0, False
        size = max(1, _BATCH_NUMBERS // len(self.columns))
        names = [self.columns[n] for n in self.categorical]
        vocabularies = {name: Vocabulary(name) for name in names}
        for rows in self._source.batches(self.columns, self.dtype, size, vocabularies):
            if np.isinf(rows).any():
                name = self.columns[int(np.isinf(rows).any(axis=0).argmax())]
                raise ValueError(
                    f"Column {name!r} of the table contains infinity or a value too large for "
                    f"{self.dtype}."
                )
            missing = missing or bool(np.isnan(rows).any())
            file.write(rows.data)
            n_rows += len(rows)
        file.flush()
        if not n_rows:
            raise ValueError("The table given to TableDataset has no rows.")
        values = [list(vocabularies[name].numbers) for name in names]
        return _Copy(file, n_rows, self.dtype, missing, Lock(), values)

    @property
    def shape(self) -> tuple[int, int]:
        return self._copied.n_rows, len(self.columns)

    @property
    def has_missing(self) -> bool:
        """Whether values are missing."""
        return self._copied.has_missing

    def values(self, column: int, *, numbers: bool = False) -> Any:
        """Return the distinct values of a column of categories as in a DataFrame.

        Those of a column of numbers only if asked for `numbers`; else there are none.
        """
        values: Any = []
        if column in self.categorical:
            values = self._copied.values[self.categorical.index(column)]
        elif numbers:
            values = self._keys(column)
        return self._source.series(self.columns[column], values)

    def coded(self, codes: Mapping[int, np.ndarray]) -> "TableDataset":
        """Return these rows with other numbers, in float64, for the `values` of some columns."""
        table = copy.copy(self)
        table._copied = self._copied
        table.dtype = np.dtype(np.float64)
        table._codes = {n: (self._keys(n), np.append(own, np.nan)) for n, own in codes.items()}
        return table

    def _keys(self, column: int) -> np.ndarray:
        """Return the numbers that stand for the distinct values of a column in the file."""
        if column in self.categorical:
            return np.arange(len(self._copied.values[self.categorical.index(column)]))
        if self._kinds[column].kind == "b":
            return np.arange(2)
        size, keys = max(1, _BATCH_NUMBERS // len(self.columns)), np.empty(0, self.dtype)
        for start in range(0, len(self), size):
            found = self._read(range(start, min(start + size, len(self))))[:, column]
            keys = np.union1d(keys, found[~np.isnan(found)])
        return keys

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        whole = range(len(self))
        if not isinstance(rows, slice) and np.ndim(rows) == 0:
            return self[[whole[rows]]][0]
        read = self._read(whole[rows] if isinstance(rows, slice) else np.asarray(rows, np.intp))
        read = read.astype(self.dtype, copy=False)
        for column, (keys, codes) in self._codes.items():
            read[:, column] = codes[np.searchsorted(keys, read[:, column])]  # of NaN, the last
        return read

    def _read(self, numbers: Any) -> np.ndarray:
        # Read, not mapped into memory: a map may hold 2 MB of the file for each row.
        file, lock = self._copied.file, self._copied.lock
        read = np.empty((len(numbers), len(self.columns)), self._copied.dtype)
        size = len(self.columns) * read.dtype.itemsize
        runs = isinstance(numbers, range) and numbers.step == 1 and len(numbers) > 0
        with lock:
            for number, part in [(numbers[0], read)] if runs else zip(numbers, read, strict=True):
                file.seek(int(number) * size)
                if file.readinto(part) != part.nbytes:
                    raise IndexError(f"TableDataset has {len(self)} rows, but no row {number}.")
        return read

    __getitems__ = __getitem__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        # A process that it is sent to makes a copy of its own.
        return {name: value for name, value in vars(self).items() if name != "_copied"}


class _Copy(NamedTuple):
    """The rows of a table in a file, the distinct values of its categories, a lock for reading."""

    file: Any
    n_rows: int
    dtype: np.dtype
    has_missing: bool
    lock: Any
    values: list[list[Any]]

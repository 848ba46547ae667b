"""Images and tables from files, read only when they are wanted."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from torch.utils.data import Dataset

# The endings of files that are images.
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
# Tables are copied in batches of about this many numbers (8 MB in float64).
_BATCH_NUMBERS = 2**20


class ImageFolder(Dataset):
    """The images in a folder and its subfolders, in the order of their names.

    Give it to an autoencoder of images as `X`. Files are read when they are wanted, the next ones
    while the network trains on the last. It needs Pillow.

    Parameters
    ----------
    folder : str or path-like
        Where the images are.

    size : tuple of two ints or None, default=None
        Height and width to which images are resized. None if all have one size.

    mode : {"RGB", "L"}, default="RGB"
        Whether images have three channels, or one, in gray.

    transform : callable or None, default=None
        Gets an image, bytes of shape (channels, height, width), and returns what the autoencoder
        gets, such as a crop or a turn. None for the image itself.

    n_workers : int, default=1
        How many files are read at a time.

    Attributes
    ----------
    files : list of Path
        The files.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from sktae.datasets import ImageFolder
    >>> folder = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     Image.fromarray(np.full((9, 12), number, np.uint8)).save(f"{folder}/{number}.png")
    >>> images = ImageFolder(folder, size=(6, 8))
    >>> len(images), images[2].shape, int(images[2].max())
    (3, (3, 6, 8), 2)
    """

    def __init__(
        self,
        folder: str | PathLike,
        size: tuple[int, int] | None = None,
        mode: Literal["RGB", "L"] = "RGB",
        transform: Callable[[np.ndarray], Any] | None = None,
        n_workers: int = 1,
    ):
        if mode not in ("RGB", "L"):
            raise ValueError(f"The mode of ImageFolder must be 'RGB' or 'L'. Got {mode!r} instead.")
        self.folder, self.size, self.mode = Path(folder), size, mode
        self.transform, self.n_workers = transform, n_workers
        paths = self.folder.rglob("*")
        self.files = sorted(path for path in paths if path.suffix.lower() in _ENDINGS)
        if not self.files:
            endings = ", ".join(sorted(_ENDINGS))
            raise FileNotFoundError(f"{str(self.folder)!r} holds no images, files of {endings}.")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Any:
        image = self._read(self.files[number])
        return image if self.transform is None else self.transform(image)

    def __getitems__(self, numbers: Sequence[int]) -> list[Any]:
        with ThreadPoolExecutor(max(1, self.n_workers)) as pool:
            return list(pool.map(self.__getitem__, numbers))

    def _read(self, path: Path) -> np.ndarray:
        try:
            from PIL import Image
        except ImportError as error:
            raise ImportError("ImageFolder needs Pillow: pip install pillow.") from error
        with Image.open(path) as file:
            image: Any = file.convert(self.mode)
        if self.size is not None:
            height, width = self.size
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def pixels_of(item: Any) -> Any:
    """Return an image of Pillow, or the only image of a mapping, as an array; all else as it is.

    Its shape is (channels, height, width), or (height, width) in gray.
    """
    if isinstance(item, Mapping):
        arrays = {k: v for k, v in item.items() if _is_image(v) or np.ndim(v) > 0}
        if len(arrays) != 1:
            raise ValueError(
                f"Items of X are mappings with the keys {', '.join(map(repr, item))}, of which "
                f"{len(arrays)} hold arrays; give a Dataset whose items are the images alone."
            )
        (item,) = arrays.values()
    if not _is_image(item):
        return item
    image = item.convert("RGB") if item.mode == "P" else item  # colors by their numbers
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels


def _is_image(item: Any) -> bool:
    """Return whether something is an image of Pillow, which may not be installed."""
    return hasattr(item, "getbands") and hasattr(item, "convert")


class TableDataset(Dataset):
    """The rows of a table that is larger than memory, in Parquet files, Arrow or Polars.

    Give it to an autoencoder of tables as `X`. The table is read once: when rows are first wanted,
    its columns are copied to a temporary file without compression, of which rows are then read in
    any order. So fits and scores need little memory, and give the same results as with the table in
    memory. The file is deleted together with this object. It takes 4 bytes for each number if
    float32 holds all columns exactly, else 8. The environment variable `TMPDIR` says where it is.

    Parameters
    ----------
    source : str, path-like, pyarrow.dataset.Dataset or polars.LazyFrame
        A Parquet file, a folder of Parquet files, or anything that Arrow or Polars reads batch by
        batch. Files and Arrow need pyarrow, which `pip install "sktae[arrow]"` installs.

    columns : sequence of str or None, default=None
        Names of the columns to read, which must hold numbers or booleans. None for all.

    Attributes
    ----------
    columns : list of str
        Names of the columns.

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
        self._source: _Arrow | _Polars
        if isinstance(source, str | PathLike):
            self._source = _Arrow(_parquet(source))
        elif hasattr(source, "to_batches") and hasattr(source, "schema"):
            self._source = _Arrow(source)
        elif hasattr(source, "collect_batches"):
            self._source = _Polars(source)
        else:
            raise TypeError(
                f"source of TableDataset must be the path of a Parquet file or folder, a "
                f"pyarrow.dataset.Dataset or a polars.LazyFrame. Got {source!r} instead."
            )
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
                    f"numbers and booleans only: make numbers of it, or leave it out by columns."
                )
        if not self.columns:
            raise ValueError("The table given to TableDataset has no columns.")
        exact = all(np.can_cast(kinds[name], np.float32) for name in self.columns)
        self.dtype = np.dtype(np.float32 if exact else np.float64)

    @cached_property
    def _copied(self) -> tuple[Any, int, bool, Lock]:
        """The copy, its number of rows, whether values are missing, and a lock for reading."""
        file = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as this object is used
        n_rows, missing = 0, False
        size = max(1, _BATCH_NUMBERS // len(self.columns))
        for rows in self._source.batches(self.columns, self.dtype, size):
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
        return file, n_rows, missing, Lock()

    @property
    def shape(self) -> tuple[int, int]:
        return self._copied[1], len(self.columns)

    @property
    def has_missing(self) -> bool:
        """Whether values are missing."""
        return self._copied[2]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        whole = range(len(self))
        if not isinstance(rows, slice) and np.ndim(rows) == 0:
            return self[[whole[rows]]][0]
        numbers: Any = whole[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.intp)
        read = np.empty((len(numbers), len(self.columns)), self.dtype)
        # Read, not mapped into memory: a map may hold 2 MB of the file for each row.
        file, _, _, lock = self._copied
        size = len(self.columns) * self.dtype.itemsize
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


class _Arrow:
    """A Dataset of Arrow, read as numbers."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def kinds(self) -> dict[str, Any]:
        """Return the dtypes of columns by name; of what is neither number nor boolean, its type."""
        from pyarrow import types

        numeric = types.is_integer, types.is_floating, types.is_boolean
        return {
            field.name: np.dtype(field.type.to_pandas_dtype())
            if any(test(field.type) for test in numeric)
            else str(field.type)
            for field in self.dataset.schema
        }

    def batches(self, columns: list[str], dtype: np.dtype, size: int) -> Iterator[np.ndarray]:
        """Read the rows from first to last, at most `size` at once, with NaN for missing values."""
        import pyarrow
        from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

        # Nothing is read ahead, since the batches that wait would take memory.
        settings = {"batch_readahead": 0, "fragment_readahead": 0, "use_threads": False}
        if isinstance(getattr(self.dataset, "format", None), ParquetFileFormat):
            settings["fragment_scan_options"] = ParquetFragmentScanOptions(
                use_buffered_stream=True, pre_buffer=False
            )
        kind = pyarrow.from_numpy_dtype(dtype)
        for batch in self.dataset.to_batches(columns=columns, batch_size=size, **settings):
            rows = np.empty((len(batch), len(columns)), dtype)
            for number, values in enumerate(batch.columns):
                rows[:, number] = values.cast(kind, safe=False).to_numpy(zero_copy_only=False)
            yield rows
        pyarrow.default_memory_pool().release_unused()  # it keeps what it has freed


class _Polars:
    """A LazyFrame of Polars, read as numbers."""

    def __init__(self, frame: Any):
        self.frame = frame

    def kinds(self) -> dict[str, Any]:
        """Return the dtypes of columns by name; of what is neither number nor boolean, its type."""
        import polars

        return {
            name: polars.Series(dtype=kind).to_numpy().dtype
            if kind.is_integer() or kind.is_float() or kind == polars.Boolean
            else str(kind)
            for name, kind in self.frame.collect_schema().items()
        }

    def batches(self, columns: list[str], dtype: np.dtype, size: int) -> Iterator[np.ndarray]:
        """Read the rows from first to last, at most `size` at once, with NaN for missing values."""
        import polars

        kind = polars.Float32 if dtype == np.float32 else polars.Float64
        frame = self.frame.select(polars.col(columns).cast(kind))
        for batch in frame.collect_batches(chunk_size=size):
            yield np.ascontiguousarray(batch.to_numpy())


def _parquet(path: str | PathLike) -> Any:
    try:
        from pyarrow.dataset import dataset
    except ImportError as error:
        raise ImportError(
            f"{os.fspath(path)!r} needs pyarrow, which is not installed: pip install "
            f'"sktae[arrow]".'
        ) from error
    return dataset(os.fspath(path), format="parquet", partitioning="hive")

"""Tables of Arrow and Polars, read batch by batch as numbers."""

import os
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol

import numpy as np

# A column with more distinct values is not read: they are kept in memory.
_MOST_VALUES = 2**20


class Vocabulary:
    """The distinct values of a column of categories, numbered as they first appear."""

    def __init__(self, name: str):
        self.name = name
        self.numbers: dict[Any, int] = {}

    def encode(self, values: Sequence[Any], places: np.ndarray) -> np.ndarray:
        """Return the numbers of rows whose values are at these places of a list, NaN for -1."""
        own = [np.nan if v is None else self._number(v) for v in values]
        if len(self.numbers) > _MOST_VALUES:
            raise ValueError(
                f"Column {self.name!r} of the table has more than {_MOST_VALUES:,} different "
                f"values, which would not fit into memory: leave it out by columns."
            )
        return np.array([*own, np.nan])[places]

    def _number(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


class Reader(Protocol):
    """What `TableDataset` asks of a table."""

    container: str

    def kinds(self) -> dict[str, Any]:
        """Return the dtypes of columns by name: object for categories; for what is not read, text.

        All others are of numbers or booleans.
        """
        ...

    def series(self, name: str, values: Sequence[Any]) -> Any:
        """Return values of a column as they would be in a DataFrame."""
        ...

    def batches(
        self, columns: list[str], dtype: np.dtype, size: int, vocabularies: Mapping[str, Vocabulary]
    ) -> Iterator[np.ndarray]:
        """Read the rows from first to last, at most `size` at once, with NaN for missing values.

        Columns that have a vocabulary are read as numbers of their values.
        """
        ...


class Arrow:
    """A Dataset of Arrow."""

    container = "pandas"

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def kinds(self) -> dict[str, Any]:
        return {field.name: _arrow_kind(field.type) for field in self.dataset.schema}

    def series(self, name: str, values: Sequence[Any]) -> Any:
        import pyarrow

        kind = self.dataset.schema.field(name).type
        if pyarrow.types.is_dictionary(kind):
            places = pyarrow.array(range(len(values)), pyarrow.int32())
            distinct = pyarrow.array(values, kind.value_type)
            array = pyarrow.DictionaryArray.from_arrays(places, distinct, ordered=kind.ordered)
        else:
            array = pyarrow.array(list(values)).cast(kind)
        return pyarrow.table({name: array}).to_pandas()[name]

    def batches(
        self, columns: list[str], dtype: np.dtype, size: int, vocabularies: Mapping[str, Vocabulary]
    ) -> Iterator[np.ndarray]:
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
            for number, (name, values) in enumerate(zip(columns, batch.columns, strict=True)):
                if name in vocabularies:
                    coded = values.dictionary_encode()
                    places = coded.indices.cast("int64").fill_null(-1).to_numpy()
                    rows[:, number] = vocabularies[name].encode(
                        coded.dictionary.to_pylist(), places
                    )
                else:
                    rows[:, number] = values.cast(kind, safe=False).to_numpy(zero_copy_only=False)
            yield rows
        pyarrow.default_memory_pool().release_unused()  # it keeps what it has freed


def _arrow_kind(kind: Any) -> Any:
    from pyarrow import types

    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return np.dtype(kind.to_pandas_dtype())
    if types.is_null(kind):  # numbers, of which none is known
        return np.dtype(np.float32)
    values = kind.value_type if types.is_dictionary(kind) else kind
    texts = types.is_string, types.is_large_string, types.is_string_view
    if any(test(values) for test in texts) or (values is not kind and types.is_integer(values)):
        return np.dtype(object)
    return str(kind)


class Polars:
    """A LazyFrame of Polars."""

    container = "polars"

    def __init__(self, frame: Any):
        self.frame = frame

    def kinds(self) -> dict[str, Any]:
        return {name: _polars_kind(kind) for name, kind in self.frame.collect_schema().items()}

    def series(self, name: str, values: Sequence[Any]) -> Any:
        import polars

        return polars.Series(name, values).cast(self.frame.collect_schema()[name])

    def batches(
        self, columns: list[str], dtype: np.dtype, size: int, vocabularies: Mapping[str, Vocabulary]
    ) -> Iterator[np.ndarray]:
        import polars

        kind = polars.Float32 if dtype == np.float32 else polars.Float64
        frame = self.frame.select(
            polars.col(name).cast(polars.String if name in vocabularies else kind)
            for name in columns
        )
        for batch in frame.collect_batches(chunk_size=size):
            for name, vocabulary in vocabularies.items():
                values = batch[name].unique(maintain_order=True).drop_nulls()
                own = vocabulary.encode(values.to_list(), np.arange(len(values)))
                coded = batch[name].replace_strict(values, own, default=None, return_dtype=kind)
                batch = batch.with_columns(coded)
            yield np.ascontiguousarray(batch.to_numpy())


def _polars_kind(kind: Any) -> Any:
    import polars

    if kind.is_integer() or kind.is_float() or kind == polars.Boolean:
        return polars.Series(dtype=kind).to_numpy().dtype
    if kind == polars.Null:
        return np.dtype(np.float32)
    if isinstance(kind, polars.String | polars.Categorical | polars.Enum):
        return np.dtype(object)
    return str(kind)


def parquet(path: str | PathLike) -> Any:
    try:
        from pyarrow.dataset import dataset
    except ImportError as error:
        raise ImportError(
            f"{os.fspath(path)!r} needs pyarrow, which is not installed: pip install "
            f'"sktae[arrow]".'
        ) from error
    return dataset(os.fspath(path), format="parquet", partitioning="hive")

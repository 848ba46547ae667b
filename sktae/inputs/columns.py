"""Columns of a table: numbers, booleans or categories, read as numbers and written back."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

# What pandas calls the values of an object column that holds numbers.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}
_DATES = {"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"}


class Column:
    """One column of a table: what kind it is, and its values if they are categories.

    Parameters
    ----------
    name : Any
        Its name, or its number.

    values : Series or ndarray
        The column in the rows of the fit.

    declared : bool or None
        Whether the user says that it is categorical; None if its dtype decides.

    owner : str
        Name of the estimator, for errors.
    """

    def __init__(self, name: Any, values: Any, declared: bool | None, owner: str):
        self.name, self.owner = name, owner
        self.dtype = getattr(values, "dtype", None)
        kind = _kind(values)
        if kind == "date":
            raise ValueError(
                f"Column {name!r} of X holds dates, which {owner} does not take as they are: put "
                f"a transformer in front that makes numbers of them, such as skrub's "
                f"DatetimeEncoder or TableVectorizer, or leave the column out."
            )
        if kind == "mixed" and not declared:
            raise ValueError(
                f"Column {name!r} of X holds values of several types, such as "
                f"{_example(values, str)} beside numbers: make them numbers, for instance by "
                f"pandas.to_numeric, or strings."
            )
        if kind == "category" and declared is False:
            raise ValueError(
                f"Column {name!r} of X holds {_example(values)}, which is no number: list the "
                f"column in categorical_features of {owner}, or leave it out."
            )
        self.kind = "category" if declared else kind
        self.categories: list[Any] = []
        if self.kind == "category":
            try:
                self.categories = _distinct(values)
            except TypeError as error:
                raise TypeError(
                    f"Column {name!r} of X holds {_example(values)}: an argument must be a string "
                    f"or a number to be a category."
                ) from error

    def __getstate__(self) -> dict[str, Any]:
        # Dtypes of other libraries by name, so that pickles and files hold no objects of theirs.
        return {**vars(self), "dtype": _dtype_name(self.dtype)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, dtype=_dtype(*state["dtype"], state["categories"]))

    def read(self, values: Any) -> np.ndarray:
        """Return values as numbers: those of categories by their order, NaN where missing."""
        if self.kind == "category":
            values = np.array([*_objects(values), None], dtype=object)[:-1]  # one dimension
            numbers = pd.Index(self.categories, dtype=object).get_indexer(values).astype(float)
            numbers[numbers < 0] = len(self.categories)
            return np.where(pd.isna(values), np.nan, numbers)
        if _kind(values) not in ("number", "boolean"):
            raise ValueError(
                f"Column {self.name!r} of X holds {_example(values, str)}, but {self.owner} was "
                f"fitted on {'booleans' if self.kind == 'boolean' else 'numbers'} there."
            )
        if getattr(values.dtype, "kind", "") == "c":
            raise ValueError(f"Complex data not supported: column {self.name!r} of X.")
        numbers = _floats(values)
        if np.isinf(numbers).any():
            raise ValueError(f"Column {self.name!r} of input X contains infinity.")
        return numbers

    def write(self, numbers: np.ndarray) -> Any:
        """Return numbers as values of the kind that the fit had, None or NaN where missing."""
        missing = np.isnan(numbers)
        if self.kind == "number":
            return numbers
        if self.kind == "boolean":
            values = np.array([None, False, True], dtype=object)
            return values[np.where(missing, 0, 1 + (numbers >= 0.5))]
        values = np.empty(len(self.categories) + 1, dtype=object)
        values[:-1], values[-1] = self.categories, None
        places = np.where(missing, len(self.categories), numbers).astype(int)
        return values[places.clip(0, len(self.categories))]


class Columns:
    """All columns of a table, and the container that it came in.

    Parameters
    ----------
    X : DataFrame or array
        The rows of the fit, with as many dimensions as a table has.

    categorical_features : "from_dtype" or sequence
        Which columns are categorical: names, numbers, or a mask.

    owner : str
        Name of the estimator, for errors.
    """

    def __init__(self, X: Any, categorical_features: Any, owner: str):
        series = list(_series(X))
        self.container = _container(X)
        declared = _declared(categorical_features, [name for name, _ in series], owner)
        if declared is None and self.container == "array":
            declared = [False] * len(series)
        self.columns = [
            Column(name, values, None if declared is None else declared[n], owner)
            for n, (name, values) in enumerate(series)
        ]

    @property
    def categorical(self) -> list[int]:
        """The numbers of the columns that are categories."""
        return [n for n, column in enumerate(self.columns) if column.kind == "category"]

    @property
    def plain(self) -> bool:
        """Whether all columns are numbers."""
        return all(column.kind == "number" for column in self.columns)

    def read(self, X: Any) -> np.ndarray:
        """Return rows as numbers, (n, d)."""
        pairs = zip(self.columns, _series(X), strict=True)
        return np.column_stack([column.read(values) for column, (_, values) in pairs])

    def write(self, rows: np.ndarray, index: Any = None) -> Any:
        """Return rows of numbers as a table of the container and the dtypes of the fit."""
        values = [column.write(part) for column, part in zip(self.columns, rows.T, strict=True)]
        if self.container == "array":
            table = np.array(values, dtype=object).T
            coded = [value for column in self.columns for value in column.categories]
            return table.astype(float) if np.asarray(coded).dtype.kind in "iufb" else table
        if self.container == "polars":
            import polars

            return polars.DataFrame(
                [
                    polars.Series(column.name, part.tolist(), dtype=_fitting(column, part))
                    for column, part in zip(self.columns, values, strict=True)
                ]
            )
        series = {
            n: pd.Series(part, index=index).astype(_fitting(column, part))
            for n, (column, part) in enumerate(zip(self.columns, values, strict=True))
        }
        table = pd.DataFrame(series, index=index)
        table.columns = pd.Index([column.name for column in self.columns])
        return table


def is_frame(X: Any) -> bool:
    """Return whether X is a DataFrame of pandas or polars."""
    return _container(X) != "array"


def like(X: Any, rows: Any) -> Any:
    """Return an array of rows as a DataFrame of the kind that X is; anything else as it is."""
    if not isinstance(rows, np.ndarray) or not is_frame(X):
        return rows
    if _container(X) == "pandas":
        return pd.DataFrame(rows, index=X.index, columns=X.columns)
    return type(X)(rows, schema=list(X.columns))


def check_no_strings(X: Any, owner: str) -> None:
    """Raise if an array holds strings that are no numbers."""
    if getattr(getattr(X, "dtype", None), "kind", "") not in ("O", "U") or np.ndim(X) != 2:
        return
    for n, values in enumerate(np.asarray(X).T):
        strings = [value for value in values if isinstance(value, str)]
        if strings and pd.to_numeric(pd.Series(strings), errors="coerce").isna().any():
            raise ValueError(
                f"Column {n} of X holds {str(strings[0])!r}, which is no number: list the column "
                f"in categorical_features of {owner}, or leave it out."
            )


def holds_numbers_only(X: Any) -> bool:
    """Return whether a DataFrame is all of NumPy's numbers, at a glance."""
    dtypes = X.dtypes if _container(X) == "pandas" else []
    return len(dtypes) > 0 and all(isinstance(t, np.dtype) and t.kind in "fiu" for t in dtypes)


def _fitting(column: Column, values: Any) -> Any:
    """Return the dtype of the fit, or one that holds what this dtype cannot."""
    if column.kind == "number":
        kind = np.dtype(column.dtype).kind if isinstance(column.dtype, np.dtype) else ""
        return column.dtype if kind == "f" else _float_dtype(column.dtype)
    if column.kind == "boolean" and isinstance(column.dtype, np.dtype):
        return object if any(value is None for value in values) else bool
    return column.dtype


def _float_dtype(dtype: Any) -> Any:
    """Return the dtype of results for a column of numbers that are not NumPy's floats."""
    if type(dtype).__module__.startswith("polars") or hasattr(dtype, "is_numeric"):
        import polars

        return polars.Float64
    return np.float64


def _container(X: Any) -> str:
    if isinstance(X, pd.DataFrame):
        return "pandas"
    is_polars = type(X).__module__.startswith("polars") and type(X).__name__ == "DataFrame"
    return "polars" if is_polars else "array"


def _series(X: Any) -> Iterator[tuple[Any, Any]]:
    if _container(X) == "pandas":
        # By position, since names may occur twice.
        return ((name, X.iloc[:, n]) for n, name in enumerate(X.columns))
    if _container(X) == "polars":
        return zip(X.columns, X.get_columns(), strict=True)
    return enumerate(np.asarray(X).T)


def _declared(given: Any, names: Sequence[Any], owner: str) -> list[bool] | None:
    """Return which columns the user declares to be categorical, or None if dtypes decide."""
    if isinstance(given, str):
        if given == "from_dtype":
            return None
        given = [given]
    given = [] if given is None else np.asarray(given, dtype=object).ravel().tolist()
    if given and all(isinstance(entry, bool | np.bool_) for entry in given):
        if len(given) != len(names):
            raise ValueError(
                f"categorical_features of {owner} is a mask of {len(given)} columns, but X has "
                f"{len(names)}."
            )
        return [bool(entry) for entry in given]
    chosen = [False] * len(names)
    for entry in given:
        if entry in names:
            chosen[list(names).index(entry)] = True
        elif isinstance(entry, int | np.integer) and -len(names) <= entry < len(names):
            chosen[entry] = True
        else:
            raise ValueError(
                f"categorical_features of {owner} has {entry!r}, but X has no such column; its "
                f"columns are {list(names)}."
            )
    return chosen


def _dtype_name(dtype: Any) -> tuple[str, ...]:
    """Return how a dtype is written: its library, its name, and more where that is not enough."""
    if dtype is None:
        return ("none",)
    if type(dtype).__module__.startswith("polars") or hasattr(dtype, "is_numeric"):
        values = dtype.categories.to_list() if str(dtype).startswith("Enum") else []
        return "polars", str(dtype).partition("(")[0], *values
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories", str(dtype.categories.dtype), str(dtype.ordered)
    if isinstance(dtype, pd.StringDtype) and str(dtype) == "string":
        return "pandas", f"string[{dtype.storage}]"
    return "pandas", str(dtype)


def _dtype(library: str, *rest: Any) -> Any:
    """Return the dtype that was written so, for a column with these categories, given at last."""
    *names, categories = rest
    if library == "none":
        return None
    if library == "polars":
        import polars

        if names[0] == "Enum":
            return polars.Enum(names[1:])
        dtype = getattr(polars, names[0])
        if not issubclass(dtype, polars.DataType):
            raise TypeError(f"{dtype!r} is no dtype of polars")
        return dtype()
    if library == "categories":
        return pd.CategoricalDtype(pd.Index(categories, dtype=names[0]), names[1] == "True")
    return pd.api.types.pandas_dtype(names[0])


def _kind(values: Any) -> str:
    """Return "number", "boolean", "category", "date", or "mixed" of numbers and other values."""
    dtype = values.dtype
    if type(values).__module__.startswith("polars"):
        if dtype.is_temporal():
            return "date"
        if dtype.is_numeric() or str(dtype) == "Null":
            return "number"
        return "boolean" if str(dtype) == "Boolean" else "category"
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred in _NUMBERS:
        return "number"
    if inferred in _DATES or pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    if inferred in ("mixed", "mixed-integer"):
        return "mixed"
    return "boolean" if inferred == "boolean" else "category"


def _floats(values: Any) -> np.ndarray:
    if type(values).__module__.startswith("polars"):
        import polars

        return values.cast(polars.Float64).to_numpy().astype(np.float64)
    return pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan)


def _objects(values: Any) -> list[Any]:
    """Return the values of a column as Python objects, None where missing."""
    if type(values).__module__.startswith("polars"):
        return values.to_list()
    series = pd.Series(values)
    return series.astype(object).where(series.notna(), None).tolist()


def _distinct(values: Any) -> list[Any]:
    """Return the distinct values of a column, in an order that rows do not change if it can be."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.dtype.categories.tolist()
    distinct = set(_objects(values)) - {None}
    try:
        return sorted(distinct)
    except TypeError:  # of several types
        return sorted(distinct, key=lambda value: (type(value).__name__, str(value)))


def _example(values: Any, kind: type = object) -> str:
    """Return one value for an error message, one of a type if there is any."""
    observed = [value for value in _objects(values) if value is not None]
    of_kind = [value for value in observed if isinstance(value, kind)]
    return repr(next(iter(of_kind or observed), None))

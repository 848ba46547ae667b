"""Columns of a table: numbers, booleans or categories, read as numbers and written back."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktae._warnings import warn
from sktae.datasets import TableDataset
from sktae.inputs.dtypes import (
    as_floats,
    as_objects,
    as_type,
    container_of,
    distinct,
    dtype_name,
    example,
    holds_dates,
    kind_of,
    named_dtype,
    written_number,
)

# A column of strings with more distinct values than this, and than this share of the rows, holds
# identifiers or free text.
_MANY, _IDENTIFIERS = 20, 0.9


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
        kind = kind_of(values)
        if kind == "category" and declared is None and holds_dates(values):
            kind = "date"
        if kind in ("date", "duration"):
            raise ValueError(
                f"Column {name!r} of X holds {kind}s, such as {example(values)}, which {owner} "
                f"does not take as they are: put a transformer in front that makes numbers of "
                f"them, such as skrub's DatetimeEncoder or TableVectorizer, or leave the column "
                f"out."
            )
        if kind == "mixed" and not declared:
            raise ValueError(
                f"Column {name!r} of X holds values of several types, such as "
                f"{example(values, str)}: make all of them numbers, for instance by "
                f"pandas.to_numeric, or all of them strings."
            )
        if kind == "category" and declared is False:
            raise ValueError(
                f"Column {name!r} of X holds {example(values)}, which is no number: list the "
                f"column in categorical_features of {owner}, or leave it out."
            )
        self.kind = "category" if declared else kind
        self.categories: list[Any] = []
        if self.kind == "category":
            try:
                self.categories = distinct(values)
            except TypeError as error:
                raise TypeError(
                    f"Column {name!r} of X holds {example(values)}: an argument must be a string "
                    f"or a number to be a category."
                ) from error

    def __getstate__(self) -> dict[str, Any]:
        # Dtypes of other libraries by name, so that pickles and files hold no objects of theirs.
        return {**vars(self), "dtype": dtype_name(self.dtype)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, dtype=named_dtype(*state["dtype"], state["categories"]))

    def read(self, values: Any) -> np.ndarray:
        """Return values as numbers: those of categories by their order, NaN where missing."""
        if self.kind == "category":
            values = np.array([*as_objects(values), None], dtype=object)[:-1]  # one dimension
            self._check_types(values)
            numbers = pd.Index(self.categories, dtype=object).get_indexer(values).astype(float)
            numbers[numbers < 0] = len(self.categories)
            return np.where(pd.isna(values), np.nan, numbers)
        if kind_of(values) not in ("number", "boolean"):
            raise ValueError(
                f"Column {self.name!r} of X holds {example(values, str)}, but {self.owner} was "
                f"fitted on {self.kind}s there: make them {self.kind}s, too."
            )
        if getattr(values.dtype, "kind", "") == "c":
            raise ValueError(f"Complex data not supported: column {self.name!r} of X.")
        numbers = as_floats(values)
        if np.isinf(numbers).any():
            raise ValueError(
                f"Column {self.name!r} of input X contains infinity, in row "
                f"{np.isinf(numbers).argmax()}: replace it by NaN if it stands for a missing value."
            )
        others = numbers[~np.isin(numbers, (0, 1)) & ~np.isnan(numbers)]
        if self.kind == "boolean" and len(others):
            raise ValueError(
                f"Column {self.name!r} of X holds {others[0]:g}, but {self.owner} was fitted on "
                f"booleans there."
            )
        return numbers

    def _check_types(self, values: np.ndarray) -> None:
        """Raise if categories were strings in the fit, and now are all numbers."""
        observed = values[~pd.isna(values)]
        was, now = ({isinstance(v, str) for v in part} for part in (self.categories, observed))
        if was == {True} and now == {False}:
            raise ValueError(
                f"Column {self.name!r} of X holds {observed[0]!r}, but {self.owner} was fitted "
                f"on strings there: make them strings, too."
            )

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
    X : DataFrame, array or TableDataset
        The rows of the fit, with as many dimensions as a table has.

    categorical_features : "from_dtype" or sequence
        Which columns are categorical: names, numbers, or a mask.

    owner : str
        Name of the estimator, for errors.
    """

    def __init__(self, X: Any, categorical_features: Any, owner: str):
        self.container = X.container if isinstance(X, TableDataset) else container_of(X)
        declared = _declared(categorical_features, [name for name, _ in _series(X)], owner)
        series = list(_series(X, declared))
        if declared is None and self.container == "array":
            declared = [False] * len(series)
        self.columns = [
            Column(name, values, None if declared is None else declared[n], owner)
            for n, (name, values) in enumerate(series)
        ]
        for column, (name, values) in zip(self.columns, series, strict=True):
            n_values = len(column.categories)
            number = written_number(column.categories) if declared is None else None
            if number is not None:
                warn(
                    f"Column {name!r} of X holds numbers as text, such as {number!r}, which count "
                    f'as categories. Read them as numbers, as `read_csv(..., thousands=",")` does.',
                )
            elif declared is None and n_values > max(_IDENTIFIERS * len(X), _MANY):
                warn(
                    f"Column {name!r} of X has {n_values} different values in {len(X)} rows, "
                    f"such as {example(values)}, so it says nothing about other rows. Leave it "
                    f"out if it holds identifiers or free text.",
                )

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

    def read_stored(self, X: TableDataset) -> TableDataset:
        """Return rows of a file as numbers, (n, d)."""
        own = [n for n, column in enumerate(self.columns) if column.kind != "number"]
        coded = sorted({*own, *X.categorical})
        return X.coded({n: self.columns[n].read(X.values(n, numbers=True)) for n in coded})

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
    return container_of(X) != "array"


def like(X: Any, rows: Any) -> Any:
    """Return an array of rows as a DataFrame of the kind that X is; anything else as it is."""
    if not isinstance(rows, np.ndarray) or not is_frame(X):
        return rows
    if container_of(X) == "pandas":
        return pd.DataFrame(rows, index=X.index, columns=X.columns)
    return type(X)(rows, schema=list(X.columns))


def filled_in(X: Any, table: Any, missing: np.ndarray) -> Any:
    """Return a DataFrame with those columns of another that have missing values, in its dtypes.

    Parameters
    ----------
    X : DataFrame
        Rows of which values are missing.

    table : DataFrame
        The same rows without missing values.

    missing : ndarray of bool of shape (n, d)
        Which values are missing in X.
    """
    columns = []
    for n, (name, values) in enumerate(_series(X)):
        filled = table[name] if container_of(X) == "polars" else table.iloc[:, n]
        if not missing[:, n].any():
            filled = values
        elif kind_of(values) == "number" and "int" in str(values.dtype).lower():
            filled = as_type(np.round(as_floats(filled)), values)
        columns.append(filled)
    if container_of(X) == "polars":
        return type(X)(columns)
    joined = pd.concat(columns, axis=1)
    joined.columns = X.columns
    return joined


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
    dtypes = X.dtypes if container_of(X) == "pandas" else []
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


def _series(X: Any, declared: list[bool] | None = None) -> Iterator[tuple[Any, Any]]:
    if isinstance(X, TableDataset):  # the distinct values, of numbers where they are categories
        every = declared or [False] * len(X.columns)
        return ((name, X.values(n, numbers=every[n])) for n, name in enumerate(X.columns))
    if container_of(X) == "pandas":
        # By position, since names may occur twice.
        return ((name, X.iloc[:, n]) for n, name in enumerate(X.columns))
    if container_of(X) == "polars":
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

"""What the dtypes of NumPy, pandas and polars say about a column, and values of other dtypes."""

import re
from typing import Any

import numpy as np
import pandas as pd

# What pandas calls the values of an object column that holds numbers.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}
_DATES = {"datetime64", "datetime", "date", "time", "period"}
_DURATIONS = {"timedelta64", "timedelta"}

# A date at the beginning of a string, as `read_csv` leaves it: 2026-11-28, 28/11/2026, 28.11.2026,
# 28 Nov 2026 or November 28, 2026.
_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}([/.-])\d{1,2}\2\d{4}|"
    r"\d{1,2}[ -][A-Za-z]{3,9}[., -]+\d{4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4})([T ]\d|\s*$)"
)
# A number with separators, which `read_csv` leaves as text: 1,388.52 or 1.388,52 or 3,5.
_WRITTEN_NUMBER = re.compile(r"\s*[-+]?(\d{1,3}([,. ]\d{3})+([.,]\d+)?|\d+,\d+)\s*")
_PLAIN_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d+)?\s*")


def dtype_name(dtype: Any) -> tuple[str, ...]:
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


def named_dtype(library: str, *rest: Any) -> Any:
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


def kind_of(values: Any) -> str:
    """Return "number", "boolean", "category", "date", "duration", or "mixed" of several types."""
    dtype = values.dtype
    if type(values).__module__.startswith("polars"):
        if dtype.is_temporal():
            return "duration" if str(dtype).startswith("Duration") else "date"
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
    if inferred in _DURATIONS:
        return "duration"
    if inferred in _DATES or pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    if inferred in ("mixed", "mixed-integer"):
        return "mixed"
    return "boolean" if inferred == "boolean" else "category"


def as_floats(values: Any) -> np.ndarray:
    if type(values).__module__.startswith("polars"):
        import polars

        return values.cast(polars.Float64).to_numpy().astype(np.float64)
    return pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan)


def as_type(numbers: np.ndarray, values: Any) -> Any:
    """Return numbers as a column like another: its dtype, its name and its index."""
    if type(values).__module__.startswith("polars"):
        return type(values)(values.name, numbers).cast(values.dtype)
    return pd.Series(numbers, values.index, name=values.name).astype(values.dtype)


def as_objects(values: Any) -> list[Any]:
    """Return the values of a column as Python objects, None where missing."""
    if type(values).__module__.startswith("polars"):
        return values.to_list()
    series = pd.Series(values)
    return series.astype(object).where(series.notna(), None).tolist()


def distinct(values: Any) -> list[Any]:
    """Return the distinct values of a column, in an order that rows do not change if it can be."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.dtype.categories.tolist()
    distinct = set(as_objects(values)) - {None}
    try:
        return sorted(distinct)
    except TypeError:  # of several types
        return sorted(distinct, key=lambda value: (type(value).__name__, str(value)))


def example(values: Any, kind: type = object) -> str:
    """Return one value for an error message, one of a type if there is any."""
    observed = [value for value in as_objects(values) if value is not None]
    of_kind = [value for value in observed if isinstance(value, kind)]
    return repr(next(iter(of_kind or observed), None))


def container_of(X: Any) -> str:
    if isinstance(X, pd.DataFrame):
        return "pandas"
    is_polars = type(X).__module__.startswith("polars") and type(X).__name__ == "DataFrame"
    return "polars" if is_polars else "array"


def written_number(values: Any) -> str | None:
    """Return a number with separators among strings that are all numbers, None if there is none."""
    strings = [value for value in values if isinstance(value, str)]
    found = [value for value in strings if _WRITTEN_NUMBER.fullmatch(value)]
    plain = sum(_PLAIN_NUMBER.fullmatch(value) is not None for value in set(strings) - set(found))
    return found[0] if found and len(set(found)) + plain == len(set(strings)) else None


def holds_dates(values: Any) -> bool:
    """Return whether the values of a column are strings that are dates, all of them."""
    strings = [value for value in as_objects(values) if value is not None]
    return bool(strings) and all(isinstance(value, str) and _DATE.match(value) for value in strings)

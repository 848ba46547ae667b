"""Indexes and frames of pandas as plain values, and back."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

# Types of an index, or of a column, whose values are numbers: plain ones, and times.
_NUMBERS = re.compile(
    r"bool|u?int\d+|float\d+|timedelta64\[\w+\]|period\[[\w-]+\]|"
    r"datetime64\[\w+(, [A-Z][\w+:/-]*)?\]"
)

INDEXES = pd.Index, pd.RangeIndex, pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex


def has_numbers(dtype: str) -> bool:
    """Return whether the values of an index of this type are written as numbers."""
    return _NUMBERS.fullmatch(dtype) is not None


def numbers_of(index: pd.Index) -> np.ndarray:
    """Return the numbers that stand for an index of such a type."""
    return np.asarray(getattr(index, "asi8", index))


def to_index(dtype: str, numbers: np.ndarray) -> pd.Index:
    """Return the index for which numbers stand."""
    if not has_numbers(dtype):
        raise ValueError(f"{dtype!r} is no type of an index")
    kind = pd.api.types.pandas_dtype(dtype)
    if isinstance(kind, pd.PeriodDtype):
        return pd.PeriodIndex.from_ordinals(numbers, freq=kind.freq)
    return pd.Index(numbers).astype(kind)


def columns_of(frame: pd.DataFrame) -> dict[Any, Any]:
    """Return the columns of a frame by name: a list of objects, or an index of numbers."""
    return {
        name: list(values) if values.dtype == object else pd.Index(values)
        for name, values in frame.items()
    }


def to_frame(columns: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the frame that has these columns; its rows are numbered."""
    dtypes = {n: object if isinstance(v, list) else v.dtype for n, v in columns.items()}
    return pd.DataFrame({n: pd.Series(v, dtype=dtypes[n]) for n, v in columns.items()})

"""Columns of dates: as the times of a series, or as numbers and weekdays that can be unusual."""

import contextlib
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktae._cli.console import Console
from sktae.inputs.dtypes import holds_dates, kind_of

_YEAR, _DAY = pd.Timedelta(days=365.2425), pd.Timedelta(days=1)
# Hours and weekdays can be unusual only where each has come round, in so many days, and where one
# of them is less common than this, beside their mean. Else they are noise that hides other things.
_DAYS, _WEEKS, _RARE = 2, 14, 0.5
# Dates are usual where all but this share of them are, at either end, and as far again beyond, or a
# year. Within, they are all alike: rows to be judged are later than those of the fit.
_FAR = 0.05
# 28/11/2026 and 28.11.2026, but not 11/28/2026, have the day first.
_DAY_FIRST = re.compile(r"\s*((1[3-9]|2\d|3[01])[/-]|\d{1,2}\.)\d{1,2}[-/.]\d{4}")
# The offset of a time zone: what is usual in a day follows the time on the clock.
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$"


def is_date(values: pd.Series) -> bool:
    return kind_of(values) == "date" or (kind_of(values) == "category" and holds_dates(values))


def times_of(values: pd.Series) -> pd.Series:
    """Return a column as times of a series, NaT where a value is none; numbers stay as they are."""
    if kind_of(values) == "number":
        return values
    # Of several time zones, or of several that summer makes, only the time in UTC is one column.
    for options in ({}, {"dayfirst": True}, {"utc": True}):
        with contextlib.suppress(ValueError), warnings.catch_warnings(action="ignore"):
            times = pd.to_datetime(values, errors="coerce", **options)
            if times.notna().all():
                break
    return times


def rises(times: pd.Series, table: pd.DataFrame, group: str | None) -> bool:
    """Return whether each time is later than the one before, in each group."""
    if times.isna().any() or len(times) < 2:
        return False
    parts = [times] if group is None else [part for _, part in times.groupby(table[group])]
    return all(part.is_monotonic_increasing and part.is_unique for part in parts)


def time_of(
    features: pd.DataFrame,
    dates: Sequence[str],
    table: pd.DataFrame,
    group: str | None,
    console: Console,
) -> str | None:
    """Return the column of times that makes the rows a series, if there is one; say so."""
    rising = [name for name in dates if rises(times_of(features[name]), table, group)]
    if not rising:
        return None
    time, others = rising[0], features.drop(columns=list(dates))
    words = [n for n in others if kind_of(others[n]) not in ("number", "boolean")]
    if words:
        console.note(
            f"The dates of column {time!r} rise, but column {words[0]!r} holds no numbers, so rows "
            f"are judged one by one; for a time series, leave it out by --drop."
        )
        return None
    if others.empty:
        return None
    console.note(
        f"The dates of column {time!r} rise, so the rows are a time series, and each is judged "
        f"with those around it; --no-time judges rows one by one."
    )
    return time


def learned_from(values: pd.Series) -> dict[str, Any] | None:
    """Return what is to be remembered of a column of dates; None if it has less than two.

    Returns
    -------
    column : dict
        `name`; `day_first`, how it is written; `usual`, the first and the last usual date, in
        years; `midnight`, the hour of the day about which there are the fewest rows, None if hours
        do not count; and whether weekdays do.
    """
    day_first = any(isinstance(value, str) and _DAY_FIRST.match(value) for value in values)
    times = _clock(values, day_first)
    known = times.dropna()
    if known.nunique() < 2:
        return None
    span = (known.max() - known.min()) / _DAY
    first, last = _years(known).quantile([_FAR, 1 - _FAR])
    margin = max(last - first, 1.0)
    hours = np.bincount(known.dt.hour, minlength=24)
    weekdays = np.bincount(known.dt.dayofweek, minlength=7)
    return {
        "name": values.name,
        "day_first": day_first,
        "usual": [float(first - margin), float(last + margin)],
        "midnight": _quietest(hours) if span >= _DAYS and _can_be_unusual(hours) else None,
        "weekday": bool(span >= _WEEKS and _can_be_unusual(weekdays)),
    }


def names_of_parts(columns: Sequence[dict[str, Any]]) -> dict[str, str | None]:
    """Return the names of all parts, each with the column whose value says more than the part."""
    parts: dict[str, str | None] = {}
    for n, column in enumerate(columns):
        name = column["name"]
        parts[f"{name} (date)"] = name
        if column["midnight"] is not None:
            parts[f"{name} (hour)"] = name
        if column["weekday"]:
            parts[f"{name} (weekday)"] = None
        if n:
            parts[f"{name} - {columns[n - 1]['name']} (days)"] = None
    return parts


def parts_of(
    table: pd.DataFrame, columns: Sequence[dict[str, Any]], console: Console
) -> pd.DataFrame:
    """Return the parts of the dates in a table, in the order of `names_of_parts`.

    These are the years by which the date is earlier, or later, than usual ones; the hour; the
    weekday; and the days since the date of the column before.
    """
    parts: dict[str, pd.Series] = {}
    before = None
    for column in columns:
        name, values = column["name"], table[column["name"]]
        times = _clock(values, column["day_first"])
        if (unread := values.notna() & times.isna()).any():
            if times.isna().all():
                raise ValueError(
                    f"Column {name!r} held dates in the fit, but now none of its values is a date, "
                    f"such as {str(values[unread].iloc[0])!r}."
                )
            console.note(
                f"Column {name!r} holds dates, but {unread.sum()} of its values are none, such as "
                f"{str(values[unread].iloc[0])!r}: they count as missing."
            )
        years = _years(times)
        beyond = years - years.clip(*column["usual"])
        if (beyond > 0).mean() > 0.5:
            console.note(
                f"Most dates of column {name!r} are much later than those of the fit, which makes "
                f"their rows unusual: fit again."
            )
        parts[f"{name} (date)"] = beyond
        if (first := column["midnight"]) is not None:
            hours = (times - times.dt.normalize()) / pd.Timedelta(hours=1)
            parts[f"{name} (hour)"] = first + (hours - first) % 24
        if column["weekday"]:
            parts[f"{name} (weekday)"] = times.dt.day_name().astype(object)
        if before is not None:
            parts[f"{name} - {before.name} (days)"] = ((times - before) / _DAY).round(2)
        before = times
    return pd.DataFrame(parts, index=table.index)


def _clock(values: pd.Series, day_first: bool) -> pd.Series:
    """Return a column as the times that calendars and clocks showed, NaT where a value is none."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.dt.tz_localize(None)
    text = values.map(str, na_action="ignore").astype(object)
    text = text.str.replace(_OFFSET, r"\1", regex=True)
    text = text.where(text.str.contains(r"\d{4}", na=False))  # else pandas adds the day of today
    with warnings.catch_warnings(action="ignore"):
        times = pd.to_datetime(text, errors="coerce", dayfirst=day_first)
        if (others := text.notna() & times.isna()).any():  # written in another way than the first
            found = pd.to_datetime(
                text[others], errors="coerce", dayfirst=day_first, format="mixed"
            )
            times = times.astype("datetime64[us]").fillna(found.astype("datetime64[us]"))
    return times.dt.tz_localize(None)


def _years(times: pd.Series) -> pd.Series:
    return 1970 + (times - pd.Timestamp(1970, 1, 1)) / _YEAR


def _can_be_unusual(counts: np.ndarray) -> bool:
    return bool(np.count_nonzero(counts) > 1 and counts.min() < _RARE * counts.mean())


def _quietest(counts: np.ndarray) -> int:
    """Return the hour about which there are the fewest rows, where days are best cut."""
    distance = np.abs(np.subtract.outer(np.arange(24), np.arange(24)))
    near = np.maximum(0, 7 - np.minimum(distance, 24 - distance))
    return int((near @ counts).argmin())

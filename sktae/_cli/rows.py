"""What the columns of a table are for: features, labels, times, groups, names of rows."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktae import WindowedDetector
from sktae._cli.console import Console
from sktae._cli.dates import (
    is_date,
    learned_from,
    names_of_parts,
    parts_of,
    rises,
    time_of,
    times_of,
)
from sktae._pipelines import last_step
from sktae.inputs.dtypes import kind_of

# A column of text is one of numbers if so large a share of its values are; the others are missing.
_NUMBERS = 0.9
# How numbers have commas between their thousands, and a currency before or after them. Other
# capital letters are those of a code, such as INV-1017, which is no number.
_THOUSANDS = r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?\s*"
_SIGNS = "[$€£¥₹]|AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|INR|JPY|KRW|MXN|NOK|PLN|SEK|USD|ZAR"
_CURRENCY = rf"^\s*([-+]?)(?:{_SIGNS})\s?(?=[-+]?\d)|(?<=\d)\s?(?:{_SIGNS})\s*$"
# A column of text in which so many values differ says nothing of other rows: names, free text.
_DISTINCT, _FEWEST = 0.9, 50


@dataclasses.dataclass
class Rows:
    """Rows of a table, for an estimator.

    Attributes
    ----------
    X : DataFrame
        What the estimator gets. Of a series, the index are the times, and the group is a column.

    beside : DataFrame
        Columns that are put beside the results: names, group and time of each row.

    labels : Series or None
        The column of labels.

    series : bool
        Whether rows are those of a series.

    options : dict
        The options that hold for later tables, too: the columns that name rows, that of times, how
        rows are resampled, if they are, and what is known of columns of dates.

    written : DataFrame
        The dates as they are written, by the names of those columns of X that come from them.
    """

    X: pd.DataFrame
    beside: pd.DataFrame
    labels: pd.Series | None
    series: bool
    options: dict[str, Any]
    written: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)

    @property
    def categories(self) -> list[str]:
        """The columns of X that are categories, whatever is declared: weekdays."""
        parts = names_of_parts(self.options["dates"])
        return [name for name in parts if kind_of(self.X[name]) == "category"]

    @property
    def observed(self) -> np.ndarray:
        """Which rows have any value; of a series, all rows are kept."""
        if self.series:
            return np.ones(len(self.X), bool)
        return self.X.notna().any(axis=1).to_numpy()


def names_of(given: Iterable[str] | None, table: pd.DataFrame | None = None) -> list[str]:
    """Return the names in an option that takes several, "a,b" or one after the other."""
    columns = () if table is None else table.columns
    parts = ([text] if text in columns else text.split(",") for text in given or ())
    return [name for part in parts for name in part]


def options_of(model: Any) -> dict[str, Any]:
    """Return the options with which `sktae fit` has fitted a model; of others, empty ones."""
    empty: dict[str, Any] = {"index": [], "time": None, "resample": None, "dates": []}
    return {**empty, **getattr(model, "_options", {})}


def rows_to_fit(
    table: pd.DataFrame,
    console: Console,
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    index: Sequence[str] | None = None,
    label: str | None = None,
    time: str | None = None,
    no_time: bool = True,
    group: str | None = None,
    series: bool = False,
    dates: bool = True,
) -> Rows:
    """Return the rows that an estimator is to be fitted on.

    If neither a time nor `no_time` is given, a column of times may make the rows a series. Other
    columns of dates become columns that can be unusual, or are left out without `dates`.
    """
    wanted, dropped, beside = (names_of(given, table) for given in (columns, drop, index))
    _check_names(table, columns=wanted, drop=dropped, index=beside)
    _check_names(table, label=[label], time=[time], group=[group])
    special = {*dropped, *beside, label, time, group}
    chosen = [name for name in wanted or table.columns if name not in special]
    features = pd.DataFrame({name: _as_numbers(table[name], console) for name in chosen})
    dated = [name for name in chosen if is_date(features[name])]
    if time is None and not no_time:
        time = time_of(features, dated, table, group, console)
    series = series or time is not None or group is not None
    kept, known = [name for name in chosen if name != time], []
    for name in list(kept):
        if name in dated and dates and not series and (learned := learned_from(features[name])):
            kept.remove(name)
            known.append(learned)
            parts = ", ".join(map(repr, names_of_parts([learned])))
            console.note(f"Column {name!r} holds dates, which count as {parts}.")
        elif (why := _useless(features[name], name in dated, name in wanted)) is not None:
            kept.remove(name)
            console.note(f"Column {name!r} {why} and is left out.")
    if not kept and not known:
        raise ValueError(f"No column is left to learn from; the table has {_some(table)}.")
    X = features[kept]
    if series:
        X = _as_series(X, table, time, group)
    else:
        _note_counters(X, console)
    return _rows(X, table, beside, group, time, label, series, known, console)


def rows_to_judge(
    table: pd.DataFrame,
    console: Console,
    model: Any,
    *,
    index: Sequence[str] | None = None,
    label: str | None = None,
    time: str | None = None,
) -> Rows:
    """Return the rows of a table that a fitted model is to judge: the columns of its fit.

    Options that are not given are those of the fit, as far as the table has their columns.
    """
    names = names_of(index, table)
    _check_names(table, index=names, label=[label], time=[time])
    fitted = options_of(model)
    if index is None:
        names = [name for name in fitted["index"] if name in table]
        for name in [name for name in fitted["index"] if name not in table]:
            console.note(f"The table lacks column {name!r}, which named the rows of the fit.")
    if time is None and fitted["time"] in table:
        time = fitted["time"]
    last = last_step(model)
    series, group = isinstance(last, WindowedDetector), getattr(last, "group", None)
    special = {*names, label, time, group}
    chosen = list(getattr(model, "feature_names_in_", [c for c in table if c not in special]))
    known = fitted["dates"]
    chosen = chosen[: len(chosen) - len(names_of_parts(known))]
    needed = [*chosen, *(column["name"] for column in known), *([group] if group else [])]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(
            f"The table lacks column {missing[0]!r}, which the model was fitted on; it has "
            f"{_some(table)}."
        )
    X = table[chosen]
    if last is model:  # or its first step may take text
        X = _like_the_fit(X, model, console)
    if series:
        if time is None:
            rest = table.drop(columns=chosen)
            dates = [name for name in rest if is_date(rest[name])]
            time = next((n for n in dates if rises(times_of(rest[n]), table, group)), None)
        X = _as_series(X, table, time, group)
    return _rows(X, table, names, group, time, label, series, known, console)


def _useless(values: pd.Series, is_date: bool, is_wanted: bool) -> str | None:
    """Return why a column is left out; None if it is not."""
    if values.isna().all():
        return "has no value"
    if is_date:
        return "holds dates" if values.nunique() > 1 else "holds one date alone"
    numbers, n = kind_of(values) in ("number", "boolean"), int(values.notna().sum())
    if is_wanted or numbers or n < _FEWEST or values.nunique() < _DISTINCT * n:
        return None
    return "differs in nearly every row, as names and free text do (--columns would keep it),"


def _rows(
    X: pd.DataFrame,
    table: pd.DataFrame,
    index: Sequence[str],
    group: str | None,
    time: str | None,
    label: str | None,
    series: bool,
    known: list[dict[str, Any]],
    console: Console,
) -> Rows:
    beside = [*index, *(name for name in (group, time) if name is not None)]
    labels = None if label is None else table[label]
    options = {"index": list(index), "time": time, "dates": known}
    parts = names_of_parts(known)
    if taken := [name for name in parts if name in X]:
        raise ValueError(f"Column {taken[0]!r} has the name of a part of a date: rename it.")
    written = pd.DataFrame({part: table[name] for part, name in parts.items() if name is not None})
    if known:
        X = X.join(parts_of(table, known, console))
    return Rows(X, table[list(dict.fromkeys(beside))], labels, series, options, written)


def _check_names(table: pd.DataFrame, **options: Sequence[str | None]) -> None:
    """Raise if an option names a column that is not there."""
    for option, names in options.items():
        for name in names:
            if name is not None and name not in table:
                raise ValueError(
                    f"--{option}: there is no column {name!r}; the table has {_some(table)}."
                )


def _some(table: pd.DataFrame) -> str:
    """Return the names of the first columns of a table, as text."""
    names = ", ".join(map(repr, table.columns[:8]))
    return f"{names} and {len(table.columns) - 8} more" if len(table.columns) > 8 else names


def _parsed(values: pd.Series) -> pd.Series:
    """Return text as numbers, NaN where it is none."""
    text = values.astype(object).where(values.notna(), None).map(str)
    text = text.str.replace(_CURRENCY, r"\1", regex=True)
    thousands = text.str.fullmatch(_THOUSANDS)
    text = text.where(~thousands, text.str.replace(",", ""))
    return pd.to_numeric(text, errors="coerce")


def _as_numbers(values: pd.Series, console: Console, share: float = _NUMBERS) -> pd.Series:
    """Return a column of text as numbers, if most of its values are; else as it is."""
    if kind_of(values) not in ("category", "mixed") or not values.notna().any():
        return values
    numbers, observed = _parsed(values), values.notna()
    others = observed & numbers.isna()
    if others.sum() > (1 - share) * observed.sum():
        return values if kind_of(values) == "category" else values.map(str, na_action="ignore")
    if others.any():
        console.note(
            f"Column {values.name!r} holds numbers, but {others.sum()} of its values are none, "
            f"such as {values[others].iloc[0]!r}: they count as missing."
        )
    return numbers


def _as_series(
    X: pd.DataFrame, table: pd.DataFrame, time: str | None, group: str | None
) -> pd.DataFrame:
    """Return channels as numbers, with the times as index and the group as a column."""
    for name, values in X.items():
        if kind_of(values) not in ("number", "boolean"):
            raise ValueError(
                f"Column {name!r} holds text, but a time series needs numbers: leave it out by "
                f"--drop, or pass --no-time."
            )
    X = X.astype(float)
    if time is not None:
        times = times_of(table[time])
        if times.isna().any():
            row = int(times.isna().argmax())
            raise ValueError(
                f"Row {row} has {table[time][row]!r} as {time!r}, which is no time: leave the row "
                f"out."
            )
        X.index = pd.Index(times, name=time)
    return X if group is None else X.assign(**{group: table[group].to_numpy()})


def _note_counters(X: pd.DataFrame, console: Console) -> None:
    """Say which columns only count the rows."""
    for name, values in X.items():
        numbers = values.dropna()
        counts = kind_of(values) == "number" and len(numbers) > 2
        if counts and (np.diff(numbers.to_numpy(float)) == 1).all():
            console.note(
                f"Column {name!r} counts the rows, as identifiers do: leave it out by --drop, or "
                f"put it beside the results by --index."
            )


def _like_the_fit(X: pd.DataFrame, model: Any, console: Console) -> pd.DataFrame:
    """Return columns of text where the fit had text, and of numbers where it had numbers."""
    columns = getattr(getattr(model, "_inputs", None), "columns", None)
    kinds = {} if columns is None else {c.name: c for c in columns.columns}
    X = X.copy()
    for name in X:
        column, kind = kinds.get(name), kind_of(X[name])
        if column is not None and column.kind == "category":
            if kind != "category" and all(isinstance(value, str) for value in column.categories):
                X[name] = X[name].map(str, na_action="ignore").astype(object)
        elif kind in ("category", "mixed"):
            X[name] = _as_numbers(X[name], console, share=0.0)
    return X

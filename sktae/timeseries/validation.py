"""Series as users give them: one array, a list, or a DataFrame with groups and times."""

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from sktae._warnings import warn
from sktae.inputs.columns import container_of
from sktae.inputs.scaling import from_tensor

_DAY = 86_400.0  # seconds
# A row is late if it comes more than so many usual steps after the one before.
_LATE = 1.5


def split_series(X: Any, group: str | None) -> tuple[Any, list[Any] | None, list[Any]]:
    """Return the series in X, the positions of their rows in it, None if X is a list, and names.

    These are the groups of the series, or None each.
    """
    X = [rows_of(x) for x in X] if isinstance(X, list | tuple) else rows_of(X)
    if isinstance(X, list) and X:
        shapes = [getattr(x, "shape", ()) for x in X]
        if all(len(shape) == 2 for shape in shapes):
            return X, None, [None] * len(X)
        if all(len(shape) == 1 for shape in shapes):
            raise ValueError(
                f"A series must have shape (n_timepoints, n_channels), but X is a list of arrays "
                f"of shapes {', '.join(map(str, shapes[:3]))}...; if they are series, give each as "
                f"x.reshape(-1, 1), and if they are rows, give np.array(X)."
            )
    if group is None:
        check_one_series(X)
        return [X], [slice(None)], [None]
    codes, names = pd.factorize(groups_of(X, group), use_na_sentinel=False)
    order = np.argsort(codes, kind="stable")
    positions = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    channels = X.drop(columns=group) if group in X else X.droplevel(group)
    return [channels.iloc[rows] for rows in positions], positions, list(names)


def groups_of(X: Any, group: str) -> pd.Series:
    """Return to which series each row belongs, by a column or a level of the index."""
    X = rows_of(X)
    named = isinstance(X, pd.DataFrame) and (group in X or group in X.index.names)
    if not named:
        raise ValueError(
            f"group={group!r} is a column that says to which series a row belongs, or a level of "
            f"the index, so X must be a DataFrame that has it, or a list of series."
        )
    groups = X[group] if group in X else X.index.get_level_values(group).to_series(index=X.index)
    if missing := int(groups.isna().sum()):
        raise ValueError(
            f"{group!r} of X, which says to which series a row belongs, has {missing} "
            f"missing values; fill them in, or leave these rows out."
        )
    return groups


def rows_of(X: Any) -> Any:
    """Return rows as they are, but tensors as arrays, and frames of polars as those of pandas.

    These have no index, so a column of times is the index.
    """
    if container_of(X) != "polars":
        return from_tensor(X)
    frame = pd.DataFrame({name: X[name].to_numpy() for name in X.columns})
    times = [name for name, dtype in frame.dtypes.items() if dtype.kind in "mM"]
    return frame.set_index(times[0]) if len(times) == 1 else frame


def one_row(detector: Any, rows: Any) -> Any:
    """Return a row that has the names of channels, a dict or a Series, as a frame; others as is.

    The name of a Series is the label of the row, as of `frame.loc[label]`.
    """
    if isinstance(rows, Mapping):
        rows = pd.Series(rows, dtype=object)
    elif not isinstance(rows, pd.Series) or isinstance(rows.index, pd.DatetimeIndex):
        return rows
    names = list(getattr(detector, "feature_names_in_", ()))
    for name, value in rows.items():
        if isinstance(value, str) and name in names:
            raise ValueError(f"Channel {name!r} of a row is {value!r}, but channels are numbers.")
    if rows.empty:
        channels = f": {', '.join(map(repr, names))}" if names else ""
        raise ValueError(f"A row by names needs a number for each channel{channels}. It has none.")
    row = rows.to_frame().T.infer_objects()
    others = [name for name in row if name not in names]
    # In any order; where a name is missing, scikit-learn says so.
    return row[names + others] if names and set(names) <= set(row) else row


def plain_row(detector: Any, rows: Any, last_time: Any) -> tuple[np.ndarray, Any] | None:
    """Return one row by the names of its channels as floats, (1, c), and its time as an index.

    None for all else, and where there is something to convert, to refuse or to warn of: that takes
    several times as long as a score.
    """
    names = list(getattr(detector, "feature_names_in_", ()))
    if isinstance(rows, pd.DataFrame) and len(rows) == 1 and list(rows.columns) == names:
        rows = rows.iloc[0]
    if isinstance(rows, pd.Series):
        time, given, values = rows.name, list(rows.index), rows.to_numpy()
    elif isinstance(rows, Mapping):
        time, given, values = None, list(rows), np.array(list(rows.values()))
    else:
        return None
    if values.dtype.kind not in "fiu" or np.isinf(values).any():
        return None
    if given != names:
        places = {name: n for n, name in enumerate(given)}
        if len(given) != len(names) or set(places) != set(names):
            return None
        values = values[[places[name] for name in names]]
    row = values.astype(np.float64)[np.newaxis]
    if time is None or isinstance(time, str | Integral):
        return row, None
    known = isinstance(time, pd.Timestamp) and not _is_irregular(time, last_time, detector._spacing)
    return (row, pd.DatetimeIndex([time])) if known else None


def _is_irregular(time: pd.Timestamp, last: Any, spacing: float | None) -> bool:
    """Return whether a row comes before the last one, or so late that rows are missing."""
    if last is None:
        return False
    if not isinstance(last, pd.Timestamp) or last.tzinfo != time.tzinfo:
        return True
    return not 0 <= (time - last).total_seconds() <= _LATE * (spacing or np.inf)


def check_one_series(X: Any) -> None:
    """Raise if X is not one series, (n_timepoints, n_channels), but several."""
    if isinstance(getattr(X, "index", None), pd.MultiIndex) and X.index.nlevels > 1:
        names = ", ".join(map(repr, X.index.names))
        raise ValueError(
            f"The index of X has the levels {names}, so X may hold several series: name the level "
            f"that tells them apart as group, or leave one level only, as in X.droplevel(0)."
        )
    shape = getattr(X, "shape", ())
    if len(shape) == 3:
        raise ValueError(
            f"Found array with dim 3, of shape {shape}, but a series has the shape (n_timepoints, "
            f"n_channels). Give several as a list; of series as aeon has them, (n_series, "
            f"n_channels, n_timepoints), give [x.T for x in X]."
        )


def timedelta(text: str) -> pd.Timedelta:
    """Return a duration; days and hours may be written as "7d" and "7H", too."""
    return pd.Timedelta(
        re.sub(r"(?<=[\d\s])[dH](?![a-zA-Z])", lambda unit: unit[0].swapcase(), text)
    )


def time_index(X: Any) -> Any:
    """Return the index of a DataFrame if it holds times, else None."""
    index = X.index if isinstance(X, pd.DataFrame) else None
    types = pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex
    return index if isinstance(index, types) else None


def spacing_of(*series: Any) -> float | None:
    """Return the usual time between rows, in seconds, if the index of series holds times.

    Warn if the rows are not equally spaced, as windows take them to be.
    """
    found = []
    for X in series:
        times = time_index(X)
        if times is None or len(times) < 2:
            continue
        if isinstance(times, pd.PeriodIndex):
            times = times.to_timestamp()
        steps = _seconds_between(times)
        usual = float(np.median(steps))
        found.append(usual)
        unequal = np.flatnonzero(abs(steps - usual) > usual / 2)
        # Steps of a calendar, such as those from a Friday to a Monday, are no gaps.
        if len(unequal) and (len(times) < 3 or pd.infer_freq(times) is None):
            place, doubled = unequal[steps[unequal].argmax()], int((steps == 0).sum())
            also = f" (rows with the time of the row before: {doubled})" if doubled else ""
            warn(
                f"Rows count as equally spaced, but in the index of X, {len(unequal)} of "
                f"{len(steps)} steps are not about {pd.Timedelta(seconds=usual)}, as from "
                f"{times[place]} to {times[place + 1]}{also}; resample the series, as in "
                f"X.resample(...).mean() or by --resample of sktae, or give the parts between long "
                f"gaps as a list.",
            )
    return float(np.median(found)) if found else None


def _seconds_between(times: Any) -> np.ndarray:
    """Return the steps from each time of an index to the next, also in a time zone."""
    return np.asarray((times[1:] - times[:-1]) / pd.Timedelta(1, "s"))


def check_spacing(spacing: float | None, fitted: float | None) -> None:
    """Warn if rows are farther apart, or closer, than those of the fit."""
    if not spacing or not fitted or 2 / 3 < spacing / fitted < 3 / 2:
        return
    new, old = (pd.Timedelta(seconds=seconds) for seconds in (spacing, fitted))
    warn(
        f"Rows of X are {new} apart, but those of the fit were {old}, so windows cover another "
        f"time; resample X, as in X.resample(...).mean().",
    )


def check_steps(times: Any, last: Any, fitted: float | None) -> None:
    """Warn if rows that arrive are farther apart than those of the fit, as where some are missing.

    `last` is the time of the row before, None if there is none. Of days and longer steps, calendars
    leave some out.
    """
    times = times if last is None else times.insert(0, last)
    if not fitted or fitted >= _DAY or len(times) < 2 or isinstance(times, pd.PeriodIndex):
        return
    steps = _seconds_between(times)
    place = int(steps.argmax())
    if steps[place] > _LATE * fitted:
        warn(
            f"Rows count as {pd.Timedelta(seconds=fitted)} apart, as in the fit, but there are "
            f"none from {times[place]} to {times[place + 1]}; give missing rows as NaN, or begin "
            f"another series.",
        )


def check_times(*series: Any, after: Any = None) -> None:
    """Raise if a column holds times, or if the times in an index are not in order.

    `after` is the time of the row before, which later ones must not precede.
    """
    for X in series:
        dtypes = X.dtypes.items() if isinstance(X, pd.DataFrame) else ()
        for name, dtype in dtypes:
            if dtype.kind in "mM":
                raise ValueError(
                    f"Column {name!r} of X holds times, which are no channel; make it the index, "
                    f"as in X.set_index({name!r})."
                )
        times = time_index(X)
        if times is None:
            continue
        if after is not None:
            times = times.insert(0, after)
        if times.hasnans:
            raise ValueError(
                "The index of X holds times, but some are missing (NaT); fill them in."
            )
        if not times.is_monotonic_increasing:
            i = int(np.argmax(times[1:] < times[:-1]))
            raise ValueError(
                f"Rows must be in the order of time, but the index of X goes from {times[i]} back "
                f"to {times[i + 1]}; sort it, as in X.sort_index(), or give several series as a "
                f"list."
            )


def check_channels(detector: Any, series: list[np.ndarray]) -> None:
    """Raise if a channel has no value in any of the series."""
    empty = np.all([np.isnan(rows).all(axis=0) for rows in series], axis=0)
    if empty.any():
        names = getattr(detector, "feature_names_in_", range(len(empty)))
        name = names[int(empty.argmax())]
        raise ValueError(f"Channel {name!r} of X has no value, all of it is missing: leave it out.")

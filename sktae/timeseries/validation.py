"""Series as users give them: one array, a list, or a DataFrame with groups and times."""

from typing import Any

import numpy as np
import pandas as pd

from sktae.inputs.scaling import from_tensor


def split_series(X: Any, group: str | None) -> tuple[Any, list[Any] | None]:
    """Return the series in X, and the positions of their rows in it; None if X is a list."""
    X = [from_tensor(x) for x in X] if isinstance(X, list | tuple) else from_tensor(X)
    if isinstance(X, list) and X:
        shapes = [getattr(x, "shape", ()) for x in X]
        if all(len(shape) == 2 for shape in shapes):
            return X, None
        if all(len(shape) == 1 for shape in shapes):
            raise ValueError(
                f"A series must have shape (n_timepoints, n_channels), but X is a list of arrays "
                f"of shapes {', '.join(map(str, shapes[:3]))}...; if they are series, give each as "
                f"x.reshape(-1, 1), and if they are rows, give np.array(X)."
            )
    if group is None:
        return [X], [slice(None)]
    if not isinstance(X, pd.DataFrame) or group not in X:
        raise ValueError(
            f"group={group!r} is a column that says to which series a row belongs, so X must be a "
            f"DataFrame that has it, or a list of series."
        )
    codes, _ = pd.factorize(X[group], use_na_sentinel=False)
    order = np.argsort(codes, kind="stable")
    positions = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    channels = X.drop(columns=group)
    return [channels.iloc[rows] for rows in positions], positions


def time_index(X: Any) -> Any:
    """Return the index of a DataFrame if it holds times, else None."""
    index = X.index if isinstance(X, pd.DataFrame) else None
    types = pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex
    return index if isinstance(index, types) else None


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

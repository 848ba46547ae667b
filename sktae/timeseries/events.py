"""Events: intervals of outliers in a series, and the channels that make them unusual."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktae.timeseries.kinds import KINDS

# An event is only a jump if outliers reach as far before it as after it, up to one part of so many
# of how far they may reach.
_ASYMMETRY = 8


def find_events(
    scores: np.ndarray,
    threshold: float,
    max_distance: int,
    reach: int,
    causal: bool,
    labels: Sequence[Any],
    reasons: Sequence[np.ndarray] | None,
    names: Sequence[Any],
) -> pd.DataFrame:
    """List the events of one series.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        The higher, the more normal.

    threshold : float
        Rows with lower scores are outliers.

    max_distance : int
        Outliers that are at most so many rows apart belong to one event.

    reach : int
        A row changes scores of others that are at most so many rows away.

    causal : bool
        Whether it changes only scores of later rows.

    labels : sequence of length n
        The labels of rows by which events are given.

    reasons : pair of ndarray of shape (n, n_channels) and (n, n_kinds), or None
        What each channel and each kind adds to the anomaly of a row. None if scores are not by
        channel; then events name no channels, and are shapes.

    names : sequence of length n_channels
        Names of the channels.

    Returns
    -------
    events : DataFrame
        Columns are `start`, `end`, `duration`, `peak`, `score` of the peak, `kind`, and
        `channels`. Their dtypes are the same without any event.
    """
    intervals = list(_intervals(np.flatnonzero(scores < threshold), max_distance))
    peaks = [start + int(scores[start : end + 1].argmin()) for start, end in intervals]
    kinds: list[str] = ["shape"] * len(peaks)
    channels: list[tuple[Any, ...]] = [()] * len(peaks)
    if reasons is not None:
        by_channel, by_kind = reasons
        for i, (start, end) in enumerate(intervals):
            rows = slice(start, end + 1)
            kinds[i] = _kind(by_kind[rows], by_kind[peaks[i]])
            leading = leading_channels(by_channel[rows].sum(axis=0))
            channels[i] = tuple(names[channel] for channel in leading)
            if kinds[i] == "jump":
                intervals[i] = _jumps_only(start, end, by_kind[rows], reach, causal)
    index, (starts, ends) = pd.Index(labels), np.reshape(intervals, (-1, 2)).astype(int).T
    is_time = isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex)
    return pd.DataFrame(
        {
            "start": index[starts],
            "end": index[ends],
            "duration": index[ends] - index[starts] if is_time else ends - starts + 1,
            "peak": index[np.array(peaks, dtype=int)],
            "score": scores[peaks] if peaks else np.zeros(0),
            "kind": pd.Series(kinds, dtype=object),
            "channels": pd.Series(channels, dtype=object),
        }
    )


def _kind(parts: np.ndarray, peak: np.ndarray) -> str:
    """Return of which kind an event is, from what kinds add to its rows, (n, 3), and its peak."""
    if (parts[:, KINDS.index("level")] > 0).mean() > 0.5:
        return "level"
    return "jump" if peak[KINDS.index("jump")] > peak[KINDS.index("shape")] else "shape"


def _jumps_only(
    start: int, end: int, parts: np.ndarray, reach: int, causal: bool
) -> tuple[int, int]:
    """Return the first and the last jump of an event, or its own ends if there is more to it.

    Shapes show a jump in all windows that hold it, so that the rows around it are outliers, too: as
    many before as after it, or, if causal, after it. Else something else is unusual beside it, as
    where a sensor freezes until it jumps.
    """
    jumps = start + np.flatnonzero(parts[:, KINDS.index("jump")] > 0)
    first, last = int(jumps[0]), int(jumps[-1])
    before, after = first - start, end - last
    expected = 0 if causal else after
    is_all = max(before, after) <= reach and abs(before - expected) <= reach // _ASYMMETRY
    return (first, last) if is_all else (start, end)


def concat_events(events: Sequence[pd.DataFrame], column: str, groups: Sequence[Any]) -> Any:
    """Join the events of several series. A first column of this name holds their groups."""
    dtype = pd.Index(groups).dtype
    for frame, group in zip(events, groups, strict=True):
        frame.insert(0, column, pd.Series([group] * len(frame), dtype=dtype))
    return pd.concat(events, ignore_index=True)


def leading_channels(contributions: np.ndarray) -> np.ndarray:
    """Return the fewest channels that make up half of the anomaly, the largest first."""
    order = np.argsort(-contributions, kind="stable")
    reached = np.cumsum(contributions[order]) >= contributions.sum() / 2
    return order[: reached.argmax() + 1]


def _intervals(rows: np.ndarray, max_distance: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of rows, in ascending order, that lie close together."""
    if len(rows) == 0:
        return
    splits = np.flatnonzero(np.diff(rows) > max_distance) + 1
    for interval in np.split(rows, splits):
        yield interval[0], interval[-1]

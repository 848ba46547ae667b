"""Events: intervals of outliers in a series, and the channels that make them unusual."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktae.timeseries.kinds import KINDS


def find_events(
    scores: np.ndarray,
    threshold: float,
    max_distance: int,
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
        Columns are `start`, `end`, `peak`, `score` of the peak, `kind`, and `channels`.
    """
    events = []
    for start, end in _intervals(np.flatnonzero(scores < threshold), max_distance):
        rows = slice(start, end + 1)
        peak = start + int(scores[rows].argmin())
        channels: tuple[Any, ...] = ()
        kind = "shape"
        if reasons is not None:
            by_channel, by_kind = reasons
            channels = tuple(names[i] for i in leading_channels(by_channel[rows].sum(axis=0)))
            kind = _kind(by_kind[rows], by_kind[peak])
        events.append((labels[start], labels[end], labels[peak], scores[peak], kind, channels))
    return pd.DataFrame(events, columns=["start", "end", "peak", "score", "kind", "channels"])


def _kind(parts: np.ndarray, peak: np.ndarray) -> str:
    """Return of which kind an event is, from what kinds add to its rows, (n, 3), and its peak."""
    if (parts[:, KINDS.index("level")] > 0).mean() > 0.5:
        return "level"
    return "jump" if peak[KINDS.index("jump")] > peak[KINDS.index("shape")] else "shape"


def concat_events(events: Sequence[pd.DataFrame], column: str, groups: Sequence[Any]) -> Any:
    """Join the events of several series. A first column of this name holds their groups."""
    for frame, group in zip(events, groups, strict=True):
        frame.insert(0, column, [group] * len(frame))
    # Frames without events would turn the labels of the others into floats.
    return pd.concat([frame for frame in events if len(frame)] or events, ignore_index=True)


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

"""Streams: rows of one series become results, chunk by chunk. What is returned is final."""

from collections.abc import Callable, Sequence

import numpy as np

from sktae.timeseries.channels import Channels
from sktae.timeseries.reverse_windowing import OverlapAverage, WindowAverage
from sktae.timeseries.windows import Layout, Windows, windows_per_chunk

# From windows to their errors by channel: one for each window, (m, c), for `WindowAverage`, or one
# for each row of each window, (m, window_size, c), for `OverlapAverage`. From what runs of rows
# have, (m, c), to its excess.
Evaluate = Callable[[np.ndarray], np.ndarray]
# From errors of rows by channel, (t, c) each, to what is returned for rows, (t, k).
Combine = Callable[[Sequence[np.ndarray]], np.ndarray]

_NO_ERRORS = np.empty((0, 0))
# A series goes through all streams in chunks of about so many numbers.
_CHUNK_NUMBERS = 2**20


class WindowStream:
    """Brings the errors of windows to the rows of one series.

    Parameters
    ----------
    channels : Channels
        The fitted scaling of channels.

    aggregator : WindowAverage or OverlapAverage
        Brings errors of windows to rows.

    layout : Layout
        How windows become inputs of the estimator.
    """

    def __init__(
        self, channels: Channels, aggregator: WindowAverage | OverlapAverage, layout: Layout
    ):
        self.channels, self.aggregator, self.layout = channels, aggregator, layout
        self.delay = aggregator.delay
        self.previous = np.empty((0, channels.shift.shape[1]))  # the last row
        # Scaled rows from the start of the next window on.
        self.values = np.zeros((0, *channels.shift.shape), channels.dtype)
        self.n_rows = 0

    def process(self, rows: np.ndarray, evaluate: Evaluate, last: bool) -> np.ndarray:
        """Take the next rows (t, c), and return the errors of rows that are now final, (n, c).

        `last` says whether the series ends with them. Then all rows are final.
        """
        n_numbers = self.layout.window_size * self.channels.shift.size
        size = windows_per_chunk(n_numbers) * self.aggregator.stride
        results = []
        for start in range(0, max(1, len(rows)), size):
            ends = last and start + size >= len(rows)
            results.append(self._process_chunk(rows[start : start + size], evaluate, ends))
        return np.concatenate(results)

    def _process_chunk(self, rows: np.ndarray, evaluate: Evaluate, last: bool) -> np.ndarray:
        window_size, stride = self.layout.window_size, self.aggregator.stride
        if len(rows):
            self.n_rows += len(rows)
            self._append(rows)
        if last and self.aggregator.pads_short_series and 0 < self.n_rows < window_size:
            self._append(np.repeat(self.previous, window_size - self.n_rows, axis=0))
        starts = np.arange(0, len(self.values) - window_size + 1, stride)
        windows = Windows(self.values, starts, self.layout)
        errors = evaluate(windows.extract(windows.numbers)) if len(starts) else _NO_ERRORS
        self.values = self.values[len(starts) * stride :]
        return self.aggregator.add(errors, self.n_rows, last)

    def _append(self, rows: np.ndarray) -> None:
        scaled = self.channels.transform(rows, self.previous)
        self.values = np.concatenate([self.values, scaled])
        self.previous = rows[-1:].astype(np.float64)


class RowStream:
    """Gives rows of one series the excess of the run of rows around them, or up to them if causal.

    Rows at the ends get that of the nearest complete run. Those before the first get 0 if causal.

    Parameters
    ----------
    measure : Jumps or Levels
        What runs of rows are measured by.

    causal : bool
        Whether results depend on no later rows.
    """

    def __init__(self, measure, causal: bool):
        self.channels, self.length, self.causal = measure.channels, measure.length, causal
        self.offset = measure.length - 1 if causal else measure.length // 2
        self.delay = 0 if causal else measure.length - 1
        n_channels = measure.channels.shift.shape[1]
        self.values = np.zeros((0, n_channels))  # scaled rows from the start of the next run on
        self.latest = np.zeros((0, n_channels))  # the excess of the latest runs
        self.n_rows = self.n_runs = self.n_final = 0

    def process(self, rows: np.ndarray, measure, last: bool) -> np.ndarray:
        """Take the next rows (t, c), and return the excess of rows that are now final, (n, c)."""
        scaled = self.channels.transform(rows, rows[:0])[:, 0]
        self.values = np.concatenate([self.values, scaled])
        found = measure.evaluate(measure.runs(self.values))
        self.values = self.values[len(found) :]
        self.n_rows += len(rows)
        self.n_runs += len(found)
        found = np.concatenate([self.latest, found])
        # No row is earlier than `delay` says, though those after the first run could be.
        end = self.n_rows if last or self.causal else self.n_runs
        numbers = np.arange(self.n_final, end)
        excess = np.zeros((len(numbers), found.shape[1]))
        if self.n_runs:
            run = np.minimum(np.maximum(numbers - self.offset, 0), self.n_runs - 1)
            known = numbers >= self.offset if self.causal else slice(None)
            excess[known] = found[run[known] - self.n_runs + len(found)]
        self.n_final += len(numbers)
        self.latest = found[-self.offset - 1 :]
        return excess


class Streams:
    """Brings several measures of the rows of one series together. What it returns is final.

    Parameters
    ----------
    streams : list of WindowStream and RowStream
        One for each measure.
    """

    def __init__(self, streams: list[WindowStream | RowStream]):
        self.streams, self.delay = streams, max(stream.delay for stream in streams)
        self.waiting: list[np.ndarray] = [_NO_ERRORS] * len(streams)  # for other measures

    def process(
        self, rows: np.ndarray, measures: Sequence, combine: Combine, last: bool
    ) -> np.ndarray:
        """Take the next rows (t, c), and return the results of rows that are now final, (n, k).

        `measures` are what each stream needs to measure rows. `last` says whether the series ends
        with these rows. Then all rows are final.
        """
        size, results = max(1, _CHUNK_NUMBERS // max(1, rows.shape[1])), []
        for start in range(0, max(1, len(rows)), size):
            chunk, ends = rows[start : start + size], last and start + size >= len(rows)
            parts = zip(self.streams, measures, self.waiting, strict=True)
            found = [
                _joined(waiting, stream.process(chunk, measure, ends))
                for stream, measure, waiting in parts
            ]
            n = min(map(len, found))
            results.append(combine([part[:n] for part in found]))
            self.waiting = [part[n:] for part in found]
        return np.concatenate(results)


def _joined(waiting: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.concatenate([waiting, found]) if len(waiting) else found

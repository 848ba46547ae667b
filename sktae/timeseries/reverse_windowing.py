"""From windows back to the rows of a series, chunk by chunk.

The same bits come out whatever the chunks are: sums are added in an order that depends on the rows
alone.
"""

from collections.abc import Callable

import numpy as np

from sktae.timeseries.channels import Channels
from sktae.timeseries.windows import Layout, Windows, windows_at_once

# From windows to what is found in them, (m, k), or at each of their rows, (m, window, k).
Reader = Callable[[np.ndarray], np.ndarray]
# From what came to rows, (t, k), to what is returned of them.
Finisher = Callable[[np.ndarray], np.ndarray]
_NOTHING = np.empty((0, 0))


def sliding_sums(values: np.ndarray, length: int) -> np.ndarray:
    """Add up each so many consecutive rows, (n, k) to (n - length + 1, k).

    Sums of 1, 2, 4, ... rows are put together, so that each takes the same additions wherever its
    rows lie in the array.
    """
    n, done = max(0, len(values) - length + 1), 0
    total = np.zeros_like(values[:n])
    size = 1
    while True:
        if length & size:
            total += values[done : done + n]
            done += size
        if done == length:
            return total
        values = values[:-size] + values[size:]
        size *= 2


class Placed:
    """Brings one finding per window to rows, where it is smoothed over the length of a window.

    A row takes what is found in the window whose middle is nearest, and the mean over a window
    around it is its result. If causal, it takes the last complete window and the mean of the past;
    until the first is complete, its result is what is usual.
    """

    def __init__(self, window: int, stride: int, usual: np.ndarray, causal: bool):
        self.window, self.stride, self.usual = window, stride, usual
        self.first = window - 1 if causal else 0  # row that has a result of its own
        self.lengthens = not causal
        self.after = 0 if causal else window // 2
        self.before = window - 1 - self.after
        # A window counts for `stride` rows, the first so many after it began.
        self.offset = window - 1 if causal else window // 2 - stride // 2
        self.delay = 0 if causal else window - 1 + stride // 2
        self.n_windows = self.n_placed = self.n_final = 0
        self.last = np.zeros((0, len(usual)))
        self.values = np.zeros((self.before, len(usual)))

    def push(self, found: np.ndarray, n_rows: int, last: bool) -> np.ndarray:
        """Take what was found in the next windows, (m, k), and return the rows that are final."""
        self.n_windows += len(found)
        known = np.concatenate([self.last, found]) if len(found) else self.last
        end = self.n_windows * self.stride + self.offset if self.n_windows else self.first
        rows = np.arange(self.n_placed, n_rows if last else min(n_rows, end))
        placed = np.zeros((len(rows), len(self.usual)))
        if self.n_windows:
            number = np.clip((rows - self.offset) // self.stride, 0, self.n_windows - 1)
            having = rows >= self.first
            placed[having] = known[number[having] - self.n_windows + len(known)]
        self.last = known[-1:]
        self.n_placed += len(rows)
        closing = np.zeros((self.after if last else 0, len(self.usual)))
        self.values = np.concatenate([self.values, placed, closing])
        return self._smoothed(n_rows, last)

    def _smoothed(self, n_rows: int, last: bool) -> np.ndarray:
        n_final = max(self.n_final, n_rows if last else n_rows - self.delay)
        rows = np.arange(self.n_final, n_final)
        sums = sliding_sums(self.values[: len(rows) + self.window - 1], self.window)
        low = np.maximum(rows - self.before, self.first)
        high = np.minimum(rows + self.after, n_rows - 1)
        counts = (high - low + 1)[:, np.newaxis]
        self.n_final, self.values = n_final, self.values[len(rows) :]
        return np.where(counts > 0, sums / np.maximum(counts, 1), self.usual)


class Overlapped:
    """Averages what is found at each row of each window over the windows that cover a row.

    Rows at the end that no window covers take what the last covered row has.
    """

    lengthens = True

    def __init__(self, window: int, stride: int, n_columns: int):
        self.window, self.stride = window, stride
        self.delay = window - 1 + stride - 1
        self.n_windows = self.n_final = 0
        self.sums = np.zeros((0, n_columns))

    def push(self, found: np.ndarray, n_rows: int, last: bool) -> np.ndarray:
        """Take what the next windows have at their rows, (m, w, k), and return what is final."""
        stride, begin = self.stride, self.n_windows * self.stride - self.n_final
        if len(found):
            self.n_windows += len(found)
            span = (len(found) - 1) * stride + 1
            missing = begin + span - 1 + self.window - len(self.sums)
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]))])
            # Backwards, so that a row adds its windows up in their order, whatever the chunks.
            for place in reversed(range(self.window)):
                self.sums[begin + place : begin + place + span : stride] += found[:, place]
        n_final = max(self.n_final, n_rows if last else n_rows - self.delay)
        covered = (self.n_windows - 1) * stride + self.window
        rows = np.minimum(np.arange(self.n_final, n_final), covered - 1)
        first = np.maximum(-((self.window - 1 - rows) // stride), 0)
        counts = np.minimum(rows // stride, self.n_windows - 1) - first + 1
        result = self.sums[rows - self.n_final] / counts[:, np.newaxis]
        self.n_final, self.sums = n_final, self.sums[len(rows) :]
        return result


class Stream:
    """Follows one series, chunk by chunk: what it returns for a row is final.

    Parameters
    ----------
    channels : Channels
        How rows are seen.

    collect : Placed or Overlapped
        What brings findings to rows.

    layout : Layout
        What is cut.
    """

    def __init__(self, channels: Channels, collect: Placed | Overlapped, layout: Layout):
        self.channels, self.collect, self.layout = channels, collect, layout
        self.before = np.empty((0, channels.shift.shape[1]))
        self.seen = np.zeros((0, *channels.shift.shape), channels.dtype)
        self.n_rows = 0

    def push(self, rows: np.ndarray, read: Reader, finish: Finisher, last: bool) -> np.ndarray:
        """Take the next rows (t, c), let windows be read, and finish the rows that are final."""
        size = windows_at_once(self.layout.window * self.channels.shift.size) * self.collect.stride
        found = []
        for start in range(0, max(1, len(rows)), size):
            ends = last and start + size >= len(rows)
            found.append(finish(self._push(rows[start : start + size], read, ends)))
        return np.concatenate(found)

    def _push(self, rows: np.ndarray, read: Reader, last: bool) -> np.ndarray:
        collect, window, stride = self.collect, self.layout.window, self.collect.stride
        if len(rows):
            self.n_rows += len(rows)
            self._see(rows)
        if last and collect.lengthens and 0 < self.n_rows < window:  # so that there is a window
            self._see(np.repeat(self.before, window - self.n_rows, axis=0))
        starts = np.arange(0, len(self.seen) - window + 1, stride)
        windows = Windows(self.seen, starts, self.layout)
        found = read(windows[:]) if len(starts) else _NOTHING
        self.seen = self.seen[len(starts) * stride :]
        return collect.push(found, self.n_rows, last)

    def _see(self, rows: np.ndarray) -> None:
        self.seen = np.concatenate([self.seen, self.channels(rows, self.before)])
        self.before = rows[-1:].astype(np.float64)

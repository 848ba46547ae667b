"""Reverse windowing: from errors of windows back to the rows of a series, chunk by chunk.

Results are bit-identical whatever the chunks are: the order in which errors are added up depends on
the rows alone.
"""

import numpy as np


def sliding_sums(values: np.ndarray, length: int) -> np.ndarray:
    """Add up each run of `length` consecutive rows, (n, k) to (n - length + 1, k).

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


class WindowAverage:
    """Gives rows the errors of windows, one for each, and smooths them by a moving average.

    A row gets the error of the window whose middle is nearest. Its result is the mean over the rows
    around it, as many as in a window. If causal, it gets the error of the last complete window, and
    the mean is over rows up to it; the result of rows before the first complete window is
    `default`.

    Parameters
    ----------
    window_size, stride : int
        Rows in a window, and from the start of one window to that of the next.

    default : ndarray of shape (n_channels,)
        Result where there is no complete window yet.

    causal : bool
        Whether results depend on no later rows.
    """

    def __init__(self, window_size: int, stride: int, default: np.ndarray, causal: bool):
        self.window_size, self.stride, self.default = window_size, stride, default
        self.pads_short_series = not causal  # by repeating the last row, so that there is a window
        self.first_row = window_size - 1 if causal else 0  # that has an error
        self.n_after = 0 if causal else window_size // 2  # rows in the mean after the row itself
        self.n_before = window_size - 1 - self.n_after
        # The error of a window is that of `stride` rows, from this offset after its start on.
        self.offset = window_size - 1 if causal else window_size // 2 - stride // 2
        self.delay = 0 if causal else window_size - 1 + stride // 2
        self.n_windows = self.n_assigned = self.n_final = 0
        self.last_error = np.zeros((0, len(default)))
        # Errors of rows that later results need, after zeros for rows before the series.
        self.row_errors = np.zeros((self.n_before, len(default)))

    def add(self, errors: np.ndarray, n_rows: int, last: bool) -> np.ndarray:
        """Add the errors of the next windows, (m, c), and return the results that are now final.

        `n_rows` is the number of rows of the series so far, and `last` whether it ends with them.
        """
        self.n_windows += len(errors)
        errors = np.concatenate([self.last_error, errors]) if len(errors) else self.last_error
        end = self.n_windows * self.stride + self.offset if self.n_windows else self.first_row
        rows = np.arange(self.n_assigned, n_rows if last else min(n_rows, end))
        assigned = np.zeros((len(rows), len(self.default)))
        if self.n_windows:
            window = np.maximum((rows - self.offset) // self.stride, 0)
            window = np.minimum(window, self.n_windows - 1)
            complete = rows >= self.first_row
            assigned[complete] = errors[window[complete] - self.n_windows + len(errors)]
        self.last_error = errors[-1:]
        self.n_assigned += len(rows)
        after_end = np.zeros((self.n_after if last else 0, len(self.default)))
        self.row_errors = np.concatenate([self.row_errors, assigned, after_end])
        return self._smoothed(n_rows, last)

    def _smoothed(self, n_rows: int, last: bool) -> np.ndarray:
        n_final = max(self.n_final, n_rows if last else n_rows - self.delay)
        rows = np.arange(self.n_final, n_final)
        sums = sliding_sums(self.row_errors[: len(rows) + self.window_size - 1], self.window_size)
        low = np.maximum(rows - self.n_before, self.first_row)
        high = np.minimum(rows + self.n_after, n_rows - 1)
        counts = (high - low + 1)[:, np.newaxis]
        self.n_final, self.row_errors = n_final, self.row_errors[len(rows) :]
        return np.where(counts > 0, sums / np.maximum(counts, 1), self.default)


class OverlapAverage:
    """Averages the errors that a row has in all windows that cover it.

    Rows at the end that no window covers get the result of the last covered row.

    Parameters
    ----------
    window_size, stride : int
        Rows in a window, and from the start of one window to that of the next.

    n_columns : int
        Errors of a row: one for each channel, or one for all.
    """

    pads_short_series = True

    def __init__(self, window_size: int, stride: int, n_columns: int):
        self.window_size, self.stride = window_size, stride
        self.delay = window_size - 1 + stride - 1
        self.n_windows = self.n_final = 0
        self.sums = np.zeros((0, n_columns))  # of the rows from `n_final` on

    def add(self, errors: np.ndarray, n_rows: int, last: bool) -> np.ndarray:
        """Add the errors of the next windows, (m, w, c), and return the results that are final.

        `n_rows` is the number of rows of the series so far, and `last` whether it ends with them.
        """
        stride, begin = self.stride, self.n_windows * self.stride - self.n_final
        if len(errors):
            self.n_windows += len(errors)
            span = (len(errors) - 1) * stride + 1
            missing = begin + span - 1 + self.window_size - len(self.sums)
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]))])
            # Backwards, so that a row adds its windows up in their order, whatever the chunks.
            for time in reversed(range(self.window_size)):
                self.sums[begin + time : begin + time + span : stride] += errors[:, time]
        n_final = max(self.n_final, n_rows if last else n_rows - self.delay)
        n_covered = (self.n_windows - 1) * stride + self.window_size
        rows = np.minimum(np.arange(self.n_final, n_final), n_covered - 1)
        first = np.maximum(-((self.window_size - 1 - rows) // stride), 0)
        counts = np.minimum(rows // stride, self.n_windows - 1) - first + 1
        result = self.sums[rows - self.n_final] / counts[:, np.newaxis]
        self.n_final, self.sums = n_final, self.sums[len(rows) :]
        return result

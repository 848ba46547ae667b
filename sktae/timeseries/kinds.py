"""Kinds of anomalies: jumps and levels, beside the shapes that windows show; and their sum."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sktae.timeseries.channels import Channels
from sktae.timeseries.reverse_windowing import sliding_sums
from sktae.timeseries.shape import Shape

KINDS = "shape", "jump", "level"
# The anomaly is the sum of the logarithms of the three measures, with these weights.
_WEIGHTS = np.array([1.0, 5.0, 0.25])
# Values count up to so many standard deviations, since logarithms are taken of what is beyond.
_CLIP = 1e4
# Errors count up to so much, so that their squares do not overflow.
_LARGEST = 1e150
# If training rows have outliers, this share of them is above what counts as normal.
_OUTLIERS = 0.01
# Added to what is normal, in standard deviations, since what hardly varies in training has noise.
_FLOOR = 0.1
# A series is cut at so many places to see how far its levels go beyond those before. The farther,
# the less a new level means: the excess counts so often in its scale.
_CUTS, _DRIFT = 8, 3.0


def row_channels(series: Sequence[np.ndarray]) -> Channels:
    """Return the scaling of channels that jumps and levels are measured in."""
    return Channels(("raw",), standardize=True, clip=_CLIP).fit(series)


class Jumps:
    """How far values are from the middle between the values before and after, by channel.

    Parameters
    ----------
    channels : Channels
        The fitted scaling of channels, in the view "raw".

    training_data : {"clean", "contaminated"}
        Whether the largest deviations in training are normal.

    Attributes
    ----------
    largest : ndarray of shape (n_channels,)
        The largest normal deviation. Only what is beyond counts.
    """

    length = 3  # rows that a deviation depends on

    def __init__(self, channels: Channels, training_data: str):
        self.channels, self.training_data = channels, training_data
        # Whether and how a channel leaves its only value is seen by the shape.
        self.weights = np.where(channels.constant[0], 0.0, channels.weights)

    def fit(self, series: Sequence[np.ndarray]) -> "Jumps":
        """Learn the largest deviations of series of scaled rows (t, c)."""
        found = np.concatenate([self.runs(rows) for rows in series])
        self.largest = _ends(found, self.training_data)[1] + _FLOOR
        return self

    def runs(self, values: np.ndarray) -> np.ndarray:
        """Return the deviation in each run of three rows, (t, c) to (t - 2, c)."""
        return np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)

    def evaluate(self, runs: np.ndarray) -> np.ndarray:
        """Return how far deviations are beyond normal ones, as a share of these; 0 if missing."""
        return np.fmax(runs / self.largest - 1, 0) * self.weights


class Levels:
    """How far means over some rows are outside of the range of those in training, by channel.

    Parameters
    ----------
    channels : Channels
        The fitted scaling of channels, in the view "raw".

    training_data : {"clean", "contaminated"}
        Whether the smallest and the largest levels in training are normal.

    length : int
        Number of rows in a mean.

    Attributes
    ----------
    low, high : ndarray of shape (n_channels,)
        The range of normal levels.

    scale : ndarray of shape (n_channels,)
        What the distance from this range is divided by.
    """

    def __init__(self, channels: Channels, training_data: str, length: int):
        self.channels, self.training_data, self.length = channels, training_data, length

    def fit(self, series: Sequence[np.ndarray]) -> "Levels":
        """Learn the range of levels of series of scaled rows (t, c)."""
        levels = [self.runs(rows) for rows in series]
        self.low, self.high = _ends(np.concatenate(levels), self.training_data)
        drift = np.max([_drift(np.clip(part, self.low, self.high)) for part in levels], axis=0)
        self.scale = self.high - self.low + _FLOOR + _DRIFT * drift
        self.low, self.high = self.low - _FLOOR, self.high + _FLOOR
        return self

    def runs(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each run of rows, (t, c) to (t - length + 1, c).

        Of what is known; if that is less than half, it is NaN.
        """
        missing = np.isnan(values)
        if not missing.any():
            return sliding_sums(values, self.length) / self.length
        sums = sliding_sums(np.where(missing, 0, values), self.length)
        n_known = sliding_sums(np.where(missing, 0.0, 1.0), self.length)
        return np.where(2 * n_known < self.length, np.nan, sums / np.maximum(n_known, 1))

    def evaluate(self, runs: np.ndarray) -> np.ndarray:
        """Return how far levels are outside of the range, as a share of its scale; 0 if missing."""
        excess = np.fmax(np.maximum(runs - self.high, self.low - runs), 0) / self.scale
        return excess * self.channels.weights


def _ends(values: np.ndarray, training_data: str) -> np.ndarray:
    """Return the least and the largest normal values, (2, c), of values (t, c)."""
    share = 0.0 if training_data == "clean" else _OUTLIERS
    known = [column[~np.isnan(column)] for column in values.T]
    ends = [np.quantile(v, [share, 1 - share]) if len(v) else (-np.inf, np.inf) for v in known]
    return np.stack(ends, axis=1)


def _drift(levels: np.ndarray) -> np.ndarray:
    """Return how far later levels go beyond all before, (c,), for the worst of some cuts."""
    drift = np.zeros(levels.shape[1])
    for cut in range(2, _CUTS):
        before, after = np.split(levels, [len(levels) * cut // _CUTS])
        if len(before) and len(after):
            above = np.fmax.reduce(after) - np.fmax.reduce(before)
            below = np.fmin.reduce(before) - np.fmin.reduce(after)
            drift = np.fmax(drift, np.fmax(above, below))
    return drift


class Kinds:
    """What makes rows unusual: their shape, by window size, and whether they are jumps or levels.

    Parameters
    ----------
    shapes : list of Shape
        One for each window size, the longest first.

    jumps : Jumps or None
        What sees jumps, if these count.

    levels : Levels or None
        What sees levels, if these count.
    """

    def __init__(self, shapes: list[Shape], jumps: Jumps | None, levels: Levels | None):
        self.shapes, self.jumps, self.levels = shapes, jumps, levels

    @property
    def rows(self) -> dict[str, Any]:
        """The measures of rows, by kind."""
        found = {"jump": self.jumps, "level": self.levels}
        return {kind: measure for kind, measure in found.items() if measure is not None}

    def fit_scales(self, errors: np.ndarray, training_data: str) -> None:
        """Learn by what errors are divided, from those of training rows by size, (t, sizes)."""
        for shape, largest in zip(self.shapes, _ends(errors, training_data)[1], strict=True):
            shape.largest = float(largest) + _FLOOR

    def parts(self, errors: Sequence[np.ndarray]) -> np.ndarray:
        """Return what each kind adds to the anomaly of rows, (t, 3).

        `errors` are (t, c) each, for the shapes and then for the measures of rows.
        """
        found = np.zeros((len(errors[0]), len(KINDS)))
        found[:, 0] = self.by_size(errors).max(axis=1)
        for kind, excess in self._excess(errors):
            found[:, kind] = _pooled(excess)
        return _WEIGHTS * np.log1p(found)

    def anomaly(self, errors: Sequence[np.ndarray]) -> np.ndarray:
        """Return the anomaly of rows, (t, 1)."""
        if not self.shapes[0].from_residuals:
            return errors[0]
        return self.parts(errors).sum(axis=1, keepdims=True)

    def contributions(self, errors: Sequence[np.ndarray]) -> np.ndarray:
        """Return what each channel adds to the anomaly of rows, (t, c)."""
        return self._contributions(errors, self.parts(errors))

    def _contributions(self, errors: Sequence[np.ndarray], parts: np.ndarray) -> np.ndarray:
        size, shapes = self.by_size(errors).argmax(axis=1), np.stack(errors[: len(self.shapes)])
        found = parts[:, :1] * _shares(shapes[size, np.arange(len(size))])
        for kind, excess in self._excess(errors):
            found += parts[:, [kind]] * _shares(excess)
        return found

    def reasons(self, errors: Sequence[np.ndarray]) -> np.ndarray:
        """Return parts and contributions side by side, (t, 3 + c), or the anomaly, (t, 1)."""
        if not self.shapes[0].from_residuals:
            return errors[0]
        parts = self.parts(errors)
        return np.concatenate([parts, self._contributions(errors, parts)], axis=1)

    def split(self, reasons: np.ndarray) -> tuple[np.ndarray, list[np.ndarray] | None]:
        """Return the anomaly of rows, (t,), and their contributions and parts, if there are any."""
        if not self.shapes[0].from_residuals:
            return reasons[:, 0], None
        parts, contributions = reasons[:, : len(KINDS)], reasons[:, len(KINDS) :]
        return parts.sum(axis=1), [contributions, parts]

    def _excess(self, errors: Sequence[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the numbers of the kinds of rows, and the errors that belong to them, (t, c)."""
        return zip(map(KINDS.index, self.rows), errors[len(self.shapes) :], strict=True)

    def by_size(self, errors: Sequence[np.ndarray]) -> np.ndarray:
        """Return the errors of rows by window size, pooled over channels, (t, sizes)."""
        shapes = zip(self.shapes, errors, strict=False)
        return np.stack([_pooled(part) / shape.largest for shape, part in shapes], axis=1)


def _pooled(errors: np.ndarray) -> np.ndarray:
    """Return the quadratic mean over channels, (t, c) to (t,)."""
    squares = np.square(np.minimum(errors, _LARGEST))
    return np.sqrt(squares.sum(axis=1) / errors.shape[1])


def _shares(errors: np.ndarray) -> np.ndarray:
    """Return the share of each channel in the quadratic mean, (t, c); equal ones of nothing."""
    squares = np.square(np.minimum(errors, _LARGEST))
    total = squares.sum(axis=1, keepdims=True)
    return np.where(total > 0, squares / np.where(total > 0, total, 1.0), 1 / squares.shape[1])

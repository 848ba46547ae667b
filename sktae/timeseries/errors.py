"""What an estimator's errors on windows amount to, beside those of training."""

from typing import Any

import numpy as np

from sktae.timeseries.channels import Channels
from sktae.timeseries.windows import Layout, Windows

# Share of a window where errors are largest, and of the usual size that is added to a level.
_WORST, _FLOOR = 8, 0.1


# Errors of training that are smaller than this share of a level are those of rounding.
_EXACT = 0.01


class WindowErrors:
    """What an estimator's errors on windows amount to, beside those of training.

    Parameters
    ----------
    estimator : estimator
        Fitted to windows.

    by_features : bool
        Whether it is asked for the error of each number, instead of a score for each window.

    channels : Channels
        How the numbers of windows came about.

    layout : Layout
        What the estimator is given.

    reduction : {"worst", "mean", "max"}
        What becomes of the errors at the times of a window.

    training_data : {"clean", "contaminated"}
        Whether the largest errors of training are those of normal windows.
    """

    def __init__(
        self,
        estimator: Any,
        by_features: bool,
        channels: Channels,
        layout: Layout,
        reduction: str,
        training_data: str,
    ):
        self.estimator, self.by_features, self.layout = estimator, by_features, layout
        self.channels, self.n_channels = channels, channels.still.shape[1]
        self.reduction, self.training_data = reduction, training_data

    def fit(self, windows: Windows) -> "WindowErrors":
        """Learn from windows, a sample of those of the training, how large errors are there."""
        if self.by_features:
            found = np.concatenate([self._reduced(chunk) for chunk in windows.chunks()])
            self.level = self._level(found)
            self.least = self._least(found)
            self.usual = self._joined(self._relative(found)).mean(axis=0)  # (channels,)
        else:
            self.usual = np.concatenate([self.of_windows(c) for c in windows.chunks()]).mean(axis=0)
        return self

    def _level(self, found: np.ndarray) -> np.ndarray:
        """Return what errors (m, views, c) are divided by, (views, c)."""
        still = self.channels.still
        if self.training_data == "clean":
            added = self.channels.variance
            usual = found.max(axis=0)
        else:
            added = usual = found.mean(axis=0)
        n_moving = np.maximum((~still).sum(axis=1, keepdims=True), 1)
        added = np.where(still, 0, added).sum(axis=1, keepdims=True) / n_moving
        return usual + _FLOOR * np.where(added > 0, added, 1.0)

    def _least(self, found: np.ndarray) -> np.ndarray:
        """Return the least errors (m, views, c) that are normal, (views, c); 0 for any."""
        if self.training_data != "clean":
            return np.zeros_like(self.level)
        least = found.min(axis=0)
        return np.where((least > _EXACT * self.level) & ~self.channels.still, least, 0.0)

    def of_windows(self, rows: np.ndarray) -> np.ndarray:
        """Return the errors of windows by channel, (m, c); those of a score, (m, 1)."""
        if not self.by_features:
            return -np.asarray(self.estimator.score_samples(rows), np.float64)[:, np.newaxis]
        return self._joined(self._relative(self._reduced(rows)))

    def of_times(self, rows: np.ndarray) -> np.ndarray:
        """Return the errors at each time of windows by channel, (m, w, c)."""
        if not self.by_features:
            return np.repeat(self.of_windows(rows)[:, np.newaxis], self.layout.window, axis=1)
        return self._joined(np.moveaxis(self._by_channels(self._squares(rows)), -1, 1) / self.level)

    def pooled(self, found: np.ndarray) -> np.ndarray:
        """Put the channels' errors (t, c) together to those of rows, (t, 1): a quadratic mean."""
        if not self.by_features:
            return found
        return np.sqrt(np.square(found).mean(axis=1, keepdims=True))

    def shares(self, found: np.ndarray) -> np.ndarray:
        """Return what each channel has in the error of rows, (t, c)."""
        squares = np.square(found)
        total = squares.sum(axis=1, keepdims=True)
        return squares * (self.pooled(found) / np.where(total > 0, total, 1.0))

    def _relative(self, found: np.ndarray) -> np.ndarray:
        """Return errors of windows (m, views, c) as shares of the level.

        A window that is easier than any of training is unusual, too: a sensor that stands still
        where it never did. Where nothing is left of the errors, that counts as much as the level.
        """
        missing = 1 - found / np.where(self.least > 0, self.least, 1.0)
        return np.maximum(found / self.level, np.where(self.least > 0, missing, 0.0))

    def _joined(self, relative: np.ndarray) -> np.ndarray:
        """Add up the views (..., views, c), and weigh the channels."""
        return relative.sum(axis=-2) * self.channels.weights

    def _reduced(self, rows: np.ndarray) -> np.ndarray:
        """Return the errors of windows by view and channel, (m, views, c)."""
        squares = self._squares(rows)
        if self.reduction != "mean":
            n = 1 if self.reduction == "max" else max(1, self.layout.window // _WORST)
            squares = np.partition(squares, -n, axis=-1)[..., -n:]
        return self._by_channels(squares.mean(axis=-1, dtype=np.float64))

    def _by_channels(self, found: np.ndarray) -> np.ndarray:
        """Bring what was found in rows of the estimator (m, views, c, ...) to whole windows."""
        if not self.layout.apart:
            return found
        parts = found.reshape(-1, self.n_channels, *found.shape[1:])
        return np.ascontiguousarray(np.moveaxis(parts[:, :, :, 0], 1, 2))

    def _squares(self, rows: np.ndarray) -> np.ndarray:
        """Return squared residuals of rows of the estimator, (m, views, c, times)."""
        estimator = self.estimator
        if hasattr(estimator, "reconstruct"):
            made = estimator.reconstruct(rows)
        else:
            made = np.asarray(estimator.inverse_transform(np.asarray(estimator.transform(rows))))
        squares = np.square(rows - made)
        if not self.layout.flat:
            squares = np.moveaxis(squares, 1, -1)
        shape = self.layout.shape(self.n_channels)[1:]
        return squares.reshape(len(rows), *shape)

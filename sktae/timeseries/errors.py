"""Errors of an estimator on windows, normalized by its errors on windows of the training."""

from typing import Any

import numpy as np

from sktae.timeseries.channels import Channels
from sktae.timeseries.windows import KNOWN, Layout, Windows, missing_values

# With reduction="worst", the mean is over this fraction of a window: one part in so many.
_WORST_PARTS = 8

# Share of the mean variance (training errors, if contaminated) that is added to the scale of
# errors, so that a channel that is reproduced almost exactly does not outweigh the others.
_FLOOR = 0.1

# Training errors below this share of the scale are rounding, so they give no lower bound.
_ROUNDING = 0.01

# A line through a gap is unlike training windows, so what is known around it is reconstructed
# badly. Where more than this share is missing, the reconstruction takes its place, so many times.
_GAP, _FILLINGS = 0.1, 8

# Squared residuals count up to so much.
_LARGEST = 1e36


class WindowErrors:
    """Errors of an estimator on windows, normalized by its errors on windows of the training.

    Parameters
    ----------
    estimator : estimator
        Fitted to windows.

    from_residuals : bool
        Whether errors are the squared residuals of a reconstruction, for each value of a window.
        Else they are minus the estimator's `score_samples`, one number for each window.

    channels : Channels
        The fitted scaling of channels.

    layout : Layout
        How windows become inputs of the estimator.

    reduction : {"worst", "mean", "max"}
        How the squared residuals of a channel in a window become one error.

    training_data : {"clean", "contaminated"}
        Whether the largest training errors are normal ones.

    Attributes
    ----------
    scale : ndarray of shape (n_views, n_channels)
        What errors are divided by.

    lower_bound : ndarray of shape (n_views, n_channels)
        The least normal errors; 0 where any is normal.

    training_mean : ndarray of shape (n_channels,), or (1,) for errors of scores
        Means of the errors of training windows.
    """

    def __init__(
        self,
        estimator: Any,
        from_residuals: bool,
        channels: Channels,
        layout: Layout,
        reduction: str,
        training_data: str,
    ):
        self.estimator, self.from_residuals, self.layout = estimator, from_residuals, layout
        self.channels, self.n_channels = channels, channels.constant.shape[1]
        self.reduction, self.training_data = reduction, training_data

    def fit(self, windows: Windows) -> "WindowErrors":
        """Learn the scale of errors from a sample of the training windows."""
        chunks = windows.chunks()
        if self.from_residuals:
            parts = zip(*map(self._reduced, chunks), strict=True)
            errors, known = (np.concatenate(part) for part in parts)
            self.scale = self._scale(errors)
            self.lower_bound = self._lower_bound(np.where(known == 1, errors, np.inf))
            training = self._weighted(self._normalized(errors, known))
        else:
            training = np.concatenate([self.by_window(inputs) for inputs in chunks])
        self.training_mean = training.mean(axis=0)
        return self

    def _scale(self, errors: np.ndarray) -> np.ndarray:
        """Return what errors (m, views, c) are divided by, (views, c)."""
        constant = self.channels.constant
        if self.training_data == "clean":
            floor = self.channels.variance
            scale = errors.max(axis=0)
        else:
            floor = scale = errors.mean(axis=0)
        n_varying = np.maximum((~constant).sum(axis=1, keepdims=True), 1)
        floor = np.where(constant, 0, floor).sum(axis=1, keepdims=True) / n_varying
        return scale + _FLOOR * np.where(floor > 0, floor, 1.0)

    def _lower_bound(self, errors: np.ndarray) -> np.ndarray:
        """Return the least of errors (m, views, c) that are normal, (views, c); 0 for any."""
        if self.training_data != "clean":
            return np.zeros_like(self.scale)
        lowest = errors.min(axis=0)
        bounded = (lowest > _ROUNDING * self.scale) & ~self.channels.constant & np.isfinite(lowest)
        return np.where(bounded, lowest, 0.0)

    def by_window(self, inputs: np.ndarray) -> np.ndarray:
        """Return the errors of windows by channel, (m, c); of a score, (m, 1)."""
        if not self.from_residuals:
            scores = self.estimator.score_samples(self.layout.filled(inputs))
            return -np.asarray(scores, np.float64)[:, np.newaxis]
        return self._weighted(self._normalized(*self._reduced(inputs)))

    def by_time(self, inputs: np.ndarray) -> np.ndarray:
        """Return the errors at each time of windows by channel, (m, w, c)."""
        if not self.from_residuals:
            return np.repeat(self.by_window(inputs)[:, np.newaxis], self.layout.window_size, axis=1)
        squares = np.moveaxis(self._join_inputs(self._squares(inputs)[0]), -1, 1)
        return self._weighted(squares / self.scale)

    def _normalized(self, errors: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return errors of windows (m, views, c) divided by the scale.

        A window that is easier to reproduce than all training windows is unusual, too, as where a
        sensor freezes. So the share by which an error is below the lower bound counts if it is
        larger, and if no values are missing, since these have no error. `known` is the share that
        is not missing.
        """
        bounded = (self.lower_bound > 0) & (known == 1)
        below = 1 - errors / np.where(self.lower_bound > 0, self.lower_bound, 1.0)
        return np.maximum(errors / self.scale, np.where(bounded, below, 0.0))

    def _weighted(self, errors: np.ndarray) -> np.ndarray:
        """Add up the views (..., views, c) and weight the channels, (..., c)."""
        return errors.sum(axis=-2) * self.channels.weights

    def _reduced(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the errors of windows by view and channel, and the share of values known there.

        Both have the shape (m, views, c).
        """
        squares, known = self._squares(inputs)
        if self.reduction != "mean":
            n = 1 if self.reduction == "max" else max(1, self.layout.window_size // _WORST_PARTS)
            squares = np.partition(squares, -n, axis=-1)[..., -n:]
        errors = squares.mean(axis=-1, dtype=np.float64)
        return self._join_inputs(errors), self._join_inputs(known)

    def _join_inputs(self, values: np.ndarray) -> np.ndarray:
        """Join inputs (n_inputs, views, c, ...) that hold single channels to windows, (m, ...)."""
        if not self.layout.independent:
            return values
        parts = values.reshape(-1, self.n_channels, *values.shape[1:])
        return np.ascontiguousarray(np.moveaxis(parts[:, :, :, 0], 1, 2))

    def _squares(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the squared residuals of inputs, 0 if missing, and the share that is known.

        Their shapes are (n_inputs, views, c, times) and (n_inputs, views, c).
        """
        filled, missing = self.layout.filled(inputs), missing_values(inputs)
        recon = self._reconstructed(filled)
        if missing is not None:
            gaps = missing.reshape(len(inputs), -1).mean(axis=1) > _GAP
            recon = recon.copy()
            for _ in range(_FILLINGS if gaps.any() else 0):
                some = np.where(missing[gaps], recon[gaps], filled[gaps])
                recon[gaps] = self._reconstructed(some)
        squares = np.square(filled - recon)
        # What overflows is the most unusual, and its squares do not overflow in turn.
        squares = np.nan_to_num(squares, nan=_LARGEST, posinf=_LARGEST).clip(max=_LARGEST)
        if missing is None:
            squares = self._by_view(squares)
            return squares, np.ones(squares.shape[:-1])
        known = 1 - self._by_view(missing).mean(axis=-1)
        squares[missing] = 0.0
        squares = self._by_view(squares)
        squares[known < KNOWN] = 0.0
        return squares, known

    def _reconstructed(self, filled: np.ndarray) -> np.ndarray:
        if hasattr(self.estimator, "reconstruct"):
            return self.estimator.reconstruct(filled)
        codes = np.asarray(self.estimator.transform(filled))
        return np.asarray(self.estimator.inverse_transform(codes))

    def _by_view(self, values: np.ndarray) -> np.ndarray:
        """Return what belongs to the values of inputs as (n_inputs, views, c, times)."""
        if not self.layout.flat:
            values = np.moveaxis(values, 1, -1)
        return values.reshape(len(values), *self.layout.shape(self.n_channels)[1:])

"""Windows of one size: an estimator that learns them, and its errors on the scale of training."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from sktae.base import BaseAutoencoder
from sktae.randomness import generator
from sktae.timeseries.channels import Channels
from sktae.timeseries.errors import WindowErrors
from sktae.timeseries.windows import KNOWN, Layout, Windows

# The scale of errors is learned from about so many windows.
_ERROR_WINDOWS = 4096


class Shape:
    """Windows of one size: an estimator that learns them, and its errors on the scale of training.

    Parameters
    ----------
    params : WindowedDetector
        Where the parameters come from. It is read and not kept.

    estimator : estimator
        Learns windows.

    channels : Channels
        The scaling of channels, which may be fitted later.

    window_size, stride : int
        Rows in a window, and from the start of one window to that of the next in the fit.

    Attributes
    ----------
    from_residuals : bool
        Whether errors are squared residuals, instead of minus the scores of the estimator.

    layout : Layout
        How windows become inputs of the estimator.

    errors : WindowErrors
        The errors of windows.

    largest : float
        The largest error of a training row, pooled over channels, by which errors are divided.
    """

    errors: WindowErrors

    def __init__(
        self, params: Any, estimator: Any, channels: Channels, window_size: int, stride: int
    ):
        self.estimator, self.channels, self.stride = estimator, channels, stride
        self.from_residuals = _gives_residuals(params, estimator)
        independent = self.from_residuals and params.channels == "independent"
        flat = not get_tags(estimator).input_tags.three_d_array
        self.layout = Layout(window_size, channels.views, independent, flat)
        self.largest = 1.0

    def learn(self, params: Any, series: Sequence[np.ndarray], seed: int) -> None:
        """Fit the estimator to windows of series, and learn the scale of its errors."""
        windows = self.windows(series)
        self.estimator.fit(self._inputs(params, windows, seed))
        self.fit_errors(params, windows)

    def learn_more(self, params: Any, rows: np.ndarray, n_known: int, seed: int) -> None:
        """Go on with the windows that end after the known rows."""
        windows = self.windows([rows])
        windows.starts = windows.starts[windows.starts + self.layout.window_size > n_known]
        if len(windows):
            self.estimator.partial_fit(self._inputs(params, windows, seed))

    def copied(self) -> "Shape":
        """Return a copy whose estimator may learn more, without a change to this one."""
        shape = copy.copy(self)
        # Other libraries' estimators change in place, ours swap their state in one step.
        ours = isinstance(self.estimator, BaseAutoencoder)
        shape.estimator = copy.copy(self.estimator) if ours else copy.deepcopy(self.estimator)
        return shape

    def fit_errors(self, params: Any, windows: Windows) -> None:
        """Learn the scale of errors from a sample of the training windows."""
        starts = windows.starts[:: math.ceil(len(windows.starts) / _ERROR_WINDOWS)]
        settings = self.channels, self.layout, params.reduction, params.training_data
        self.errors = WindowErrors(self.estimator, self.from_residuals, *settings).fit(
            Windows(windows.values, starts, self.layout)
        )

    def windows(self, series: Sequence[np.ndarray]) -> Windows:
        """Return the windows of one or more series in which not too much is missing."""
        size = self.layout.window_size
        values = np.concatenate([self.channels.transform(rows, rows[:0]) for rows in series])
        firsts = np.cumsum([0, *map(len, series)])
        starts = np.concatenate(
            [
                first + np.arange(0, len(rows) - size + 1, self.stride)
                for first, rows in zip(firsts, series, strict=False)
            ]
        )
        n_known = np.append(0, np.cumsum((~np.isnan(values)).sum(axis=(1, 2))))
        enough = n_known[starts + size] - n_known[starts] >= KNOWN * size * values[0].size
        starts = starts[enough]
        if not len(starts):
            raise ValueError(
                f"In each of the windows of {size} rows, more than half of the values of X are "
                f"missing, so there is nothing to learn from."
            )
        return Windows(values, starts, self.layout)

    def _inputs(self, params: Any, windows: Windows, seed: int) -> Any:
        """Return a random sample of windows, as a Dataset if the estimator takes one."""
        drawn = windows.draw(params.max_windows, generator(seed, "sample").initial_seed())
        return drawn if isinstance(self.estimator, BaseAutoencoder) else drawn[:]


def _gives_residuals(params: Any, estimator: Any) -> bool:
    """Return whether errors are squared residuals, instead of minus the estimator's scores."""
    reconstructs = hasattr(estimator, "reconstruction_error") or (
        hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
    )
    if params.errors == "auto" and reconstructs:
        return True
    if hasattr(estimator, "score_samples"):
        return False
    raise ValueError(
        f"estimator={estimator!r} of {type(params).__name__} cannot judge windows by "
        f"errors={params.errors!r}: it needs score_samples or, with errors='auto', transform and "
        f"inverse_transform."
    )

"""`WindowedDetector` as a detector of sktime, which must be installed."""

from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA

from sktae.timeseries.detector import WindowedDetector

try:
    from sktime.detection.base import BaseDetector
except ImportError as error:
    raise ImportError(
        'sktae.timeseries.sktime_adapter needs sktime; install it: pip install "sktime>=1.2"'
    ) from error


class SktimeDetector(BaseDetector):
    """Detector of outliers in series for sktime: `predict` lists the row numbers of outliers.

    `transform` labels outliers 1 and other timepoints 0. `transform_scores` gives each timepoint a
    score: the higher, the more unusual.

    Parameters
    ----------
    detector : estimator or None, default=None
        Detector that gives scores and outliers. It is copied and stays unfitted. None is
        `WindowedDetector()`. A detector of scikit-learn scores each timepoint by itself, and has no
        events.

    task : {"anomaly_detection", "segmentation"}, default="anomaly_detection"
        What `predict` lists. "anomaly_detection": the row numbers of outliers. "segmentation":
        the intervals of `WindowedDetector.events`; then `transform` labels the intervals 0, 1, ...
        and other timepoints -1.

    Attributes
    ----------
    detector_ : estimator
        The fitted copy of `detector`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import WindowedDetector
    >>> from sktae.timeseries.sktime_adapter import SktimeDetector
    >>> X = np.sin(np.arange(1200) / 5)
    >>> X[1000:1010] = 0
    >>> windowed = WindowedDetector(window_size=30, random_state=0)
    >>> events = SktimeDetector(windowed, task="segmentation").fit(X[:800]).predict(X)
    >>> 1005 in events["ilocs"].iloc[-1]
    True
    """

    _tags: ClassVar = {
        "authors": "the sktae developers",
        "maintainers": "the sktae developers",
        "capability:missing_values": True,
        "capability:multivariate": True,
        "learning_type": "unsupervised",
        "task": "anomaly_detection",
    }

    def __init__(self, detector=None, task="anomaly_detection"):
        self.detector = detector
        self.task = task
        super().__init__()
        self.set_tags(task=task)

    def _fit(self, X, y=None):
        if self.task not in ("anomaly_detection", "segmentation"):
            raise ValueError(
                f"The 'task' parameter of SktimeDetector must be 'anomaly_detection' or "
                f"'segmentation'. Got {self.task!r} instead."
            )
        detector = WindowedDetector() if self.detector is None else clone(self.detector)
        if self.task == "segmentation" and not hasattr(detector, "events"):
            raise ValueError(
                f"detector={self.detector!r} of SktimeDetector has no intervals to list for "
                f"task='segmentation'; put it into a WindowedDetector, which has events."
            )
        self.detector_ = detector.fit(_rows(X))

    def _predict(self, X):
        if self.task == "anomaly_detection":
            return pd.DataFrame({"ilocs": self._outliers(X)})
        first, last = self.detector_.events(_rows(X))[["start", "end"]].to_numpy(dtype=int).T
        return pd.DataFrame({"ilocs": pd.IntervalIndex.from_arrays(first, last + 1, "left")})

    def _transform_scores(self, X):
        return pd.DataFrame({"scores": -self.detector_.score_samples(_rows(X))}, index=X.index)

    def _predict_scores(self, X):
        if self.task == "anomaly_detection":
            return -self.detector_.score_samples(_rows(X))[self._outliers(X)]
        return -self.detector_.events(_rows(X))["score"].to_numpy(dtype=float)

    def _outliers(self, X):
        return np.flatnonzero(self.detector_.predict(_rows(X)) == -1)

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Return parameters for sktime's own checks."""
        detector = WindowedDetector(PCA(1), window_size=5)
        return [{"detector": detector}, {"detector": detector, "task": "segmentation"}]


def _rows(X):
    """Return an array (n_timepoints, n_channels); `predict_points` passes X on unconverted."""
    return np.asarray(X).reshape(len(X), -1)

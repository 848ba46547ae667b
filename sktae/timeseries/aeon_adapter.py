"""`WindowedDetector` as a detector of aeon, which must be installed."""

from typing import ClassVar

from sklearn.base import clone
from sklearn.decomposition import PCA

from sktae.timeseries.detector import WindowedDetector

try:
    from aeon.anomaly_detection.series import BaseSeriesAnomalyDetector
except ImportError as error:
    raise ImportError(
        'sktae.timeseries.aeon_adapter needs aeon; install it: pip install "aeon>=1.6"'
    ) from error


class AeonDetector(BaseSeriesAnomalyDetector):
    """Detector of outliers in series for aeon: the higher a score, the more unusual the timepoint.

    It is fitted to one series and scores others, or the same one (`fit_predict`). As everywhere in
    aeon, timepoints are columns unless methods get `axis=0`.

    Parameters
    ----------
    detector : estimator or None, default=None
        Detector whose `score_samples`, with the opposite sign, are the scores. It is copied and
        stays unfitted. None is `WindowedDetector()`. A detector of scikit-learn scores each
        timepoint by itself.

    Attributes
    ----------
    detector_ : estimator
        The fitted copy of `detector`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import WindowedDetector
    >>> from sktae.timeseries.aeon_adapter import AeonDetector
    >>> X = np.sin(np.arange(1200) / 5)
    >>> X[1000:1010] = 0
    >>> detector = AeonDetector(WindowedDetector(window_size=30, random_state=0)).fit(X[:800])
    >>> bool(990 < detector.predict(X).argmax() < 1020)
    True
    """

    _tags: ClassVar = {
        "anomaly_output_type": "anomaly_scores",
        "capability:missing_values": True,
        "capability:multivariate": True,
        "fit_is_empty": False,
        "learning_type:semi_supervised": True,
        "learning_type:unsupervised": True,
    }

    def __init__(self, detector=None):
        self.detector = detector
        super().__init__(axis=0)

    def _fit(self, X, y=None):
        self.detector_ = WindowedDetector() if self.detector is None else clone(self.detector)
        self.detector_.fit(X)

    def _predict(self, X):
        return -self.detector_.score_samples(X)

    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        """Return parameters for aeon's own checks."""
        return {"detector": WindowedDetector(PCA(1), window_size=5)}

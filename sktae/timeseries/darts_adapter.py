"""`WindowedDetector` as an anomaly scorer of darts, which must be installed."""

import pandas as pd
from sklearn.base import clone

from sktae.timeseries.detector import WindowedDetector

try:
    from darts import TimeSeries
    from darts.ad.scorers.scorers import FittableAnomalyScorer
except ImportError as error:
    raise ImportError(
        'sktae.timeseries.darts_adapter needs darts; install it: pip install "darts>=0.40"'
    ) from error


class DartsScorer(FittableAnomalyScorer):
    """Scorer of outliers in series for darts: the higher a score, the more unusual the timestamp.

    `fit` takes one series or a list of them, `score` gives each timestamp a score. It also scores
    how far forecasts are from a series (`fit_from_prediction`, `score_from_prediction`), so it can
    be a scorer of a `ForecastingAnomalyModel`.

    Parameters
    ----------
    detector : estimator or None, default=None
        Detector whose `score_samples`, with the opposite sign, are the scores. It is copied and
        stays unfitted. None is `WindowedDetector()`. A detector of scikit-learn scores each
        timestamp by itself, and learns from one series only.

    Attributes
    ----------
    detector_ : estimator
        The fitted copy of `detector`.

    Examples
    --------
    >>> import numpy as np
    >>> from darts import TimeSeries
    >>> from sktae import WindowedDetector
    >>> from sktae.timeseries.darts_adapter import DartsScorer
    >>> X = np.sin(np.arange(1200) / 5)
    >>> X[1000:1010] = 0
    >>> scorer = DartsScorer(WindowedDetector(window_size=30, random_state=0))
    >>> _ = scorer.fit(TimeSeries.from_values(X[:800]))
    >>> scores = scorer.score(TimeSeries.from_values(X))
    >>> bool(990 < scores.values().argmax() < 1020)
    True
    """

    def __init__(self, detector=None):
        self.detector = detector
        # Windows are the detector's, so for darts each timestamp is scored by itself.
        super().__init__(is_univariate=True, window=1, window_agg=False)

    def __str__(self):
        return f"DartsScorer(detector={self.detector!r})"

    def _fit_core(self, series, *args, **kwargs):
        detector = WindowedDetector() if self.detector is None else clone(self.detector)
        frames = [_frame(one) for one in series]
        self.detector_ = detector.fit(frames[0] if len(frames) == 1 else frames)

    def _score_core(self, series, *args, **kwargs):
        return [
            TimeSeries.from_times_and_values(
                one.time_index, -self.detector_.score_samples(_frame(one)), columns=["score"]
            )
            for one in series
        ]


def _frame(series):
    """Return a series as a DataFrame with its times."""
    return pd.DataFrame(series.values(), series.time_index, series.components)

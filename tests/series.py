"""Series and detectors for the tests of time series."""

import numpy as np
import pandas as pd
import pytest
from shared import quick
from sklearn.ensemble import IsolationForest

from sktae import WindowedDetector

FOREST = IsolationForest(n_estimators=10)


def detector(estimator=None, window_size=20, **params):
    """Make a detector that fits in a moment."""
    estimator = quick(max_steps=10) if estimator is None else estimator
    return WindowedDetector(estimator, **{"window_size": window_size, "random_state": 0, **params})


def waves(n=600, n_channels=2, seed=0):
    """Make channels that swing, each at its own pace, with noise."""
    t = np.arange(n)[:, np.newaxis]
    noise = np.random.default_rng(seed).normal(size=(n, n_channels))
    return np.sin(t / (5 + 2 * np.arange(n_channels))) + 0.05 * noise


def in_chunks(model, X, size):
    """Score a series as it arrives, and check that nothing is late."""
    found = []
    for start in range(0, len(X), size):
        found.append(model.score_next(X[start : start + size]))
        n_seen = min(start + size, len(X))
        assert sum(map(len, found)) == max(0, n_seen - model.delay_)
    return np.concatenate([*found, model.score_next(last=True)])


AGGREGATIONS = [
    {"aggregation": aggregation, "stride": stride, "reduction": reduction}
    for aggregation, reductions in [
        ("center", ("worst", "mean", "max")),
        ("causal", ("worst", "max")),
        ("mean", ("mean",)),
    ]
    for reduction in reductions
    for stride in (1, 3, 8)
]
each_aggregation = pytest.mark.parametrize(
    "how", AGGREGATIONS, ids=lambda how: "-".join(map(str, how.values()))
)


def groups():
    """Make one frame of three machines whose rows are mixed, and the series of each."""
    parts = {"c": waves(90), "a": waves(50, seed=1), "b": waves(12, seed=2)}
    frames = [pd.DataFrame(part, columns=["u", "v"]) for part in parts.values()]
    whole = pd.concat(
        [
            frame.assign(machine=name, at=np.arange(len(frame)))
            for name, frame in zip(parts, frames, strict=True)
        ]
    )
    whole = whole.sort_values("at", kind="stable").drop(columns="at").reset_index(drop=True)
    return whole, dict(zip(parts, frames, strict=True))

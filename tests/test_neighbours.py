"""Neighbours: checks of aeon and sktime pass, scores and outliers are those of the detector."""

import importlib
import sys

import numpy as np
import pandas as pd
import pytest
from shared import quick
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

import sktae
from sktae import WindowedDetector

aeon_checks = pytest.importorskip("aeon.testing.estimator_checking", reason="needs aeon")
aeon_metrics = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")
sktime_checks = pytest.importorskip("sktime.utils.estimator_checks", reason="needs sktime")
sktime_metrics = pytest.importorskip("sktime.performance_metrics.detection")
AeonDetector = importlib.import_module("sktae.timeseries.aeon_adapter").AeonDetector
SktimeDetector = importlib.import_module("sktae.timeseries.sktime_adapter").SktimeDetector

NETWORK = WindowedDetector(quick(max_steps=5), window_size=5, random_state=0)
LINEAR = WindowedDetector(PCA(0.9), window_size=20)


def jumping(n_channels=1):
    """Make a series that jumps for a while, and its labels."""
    t = np.arange(500)[:, np.newaxis]
    X = np.sin(t / (5 + 2 * np.arange(n_channels)))
    X[400:420] += 3
    return X, np.repeat([0, 1, 0], [400, 20, 80])


# -- their own checks ------------------------------------------------------------------------------


@aeon_checks.parametrize_with_checks([AeonDetector])
def test_aeon(check):
    """Every check of aeon passes."""
    check()


def test_aeon_with_a_network():
    """Around a network as well, but for the check that hashes what a fit has left.

    Networks are copied to be pickled, and torch writes the address of the copy into the pickle, so
    the hash is another one each time, even where nothing happened in between. The check passes
    around PCA, in `test_aeon`; here, `test_predictions_repeat` is for it.
    """
    aeon_checks.check_estimator(
        AeonDetector(NETWORK),
        raise_exceptions=True,
        checks_to_exclude="check_non_state_changing_method",
    )


@sktime_checks.parametrize_with_checks(
    [SktimeDetector, SktimeDetector(NETWORK), SktimeDetector(NETWORK, task="segmentation")]
)
def test_sktime(obj, test_name):
    """Every check of sktime passes, around a network as well."""
    sktime_checks.check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


# -- what they give --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_channels", [1, 3])
def test_scores_are_those_of_the_detector(n_channels):
    """They have the opposite sign, whatever holds the series and whichever way it lies."""
    X, _ = jumping(n_channels)
    scores = -NETWORK.fit(X).score_samples(X)
    dates = pd.DataFrame(X, index=pd.date_range("2026", periods=len(X), freq="h"))
    for found in (
        AeonDetector(NETWORK).fit_predict(X, axis=0),
        AeonDetector(NETWORK).fit(X.T).predict(X.T),
        AeonDetector(NETWORK).fit_predict(dates, axis=0),
        SktimeDetector(NETWORK).fit(X).transform_scores(X)["scores"],
    ):
        np.testing.assert_array_equal(found, scores)
    found = SktimeDetector(NETWORK).fit(dates).transform_scores(dates)
    pd.testing.assert_series_equal(found["scores"], pd.Series(scores, dates.index, name="scores"))


@pytest.mark.parametrize("shown", [np.ravel, np.atleast_2d, lambda X: pd.Series(X[:, 0])])
def test_outliers_are_those_of_the_detector(shown):
    """Points are where the detector predicts outliers, intervals are its events; each is scored."""
    X, _ = jumping()
    NETWORK.fit(X)
    outliers, events = np.flatnonzero(NETWORK.predict(X) == -1), NETWORK.events(X)
    assert len(outliers) > len(events) > 0
    points = SktimeDetector(NETWORK).fit(shown(X))
    for found in (points.predict(shown(X)), points.predict_points(shown(X))):
        np.testing.assert_array_equal(found["ilocs"], outliers)
    marks = points.transform(shown(X))["labels"]
    np.testing.assert_array_equal(np.flatnonzero(marks), outliers)
    scores = points.predict_scores(shown(X))[0]
    np.testing.assert_array_equal(scores, -NETWORK.score_samples(X)[outliers])

    intervals = SktimeDetector(NETWORK, task="segmentation").fit(shown(X))
    ilocs = intervals.predict(shown(X))["ilocs"].array
    np.testing.assert_array_equal(ilocs.left, events["start"].astype(int))
    np.testing.assert_array_equal(ilocs.right, events["end"].astype(int) + 1)
    np.testing.assert_array_equal(intervals.predict_scores(shown(X))[0], -events["score"])
    numbers = intervals.transform(shown(X))["labels"]
    assert set(numbers) == {-1, *range(len(events))}


def test_a_calm_series_has_no_outliers():
    """Nothing is listed, as points or as intervals, where nothing is unusual."""
    X, _ = jumping()
    for task in ("anomaly_detection", "segmentation"):
        calm = SktimeDetector(NETWORK, task=task).fit(X)
        calm.detector_.offset_ = -np.inf
        assert len(calm.predict(X)) == len(calm.predict_scores(X)) == 0


def test_predictions_repeat():
    """A prediction leaves what the next one goes by, and the same seed gives the same model."""
    X, _ = jumping()
    detector = AeonDetector(NETWORK).fit(X.T)
    scores = detector.predict(X.T)
    np.testing.assert_array_equal(detector.predict(X.T), scores)
    np.testing.assert_array_equal(detector.clone().fit_predict(X.T), scores)
    other = detector.clone().set_params(detector__random_state=1)
    assert not np.array_equal(other.fit_predict(X.T), scores)


def test_a_detector_of_rows_is_shown_timepoints():
    """A detector of scikit-learn's takes the place of a windowed one."""
    X, _ = jumping()
    forest = IsolationForest(random_state=0).fit(X)
    np.testing.assert_array_equal(
        AeonDetector(forest).fit_predict(X, axis=0), -forest.score_samples(X)
    )
    np.testing.assert_array_equal(
        SktimeDetector(forest).fit_predict(X)["ilocs"], np.flatnonzero(forest.predict(X) == -1)
    )


def test_the_default_is_a_windowed_detector():
    """Without a detector, it is `WindowedDetector()`."""
    for detector in (AeonDetector(), SktimeDetector()):
        detector.fit(np.sin(np.arange(20)))
        assert repr(detector.detector_) == "WindowedDetector()"


def test_scores_of_darts_are_those_of_the_detector():
    """Those of one series or of several, with their times, and of how far forecasts are off."""
    darts = pytest.importorskip("darts", reason="needs darts")
    DartsScorer = importlib.import_module("sktae.timeseries.darts_adapter").DartsScorer
    X, _ = jumping(2)
    dates = pd.DataFrame(X, pd.date_range("2026", periods=len(X), freq="h"), ["a", "b"])
    series = darts.TimeSeries.from_dataframe(dates)
    scores = -NETWORK.fit(dates[:300]).score_samples(dates)
    found = DartsScorer(NETWORK).fit(series[:300]).score(series)
    np.testing.assert_array_equal(found.values().ravel(), scores)
    assert found.time_index.equals(series.time_index)

    scores = -NETWORK.fit([dates[:200], dates[200:300]]).score_samples(dates)
    found = DartsScorer(NETWORK).fit([series[:200], series[200:300]]).score([series, series[:50]])
    np.testing.assert_array_equal(found[0].values().ravel(), scores)
    assert len(found[1]) == 50

    forecast = series.with_values(np.zeros_like(X))
    scorer = DartsScorer(NETWORK).fit_from_prediction(series[:300], forecast[:300])
    assert 395 < scorer.score_from_prediction(series, forecast).values().argmax() < 425


# -- in their company ------------------------------------------------------------------------------


def test_metrics_of_aeon():
    """Scores go into aeon's measures."""
    X, y = jumping()
    scores = AeonDetector(LINEAR).fit(X[:300].T).predict(X.T)
    assert aeon_metrics.roc_auc_score(y, scores) > 0.9


def test_pipelines_and_metrics_of_sktime():
    """The end of a pipeline of sktime's is a detector of ours, and sktime counts what it finds."""
    X, _ = jumping()
    pipeline = StandardScaler() * SktimeDetector(LINEAR)
    points = pipeline.fit(X[:300]).predict(X)
    hit = sktime_metrics.EventTPR(min_offset=-10, max_offset=10)
    assert hit(pd.DataFrame({"ilocs": [410]}), points, pd.DataFrame(X)) == 1
    pipeline = StandardScaler() * SktimeDetector(LINEAR, task="segmentation")
    assert any(410 in where for where in pipeline.fit(X[:300]).predict(X)["ilocs"])


# -- without them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("aeon", "aeon.anomaly_detection.series"),
        ("sktime", "sktime.detection.base"),
        ("darts", "darts"),
    ],
)
def test_a_missing_package_is_named(name, needed, monkeypatch):
    """One sentence says what to install."""
    monkeypatch.setitem(sys.modules, needed, None)
    module = f"sktae.timeseries.{name}_adapter"
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ImportError, match=f'{module} needs {name}; .* pip install "{name}>='):
        importlib.import_module(module)


def test_they_are_no_part_of_sktae():
    assert not {"AeonDetector", "SktimeDetector"} & set(sktae.__all__)


def test_tasks_that_cannot_be_done_are_refused():
    """The message names the estimator, the parameter and what it may be."""
    with pytest.raises(ValueError, match=r"'task' parameter of SktimeDetector must be .*'x'"):
        SktimeDetector(NETWORK, task="x").fit(jumping()[0])
    with pytest.raises(ValueError, match="put it into a WindowedDetector"):
        SktimeDetector(IsolationForest(), task="segmentation").fit(jumping()[0])

"""Metrics agree with their definitions, written out, and refuse what has no answer."""

import pickle
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from shared import quick
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.preprocessing import FunctionTransformer

from sktae import StackedGridSearchCV
from sktae.metrics import (
    average_precision_scorer,
    event_f1,
    event_f1_scorer,
    event_precision_recall,
    mutual_information_gap,
    period,
    precision_at_k_scorer,
    roc_auc_scorer,
    vus_pr,
    vus_pr_scorer,
    vus_roc,
)


def written_out(y, scores, window):
    """Compute VUS-ROC and VUS-PR point by point, as TSB-AD defines them."""
    n = len(y)
    inside = [i for i in range(n) if y[i]]
    firsts = [i for i in inside if i == 0 or not y[i - 1]]
    lasts = [i for i in inside if i == n - 1 or not y[i + 1]]
    ranked = sorted(scores, reverse=True)
    cuts = [ranked[int(position)] for position in np.linspace(0, n - 1, 250)]
    roc, pr = [], []
    for length in range(window + 1):
        half = length // 2
        soft = [float(label) for label in y]
        areas = []
        for first, last in zip(firsts, lasts, strict=True):
            for d in range(1, half + 1):
                for i in (first - d, last + d):
                    if 0 <= i < n:
                        soft[i] += sqrt(1 - d / length)
            if areas and areas[-1][1] >= first - half:
                areas[-1][1] = last + half
            else:
                areas.append([first - half, last + half])
        soft = [min(1.0, value) for value in soft]
        curve = [(0.0, 0.0)]
        pr.append(0.0)
        for cut in cuts:
            flagged = [i for i in range(n) if scores[i] >= cut]
            hits = sum(soft[i] for i in flagged)
            buffered = sum(soft[i] for i in flagged if not y[i])
            positives = (len(inside) + len(inside) + buffered) / 2
            found = sum(any(a <= i <= b for i in flagged) for a, b in areas) / len(areas)
            recall = min(hits / positives, 1) * found
            pr[-1] += (recall - curve[-1][1]) * hits / len(flagged)
            curve.append(((len(flagged) - hits) / (n - positives), recall))
        curve.append((1.0, 1.0))
        roc.append(sum((b - a) * (c + d) / 2 for (a, c), (b, d) in pairwise(curve)))
    return sum(roc) / len(roc), sum(pr) / len(pr)


def labels(n, *events):
    y = np.zeros(n, dtype=int)
    for first, last in events:
        y[first : last + 1] = 1
    return y


SERIES = {
    "one event": labels(40, (18, 22)),
    "at both borders": labels(30, (0, 2), (29, 29)),
    "overlapping buffers": labels(40, (5, 6), (9, 9), (11, 11), (13, 20), (30, 31)),
    "buffers that touch": labels(40, (10, 12), (17, 17), (23, 24)),
    "mostly anomalous": labels(25, (0, 10), (12, 23)),
    "shorter than a buffer": labels(5, (2, 2)),
}


@pytest.mark.parametrize("y", SERIES.values(), ids=SERIES)
@pytest.mark.parametrize("window", [0, 1, 4, 9])
def test_volumes_are_what_their_definition_says(y, window):
    """Whatever the events and the scores, both volumes agree with the definition."""
    rng = np.random.default_rng(window)
    noise = rng.normal(size=len(y))
    for scores in (noise, noise + 2 * y, np.round(noise + y), np.zeros(len(y))):
        found = vus_roc(y, scores, window=window), vus_pr(y, scores, window=window)
        assert found == pytest.approx(written_out(y, scores, window), abs=1e-12)


def test_more_points_than_cuts():
    """Of long series, only 250 cuts are looked at, and these are the same as in the definition."""
    rng = np.random.default_rng(0)
    y = labels(601, (100, 120), (123, 130), (590, 600))
    scores = rng.normal(size=601) + y
    found = vus_roc(y, scores, window=5), vus_pr(y, scores, window=5)
    assert found == pytest.approx(written_out(y, scores, 5), abs=1e-12)


def test_values_stay():
    """The numbers of a case are as they were when the definition agreed with that of TSB-AD."""
    y = SERIES["overlapping buffers"]
    scores = np.sin(np.arange(40) ** 2 / 10)
    assert vus_roc(y, scores, window=9) == pytest.approx(0.7817249542467645, abs=1e-9)
    assert vus_pr(y, scores, window=9) == pytest.approx(0.7012621784566384, abs=1e-9)


@pytest.mark.parametrize("metric", [vus_pr, vus_roc])
def test_only_the_order_of_scores_matters(metric):
    """Any increasing function of the scores gives the same volume, to the last bit."""
    rng = np.random.default_rng(0)
    y, scores = labels(300, (50, 60), (200, 202)), rng.normal(size=300)
    expected = metric(y, scores, window=10)
    assert metric(y, np.exp(scores), window=10) == expected
    assert metric(y, 1e6 + scores**3, window=10) == expected
    assert metric(y == 1, scores.tolist(), window=np.int64(10)) == expected
    assert metric(y, -scores, window=10) != pytest.approx(expected)


def test_good_scores_get_more_than_bad_ones():
    """Perfect scores get 1; those that come too late get less, but much more than random ones."""
    rng = np.random.default_rng(0)
    y = labels(4000, (1000, 1020), (3000, 3030))
    for window in (0, 40):
        assert vus_pr(y, y, window=window) == 1
        assert vus_roc(y, y, window=window) == 1
        assert vus_pr(y, rng.random(4000), window=window) < 0.05
    late = np.roll(y, 15)
    assert vus_pr(y, late, window=0) < 0.3
    assert 0.4 < vus_pr(y, late, window=40) < 1


def test_events_are_counted_once():
    """Events count once, however long; an alarm may touch several, and an event several alarms."""
    y = labels(20, (0, 4), (8, 9), (11, 11), (18, 19))
    assert event_precision_recall(y, y) == (1, 1)
    assert event_precision_recall(y, labels(20, (4, 4))) == (1, 1 / 4)
    assert event_precision_recall(y, labels(20, (9, 11))) == (1, 1 / 2)
    assert event_precision_recall(y, labels(20, (0, 0), (2, 2), (6, 6))) == (2 / 3, 1 / 4)
    assert event_precision_recall(y == 1, labels(20, (5, 7), (10, 10)) == 1) == (0, 0)
    assert event_precision_recall(y, labels(20)) == (0, 0)
    assert event_f1(y, labels(20)) == 0
    assert event_f1(y, labels(20, (0, 0), (2, 2), (6, 6))) == pytest.approx(4 / 11)


@pytest.fixture(scope="module")
def detection():
    """A table of noise in the order of time, in which two runs of rows lie far away."""
    y = labels(300, (60, 66), (130, 133), (220, 226))
    return np.random.default_rng(0).normal(size=(300, 2)) + 5 * y[:, np.newaxis], y


def test_scorers_are_the_metrics(detection):
    """Scorers give anomalies the right sign, also after a round through pickle."""
    X, y = detection
    forest = IsolationForest(contamination=0.05, random_state=0).fit(X)
    scorer = pickle.loads(pickle.dumps(vus_pr_scorer(window=10)))
    assert scorer(forest, X, y) == vus_pr(y, -forest.score_samples(X), window=10) > 0.7
    scorer = pickle.loads(pickle.dumps(event_f1_scorer))
    assert scorer(forest, X, y) == event_f1(y, forest.predict(X) == -1) > 0.4


def test_scorers_choose_in_a_search(detection):
    """scikit-learn's searches, cloned, go by the scorers."""
    X, y = detection
    search = GridSearchCV(
        IsolationForest(n_estimators=20, random_state=0),
        {"contamination": [0.05, 0.4], "max_samples": [2, 64]},
        scoring={"volume": vus_pr_scorer(window=10), "events": event_f1_scorer},
        refit="events",
        cv=TimeSeriesSplit(3),
        error_score="raise",
    )
    search = clone(search).fit(X, y)
    assert search.best_params_["contamination"] == 0.05
    scores = cross_val_score(
        search.best_estimator_, X, y, scoring=vus_pr_scorer(window=10), cv=TimeSeriesSplit(3)
    )
    assert search.cv_results_["mean_test_volume"][search.best_index_] == scores.mean() > 0.5


@pytest.mark.parametrize("metric", [vus_pr, vus_roc])
@pytest.mark.parametrize(
    ("y", "scores", "window", "message"),
    [
        ([0, 1, 0], [1, 2], 1, r"inconsistent numbers of samples: \[3, 2\]"),
        ([0, 1, 0], [1, np.nan, 2], 1, "anomaly_scores contains NaN"),
        ([0, 1, 0], [1, np.inf, 2], 1, "anomaly_scores contains infinity"),
        ([0, np.nan, 1], [1, 2, 3], 1, "y_true contains NaN"),
        ([0, 1, 0], [[1, 2], [3, 4], [5, 6]], 1, "should be a 1d array"),
        ([0, 1, 2], [1, 2, 3], 1, r"y_true must be 1 .* its values are \[0, 1, 2\]"),
        ([1, -1, 1], [1, 2, 3], 1, r"are \[-1, 1\]; .* pass y_true == -1"),
        ([0, 0, 0], [1, 2, 3], 1, r"at least one 0 and one 1, but its values are \[0\]"),
        ([True, True], [1, 2], 1, r"at least one 0 and one 1, but its values are \[True\]"),
        ([0, 1, 0], [1, 2, 3], -1, "window == -1, must be >= 0"),
        ([0, 1, 0], [1, 2, 3], 2.0, "window must be an instance of int, not float"),
    ],
)
def test_volumes_refuse(metric, y, scores, window, message):
    """What has no volume is refused, with the name of the argument and its value."""
    with pytest.raises((ValueError, TypeError), match=message):
        metric(y, scores, window=window)


@pytest.mark.parametrize("metric", [event_precision_recall, event_f1])
@pytest.mark.parametrize(
    ("y", "flagged", "message"),
    [
        ([0, 1, 0], [0, 1], r"inconsistent numbers of samples: \[3, 2\]"),
        ([0, 1, 0], [1, -1, 1], r"are \[-1, 1\]; .* pass y_pred == -1"),
        ([0, 1, 0], [1, 1, 1], r"y_pred must be 1 .* at least one 0, but its values are \[1\]"),
        ([0, 0, 0], [0, 1, 0], r"y_true must be 1 .* its values are \[0\]"),
        ([1, 1, 1], [0, 1, 0], r"y_true must be 1 .* its values are \[1\]"),
    ],
)
def test_events_refuse(metric, y, flagged, message):
    """What has no events is refused, and so are labels of scikit-learn, which mean the opposite."""
    with pytest.raises(ValueError, match=message):
        metric(y, flagged)


def test_scorers_refuse_early(detection):
    """A wrong window is refused where the scorer is made, a fold without anomalies at its score."""
    with pytest.raises(ValueError, match="window == -1, must be >= 0"):
        vus_pr_scorer(window=-1)
    X, y = detection
    forest = IsolationForest(n_estimators=5, random_state=0)
    with pytest.raises(ValueError, match="y_true must be 1"):
        cross_val_score(forest, X, y, scoring=vus_pr_scorer(window=0), cv=20, error_score="raise")


@pytest.mark.parametrize("length", [6, 25, 300])
def test_period_of_a_wave(length):
    """The period of a wave is found under noise."""
    rng = np.random.default_rng(length)
    wave = np.sin(2 * np.pi * np.arange(3000) / length) ** 3
    assert abs(period(wave + 0.1 * rng.normal(size=3000)) - length) <= length // 100


def test_period_of_other_series():
    """Without a peak of the autocorrelation among the lags allowed, the period is 125."""
    for x in ([1.0], np.arange(5), np.full(1000, 0.1), np.arange(1000), np.tile([0, 0, 1, 1], 99)):
        assert period(x) == 125


# -- rows ------------------------------------------------------------------------------------------


class Given(FunctionTransformer):
    """A detector whose score of a row is its only value."""

    def score_samples(self, X):
        return np.ravel(X)


SCORERS = {
    "average precision": average_precision_scorer,
    "roc": roc_auc_scorer,
    "precision": precision_at_k_scorer(k=20),
}


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_scorers_take_either_labels(scorer, detection):
    """Labels mean the same in both conventions and in each type; good detectors get more."""
    X, y = detection
    forest = IsolationForest(random_state=0).fit(X)
    expected = pickle.loads(pickle.dumps(scorer))(forest, X, y)
    for same in (1 - 2 * y, y == 1, y.astype(float), y.tolist(), (1 - 2 * y).astype(np.int8)):
        assert scorer(forest, X, same) == expected
    assert scorer(Given(), -y, y) == (18 / 20 if scorer is SCORERS["precision"] else 1)
    assert scorer(Given(), y, y) < 0.1 < 0.6 < expected


def test_scorers_of_rows_are_the_metrics(detection):
    """Outliers are the positive class of scikit-learn's metrics; ties count as their mean."""
    X, y = detection
    forest = IsolationForest(random_state=0).fit(X)
    anomaly = -forest.score_samples(X)
    assert average_precision_scorer(forest, X, y) == average_precision_score(y, anomaly)
    assert roc_auc_scorer(forest, X, y) == roc_auc_score(y, anomaly)
    assert precision_at_k_scorer(k=9)(forest, X, y) == y[np.argsort(-anomaly)[:9]].mean()
    assert precision_at_k_scorer(k=300)(forest, X, y) == pytest.approx(y.mean())
    ties = np.array([-2.0, -1, -1, -1, 0])
    assert precision_at_k_scorer(k=2)(Given(), ties, [1, 1, 0, 0, 0]) == pytest.approx(2 / 3)
    assert precision_at_k_scorer(k=5)(Given(), ties, [1, 1, 0, 0, 0]) == pytest.approx(2 / 5)


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_scorers_of_rows_choose_in_searches(scorer, detection):
    """Searches of scikit-learn and ours choose the same, with either labels."""
    X, y = detection
    model = quick(n_components=2)
    grid = {"score_method": ["residual", "distance"]}
    settings = {"cv": StratifiedKFold(2), "error_score": "raise", "scoring": scorer}
    found = [
        Search(model, grid, **settings).fit(X, labels)
        for Search, labels in (
            (GridSearchCV, y),
            (GridSearchCV, 1 - 2 * y),
            (StackedGridSearchCV, y),
        )
    ]
    scores = [search.cv_results_["mean_test_score"] for search in found]
    assert np.array_equal(scores[0], scores[1])
    np.testing.assert_allclose(scores[0], scores[2], atol=0.02)
    best = cross_val_score(found[0].best_estimator_, X, y, scoring=scorer, cv=StratifiedKFold(2))
    assert best.mean() == scores[0].max() == found[0].best_score_


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 1, 1], r"y must be 1 for outliers .* its values are \[1\]"),
        ([0, 0, 0], r"its values are \[0\].* cv=StratifiedKFold\(\)"),
        ([-1, -1, -1], r"its values are \[-1\]"),
        ([0, -1, 0], r"its values are \[-1, 0\]"),
        ([0, 1, -1], r"its values are \[-1, 0, 1\]"),
        ([1, 2, 1], r"its values are \[1, 2\]"),
        ([0.5, 1, 0], r"its values are \[0.0, 0.5, 1.0\]"),
        ([0, np.nan, 1], "y contains NaN"),
        ([[0, 1], [1, 0], [0, 0]], "should be a 1d array"),
    ],
)
def test_scorers_of_rows_refuse(scorer, y, message):
    """Labels that leave open which rows are outliers are refused, with their values."""
    with pytest.raises(ValueError, match=message):
        scorer(Given(), np.arange(3.0), y)


def test_precision_refuses():
    """A k that is no number of rows is refused where it is known."""
    with pytest.raises(ValueError, match="k == 0, must be >= 1"):
        precision_at_k_scorer(k=0)
    with pytest.raises(ValueError, match=r"k=4 of precision_at_k_scorer is larger .* to score, 3;"):
        precision_at_k_scorer(k=4)(Given(), np.arange(3.0), [0, 1, 0])


# -- causes ----------------------------------------------------------------------------------------


def test_gaps_of_known_codes():
    """1 where each factor has a component of its own, 0 where two tell the same."""
    factors = np.indices((4, 4)).reshape(2, -1).T
    first, second = factors.T
    assert mutual_information_gap(factors, np.column_stack([-second, first**2])) == pytest.approx(1)
    assert mutual_information_gap(factors, np.column_stack([first, first])) == 0
    assert mutual_information_gap(factors, first[:, np.newaxis]) == pytest.approx(0.5)
    half = mutual_information_gap(factors, np.column_stack([first // 2, second]))
    assert half == pytest.approx((0.5 + 1) / 2)
    both = (4 * first + second)[:, np.newaxis]  # one component tells both
    assert mutual_information_gap(factors, both) == pytest.approx(1)
    assert mutual_information_gap(factors, both, n_bins=4) == pytest.approx(0.5)


def test_gaps_need_factors_that_vary():
    """Mistakes are told by name."""
    with pytest.raises(ValueError, match="Column 1 of factors is constant"):
        mutual_information_gap([[0, 1], [1, 1]], [[0.0], [1.0]])
    with pytest.raises(ValueError, match="n_bins == 1, must be >= 2"):
        mutual_information_gap([[0], [1]], [[0.0], [1.0]], n_bins=1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        mutual_information_gap([[0], [1]], [[0.0]])

"""Series: what is planted is found, streams equal the whole, windows stay within their series."""

import ast
import inspect
import pickle
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from series import AGGREGATIONS, FOREST, detector, each_aggregation, in_chunks, waves
from shared import quick, turns
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktae import DenoisingAutoencoder, WindowedDetector
from sktae._docstrings import entries, sections
from sktae.timeseries.reverse_windowing import sliding_sums
from sktae.timeseries.windows import Layout, Windows

WHY = "the score of a timepoint depends on the rows around it"


@parametrize_with_checks(
    [
        detector(quick(max_steps=2), window_size="auto"),
        detector(PCA(1), window_size=3, stride=2, aggregation="mean"),
        detector(
            IsolationForest(n_estimators=3), window_size="auto", stride=1, aggregation="causal"
        ),
    ],
    expected_failed_checks=lambda _: {
        "check_methods_sample_order_invariance": WHY,
        "check_methods_subset_invariance": WHY,
    },
)
def test_scikit_learn(estimator, check):
    """Every check of scikit-learn passes but those that want rows not to see each other."""
    check(estimator)


def test_documentation_matches_the_signature():
    """Parameters are documented in order, with their defaults; so is what a fit leaves."""
    parts = sections(WindowedDetector.__doc__)
    documented, parameters = entries(parts["Parameters"]), inspect.signature(WindowedDetector)
    assert list(documented) == list(parameters.parameters)
    for name, text in documented.items():
        default = re.search(r"default=(.+)", text.split("\n")[0])[1]
        assert ast.literal_eval(default) == parameters.parameters[name].default, name
    fitted = vars(detector().fit(pd.DataFrame(waves(), columns=["a", "b"])))
    assert {name for name in fitted if name.endswith("_")} == set(entries(parts["Attributes"]))


# -- detection -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("aggregation", ["center", "causal", "mean"])
@pytest.mark.parametrize(
    "estimator",
    [DenoisingAutoencoder(max_steps=150), PCA(0.9), IsolationForest()],
    ids=["denoising", "pca", "forest"],
)
def test_finds_what_is_planted(estimator, aggregation, n_channels):
    """A spike, a shift of the level and a change of pace have the lowest scores, each in turn."""
    train, place = waves(1500, n_channels), slice(400, 440)
    spike, shift, pace = (waves(800, n_channels, seed=1) for _ in range(3))
    spike[418:420] += 8
    shift[place] += 2
    pace[place] = 1.5 * np.sin(np.arange(40) / 1.5)[:, np.newaxis]
    model = detector(estimator, aggregation=aggregation).fit(train)
    for series in (spike, shift, pace):
        assert 380 <= model.score_samples(series).argmin() < 460


def test_the_default_finds_a_missed_beat():
    """Without any settings, a beat that is left out stands out, and is one event."""
    X = np.sin(np.arange(3000) / 8)[:, np.newaxis]
    X += 0.05 * np.random.default_rng(0).normal(size=X.shape)
    X[2400:2430] = 0
    model = WindowedDetector(random_state=0, contamination=0.001).fit(X[:1500])
    events = model.events(X[1500:])
    assert model.window_size_ == 200
    peak = events.loc[events["score"].idxmin()]
    assert peak["start"] < 915 < peak["end"]


def kinds_of_anomalies():
    """Make a series with a spike of one row, a change of pace and a rising level, and say where."""
    X = waves(2400, 1)
    X[400] += 2
    X[1000:1040] = np.sin(np.arange(40) / 2)[:, np.newaxis]
    X[1700:2000] += 1.2
    return X, {"jump": (400, 401), "shape": (1000, 1040), "level": (1700, 2000)}


@pytest.mark.parametrize("aggregation", ["center", "causal"])
def test_events_say_of_which_kind_they_are(aggregation):
    """A spike is a jump, another pace a shape, and a level is seen as long as it lasts."""
    X, places = kinds_of_anomalies()
    model = detector(PCA(4), 93, aggregation=aggregation, contamination=None).fit(waves(2400, 1, 1))
    kinds = pd.DataFrame(model._process(X, "reasons")[:, :3], columns=["shape", "jump", "level"])
    events = model.events(X)
    for kind, (start, end) in places.items():
        found = events[(events["start"] < end) & (events["end"] >= start)]
        assert kind in set(found["kind"])
        assert kinds.loc[start : end + 60, kind].max() > 0.1
    jumps = events.loc[events["kind"] == "jump", ["start", "end"]].to_numpy() - 400
    frozen = waves(2400, 1)
    frozen[1200:1240] = frozen[1200]
    frozen[1240:] += 2
    found = model.events(frozen[:1300]).iloc[-1]
    assert found["end"] - found["start"] > 40  # there is more to it than a jump
    # The neighbors of a spike jump, too, half as much. If causal, rows are judged one row later.
    assert jumps.tolist() == [[0, 2] if aggregation == "causal" else [-1, 1]]
    assert (kinds.loc[1800:1920, "level"] > 0.05).all()
    np.testing.assert_allclose(kinds.sum(axis=1), -model.score_samples(X))
    for kind in ("jump", "level"):
        without = clone(model).set_params(**{f"{kind}s": False}).fit(waves(2400, 1, 1))
        rest = kinds.drop(columns=kind).sum(axis=1)
        np.testing.assert_allclose(rest, -without.score_samples(X))


def test_short_windows_are_learnt_beside_long_ones():
    """Each size has a copy of the estimator; the larger error counts; few rows are no window."""
    X = waves(900, 2)
    model = detector(PCA(4), 160, jumps=False, levels=False).fit(X[:600])
    sizes = [shape.layout.window_size for shape in model._kinds.shapes]
    assert sizes == [160, 40]
    assert model.estimator_ is model._kinds.shapes[0].estimator
    X[750:756, 0] += 1
    both = [detector(PCA(4), size, jumps=False, levels=False).fit(X[:600]) for size in sizes]
    long, short = (one.set_params(n_scales=1).fit(X[:600]).score_samples(X) for one in both)
    found = model.score_samples(X)
    # The scores of a short window alone come from the same learnt windows, but other strides.
    np.testing.assert_allclose(found, np.minimum(long, short), rtol=0.02)
    assert (found == long).any()
    assert (found < long - 0.1).any()
    for size, n in ((99, 1), (100, 2), (400, 3)):
        fitted = detector(PCA(4), size, n_scales=3).fit(waves(1000, 1))
        assert len(fitted._kinds.shapes) == n


def test_automatic_strides_cost_little():
    """Scores take a sixteenth of the windows, and are close to those of all."""
    X, _ = kinds_of_anomalies()
    every = detector(PCA(4), 64, stride=1).fit(X[1040:1600])
    some = clone(every).set_params(stride="auto").fit(X[1040:1600])
    assert [every._stride(64), some._stride(64), some._stride(64, learning=True)] == [1, 4, 1]
    np.testing.assert_array_equal(some.estimator_.components_, every.estimator_.components_)
    difference = some.score_samples(X) - every.score_samples(X)
    assert abs(difference).mean() < 0.02


def test_estimators_may_be_asked_for_their_own_score():
    """With errors="score", or where there is nothing else, scores are the windows', smoothed."""
    X = waves()
    for estimator, errors in [(quick(), "score"), (FOREST, "auto"), (OneClassSVM(), "auto")]:
        model = detector(estimator, errors=errors).fit(X)
        seen = model._kinds.shapes[0].windows([X])
        windows = model.estimator_.score_samples(seen[:])
        middle = np.pad(windows, (10, 9), mode="edge")
        smoothed = [middle[max(0, t - 9) : t + 11].mean() for t in range(len(X))]
        np.testing.assert_allclose(model.score_samples(X), smoothed, rtol=1e-9)
        with pytest.raises(ValueError, match="one score for each window"):
            model.explain(X)
        with pytest.raises(ValueError, match="one score for each window"):
            model.error_map(X)
        assert (model.events(X)["channels"] == ()).all()


def by_hand(residuals, n_train, reduction, training_data, weights):
    """Bring squared residuals (m, views, channels, w) to rows by the recipe, step by step."""
    w = residuals.shape[-1]
    n = {"mean": w, "max": 1, "worst": w // 8}[reduction]
    errors = np.sort(residuals)[..., -n:].mean(axis=-1)
    train = errors[: n_train - w + 1]
    if training_data == "clean":
        level = train.max(axis=0) + 0.1
        least = np.where(train.min(axis=0) > 0.01 * level, train.min(axis=0), -np.inf)
        end = 1
    else:
        level = train.mean(axis=0) + 0.1 * train.mean(axis=(0, 2))[:, np.newaxis]
        least = np.full_like(level, -np.inf)
        end = 0.99
    too_small = np.where(errors < least, 1 - errors / least, 0)
    errors = np.maximum(errors / level, too_small).sum(axis=1) * weights
    largest = np.quantile(at_rows(errors[: n_train - w + 1], w), end)
    return np.log1p(at_rows(errors, w) / (largest + 0.1))


def at_rows(errors, w):
    """Place the errors of windows (m, c) in their middles, smooth and pool them, (t,)."""
    errors = np.pad(errors, ((w // 2, w - 1 - w // 2), (0, 0)), mode="edge")
    n_rows = len(errors)
    smoothed = [errors[max(0, t - w // 2) : t + (w + 1) // 2].mean(axis=0) for t in range(n_rows)]
    return np.sqrt(np.square(smoothed).mean(axis=1))


def jumps_and_levels(values, n_train, length, training_data, weights):
    """Compute what single rows and levels of scaled values (t, c) add to the anomaly, (t,)."""
    share = 0.0 if training_data == "clean" else 0.01
    steps = abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    normal = np.quantile(steps[: n_train - 2], 1 - share, axis=0) + 0.1
    jumps = np.pad(np.maximum(steps / normal - 1, 0) * weights, ((1, 1), (0, 0)), mode="edge")
    levels = np.stack(
        [values[i : i + length].mean(axis=0) for i in range(len(values) - length + 1)]
    )
    known = levels[: n_train - length + 1]
    low, high = np.quantile(known, [share, 1 - share], axis=0)
    known = np.clip(known, low, high)
    drift = np.zeros(values.shape[1])
    for cut in (len(known) * k // 8 for k in range(2, 8)):
        drift = np.maximum(drift, known[cut:].max(axis=0) - known[:cut].max(axis=0))
        drift = np.maximum(drift, known[:cut].min(axis=0) - known[cut:].min(axis=0))
    excess = np.maximum(np.maximum(levels - high, low - levels) - 0.1, 0)
    excess = excess / (high - low + 0.1 + 3 * drift) * weights
    levels = np.pad(excess, ((length // 2, length - 1 - length // 2), (0, 0)), mode="edge")
    pooled = [np.sqrt(np.square(part).mean(axis=1)) for part in (jumps, levels)]
    return 5 * np.log1p(pooled[0]) + 0.25 * np.log1p(pooled[1])


@pytest.mark.parametrize("training_data", ["clean", "contaminated"])
@pytest.mark.parametrize("reduction", ["worst", "mean", "max"])
@pytest.mark.parametrize("channels", ["independent", "joint"])
def test_scores_are_what_the_recipe_says(channels, reduction, training_data):
    """Scales, views, residuals, weights, places, smoothing, jumps and levels: all by hand."""
    X, w, n = waves(300, 3), 21, 200
    X[:, 2] = X[:, 2] > 0
    X[240, 0] += 3
    X[260:, 1] += 2
    how = {"channels": channels, "reduction": reduction, "training_data": training_data}
    model = detector(PCA(2), w, **how).fit(X[:n])
    differences = np.diff(X, axis=0)
    known = differences[: n - 1]
    differences = (differences - known.mean(0)) / known.std(0)
    differences = np.concatenate([differences[:1], differences])  # the first one is missing
    values = (X - X[:n].mean(axis=0)) / X[:n].std(axis=0)
    cut = [
        np.stack([rows[i : i + w].T for i in range(300 - w + 1)]) for rows in (values, differences)
    ]
    cut[0] -= cut[0].mean(axis=-1, keepdims=True)
    seen = np.stack(cut, axis=1)  # (m, views, channels, w)
    if channels == "independent":
        rows = seen.swapaxes(1, 2).reshape(-1, 2 * w)
    else:
        rows = seen.reshape(-1, 6 * w)
    np.testing.assert_allclose(model._kinds.shapes[0].windows([X])[:], rows, atol=1e-9)
    made = model.estimator_.inverse_transform(model.estimator_.transform(rows))
    residuals = np.square(rows - made)
    if channels == "independent":
        residuals = residuals.reshape(-1, 3, 2, w).swapaxes(1, 2)
    residuals = residuals.reshape(seen.shape)
    residuals[0, 1, :, 0] = 0
    weights = [1, 1, 0.03]
    expected = by_hand(residuals, n, reduction, training_data, weights)
    added = jumps_and_levels(values, n, 7, training_data, weights)
    assert added[240] > 1
    assert added[265:].max() > 0.05
    np.testing.assert_allclose(-model.score_samples(X), expected + added, rtol=1e-9)


@pytest.mark.parametrize("training_data", ["clean", "contaminated"])
def test_a_sensor_that_freezes_is_no_more_normal_than_normal(training_data):
    """Where errors are smaller than they ever were in clean training rows, that is unusual, too."""
    X = waves(800)
    model = detector(training_data=training_data).fit(X[:400])
    frozen = X.copy()
    frozen[500:600, 0] = frozen[500, 0]
    usual, found = model.score_samples(X)[540:560], model.score_samples(frozen)[540:560]
    assert (found < usual).all() == (training_data == "clean")


@pytest.mark.parametrize("estimator", [quick(), FOREST])
def test_a_threshold_beyond_training_rows(estimator):
    """With contamination=None, no training row is an outlier, nor are new ones that are alike."""
    model = detector(estimator, contamination=None).fit(waves(300))
    assert (model.predict(waves(300)) == 1).all()
    new = waves(2000, seed=1)
    assert (model.predict(new) == -1).mean() < 0.02
    new[1000:1010] += 4
    assert (model.predict(new)[995:1015] == -1).any()
    held_out = detector(estimator, contamination=None, calibration=0.3).fit(waves(300))
    assert held_out.offset_ < held_out.calibration_scores_[0]


def test_switches_hardly_count_beside_other_channels():
    """A channel of two values counts less than one of many, but fully where it is alone."""
    X = waves(400)
    X[:, 1] = np.arange(400) // 10 % 2
    model = detector().fit(X)
    found = [X.copy(), X.copy()]
    found[0][300:305, 0] += 3
    found[1][300:305, 1] = 0.5
    both = [model.score_samples(rows).min() for rows in found]
    assert both[0] < 10 * both[1]
    for alone in (X[:, 1:], X[:, [1, 1]]):
        assert (detector().fit(alone)._channels.weights == 1).all()


def test_levels_and_scales_come_from_training_rows():
    """What the rows to be scored are like changes nothing in what is compared with."""
    X = waves(600)
    model = detector().fit(X[:300])
    whole = model.score_samples(X)
    X[450:] *= 100
    np.testing.assert_array_equal(model.score_samples(X)[:400], whole[:400])


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "window", "estimator"),
    turns(AGGREGATIONS, [8, 13], [None]) + turns(AGGREGATIONS, [13, 8], [PCA(2), FOREST]),
)
def test_streams_equal_the_whole(how, window, estimator):
    """Scores of a stream are those of the whole series, bit by bit, whatever its chunks."""
    X = waves(170, 3)
    model = detector(estimator, window, **how).fit(X[:90])
    whole = model.score_samples(X)
    assert np.isfinite(whole).all()
    for size in (1, 11, 100):
        found = in_chunks(model, X, size)
        if isinstance(estimator, PCA):  # whose products depend on how many rows there are
            np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-12)
        else:
            np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("aggregation", ["center", "causal", "mean"])
@pytest.mark.parametrize("estimator", [None, PCA(1)])
def test_extreme_windows_and_values(estimator, aggregation):
    """Windows of one row, and values whose squares overflow, have scores, and so do streams."""
    X = waves(90, 3)
    for size in (1, 2):
        model = detector(estimator, size, aggregation=aggregation).fit(X)
        np.testing.assert_allclose(in_chunks(model, X, 1), model.score_samples(X), rtol=1e-9)
    for how in ({}, {"standardize": False}, {"standardize": False, "views": ("raw",)}):
        model = detector(estimator, aggregation=aggregation, **how).fit(X)
        far = np.where(np.arange(90)[:, np.newaxis] > 60, 1e200, 1) * X
        scores = model.score_samples(far)
        assert np.isfinite(scores).all()
        assert 50 < scores.argmin() < 90
        np.testing.assert_allclose(model.explain(far).sum(axis=1), -scores)
        assert np.isfinite(model.error_map(far)).all()


@each_aggregation
def test_scores_are_local(how):
    """A score knows nothing of rows beyond `delay_`, and little of those before."""
    X = waves(200)
    model = detector(window_size=8, **how).fit(X)
    whole = model.score_samples(X)
    for place in (60, 61, 67, 110):
        other = X.copy()
        other[place:] += 1
        found, known = model.score_samples(other), place - model.delay_
        np.testing.assert_array_equal(found[:known], whole[:known])
        soon = place + how["stride"] - 1
        assert (found[soon:] != whole[soon:]).all()
        other = X.copy()
        other[:place] += 1
        forgotten = place + model._gap
        np.testing.assert_array_equal(model.score_samples(other)[forgotten:], whole[forgotten:])
    assert how["aggregation"] != "causal" or model.delay_ == 0


def test_a_series_does_not_know_in_what_blocks_it_is_scored(monkeypatch):
    """Blocks bound memory and nothing else; windows are never all there at once."""
    X = waves(40_000, 1)
    model = detector(window_size=100, estimator=quick(max_steps=2)).fit(X[:1000])
    tracemalloc.start()
    whole = model.score_samples(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6 < 40_000 * 200 * 8
    monkeypatch.setattr("sktae.timeseries.windows._CHUNK_NUMBERS", 2**16)
    np.testing.assert_array_equal(model.score_samples(X[:3000])[:2900], whole[:2900])


def test_streams_begin_anew():
    """After the last rows, or another fit, the next row is the first of a new stream."""
    X = waves()
    model = detector().fit(X)
    first = in_chunks(model, X[:100], 30)
    np.testing.assert_array_equal(in_chunks(model, X[:100], 99), first)
    model.score_next(X[:50])
    resumed = pickle.loads(pickle.dumps(model))
    expected = model.score_next(X[50:100], last=True)
    np.testing.assert_array_equal(resumed.score_next(X[50:100], last=True), expected)
    model.score_next(X[:50])
    np.testing.assert_array_equal(in_chunks(model.fit(X), X[:100], 30), first)
    assert model.score_next(last=True).shape == (0,)


@pytest.mark.parametrize("aggregation", ["center", "causal", "mean"])
def test_short_series_are_scored(aggregation):
    """Series shorter than the window have scores, and those of streams are the same."""
    X = waves()
    model = detector(aggregation=aggregation).fit(X)
    for n in (1, 5, 19, 20, 21):
        whole = model.score_samples(X[:n])
        assert whole.shape == (n,)
        assert np.isfinite(whole).all()
        np.testing.assert_array_equal(in_chunks(model, X[:n], 1), whole)
        assert model.explain(X[:n]).shape == model.error_map(X[:n]).shape == (n, 2)
    padded = np.concatenate([X[:5], np.repeat(X[4:5], 15, axis=0)])
    if aggregation == "mean":
        np.testing.assert_array_equal(model.score_samples(X[:5]), model.score_samples(padded)[:5])


def test_causal_scores_are_usual_until_there_is_a_window():
    """Without a complete window, nothing is known, and a score is the mean of training."""
    X = waves()
    for estimator in (None, FOREST):
        model = detector(estimator, aggregation="causal").fit(X)
        start = model.score_samples(X)[:19]
        shape = model._kinds.shapes[0]
        usual = np.sqrt(np.square(shape.errors.training_mean).mean()) / shape.largest
        np.testing.assert_allclose(start, -(np.log1p(usual) if estimator is None else usual))
        assert (model.predict(X)[:19] == 1).all()


@pytest.mark.parametrize("shape", [(40,), (40, 3)])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 31])
def test_sliding_sums(shape, length):
    """They are sums, and the same bits in any excerpt."""
    values = np.random.default_rng(0).normal(size=shape)
    found = sliding_sums(values, length)
    expected = [values[i : i + length].sum(axis=0) for i in range(41 - length)]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(sliding_sums(values[5:], length), found[5:])
    assert len(sliding_sums(values[: length - 1], length)) == 0


# -- windows ---------------------------------------------------------------------------------------


def test_windows_are_cut_where_they_are_read():
    """A Dataset of windows, one by one or in batches; its gap keeps two parts apart."""
    rows = np.arange(60.0).reshape(30, 1, 2)
    starts = np.arange(0, 26, 2)
    windows = Windows(rows, starts, Layout(5, ("raw",), independent=False, flat=False))
    assert len(windows) == 13
    np.testing.assert_array_equal(windows[3], rows[6:11, 0])
    np.testing.assert_array_equal(windows.__getitems__([3, 0]), [rows[6:11, 0], rows[:5, 0]])
    flat = Windows(rows, starts, Layout(5, ("raw",), independent=False, flat=True))
    np.testing.assert_array_equal(flat[3], rows[6:11, 0].T.ravel())
    np.testing.assert_array_equal(flat.__getitems__([3, 0]), [flat[3], flat[0]])
    apart = Windows(rows, starts, Layout(5, ("centered",), independent=True, flat=True))
    assert len(apart) == 26
    np.testing.assert_array_equal(apart[7], rows[6:11, 0, 1] - rows[8, 0, 1])
    some = apart.draw(9, seed=0)
    np.testing.assert_array_equal(some[:], apart[:][some.selected])
    assert windows.gap == 2
    for starts, gap in (([0, 1, 9, 10, 12, 20], 2), ([0, 5, 10], 0)):
        assert Windows(rows, np.array(starts), flat.layout).gap == gap
        # The channels of a window are kept together.
        assert Windows(rows, np.array(starts), apart.layout).gap == 2 * gap + 1


def test_automatic_windows_leave_enough_to_learn_from():
    """ "auto" is at most a quarter of the rows."""
    for n in (1, 3, 4, 50, 799, 800, 1000):
        model = detector(quick(max_steps=1), "auto").fit(waves(n, 1))
        assert model.window_size_ == min(200, max(1, n // 4))


def test_training_windows_are_drawn(monkeypatch):
    """From many windows, some are drawn, by `random_state`; none twice, in the order of time."""
    seen = []
    monkeypatch.setattr(PCA, "fit", lambda self, X, fit=PCA.fit: seen.append(X) or fit(self, X))
    X = waves()
    for seed in (0, 0, 1):
        detector(PCA(2), max_windows=50, random_state=seed).fit(X)
    assert seen[0].shape == (50, 40)  # two views of one channel
    assert len(np.unique(seen[0], axis=0)) == 50
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_early_stopping_holds_out_the_end():
    """An autoencoder inside that holds out windows holds out the last ones, and none overlap."""
    estimator = quick(early_stopping=True, validation_fraction=0.2, calibration=0.2)
    X = waves()
    model = detector(estimator).fit(X)
    assert model.estimator_.calibration_scores_.shape == (round(0.2 * 2 * 581),)
    assert "valid_loss" in model.estimator_.history_

"""Thresholds, reasons, chunks and scales, and what stands around a detector."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from series import detector, each_aggregation, groups, in_chunks, waves
from shared import quick
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktae import Autoencoder, AutoencoderEnsemble, WindowedDetector, load, save
from sktae.timeseries.channels import Channels

# -- thresholds and reasons ------------------------------------------------------------------------


def test_thresholds_are_shares():
    """Of the training rows, so many are outliers; of new ones, if some are held out."""
    X = waves(2000)
    for how in ({"contamination": 0.1}, {"false_alarm_rate": 0.1}):
        model = detector(**how).fit(X)
        assert (model.predict(X) == -1).mean() == pytest.approx(0.1)
    model = detector(contamination=0.1, calibration=0.3).fit(X)
    assert (model.predict(X[:1400]) == -1).mean() == pytest.approx(0.1, abs=0.02)
    model = detector(false_alarm_rate=0.1, calibration=0.3).fit(X)
    assert (model.p_values(X[-600:]) <= 0.1).mean() == pytest.approx(0.1, abs=0.01)
    assert (model.predict(X[-600:]) == -1).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("calibration", ["cross", 0.4])
def test_false_events_are_as_rare_as_promised(calibration):
    """On clean rows, there is about one event in so many rows, or in so much time, or fewer."""
    found = []
    for seed in range(4):
        X = waves(24_000, 1, seed)
        how = {"calibration": calibration, "false_alarms_per": 2000}
        model = detector(PCA(4), **how).fit(X[:4000])
        found.append(len(model.events(X[4100:])))
    assert 0.2 < np.mean(found) / 10 < 1.5
    index = pd.date_range("2026-01-01", periods=4000, freq="h")
    how["false_alarms_per"] = "2000H"
    again = detector(PCA(4), **how).fit(pd.DataFrame(X[:4000], index=index))
    assert again.offset_ == model.offset_
    rare = detector(PCA(4), **{**how, "false_alarms_per": 20_000}).fit(X[:4000])
    assert rare.offset_ < model.offset_
    with pytest.warns(UserWarning, match=r"times as long as the \d+ rows that"):
        detector(PCA(4), **{**how, "false_alarms_per": 1_000_000}).fit(X[:4000])


@pytest.mark.parametrize("how", [{}, {"aggregation": "causal"}, {"stride": 4}])
@pytest.mark.parametrize("estimator", [None, PCA(2)])
def test_parts_of_series_judge_each_other(estimator, how):
    """The detector is the same; scores of a quarter come from what the others have taught."""
    series = [waves(300), waves(8), waves(200, seed=1)]
    plain, model = (detector(estimator, calibration=c, **how).fit(series) for c in (None, "cross"))
    np.testing.assert_array_equal(plain.score_samples(series[0]), model.score_samples(series[0]))
    assert len(model.calibration_scores_) == 508
    parts = [rows[: max(0, len(rows) * 3 // 4 - model._gap)] for rows in series]
    first = detector(estimator, **how).fit([rows for rows in parts if len(rows)])
    ends = first.score_samples([rows[len(rows) * 3 // 4 :] for rows in series])
    assert np.isin(np.concatenate(ends), model.calibration_scores_).all()
    assert detector(estimator, calibration="cross").fit(waves(100)).calibration_scores_ is None


@pytest.mark.parametrize("how", [{}, {"aggregation": "causal"}, {"aggregation": "mean"}])
@pytest.mark.parametrize("stride", [1, 4])
def test_calibration_shares_nothing_with_training(how, stride):
    """Held-out scores come from the end of each series, and from rows that no window learnt."""
    series = [waves(300), waves(200, seed=1)]
    model = detector(calibration=0.2, stride=stride, **how).fit(series)
    tails = [model.score_samples(rows)[-n:] for rows, n in zip(series, (60, 40), strict=True)]
    np.testing.assert_array_equal(model.calibration_scores_, np.sort(np.concatenate(tails)))
    assert 0 < model.p_values(series[0]).min() <= model.p_values(series[0]).max() <= 1
    # Neither what is learnt depends on the end, nor scores at the end on what is learnt from.
    learnt = [rows.copy() for rows in series]
    for rows, n in zip(learnt, (60, 40), strict=True):
        rows[len(rows) - n - model._gap :] = 0
    other = detector(calibration=0.2, stride=stride, **how).fit(learnt)
    np.testing.assert_array_equal(other.score_samples(series[0]), model.score_samples(series[0]))
    short = detector(calibration=0.2, stride=stride, **how).fit([*learnt, waves(9)])
    assert np.isfinite(short.score_samples(series[0])).all()
    changed = series[0].copy()
    changed[: 300 - 60 - model._gap] = 9
    np.testing.assert_array_equal(model.score_samples(changed)[-60:], tails[0])


@each_aggregation
@pytest.mark.parametrize("views", [("raw",), ("centered", "difference")])
def test_reasons_add_up(views, how):
    """Contributions of channels add up to the anomaly; the map says where it is."""
    X = waves(200, 3)
    X[150:160, 1] += 3
    model = detector(views=views, **how).fit(X[:100])
    found = model.explain(X)
    np.testing.assert_allclose(found.sum(axis=1), -model.score_samples(X), rtol=1e-12)
    assert (found.to_numpy() >= 0).all()
    errors = model.error_map(X)
    assert errors.shape == X.shape
    assert errors[150:160].mean(axis=0).argmax() == 1
    if how["aggregation"] == "mean":
        model = detector(views=views, jumps=False, levels=False, **how).fit(X[:100])
        pooled = np.sqrt(np.square(errors).mean(axis=1))
        np.testing.assert_allclose(np.log1p(pooled), -model.score_samples(X), rtol=1e-12)


def test_events_speak_of_time():
    """Events carry the labels of the frame, and the channels that are to blame."""
    index = pd.date_range("2024-01-01", periods=1000, freq="min")
    frame = pd.DataFrame(waves(1000, 3), index=index, columns=["p", "q", "r"])
    frame.loc[index[600:610], "q"] += 4
    frame.loc[index[630:632], "q"] += 4  # so close that it is the same event
    frame.loc[index[850:855], ["p", "r"]] -= 4
    model = detector(quick(max_steps=200), contamination=1e-3).fit(frame[:500])
    events = model.events(frame)[lambda e: e["score"] < 1.5 * model.offset_]
    assert list(events) == [*("start", "end", "duration", "peak", "score", "kind", "channels")]
    assert events["channels"].tolist()[0] == ("q",)
    assert set(events["channels"].tolist()[1]) <= {"p", "r"}
    assert len(events) == 2
    assert events["start"].dtype.kind == "M"
    scores = pd.Series(model.score_samples(frame), index=index)
    for event in events.itertuples():
        assert event.start <= event.peak <= event.end
        assert scores[event.peak] == event.score == scores[event.start : event.end].min()
        assert scores[event.start] < model.offset_
    # The second one are jumps, and no longer than what jumped.
    ends = [index.get_loc(events[end].iloc[1]) for end in ("start", "end")]
    np.testing.assert_allclose(ends, [850, 854], atol=1)
    assert model.explain(frame).index.equals(index)
    assert isinstance(model.score_samples(frame), np.ndarray)
    numbered = model.events(frame.reset_index(drop=True))
    assert numbered["peak"].tolist() == [
        index.get_loc(peak) for peak in model.events(frame)["peak"]
    ]
    model.offset_ = -np.inf
    assert model.events(frame).shape == (0, 7)


def test_labels_stay_what_they_are():
    """Channels may be named by numbers, and so may groups, also those without an event."""
    frame = pd.DataFrame(waves(800, 2), columns=[7, 8])
    frame.loc[300:310, 8] += 4
    frame["machine"] = np.repeat([0, 1], 400)
    model = WindowedDetector(PCA(5), window_size=40, group="machine", random_state=0)
    model.fit(frame[400:]).set_params(contamination=1e-3)
    model.offset_ = np.sort(model.score_samples(frame))[20]
    events = model.events(frame)
    assert events["machine"].dtype.kind == "i"
    assert set(events["machine"]) == {0}
    assert events["channels"].tolist() == [(8,)]
    assert list(model.explain(frame)) == [7, 8]


# -- chunks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 3])
def test_chunks_are_learnt_with_what_crosses_their_border(stride, monkeypatch):
    """Windows that end in the new rows are learnt, each once, whatever the chunks."""
    seen = []
    learn = Autoencoder.partial_fit
    monkeypatch.setattr(
        Autoencoder, "partial_fit", lambda self, X: seen.append(X[:]) or learn(self, X)
    )
    monkeypatch.setattr("sktae.timeseries.detector._MEMORY", 50)
    X = waves(400)
    model = detector(stride=stride)
    for chunk in np.split(X, [100, 101, 105, 230, 233]):
        model.partial_fit(chunk)
        assert np.isfinite(model.score_samples(X)).all()
    known = model._kinds.shapes[0].windows([X])[:]
    np.testing.assert_array_equal(np.concatenate(seen), known)


def test_chunks_go_on_after_a_fit():
    """The model moves on, its scales do not: what it had never learnt grows familiar."""
    X, other = waves(800), 3 * waves(800, seed=1)[:, ::-1]
    model = detector(quick(max_steps=50)).fit(X)
    before = model.score_samples(other).mean()
    scale = model._channels.scale
    for chunk in np.split(other, 16):
        model.partial_fit(chunk)
    assert model.score_samples(other).mean() > before
    assert model._channels.scale is scale
    # The threshold moves along; of rows that are all learned, it can promise nothing.
    rows = np.concatenate([X, other])
    scores = -model._process(rows, "anomaly")[:, 0]
    assert model.offset_ == np.percentile(scores, 1)
    promise = detector(calibration="cross", false_alarms_per=2000).fit(X[:400])
    before = promise.offset_
    with pytest.raises(ValueError, match="partial_fit holds none out: call fit, on series of at"):
        promise.partial_fit(other)
    assert promise.offset_ == before
    assert hasattr(WindowedDetector(), "partial_fit")
    assert not hasattr(detector(PCA()), "partial_fit")


# -- scales ----------------------------------------------------------------------------------------


def test_channels_are_scaled_by_the_fitted_rows():
    """Values and differences have mean 0 and variance 1, and are cut off far out."""
    X = [3 + 10 * waves(100, 2), 1e6 * np.ones((1, 2)) * 0 + 3, 3 + 10 * waves(70, 2)]
    channels = Channels(("raw", "difference"), standardize=True).fit(X)
    seen = np.concatenate([channels.transform(rows, rows[:0])[1:] for rows in X])
    np.testing.assert_allclose(seen[:, 1].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(seen[:, 1].std(axis=0), 1)
    assert abs(channels.transform(1e12 * X[0], X[0][:1])).max() == 20


@pytest.mark.parametrize("params", [{}, {"views": ("raw", "difference")}])
@pytest.mark.parametrize("value", [0.0, 5.0, -1e8])
def test_channels_that_stood_still(value, params):
    """A channel that never moved in the fit does no harm, and is noticed when it moves."""
    X = np.column_stack([waves(500), np.full(500, value)])
    model = detector(quick(max_steps=100), **params).fit(X)
    scores = model.score_samples(X)
    assert np.isfinite(scores).all()
    nudged = X + np.array([0, 0, 1e-7 * value])
    np.testing.assert_allclose(model.score_samples(nudged), scores, rtol=1e-3)
    for step in (1.0, 1e20):
        moved = X.copy()
        moved[300:, 2] += step * max(1, abs(value))
        found = model.score_samples(moved)
        noticed = found[300:] if params else found[295:305]  # a new level, or its beginning
        assert noticed.max() < model.offset_
        assert found.min() > -1e5
        assert model.explain(moved).iloc[300].idxmax() == "x2"
    still = detector().fit(np.full((100, 2), value))
    assert np.isfinite(still.score_samples(X[:, :2])).all()


def test_scores_do_not_depend_on_units():
    """Shifted and stretched channels have the same scores."""
    X = waves(400)
    scores = detector().fit(X).score_samples(X)
    other = X * [1e-6, 1e8] + [5e-4, 3e9]
    np.testing.assert_allclose(detector().fit(other).score_samples(other), scores, rtol=1e-3)


def machines(seed=0):
    """Make a frame of two machines that run alike, but in other units, each with a switch."""
    parts = []
    for name, unit in (("large", 100.0), ("small", 1.0)):
        rows = pd.DataFrame(unit * (waves(800, 1, seed) + 7), columns=["flow"])
        parts.append(rows.assign(on=np.arange(800) // 50 % 2, machine=name))
    return pd.concat(parts, ignore_index=True)


def test_a_small_machine_is_judged_by_its_own_scale():
    """What is wrong with it is not hidden by another one, of which all values are larger."""
    faulty = machines(1)
    faulty.loc[800 + 300 : 800 + 330, "flow"] = 7.0
    found = {}
    for standardize in (True, "series"):
        settings = {"group": "machine", "contamination": None, "standardize": standardize}
        model = detector(PCA(4), **settings).fit(machines())
        found[standardize] = model.events(faulty)
        assert not len(model.events(machines(2)))
        small = faulty[faulty["machine"] == "small"].drop(columns="machine")
    assert not len(found[True])
    assert found["series"]["machine"].tolist() == ["small"]
    assert 1100 <= found["series"]["peak"][0] <= 1130
    # Rows that arrive are scaled as in the fit.
    stream, scores = model.stream("small"), model.score_samples(faulty)[800:]
    parts = [stream.score(small[start : start + 100]) for start in range(0, 800, 100)]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.score(last=True)]), scores)
    for call in (model.score_next, model.stream, lambda: model.stream("new")):
        with pytest.raises(ValueError, match=r"series=(None|'new') is none of them \('large', 's"):
            call()
    with pytest.raises(ValueError, match=r"series='a' names no series, .* standardize=True of Win"):
        detector(PCA(4)).fit(small).stream("a")


def test_own_scales_know_no_units():
    """Units of a series change nothing; of one that is new, or has no name, nor in scores."""
    frame, scaled = machines(), machines()
    scaled.loc[:799, "flow"] = scaled.loc[:799, "flow"] * 1e-6 - 40
    model, other = (
        detector(PCA(4), group="machine", standardize="series").fit(X) for X in (frame, scaled)
    )
    np.testing.assert_allclose(other.score_samples(scaled), model.score_samples(frame), rtol=1e-4)
    assert other.score_samples(frame)[:800].mean() < 3 * model.score_samples(frame)[:800].mean()
    new = frame[:800].assign(machine="new")
    with_units = new.assign(flow=1e5 * new["flow"] + 3)
    scores = model.score_samples(new)
    np.testing.assert_allclose(model.score_samples(with_units), scores, rtol=1e-4)
    np.testing.assert_array_equal(model.score_samples([new.drop(columns="machine")])[0], scores)
    assert len(model.score_samples(new[:1])) == 1
    assert model._kinds.jumps.weights[1] < 0.1  # a switch remains one
    # Of one series, the fit knows the scale without a name.
    alone = detector(PCA(4), standardize="series").fit(waves(400))
    rows = 5 * waves(100)
    np.testing.assert_array_equal(in_chunks(alone, rows, 30), alone.score_samples(rows))
    assert alone.score_samples(rows).mean() < 2 * alone.score_samples(waves(100)).mean()


def test_own_scales_come_from_training_rows(tmp_path):
    """They do not change with rows that are held out, nor with those of a partial fit."""
    frame, changed = machines(), machines()
    changed.loc[700:799, "flow"] *= 30
    settings = {"group": "machine", "standardize": "series", "calibration": 0.3}
    model, other = (detector(**settings).fit(X) for X in (frame, changed))
    scores = model.score_samples(frame)
    np.testing.assert_array_equal(other.score_samples(frame), scores)
    save(model.partial_fit(frame[800:1000].drop(columns="machine")), tmp_path / "x")
    assert (model.score_samples(frame) != scores).any()
    later = load(tmp_path / "x").score_samples(frame)
    np.testing.assert_array_equal(later, model.score_samples(frame))
    small = 1e-3 * frame.loc[800:, ["flow"]].to_numpy()
    chunks = detector(standardize="series").partial_fit(small[:400]).partial_fit(small[400:])
    assert abs(chunks._last_rows).max() < 5


# -- company ---------------------------------------------------------------------------------------


def test_is_deterministic():
    """The same seed gives the same bits, and the global generators stay where they are."""
    X = waves()
    before = repr((np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()))  # noqa: NPY002
    model = detector(max_windows=300).fit(X)
    scores = model.score_samples(X)
    assert np.array_equal(clone(model).fit(X).score_samples(X), scores)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).score_samples(X), scores)
    assert not np.array_equal(detector(random_state=1).fit(X).score_samples(X), scores)
    WindowedDetector(quick(random_state=None, max_steps=2), window_size=5).fit(X).predict(X)
    assert before == repr((np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()))  # noqa: NPY002


def test_seeds_reach_the_estimator():
    """Every random_state inside is set, unless there is none to set; the original is left alone."""
    inside = make_pipeline(PCA(2, random_state=5), IsolationForest(n_estimators=2))
    model = detector(inside, random_state=3).fit(waves())
    assert [step.random_state for step in model.estimator_] == [3, 3]
    model = detector(inside, random_state=None).fit(waves())
    assert [step.random_state for step in model.estimator_] == [5, None]
    assert inside[0].random_state == 5
    assert not hasattr(inside[0], "components_")
    model.set_params(estimator__pca__n_components=3)
    assert inside[0].n_components == 3


def test_composes():
    """Pipelines, splits by time, ensembles and pipelines inside."""
    X = waves(600)
    y = np.zeros(600, dtype=int)
    for place in (130, 280, 430, 580):
        X[place : place + 10] += 3
        y[place - 5 : place + 15] = 1

    def auc(model, X, y):
        return roc_auc_score(y, -model.score_samples(X))

    pipe = make_pipeline(StandardScaler(), detector(quick(max_steps=100), window_size=10))
    found = cross_val_score(pipe, X, y, cv=TimeSeriesSplit(3), scoring=auc)
    assert (found > 0.9).all()
    for estimator in (
        AutoencoderEnsemble(quick(max_steps=2), n_estimators=2),
        make_pipeline(StandardScaler(), PCA(3)),
        make_pipeline(StandardScaler(), quick(max_steps=2)),
    ):
        assert detector(estimator).fit(X).explain(X).shape == X.shape
    assert (detector(max_windows=100).fit_predict(X) == 1).any()


def test_a_failed_fit_leaves_what_was_there():
    """Neither a fit nor a chunk that fails moves the model."""
    X = waves()
    model = detector().fit(X)
    scores = model.score_samples(X)
    bad = X.copy()
    bad[3] = np.inf
    for call in (model.fit, model.partial_fit, model.score_samples, model.score_next):
        with pytest.raises(ValueError, match="contains infinity"):
            call(bad)
    model.window_size = 601
    with pytest.raises(ValueError, match="longer"):
        model.fit(X)
    np.testing.assert_array_equal(model.score_samples(X), scores)
    assert model.window_size_ == 20


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"window_size": 601},
            r"window_size=601 of WindowedDetector is longer than the series, n_samples=600",
        ),
        (
            {"window_size": 5, "stride": 6},
            r"stride=6 of WindowedDetector is longer than window_size=5",
        ),
        ({"views": ("raw", "speed")}, r"'views' parameter .* Got \('raw', 'speed'\) instead"),
        ({"views": ()}, r"'views' parameter .* Got \(\) instead"),
        ({"group": "id"}, r"group='id' is a column .* X must be a DataFrame that has it"),
        ({"estimator": StandardScaler(with_mean=True), "errors": "score"}, r"needs score_samples"),
        (
            {"calibration": 0.97},
            r"leaves too little to learn from: 0 rows of n_samples=600",
        ),
        ({"false_alarms_per": 100}, r"false_alarms_per=100 .* set calibration to 'cross'"),
        ({"false_alarms_per": "soon"}, r"a duration such as '30D'. Got 'soon' instead"),
        ({"false_alarms_per": "30d"}, r"DataFrame whose index holds times; or give a number"),
        ({"aggregation": "middle"}, r"'aggregation' parameter of WindowedDetector must be a str"),
    ],
)
def test_errors_say_what_to_do(params, message):
    """A mistake is an error with the name, the value, and what would be right."""
    with pytest.raises(ValueError, match=message):
        detector(**params).fit(waves())


def test_misuse_is_refused():
    """What needs held-out scores, or one series, says so."""
    whole, _ = groups()
    model = detector(group="machine").fit(whole)
    with pytest.raises(ValueError, match="set calibration of WindowedDetector"):
        model.p_values(whole)
    with pytest.raises(ValueError, match="goes on with one series here"):
        model.score_next(whole)
    name = whole["machine"].iloc[0]
    one = whole[whole["machine"] == name]
    with pytest.raises(ValueError, match="goes on with one series here"):
        model.stream().score(one)  # the next rows might be those of another machine
    own = detector(group="machine", standardize="series").fit(whole)
    scores = own.stream(name).score(one.drop(columns="machine"), last=True)
    np.testing.assert_array_equal(own.stream(name).score(one, last=True), scores)
    with pytest.raises(ValueError, match=r"goes on with the series .* but the rows have a column"):
        own.stream(name).score(whole[whole["machine"] != name])
    with pytest.raises(ValueError, match="goes on with one series here"):
        detector(group="machine").partial_fit(whole)
    with pytest.raises(ValueError, match="X has 3 features"):
        detector().fit(waves()).score_samples(waves(50, 3))
    with pytest.raises(ValueError, match="divide them by a constant"):
        detector().fit(1e300 * waves())
    with pytest.raises(ValueError, match=r"has the levels None, 'machine', .* name the level"):
        detector().fit(whole.set_index("machine", append=True))
    with pytest.raises(ValueError, match=r"has the levels None, 'machine', .* name the level"):
        model.score_next(whole.set_index("machine", append=True))
    with pytest.raises(ValueError, match=r"dim 3, of shape \(5, 2, 60\), .* \[x.T for x in X\]"):
        detector().fit(np.zeros((5, 2, 60)))
    for bad, message in (
        (np.c_[waves(), np.full(600, np.nan)], "Channel 2 of X has no value"),
        (np.where(np.arange(600)[:, np.newaxis] % 3, np.nan, waves()), "more than half of the val"),
    ):
        with pytest.raises(ValueError, match=message):
            detector().fit(bad)
    for n in (50, 60):
        with pytest.raises(ValueError, match=r"shapes \(50,\), .* x.reshape\(-1, 1\), and if they"):
            detector().fit([np.arange(50.0), np.arange(float(n))])


def test_what_is_reproduced_exactly_cannot_be_told_apart():
    """Scores that are nothing but rounding are not given in silence."""
    with pytest.warns(
        UserWarning, match=r"PCA\(random_state=0\) reproduces .* exactly, .* smaller code"
    ):
        detector(PCA()).fit(waves())


def test_few_rows_at_a_time_are_learnt_together():
    """Row by row, a partial fit becomes what it is with as many rows at once as in a window."""
    X = waves(400)
    one, other = (
        detector(quick(), window_size=20).fit(X[:200]),
        detector(quick(), window_size=20).fit(X[:200]),
    )
    for row in X[200:300]:
        one.partial_fit(row[np.newaxis])
    for start in range(200, 300, 20):
        other.partial_fit(X[start : start + 20])
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))


def test_tensors_are_arrays():
    """Tensors that track gradients, and half precision, are scored and decoded as arrays are."""
    X = waves(200)
    model = detector(quick(max_steps=2)).fit(X)
    tensor = torch.tensor(X, requires_grad=True)
    half = torch.tensor(X).bfloat16()
    np.testing.assert_array_equal(model.score_samples(tensor), model.score_samples(X))
    np.testing.assert_array_equal(model.score_samples([half])[0], model.score_samples(half))
    codes = torch.ones(3, 2, requires_grad=True)
    table = quick(n_components=2).fit(X)
    rows = table.inverse_transform(codes.detach().numpy())
    np.testing.assert_array_equal(table.inverse_transform(codes), rows)
    np.testing.assert_array_equal(table.inverse_transform(codes.bfloat16()), rows)

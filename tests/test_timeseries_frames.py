"""Series as users have them: lists, groups, indexes of times, frames of pandas and polars."""

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars
import pytest
from series import FOREST, detector, groups, in_chunks, waves
from shared import quick
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

import sktae
from sktae import RecurrentAutoencoder
from sktae.plot import SeriesDisplay


@pytest.mark.parametrize("aggregation", ["center", "causal", "mean"])
def test_series_are_scored_as_if_alone(aggregation):
    """Lists and groups are learnt together and scored one by one, each in its own place."""
    whole, frames = groups()
    listed = detector(aggregation=aggregation).fit(list(frames.values()))
    grouped = detector(aggregation=aggregation, group="machine").fit(whole)
    assert grouped.n_features_in_ == 2
    assert grouped.offset_ == listed.offset_
    for method in ("score_samples", "decision_function", "predict", "error_map", "explain"):
        parts = getattr(listed, method)(list(frames.values()))
        together = getattr(grouped, method)(whole)
        assert len(together) == len(whole)
        for (name, frame), part in zip(frames.items(), parts, strict=True):
            np.testing.assert_array_equal(part, getattr(listed, method)(frame))
            np.testing.assert_array_equal(together[whole["machine"] == name], part)
    assert list(grouped.explain(whole)) == ["u", "v"]
    events = grouped.events(whole)
    assert events.columns[0] == "machine"
    assert set(events["machine"]) <= set("abc")
    assert [list(e) for e in listed.events(list(frames.values()))] == [list(events)[1:]] * 3


def test_groups_may_be_levels_of_the_index():
    """A level of the index, or a column of a frame of polars, tells series apart, too."""
    whole, _ = groups()
    model = detector(group="machine", contamination=0.1).fit(whole)
    expected, events = model.score_samples(whole), model.events(whole)
    assert len(events)
    for frame in (whole.set_index("machine", append=True), polars.from_dict(whole.to_dict("list"))):
        again = detector(group="machine", contamination=0.1).fit(frame)
        np.testing.assert_array_equal(again.score_samples(frame), expected)
        assert again.events(frame)["machine"].tolist() == events["machine"].tolist()
    unnamed = whole.assign(machine=whole["machine"].where(whole.index != 3))
    with pytest.raises(ValueError, match=r"'machine' of X, .* has 1 missing values"):
        model.fit(unnamed)


def test_windows_never_cross():
    """No window that is learnt from holds rows of two series."""
    parts = [np.full((n, 1), float(number)) for number, n in enumerate((30, 25, 7, 40))]
    model = detector(PCA(1), standardize=False, views=("raw",)).fit(parts)
    windows = model._kinds.shapes[0].windows(parts)
    assert len(windows) == 11 + 6 + 21
    assert (windows[:] == windows[:][:, :1]).all()


def test_events_have_the_same_types_without_any():
    """An empty list of events can be joined with others, or subtracted from."""
    frame = pd.DataFrame(waves(400), index=pd.date_range("2026-01-01", periods=400, freq="h"))
    model = detector(contamination=0.05).fit(frame)
    found = model.events(frame)
    assert (found["duration"] == found["end"] - found["start"]).all()
    arrays = model.events(frame.to_numpy())
    assert (arrays["duration"] == arrays["end"] - arrays["start"] + 1).all()
    model.offset_ = -np.inf
    assert model.events(frame).dtypes.equals(found.dtypes)
    assert model.events(frame.to_numpy()).dtypes.equals(arrays.dtypes)


def test_rows_out_of_order_are_refused():
    """An index of times that goes back is no series, in a fit, in a score and in a stream."""
    frame = pd.DataFrame(waves(100), index=pd.date_range("2026-01-01", periods=100, freq="h"))
    shuffled = frame.sample(frac=1, random_state=0)
    model = detector().fit(frame)
    for method in (model.fit, model.score_samples, model.score_next, model.partial_fit):
        with pytest.raises(ValueError, match=r"goes from .* back to .* X\.sort_index\(\)"):
            method(shuffled)
    model.score_next(frame[50:])
    with pytest.raises(ValueError, match=r"goes from 2026-01-05 03:00:00 back to 2026-01-01"):
        model.score_next(frame[:50])
    model.score_next(last=True)
    model.score_next(frame[:50])
    with pytest.raises(ValueError, match=r"some are missing \(NaT\)"):
        model.fit(frame.set_index(frame.index.where(frame.index.hour > 0)))
    for method in (model.fit, model.score_next):
        with pytest.raises(ValueError, match=r"'time' of X holds times, .* X.set_index\('time'\)"):
            method(frame.reset_index(names="time"))
    assert len(detector().fit([frame, frame[50:]]).score_samples(frame[::2])) == 50


def test_rows_that_are_not_equally_spaced():
    """Windows take rows to be equally spaced; where they are not, a warning says where."""
    frame = pd.DataFrame(waves(400), index=pd.date_range("2026-01-01", periods=400, freq="h"))
    model = detector().fit(frame.rename(columns=str))
    frame = frame.rename(columns=str)
    for other, message in (
        (frame.drop(frame.index[100:160]), r"1 of 339 steps are not about 0 days 01:00:00, as fro"),
        (frame.loc[frame.index.repeat(2)], r"of 799 steps are not about"),
        (frame[::2], r"Rows of X are 0 days 02:00:00 apart, but those of the fit were 0 days 01:"),
    ):
        with pytest.warns(UserWarning, match=message) as caught:
            model.score_samples(other)
        with pytest.warns(UserWarning, match=message) as through_steps:
            sktae.events(make_pipeline("passthrough", model), other)
        assert {one.filename for one in (*caught, *through_steps)} == {__file__}
    times = pd.date_range("2026-01-01", periods=400, freq="B")
    abroad = frame.set_index(pd.date_range("2026-03-20", periods=400, freq="h", tz="Europe/Berlin"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector().fit(frame.set_index(times))
        detector().fit(frame.set_index(times.to_period("D")))
        own = detector().fit(abroad)
        own.score_next(abroad[:50])
        own.score_next(abroad[50:])
        dated = polars.DataFrame({"time": frame.index.to_numpy(), "u": frame["0"], "v": frame["1"]})
        own = detector(contamination=0.1).fit(dated)
    assert own.n_features_in_ == 2
    assert own.events(dated)["start"].dtype.kind == "M"


def test_series_are_drawn():
    """The channels that events name are drawn above the anomaly, with an area for each event."""
    mpl.use("Agg")
    whole, _ = groups()
    whole.loc[whole["machine"] == "c", "v"] += np.where(np.arange(90) // 5 == 14, 4, 0)
    model = detector(contamination=0.1, group="machine").fit(whole)
    one = whole[whole["machine"] == "c"]
    display = SeriesDisplay.from_estimator(model, one, n_channels=1)
    assert [axes.get_ylabel() for axes in display.axes_] == ["v", "anomaly"]
    assert len(display.axes_[0].patches) == len(model.events(one)) > 0
    np.testing.assert_array_equal(display.anomalies, -model.score_samples(one))
    assert len(SeriesDisplay.from_estimator(detector().fit(waves()), waves()).axes_) == 3
    for X in (whole, [one, one]):
        with pytest.raises(ValueError, match="draws one series, but X holds several"):
            SeriesDisplay.from_estimator(model, X)
    with pytest.raises(ValueError, match=r"needs 2 axes, .* Got 3 instead"):
        display.plot(np.zeros(3), n_channels=1)
    mpl.pyplot.close("all")


# -- missing values --------------------------------------------------------------------------------


def with_holes(X):
    """Return a series in which, from row 150 on, single values and a long stretch are missing."""
    holes, r = X.copy(), np.random.default_rng(0)
    holes[150:][r.uniform(size=X[150:].shape) < 0.05] = np.nan
    holes[200:290] = np.nan
    return holes


@pytest.mark.parametrize("aggregation", ["center", "causal", "mean"])
def test_missing_values_have_no_error(aggregation):
    """Neither before nor after them scores change, and chunks of any size give the same."""
    X, holes = waves(), with_holes(waves())
    model = detector(aggregation=aggregation).fit(X)
    scores = model.score_samples(holes)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[:110], model.score_samples(X)[:110])
    assert (scores[245:250] == 0).all()
    np.testing.assert_array_equal(in_chunks(model, holes, 7), scores)
    np.testing.assert_allclose(model.explain(holes).sum(axis=1), -scores, rtol=1e-6)


def test_streams_see_missing_rows():
    """A warning names the gap between rows that arrive, in a chunk or between two."""
    index = pd.date_range("2026-01-01", periods=600, freq="10min")
    X = pd.DataFrame(waves(), index=index)
    model = detector().fit(X)
    stream = model.stream()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream.score(X[:50])
        stream.score(X[50:52])
    with pytest.warns(UserWarning, match="there are none from 2026-01-01 08:30:00 to 2026-01-01 1"):
        stream.score(X[60:70])
    with pytest.warns(UserWarning, match="give missing rows as NaN, or begin another series"):
        stream.score(pd.concat([X[70:75], X[90:95]]))


def test_doubled_rows_are_named():
    """Beside the longest step, a warning counts rows that have the time of the row before."""
    index = pd.date_range("2026-01-01", periods=600, freq="10min").to_list()
    index[300] = index[299]
    with pytest.warns(UserWarning, match=r"rows with the time of the row before: 1\)"):
        detector().fit(pd.DataFrame(waves(), index=index))


def test_windows_mostly_missing_are_not_judged():
    """Before, in and after a long gap no row is an outlier, though lines go through the gap."""
    X = waves(900)
    model = detector(PCA(3), window_size=60, contamination=None).fit(waves(900, seed=1))
    assert not len(model.events(X))
    for length in (20, 40, 60, 150):
        holes = X.copy()
        holes[400 : 400 + length, 0] = np.nan
        assert not len(model.events(holes))


def test_gaps_are_no_events():
    """Short or long, in one channel or all, to a model that has seen none; a fault after one is."""
    X = np.stack([np.sin(np.arange(2400) / 6), np.cos(np.arange(2400) / 9.4)], axis=1)
    X += 0.03 * np.random.default_rng(0).normal(size=X.shape)
    model = detector(PCA(6), window_size=50, contamination=None).fit(X[:720])
    for length in (7, 25, 40, 78):
        holes = X.copy()
        holes[1600 : 1600 + length] = np.nan
        holes[1000 : 1000 + length, 0] = np.nan
        assert not len(model.events(holes))
    holes[1680:1692, 0] = 0.3
    assert model.score_samples(holes)[1670:1700].min() < 2 * model.offset_


@pytest.mark.parametrize(
    "estimator",
    [PCA(3), FOREST, quick(max_steps=20), quick(RecurrentAutoencoder)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_never_see_missing_values(estimator):
    """Whatever learns windows gets lines in their place; what else is unusual is still found."""
    holes = with_holes(waves())
    model = detector(estimator).fit(holes)
    holes[420:425] += 30
    scores = model.score_samples(holes)
    assert np.isfinite(scores).all()
    assert 400 < scores.argmin() < 445
    if hasattr(model, "partial_fit"):
        assert np.isfinite(model.partial_fit(holes).score_samples(holes)).all()
        model.partial_fit(np.full((60, 2), np.nan))  # nothing is learned


def test_gaps_are_bridged_by_lines_and_not_learned():
    """A line comes back from its holes; windows of which more than half is missing are left out."""
    line = np.arange(60.0)[:, np.newaxis]
    holes = np.where(np.arange(60)[:, np.newaxis] % 4 == 1, np.nan, line)
    holes[20:45] = np.nan
    model = detector(PCA(1), window_size=10, standardize=False, views=("raw",)).fit(line)
    windows = model._kinds.shapes[0].windows([holes])
    missing = [np.isnan(holes[start : start + 10, 0]) for start in range(51)]
    assert windows.starts.tolist() == [i for i in range(51) if missing[i].sum() <= 5]
    for start, window in zip(windows.starts, windows[:], strict=True):
        known = np.flatnonzero(~missing[start])
        expected = np.clip(np.arange(10), known[0], known[-1]) + start
        np.testing.assert_allclose(window, expected)

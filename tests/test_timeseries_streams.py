"""Streams: series that arrive, each followed by an object of its own, which may be stored."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from series import detector, waves
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from sktae import load, save
from sktae._files import container


@pytest.mark.parametrize("estimator", [None, PCA(4), IsolationForest(n_estimators=5)])
def test_streams_share_a_detector(estimator):
    """Each follows its own series, with the scores and events of the whole, and may be stored."""
    frames = []
    for seed, start in ((1, 300), (2, 500)):
        index = pd.date_range("2026-01-01", periods=1200, freq="h")
        frames.append(pd.DataFrame(waves(1200, seed=seed), index=index, columns=["u", "v"]))
        frames[-1].iloc[start : start + 20, 0] += 3
        frames[-1].iloc[900, 1] += 3
    model = detector(estimator, contamination=0.01).fit(frames[0][:280])
    streams, found = [model.stream(), model.stream()], [[], []]
    assert len(streams[0].events()) == 0
    one = model.stream()
    one.score(frames[1][:930])
    over = one.events()["over"].tolist()
    assert over == [True] * (len(over) - 1) + [False]
    assert len(over) > 1
    for start in range(0, 1200, 50):
        for i, frame in enumerate(frames):
            found[i].append(streams[i].score(frame[start : start + 50]))
            streams[i] = pickle.loads(pickle.dumps(streams[i]))
        if start == 600:
            assert streams[0].events()["over"].all()
            assert len(streams[0]._labels) < 100
    for stream, frame, scores in zip(streams, frames, found, strict=True):
        scores = np.concatenate([*scores, stream.score(last=True)])
        np.testing.assert_allclose(scores, model.score_samples(frame), rtol=1e-9)
        expected = model.events(frame)
        assert len(expected)
        events = stream.events()
        assert events["over"].all()
        pd.testing.assert_frame_equal(events.drop(columns="over"), expected)
        assert len(stream.score(frame[:10].to_numpy())) == 0
        assert len(stream.events()) == 0


def test_one_row_by_names():
    """A dict or a Series is a row, in any order of its names; a wrong name is an error."""
    index = pd.date_range("2026-01-01", periods=60, freq="h")
    X = pd.DataFrame(np.sin(np.arange(120.0)).reshape(60, 2), index=index, columns=["u", "v"])
    model = detector(PCA(2), window_size=9, contamination=0.1).fit(X)
    streams = [model.stream() for _ in range(3)]
    for time, row in X[:40].iterrows():
        rows = X.loc[[time]], row[::-1], {"v": row["v"], "u": row["u"]}
        scores = [s.score(one) for s, one in zip(streams, rows, strict=True)]
        np.testing.assert_array_equal(scores[0], scores[1])
        np.testing.assert_array_equal(scores[0], scores[2])
        np.testing.assert_array_equal(scores[0], model.score_next(row))
    pd.testing.assert_frame_equal(streams[0].events(), streams[1].events())
    for wrong in ({"u": 1.0}, {"u": 1.0, "w": 2.0}, X["u"]):
        with pytest.raises(ValueError, match=r"feature names|2-dimensional|expecting 2"):
            streams[0].score(wrong)
    with pytest.raises(
        ValueError, match=r"needs a number for each channel: 'u', 'v'\. It has none"
    ):
        streams[0].score({})
    with pytest.raises(
        ValueError, match="Channel 'v' of a row is 'open', but channels are numbers"
    ):
        streams[0].score({"u": 1.0, "v": "open"})


def test_plain_rows_are_read_as_others():
    """A row whose columns are checked at a glance has the score, events and errors of any other."""
    index = pd.date_range("2026-01-01", periods=300, freq="h", tz="Europe/Berlin")
    X = pd.DataFrame(waves(300), index=index, columns=["u", "v"])
    X.iloc[120:140, 0] += 3
    X.iloc[60, 1] = np.nan
    model = detector(PCA(2), window_size=9, contamination=0.1).fit(X[:100])
    row, pairs, frames = model.stream(), model.stream(), model.stream()
    for n in range(0, 300, 2):
        found = [row.score(X.iloc[n]), row.score(X.iloc[n + 1, ::-1])]
        found += [frames.score(X[n : n + 1]), frames.score(X[n + 1 : n + 2])]
        together = pairs.score(X[n : n + 2])  # checked as any table is
        np.testing.assert_allclose(np.concatenate(found[:2]), together, rtol=1e-9)
        np.testing.assert_array_equal(found[:2], found[2:])
    pd.testing.assert_frame_equal(row.events(), pairs.events())
    pd.testing.assert_frame_equal(frames.events(), pairs.events())
    with pytest.raises(ValueError, match="in the order of time"):
        row.score(X.iloc[100])
    with pytest.raises(ValueError, match="infinity"):
        row.score(pd.Series({"u": np.inf, "v": 0.0}))
    with pytest.raises(ValueError, match="same order"):
        frames.score(X[["v", "u"]][299:])
    late = X.iloc[299].rename(index[-1] + pd.Timedelta("9h"))
    with pytest.warns(UserWarning, match="Rows count as 0 days 01:00:00 apart"):
        row.score(late)


def test_series_may_begin_anywhere():
    """What the row before the first was is unknown, and makes the first rows no more unusual."""
    X = np.sin(np.arange(3000) / 5)[:, np.newaxis] * 3
    X += 0.03 * np.random.default_rng(0).normal(size=X.shape)
    for views in (("difference",), ("centered", "difference")):
        model = detector(PCA(4), window_size=12, n_scales=1, views=views).fit(X[:1500])
        whole, rises = model.score_samples(X), np.arange(1508, 2900, 31)  # the steepest places
        begun = [model.score_samples(X[start : start + 60])[0] for start in rises]
        assert np.mean(begun) > whole[1500:].mean() - whole[1500:].std()


# -- files -----------------------------------------------------------------------------------------


def stored(stream, path):
    save(stream, path)
    return load(path)


TIMES = {
    "no times": pd.RangeIndex(400),
    "times": pd.date_range("2026-01-01", periods=400, freq="h"),
    "a time zone": pd.date_range("2026-03-20", periods=400, freq="h", tz="Europe/Berlin"),
    "periods": pd.period_range("2026-01-01", periods=400, freq="h"),
    "time since the start": pd.timedelta_range("0h", periods=400, freq="h"),
}


@pytest.mark.parametrize("times", TIMES)
def test_streams_go_on_from_files(times, tmp_path):
    """Scores and events are those of the stream that was saved; before, amid, after."""
    X = np.sin(np.arange(800.0) / 9).reshape(400, 2)
    X[[90, 91, 250, 330], 0] += 3
    X = pd.DataFrame(X, index=TIMES[times], columns=["u", "v"])
    model = detector(PCA(2), window_size=9, contamination=0.01).fit(X[:80])
    stream, other = model.stream(), stored(model.stream(), tmp_path / "x")
    for chunk in (X[:3], X[3:92], X[92:300], X[300:340], None):
        scores = [each.score(chunk, last=chunk is None) for each in (stream, other)]
        assert np.array_equal(*scores)
        other = stored(other, tmp_path / "x")
        pd.testing.assert_frame_equal(other.events(), stream.events())
    assert len(stream.events()) > 1
    assert other.detector.get_params()["window_size"] == 9


def test_files_of_streams_are_checked(tmp_path):
    """All that a stream is made of is needed, and what it would still return is compared."""
    stream = detector(PCA(2), window_size=9).fit(np.eye(40)[:, :2]).stream()
    stream.score(np.eye(40)[:12, :2])
    save(stream, tmp_path / "x")
    text, arrays = container.read(tmp_path / "x")
    state = json.loads(text)["estimator"]["state"]
    changed = {"_found": {"kind": "array", "name": "0", "order": "C", "finite": True}}
    for edited in (*({k: state[k] for k in state if k != name} for name in state), state | changed):
        description = json.loads(text)
        description["estimator"]["state"] = edited
        container.write(tmp_path / "x", json.dumps(description), arrays)
        with pytest.raises(ValueError, match="is damaged"):
            load(tmp_path / "x")

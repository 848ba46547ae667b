"""A report is whole, true, the same each time, and safe to open, whatever is in the data."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from shared import correlated_table, families, quick
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktae import Autoencoder, AutoencoderEnsemble, WindowedDetector, write_report
from sktae._report import report
from sktae._report.elements import data, element, number, percent, shortened
from sktae._report.timeline import thinned

BOUND = 3_000_000
SECTIONS = {"scores", "unusual", "map", "quality", "training", "model"}


class Page(HTMLParser):
    """A page as its elements, once it is checked that they are nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        assert not self.open
        self.bytes = len(text.encode())
        self.ids = [own["id"] for _, own in self.elements if "id" in own]
        found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', text)
        self.facts = json.loads(found[1])
        self.words = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text.append(data)


def written(path, detector, X, **kwargs):
    """Write a report, check what holds for each, and return it."""
    name = path / "report.html"
    write_report(detector, X, name, **kwargs)
    page = Page(name.read_text(encoding="utf-8"))
    assert page.bytes < BOUND
    assert len(page.ids) == len(set(page.ids))
    for tag, own in page.elements:
        assert not {"src", "onload", "onerror", "onclick"} & own.keys()
        assert own.get("href", "#").startswith(("#", "data:,"))
        assert own.get("aria-labelledby", page.ids[0]) in page.ids
        assert tag not in {"iframe", "object", "img"}
    counts = page.facts["counts"]
    assert counts == sorted(counts, reverse=True)
    return page


def flagged(detector, X):
    return int((detector.predict(X) == -1).sum())


@pytest.mark.parametrize("E", families())
def test_reports_of_every_kind(E, tmp_path):
    """Tables, sequences and images have all sections, and the counts are those of `predict`."""
    X = correlated_table(60, 8)
    if E().__sklearn_tags__().input_tags.three_d_array:
        X = X.reshape(60, 4, 2)
    elif "Convolutional" in E.__name__:
        X = np.tile(X.reshape(60, 1, 8, 1), (1, 1, 1, 8))
    model = quick(E, contamination=0.1).fit(X)
    page = written(tmp_path, model, X, n_rows=3)
    assert set(page.ids) >= SECTIONS
    assert page.facts["counts"][page.facts["fitted"]] == flagged(model, X)
    assert page.facts["total"] == len(X)
    assert f"{E.__name__} judged 60 rows" in page.words
    assert sum(own.get("id", "").startswith("row-") for _, own in page.elements) == 3


def test_reports_of_what_holds_a_detector(tmp_path):
    """Ensembles, pipelines and searches; reasons name the columns that are there."""
    X = pd.DataFrame(correlated_table(100, 5), columns=list("abcde"))
    X.iloc[7, 2] = 40
    ensemble = AutoencoderEnsemble(quick(), n_estimators=2, calibration=0.2, random_state=0)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), quick())
    reduced = make_pipeline(PCA(3), quick())
    search = GridSearchCV(quick(n_components=2), {"n_components": [1]}, cv=2)
    for detector in (ensemble, pipeline, reduced, search):
        page = written(tmp_path, detector.fit(X), X)
        assert page.facts["counts"][page.facts["fitted"]] == flagged(detector, X)
        assert page.facts["map"]["labels"][0] == "7"
        if detector is not reduced:
            assert page.facts["map"]["reasons"][0][0] == "c"
    assert "The code has one component; the other axis is the anomaly score." in page.words
    assert "Steps before it PCA(n_components=3)" in written(tmp_path, reduced, X).words


def test_labels_are_counted(tmp_path):
    """With labels in either convention, the page says how many outliers are found."""
    X = correlated_table(80, 4)
    X[:4] += 30
    y = np.arange(80) < 4
    model = quick(contamination=0.1).fit(X)
    page = written(tmp_path, model, X, y=y.astype(int))
    assert "Of 4 known outliers, 4 are flagged. The AUROC is 1.000" in page.words
    hits = page.facts["hits"]
    assert hits[page.facts["fitted"]] == page.facts["outliers"] == 4
    assert hits[0] == 4
    assert hits[-1] == 0 or page.facts["counts"][-1]
    first = (tmp_path / "report.html").read_bytes()
    written(tmp_path, model, X, y=np.where(y, -1, 1))
    assert (tmp_path / "report.html").read_bytes() == first


def test_series_have_timelines(tmp_path):
    """Of one series, of groups and of a list; events are those of `events`."""
    rng, n = np.random.default_rng(0), 600
    times = pd.date_range("2026-01-01", periods=n, freq="h")
    X = pd.DataFrame({"a<b": np.sin(np.arange(n) / 4), "c": rng.normal(size=n)}, index=times)
    X.iloc[500:510, 0], X.iloc[300, 1], X.iloc[50:60, 1] = 3, 30, np.nan
    inner = quick(training_data="clean")
    detector = WindowedDetector(inner, window_size=30, calibration=0.3, random_state=0).fit(X[:450])
    page = written(tmp_path, detector, X)
    events = detector.events(X)
    assert f"There are {len(events)} of them." in page.words
    assert {"timeline", "quality", "training", "model"} <= set(page.ids)
    assert "map" not in page.ids
    assert page.facts["times"][0]["labels"][0] == "2026-01-01 00:00:00"
    shown = [own for _, own in page.elements if "data-show" in own]
    first = events.sort_values("score").iloc[0]
    assert times[int(shown[0]["data-start"])] == first["start"]
    assert "a<b" in page.words

    grouped = pd.concat([X.assign(machine="<b>1"), X.iloc[::-1][::-1].assign(machine="2")])
    detector = WindowedDetector(inner, window_size=30, group="machine", random_state=0)
    page = written(tmp_path, detector.fit(grouped), grouped, n_rows=2)
    assert "<b>1: 600 timestamps" in page.words
    assert page.facts["counts"][page.facts["fitted"]] == flagged(detector, grouped)
    detector = WindowedDetector(PCA(2), window_size=30, random_state=0).fit(X.to_numpy()[:450])
    page = written(tmp_path, detector, [X.to_numpy(), X.to_numpy()[:100]])
    assert len(page.facts["times"]) == 2
    assert "training" not in page.ids  # nothing was trained by steps


def test_nothing_in_the_data_becomes_part_of_the_page(tmp_path):
    """Names, values, labels and the title are text, whatever is in them."""
    bad = '</script><script>alert("1")</script><b>'
    # As objects, since the strings of pyarrow hold no half of a character.
    names = pd.Index([bad, "ключ 鍵 \u202e", "\ud800\x00&amp;"], dtype=object)
    X = pd.DataFrame(correlated_table(40, 3), columns=names)
    X["kind"] = [bad, "'\""] * 20
    X.index = [f"{bad}{i}" for i in range(40)]
    X.iloc[3, 1] = 90
    page = written(tmp_path, quick().fit(X), X, title=bad)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "b" not in {tag for tag, _ in page.elements}
    assert page.facts["map"]["labels"][0] == f"{bad}3"[:29] + "…"
    assert "ключ 鍵" in page.words
    assert bad in page.words
    assert element("p", bad, title='"') == (
        '<p title="&quot;">&lt;/script&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;'
        "&lt;b&gt;</p>"
    )
    assert "</" not in data("x", bad)[:-9]


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (30, 5000)])
def test_any_shape_has_a_report(shape, tmp_path):
    """One row, one column, or very many."""
    train = np.random.default_rng(0).normal(size=(30, shape[1]))
    model = quick(hidden_layer_sizes=(4,), max_steps=2, score_method="error").fit(train)
    page = written(tmp_path, model, train[: shape[0]], n_rows=1)
    assert f"judged {shape[0]:,} row" in page.words
    assert ("map" in page.ids) == (shape[0] > 2)


def test_the_quality_of_data_is_described(tmp_path):
    """What is missing, constant, without any value or repeated is counted and named."""
    X = pd.DataFrame(correlated_table(40, 3), columns=["a", "b", "c"])
    X["kind"] = ["red", "blue", "red", None] * 10
    X["same"], X["none"] = 1.0, 2.0
    model = quick().fit(X)
    X.loc[3, "a"], X["none"] = np.nan, np.nan
    X.iloc[20:] = X.iloc[:20].to_numpy()
    words = written(tmp_path, model, X).words
    assert "Missing values 52 (22 % of all values), in 3 columns" in words
    assert "Constant columns 1: same" in words
    assert "Columns without any value 1: none" in words
    assert "Rows that repeat an earlier row 20 (50 %)" in words
    assert "kind category 25 % 2 red (67 %)" in words


def test_a_long_table_is_sampled(tmp_path):
    """The page says how many rows are drawn; counts are those of all rows."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(9000, 3)), index=[f"{'x' * 200}{i}" for i in range(9000)])
    X.columns = ["a", "b", "c"]
    model = quick(n_components=2, max_steps=2).fit(X[:500])
    page = written(tmp_path, model, X)
    assert "4,000 of 9,000 rows are drawn" in page.words
    assert len(page.facts["map"]["x"]) == 4000
    assert page.facts["counts"][page.facts["fitted"]] == flagged(model, X)
    rows, values = thinned(np.where(np.arange(9000) == 4321, 9.0, np.sin(np.arange(9000))), 500)
    assert len(rows) <= 500
    assert values.max() == 9
    assert (np.diff(rows) > 0).all()


def test_same_input_same_bytes(tmp_path):
    """Another process of writing gives the same page; the promise of the detector is in it."""
    X = correlated_table(60, 4)
    model = quick(calibration="cross", false_alarm_rate=0.05, n_components=3).fit(X)
    pages = []
    for name in ("a.html", "b.html"):
        write_report(model, X, tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    words = Page(pages[0].decode()).words
    assert "Of new normal rows, about 5 % are flagged (false_alarm_rate)." in words
    assert "that were not trained on (calibration='cross')" in words
    assert "n_components 3" in words


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    """An error leaves the older page, and no other file; a wrong path is named at once."""
    X, path = correlated_table(30, 3), tmp_path / "report.html"
    model = quick().fit(X)
    path.write_text("older")

    def failing(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(report.Path, "write_text", failing)
        with pytest.raises(KeyboardInterrupt):
            write_report(model, X, path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="does not exist: make it first"):
        write_report(model, X, tmp_path / "no" / "report.html")


def test_mistakes_are_named(tmp_path):
    """What is no detector, not fitted, or does not fit together gets one sentence."""
    X, path = correlated_table(30, 3), tmp_path / "report.html"
    model = quick().fit(X)
    for detector in (PCA(), make_pipeline(StandardScaler(), PCA())):
        with pytest.raises(TypeError, match="detector must be an autoencoder, an Autoencoder"):
            write_report(detector, X, path)
    with pytest.raises(ValueError, match="not fitted yet"):
        write_report(Autoencoder(), X, path)
    with pytest.raises(ValueError, match="n_rows == 0, must be >= 1"):
        write_report(model, X, path, n_rows=0)
    with pytest.raises(ValueError, match="y must be 1 for outliers"):
        write_report(model, X, path, y=np.full(30, 7))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        write_report(model, X, path, y=[0, 1])
    with pytest.raises(ValueError, match="score_method of Autoencoder is 'error' now"):
        write_report(model.set_params(score_method="error"), X, path)
    assert not path.exists()


def test_numbers_are_short():
    """Numbers of any size have few digits, and long texts are cut."""
    numbers = [0, 3, 1310.2, 12345.6, 0.20613, 2e-7, 3e12, -4.5, np.nan, np.inf]
    texts = ["0", "3", "1,310", "12,346", "0.2061", "2e-07", "3e+12", "-4.5", "missing", "inf"]
    assert list(map(number, numbers)) == texts
    shares = [0, 0.0004, 0.01, 0.0506, 0.5, 0.999, 0.99999, 1]
    texts = ["0 %", "0.04 %", "1 %", "5.1 %", "50 %", "99.9 %", "99.9 %", "100 %"]
    assert list(map(percent, shares)) == texts
    assert len(shortened("x\n" * 500)) == 80

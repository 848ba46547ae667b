"""All displays: where they draw, in which colors, and what they say."""

from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from shared import correlated_table, lean, quick
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktae import (
    AutoencoderEnsemble,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    VariationalAutoencoder,
    plot,
)
from sktae.plot import (
    DetectionCurveDisplay,
    ReasonsDisplay,
    ScoreDisplay,
    SequenceDisplay,
    SeriesDisplay,
    TrainingDisplay,
)

rng = np.random.default_rng(0)
LABELS = np.arange(60) < 20
SCORES = -(rng.exponential(size=60) * np.where(LABELS, 300, 2))
COLUMNS = [f"a column with a long name {i}" for i in range(20)]
REASONS = pd.DataFrame(rng.exponential(size=(60, 20)), columns=COLUMNS)
EVENT = {"start": "2026-02-03", "end": "2026-02-05", "kind": "jump", "channels": ("flow",)}


@pytest.fixture(autouse=True)
def off_screen():
    with mpl.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


def history(n=20, terms=("loss", "reconstruction", "divergence")):
    names = ["epoch", *(f"{rows}_{term}" for rows in ("train", "valid") for term in terms)]
    return pd.DataFrame({name: np.arange(n, 0, -1.0) for name in names}).assign(
        epoch=np.arange(1, n + 1)
    )


def series(ax=None):
    times = pd.date_range("2026-02-01", periods=240, freq="h")
    values = pd.DataFrame(rng.normal(size=(240, 2)), times, ["pressure", "flow"])
    events = pd.DataFrame([EVENT]).astype({"start": "datetime64[ns]", "end": "datetime64[ns]"})
    return SeriesDisplay(values, rng.exponential(size=240), 2.0, events).plot(ax)


def images(n):
    return rng.uniform(size=(n, 1, 8, 8))


def test_a_series_shows_all_channels_that_events_name():
    """Four at least, and the others paler than these."""
    values = pd.DataFrame(rng.normal(size=(50, 9)))
    events = pd.DataFrame(
        [{**EVENT, "start": 5, "end": 9, "channels": (n,)} for n in (1, 2, 5, 6, 8)]
    )
    for rows, shown in ((events, [1, 2, 5, 6, 8]), (events[-1:], [0, 1, 2, 8])):
        axes = SeriesDisplay(values, values[0].abs().to_numpy(), 1.0, rows).plot().axes_
        assert [ax.get_ylabel() for ax in axes] == [*map(str, shown), "anomaly"]
    *others, named, anomaly = (ax.patches[0].get_alpha() for ax in axes)
    assert max(others) < named == anomaly


DRAWN = {
    "AttentionDisplay": lambda ax: plot.AttentionDisplay(np.eye(20), COLUMNS).plot(ax),
    "DetectionCurveDisplay": lambda ax: DetectionCurveDisplay.from_predictions(
        1 * LABELS, {"autoencoder": SCORES, "forest": -SCORES}, ax=ax
    ),
    "LatentDisplay": lambda ax: plot.LatentDisplay(
        rng.normal(size=(8, 1, 4, 4)), images=images(8)
    ).plot(ax, colorbar=True),
    "MapDisplay": lambda ax: plot.MapDisplay(rng.normal(size=(60, 2)), 1 * LABELS).plot(ax),
    "ReasonsDisplay": lambda ax: ReasonsDisplay(REASONS).plot(ax),
    "ReconstructionDisplay": lambda ax: plot.ReconstructionDisplay(images(8), images(8)).plot(ax),
    "ScoreDisplay": lambda ax: ScoreDisplay.from_predictions(
        SCORES, 1 * LABELS, training=SCORES[20:], threshold=-9.0, ax=ax
    ),
    "SequenceDisplay": lambda ax: SequenceDisplay(
        [rng.normal(size=(30, 2))], [np.zeros((30, 2))]
    ).plot(ax),
    "SeriesDisplay": series,
    "TrainingDisplay": lambda ax: TrainingDisplay(history()).plot(ax),
    # Other pictures of the same displays.
    "bars": lambda ax: ReasonsDisplay(REASONS[:1], REASONS.to_numpy(), REASONS.to_numpy()).plot(ax),
    "points": lambda ax: plot.LatentDisplay(rng.normal(size=(60, 2)), 1 * LABELS).plot(ax),
    "precision and recall": lambda ax: DetectionCurveDisplay(LABELS, {"autoencoder": SCORES}).plot(
        ax, kind="precision_recall"
    ),
    "p-values": lambda ax: ScoreDisplay({"rows": rng.uniform(size=60)}, 0.01, True).plot(ax),
}
STYLES = {
    "light": {},
    "dark": "dark_background",
    "projector": {"font.size": 18, "figure.figsize": (6, 4)},
}


def texts(figure):
    """Return what is written in a figure, as artists that are seen."""
    figure.canvas.draw()
    # Ticks beyond the ends of an axis have labels, too, which are not drawn.
    hidden = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            seen = {id(tick) for tick in axis._update_ticks()}
            ticks = [*axis.majorTicks, *axis.minorTicks]
            labels = {t for tick in ticks if id(tick) not in seen for t in tick.get_children()}
            hidden |= labels
    found = figure.findobj(lambda a: isinstance(a, mpl.text.Text) and a.get_text().strip())
    return [t for t in found if t.get_visible() and t not in hidden]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", DRAWN)
def test_text_can_be_read(name, style):
    """Displays draw into axes; no text has the color of the ground, or lies on other text."""
    with plt.style.context(STYLES[style]):
        n_axes = 3 if name == "SeriesDisplay" else 1
        figure, axes = plt.subplots(n_axes, layout="constrained", sharex=True)
        display = DRAWN[name](axes)
        drawn = display.axes_ if hasattr(display, "axes_") else [display.ax_]
        assert display.figure_ is figure
        assert list(drawn) == list(np.ravel(axes))
        written = texts(figure)
        ground = mpl.colors.to_rgb(figure.get_facecolor())
    assert len(written) > 1
    assert all(mpl.colors.to_rgb(text.get_color()) != ground for text in written)
    boxes = [text.get_window_extent().padded(-1) for text in written]
    for (a, one), (b, other) in combinations(zip(written, boxes, strict=True), 2):
        assert not one.overlaps(other), (a.get_text(), b.get_text())


def test_all_displays_are_drawn_here():
    """No display is left out above, and each has axes of its own if it gets none."""
    assert {name for name in plot.__all__ if name.endswith("Display")} <= set(DRAWN)
    for draw in DRAWN.values():
        assert draw(None).figure_ is plt.gcf()


def test_losses_are_those_of_the_history():
    """Terms and validation are drawn if there are any, and the best epoch is marked."""
    X = correlated_table()
    model = quick(VariationalAutoencoder).fit(X, X_val=X[:50])
    search = GridSearchCV(make_pipeline(StandardScaler(), quick()), {}, cv=2).fit(X)
    display = TrainingDisplay.from_estimator(model)
    lines = {line.get_label(): line for line in display.ax_.lines}
    losses = model.history_["valid_loss"]
    np.testing.assert_array_equal(lines["validation"].get_ydata(), losses)
    best = model.history_["epoch"][losses.idxmin()]
    assert lines[f"best: epoch {best}"].get_ydata() == [losses.min()]
    assert {"loss", "reconstruction", "divergence"} <= set(lines)
    assert len(display.plot(terms=False).ax_.lines) == 3
    assert len(TrainingDisplay.from_estimator(search).ax_.lines) == 1
    negative = history(terms=("loss",)) - 5
    assert TrainingDisplay(negative).plot().ax_.get_yscale() == "linear"
    with pytest.raises(ValueError, match="draws history_, which PCA does not have"):
        TrainingDisplay.from_estimator(PCA(2).fit(X))


def test_scores_are_those_of_the_detector():
    """All rows are in the histogram, and as many are flagged as `predict` finds."""
    X = correlated_table()
    new = np.concatenate([X[:50], 5 * X[50:60]])
    y = np.repeat([1, -1], [50, 10])
    for detector in (
        lean(DenoisingAutoencoder, max_steps=20, calibration="cross", false_alarm_rate=0.05),
        IsolationForest(random_state=0),
    ):
        pipeline = make_pipeline(StandardScaler(), detector).fit(X)
        display = ScoreDisplay.from_estimator(pipeline, new, y, X_train=X, bins=7)
        flagged = [np.mean(pipeline.predict(part) == -1) for part in (new[:50], new[50:], X)]
        labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        for share in flagged:
            assert any(f"\n{100 * share:.3g} % flagged" in label for label in labels)
        heights = [
            patch.get_height() for patch in display.ax_.patches if hasattr(patch, "get_height")
        ]
        np.testing.assert_allclose(sum(heights), 200)  # percent; training rows are an outline
    model = lean(DenoisingAutoencoder, max_steps=20, calibration="cross", false_alarm_rate=0.1)
    display = ScoreDisplay.from_estimator(model.fit(X), new, p_values=True)
    np.testing.assert_array_equal(
        display.scores["rows"] <= display.threshold, model.predict(new) < 0
    )
    with pytest.raises(ValueError, match="y must be 1 for outliers and 0 for normal rows"):
        ScoreDisplay.from_predictions([0.1, 0.2], [2, 3])


def test_areas_are_those_of_the_curves():
    """Detectors and scores, in both conventions of labels, get the areas of scikit-learn."""
    X = correlated_table()
    new, y = np.concatenate([X[:50], 2 * X[50:60]]), np.repeat([0, 1], [50, 10])
    forest = IsolationForest(random_state=0).fit(X)
    detectors = {"forest": forest, "autoencoder": quick().fit(X)}
    for labels in (y, 1 - 2 * y):
        display = DetectionCurveDisplay.from_estimator(detectors, new, labels)
        scores = -detectors["autoencoder"].score_samples(new)
        texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert texts[1] == f"autoencoder\nAUROC {roc_auc_score(y, scores):.3f}"
        display.plot(kind="precision_recall")
        texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert texts[1] == f"autoencoder\nAP {average_precision_score(y, scores):.3f}"
    alone = DetectionCurveDisplay.from_estimator(forest, new, y)
    assert list(alone.scores) == ["IsolationForest"]
    with pytest.raises(ValueError, match=r"kind must be 'roc' or 'precision_recall'. Got 'pr'"):
        alone.plot(kind="pr")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DetectionCurveDisplay.from_predictions(y, scores[1:])


def test_reasons_are_those_of_explain():
    """Bars add up to the anomaly, and name what the row has and what the others let expect."""
    frame = pd.DataFrame(correlated_table(), columns=list("abcdefgh"))
    frame["i"] = np.where(frame["a"] > 0, "high", "low")
    row = frame.iloc[[0]].assign(b=50.0)
    for model in (quick(), AutoencoderEnsemble(quick(), n_estimators=2, random_state=0)):
        display = ReasonsDisplay.from_estimator(model.fit(frame), row, n_columns=3)
        widths = [bar.get_width() for bar in display.ax_.patches]
        np.testing.assert_allclose(sum(widths), -model.score_samples(row)[0])
        names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
        assert names[0].startswith("b = 50\nexpected ")
        assert names[-1] == "6 others"
        assert display.expected[0, 8] in ("high", "low")
    shown = ReasonsDisplay.from_estimator(model, frame[:30], n_columns=4).ax_.get_images()[0]
    assert shown.get_array().shape == (4, 30)
    sequences = quick(RecurrentAutoencoder).fit(correlated_table(40, 12).reshape(40, 6, 2))
    few = ReasonsDisplay.from_estimator(sequences, correlated_table(1, 12).reshape(1, 6, 2))
    assert few.values is None


def test_sequences_are_drawn():
    """Sequences of any length beside their reconstructions, with the largest errors marked."""
    X = [np.sin(np.arange(20 + i % 9) / 3)[:, np.newaxis] * [1, 2] for i in range(30)]
    model = quick(RecurrentAutoencoder).fit(X)
    display = SequenceDisplay.from_estimator(model, X, n_sequences=2, n_marked=4)
    assert [len(s) for s in display.reconstructions] == [20, 21]
    np.testing.assert_allclose(display.reconstructions[1], model.reconstruct(X)[1, :21])
    error = ((X[0] - display.reconstructions[0]) ** 2).sum(axis=1)
    marked = {patch.get_x() + 0.5 for patch in display.axes_[0].patches}
    assert marked == set(np.argsort(-error)[:4])
    rows = correlated_table(30, 12)
    reduced = SequenceDisplay.from_estimator(PCA(2).fit(rows), rows, n_sequences=1)
    assert reduced.sequences[0].shape == (12, 1)
    with pytest.raises(ValueError, match=r"needs 2 axes, one for each sequence. Got 1 instead"):
        display.plot(plt.gca())
    tokens = quick(RecurrentAutoencoder, n_tokens=3).fit([[0, 1, 2]] * 30)
    with pytest.raises(ValueError, match="those of RecurrentAutoencoder are tokens"):
        SequenceDisplay.from_estimator(tokens, [[0, 1, 2]])

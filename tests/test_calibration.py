"""Scores of rows by models that have not seen them, and the thresholds that they give."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from shared import correlated_table, kinds, quick
from skorch.callbacks import Callback
from torch.utils.data import TensorDataset

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    AutoencoderImputer,
    AutoencoderNet,
    DenoisingAutoencoder,
    MaskedAutoencoder,
    StackedGridSearchCV,
    VariationalAutoencoder,
    WindowedDetector,
    fit_many,
)
from sktae._outliers.threshold import threshold
from sktae._training.fit import Fit
from sktae.inputs.datasets import Selected
from sktae.randomness import halves


def ensemble(**params):
    return AutoencoderEnsemble(quick(max_steps=5), n_estimators=2, random_state=0, **params)


@pytest.fixture
def n_parts(monkeypatch):
    """Return the list of how many halves each fit has."""
    found, parts = [], Fit.parts

    def counted(fit):
        found.append(len(parts(fit)))
        return parts(fit)

    monkeypatch.setattr(Fit, "parts", counted)
    return found


@pytest.mark.parametrize("E", [*kinds(), ensemble])
def test_the_model_is_the_same(E, X):
    """Halves that judge each other change no score, only the threshold, and repeat exactly."""
    how = {} if E is ensemble else {"max_steps": 8}
    make = E if E is ensemble else lambda **params: quick(E, **how, **params)
    plain = make(calibration=None).fit(X)
    first, second = (make(calibration="cross").fit(X) for _ in range(2))
    assert plain.calibration_scores_ is None
    scores = first.calibration_scores_
    assert len(scores) == len(X)
    assert (np.diff(scores) >= 0).all()
    np.testing.assert_array_equal(scores, second.calibration_scores_)
    np.testing.assert_array_equal(plain.score_samples(X), first.score_samples(X))
    assert first.offset_ == scores[int(0.01 * (len(X) + 1)) - 1]


@pytest.mark.parametrize("E", [Autoencoder, VariationalAutoencoder, AutoencoderEnsemble])
def test_few_new_rows_are_flagged(E):
    """On a small wide table, about the share asked for; of the training rows, no more."""
    table = correlated_table(3000, 30, seed=4)
    train, new = table[:120], table[120:]
    if E is AutoencoderEnsemble:
        model = E(n_estimators=2, false_alarm_rate=0.05, random_state=0)
    else:
        how = {"calibration": "cross", "false_alarm_rate": 0.05, "max_steps": 300}
        model = quick(E, **how)
    model.fit(train)
    assert 0.005 < (model.predict(new) == -1).mean() < 0.12  # of 120 rows, 6 lie below
    assert (model.fit_predict(train) == -1).mean() <= 0.1


@pytest.mark.parametrize("training_data", ["clean", "unknown", "contaminated"])
def test_no_row_is_judged_by_what_it_taught(training_data, X, monkeypatch):
    """Where one row is another, only its own half, and its own score, can change."""
    monkeypatch.setattr("sktae._training.fit.no_higher", lambda scores, training: scores)
    how = {"calibration": "cross", "training_data": training_data, "max_steps": 20}
    changed = X.copy()
    changed[7] = 100 + 50 * X[7]
    before, after = (quick(**how).fit(table).calibration_scores_ for table in (X, changed))
    kept = np.isin(before, after).sum()
    assert len(X) // 2 - 1 <= kept < len(X)


@pytest.mark.parametrize("make", [ensemble, partial(quick, MaskedAutoencoder, max_steps=200)])
def test_equal_rows(make):
    """Halves may score a row that occurs often unlike the model does: it is no outlier."""
    for seed in (0, 2):
        rows = (np.random.default_rng(seed).random((300, 3)) < 0.5).astype(float)
        model = make(calibration="cross").fit(rows)
        assert (model.predict(rows) == 1).all()
        assert model.p_values(rows).min() > 0.01


def test_halves():
    """Each row is judged once, by others; of many rows, some; windows that overlap share none."""
    for n, most, gap in ((40, 100, None), (41, 30, None), (3_000_000, 20_000, None), (50, 9, 5)):
        pairs = halves(n, most, 0, gap)
        assert len(pairs) == (2 if n < 2000 else 1)
        for (learnt, judged), (other, _) in zip(pairs, pairs[::-1], strict=True):
            assert not np.isin(learnt, judged).any()
            assert len(pairs) == 1 or np.isin(other, judged).all()
            assert (torch.diff(judged) > 0).all()
            if gap is not None:
                assert abs(learnt[:, None] - judged).min() > gap
        rows = torch.cat([judged for _, judged in pairs])
        expected = n if gap is not None else min(n, most) * len(pairs) // 2
        assert len(rows) == len(rows.unique()) == expected
        assert rows.max() < n


def test_rows_of_any_source(X, tmp_path):
    """Maps, Datasets and sparse tables give the scores of an array, frames with categories some."""
    how = {"calibration": "cross", "max_steps": 8}
    expected = quick(**how).fit(X).calibration_scores_
    np.save(tmp_path / "X.npy", X)
    for rows in (np.load(tmp_path / "X.npy", mmap_mode="r"), TensorDataset(torch.tensor(X))):
        np.testing.assert_array_equal(quick(**how).fit(rows).calibration_scores_, expected)
    found = quick(**how, standardize=False).fit(csr_array(X)).calibration_scores_
    np.testing.assert_array_equal(found, quick(**how, standardize=False).fit(X).calibration_scores_)
    frame = pd.DataFrame(X, columns=list("abcdefgh")).assign(
        kind=np.array(["a", "b", "c"])[np.arange(len(X)) % 3]
    )
    frame.iloc[::7, 1] = np.nan
    frame.loc[5, "kind"] = "rare"
    for model in (quick(**how), ensemble(calibration="cross")):
        p = model.fit(frame).p_values(frame)
        assert ((p > 0) & (p <= 1)).all()


def test_large_rows_are_read_as_needed(X, monkeypatch):
    """Halves that are too large to be held are read row by row, with the same scores."""
    expected = quick(calibration="cross").fit(X).calibration_scores_
    monkeypatch.setattr("sktae._training.prepare._LOADED_NUMBERS", 100)
    seen = []
    monkeypatch.setattr(Selected, "__len__", lambda s: seen.append(s) or len(s.rows))
    found = quick(calibration="cross").fit(X).calibration_scores_
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert seen


@pytest.mark.parametrize(
    "how",
    [
        {"training_data": "contaminated"},
        {"early_stopping": True},
        {"max_steps": None, "max_epochs": 3},
        {"score_method": "error"},
    ],
)
def test_many_fits_at_once(how, X):
    """The scores are those of single fits, up to rounding."""
    how = {**how, "calibration": "cross"}
    alone = [quick(random_state=seed, **how).fit(X) for seed in range(2)]
    many = fit_many([quick(random_state=seed, **how) for seed in range(2)], [X] * 2)
    for pair in zip(many, alone, strict=True):
        assert pair[0].training_path_ == "stacked"
        np.testing.assert_allclose(*(m.calibration_scores_ for m in pair), rtol=0.02, atol=0.02)


def test_weights_and_sources(X):
    """Rows of weight 0 are not there; a fit that begins with other weights has its halves do so."""
    weights = np.arange(len(X)) % 4.0
    kept = weights > 0
    pair = quick(calibration="cross"), quick(calibration="cross")
    pair[0].fit(X, sample_weight=weights)
    pair[1].fit(X[kept], sample_weight=weights[kept])
    np.testing.assert_array_equal(*(model.calibration_scores_ for model in pair))
    how = {"score_method": "error", "calibration": "cross"}
    source = quick(max_steps=100, **how).fit(X)
    still = quick(init_from=source, learning_rate=1e-12, **how).fit(X)
    scores = np.sort(source.score_samples(X))
    np.testing.assert_allclose(still.calibration_scores_, scores, rtol=1e-3)


def test_what_has_no_halves(X):
    """Few rows, a pass over a chunk and weights that know the rows: a share of training rows."""
    for n, given in ((19, False), (20, True)):
        for model in (quick(calibration="cross"), ensemble(calibration="cross")):
            assert (model.fit(X[:n]).calibration_scores_ is not None) == given
    chunk = quick(calibration="cross", false_alarm_rate=0.1).partial_fit(X)
    again = quick(calibration="cross", warm_start=True, false_alarm_rate=0.1).fit(X)
    assert len(again.calibration_scores_) == len(X)
    for model in (chunk, again.fit(X)):
        assert (model.predict(X) == -1).mean() == pytest.approx(0.1, abs=0.01)
        with pytest.raises(ValueError, match="'cross', few rows, partial_fit and warm_start give"):
            model.p_values(X)


def test_where_no_threshold_is_needed(n_parts, X):
    """Imputers, members, estimators of windows, and searches by ranks train no halves."""
    cross = quick(calibration="cross")
    holes = np.where(np.arange(X.size).reshape(X.shape) % 9 == 0, np.nan, X)
    AutoencoderImputer(cross).fit(holes)
    AutoencoderEnsemble(cross, n_estimators=2, calibration=None).fit(X)
    WindowedDetector(cross, window_size=9).fit(X)
    assert set(n_parts) == {0}
    grid, y = {"learning_rate": [0.001, 0.01]}, np.arange(len(X)) % 2
    for scoring, given in ((None, 0), ("roc_auc", 0), ("accuracy", 2)):
        n_parts.clear()
        StackedGridSearchCV(cross, grid, cv=2, scoring=scoring, refit=False).fit(X, y)
        assert n_parts == [given] * 4


def test_callbacks_see_one_fit(X, capsys, monkeypatch):
    """Neither skorch's callbacks nor progress bars are for the halves."""
    begun = []

    class Spy(Callback):
        def on_train_begin(self, net, **kwargs):
            begun.append(net)

    model = quick(calibration="cross", net=AutoencoderNet(callbacks=[Spy()]), verbose=1).fit(X)
    assert begun == [model.net_]
    assert len(model.calibration_scores_) == len(X)
    assert capsys.readouterr().err.count("Autoencoder: 100%") == 1


def test_scales_are_those_of_a_half(X, monkeypatch):
    """What a half learns of columns has nothing of the other."""
    fitted = []
    inputs = type(quick().inputs())
    learn = inputs.fit

    def spied(self, rows, weights=None):
        fitted.append(len(rows))
        return learn(self, rows, weights)

    monkeypatch.setattr(inputs, "fit", spied)
    quick(calibration="cross").fit(X)
    assert fitted == [len(X), len(X) // 2, len(X) // 2]


def test_selected_rows():
    """Those of Benjamini and Hochberg: the k smallest p-values, if none is above fdr k / n."""
    table = correlated_table(1200, seed=2)
    new = np.vstack([table[600:], table[:40] + 20 * table.std(0)])
    for how, fdr in ((0.5, 0.1), ("cross", 0.05), (0.5, 0.9), (0.02, 0.001)):
        model = quick(max_steps=50, calibration=how).fit(table[:600])
        p = model.p_values(new)
        enough = [k for k in range(len(p) + 1) if (p <= fdr * k / len(p)).sum() >= k]
        with warnings.catch_warnings(record=True) as caught:
            selected = model.select(new, fdr)
        # Of 12 rows to compare with, p-values are 1 / 13 or more.
        words = "rows in calibration_scores_, none is below 0.077"
        assert [words in str(one.message) for one in caught] == [True] * (not selected.any())
        assert selected.dtype == bool
        assert selected.sum() == enough[-1]
        assert p[selected].max(initial=0) < p[~selected].min()
    assert not selected.any()
    with pytest.warns(UserWarning, match="the 1 most unusual of 4 rows would .* most 0.025 for"):
        model.select(new[[0, 1, 2, -1]], 0.1)
    with pytest.raises(ValueError, match=r"fdr must be above 0 and below 1. Got 1 instead"):
        model.select(new, 1)


@pytest.mark.parametrize("model", [Autoencoder, DenoisingAutoencoder, AutoencoderEnsemble])
def test_it_is_the_default(model):
    """Of what judges rows one by one; timepoints are too alike for it to be worth its time."""
    assert model().calibration == "cross"
    assert WindowedDetector().calibration is None


def test_one_training_row_is_an_outlier():
    """If its rate is right within the standard error; with rows held out, the rate is exact."""
    others = np.arange(300.0)  # of which the third is the threshold for 1 %
    for lowest, calibration, expected in [
        (1.0, "cross", 2.0),
        (2.5, "cross", np.nextafter(2.5, 3)),
        (9.5, "cross", 2.0),
        (2.5, 0.2, 2.0),
    ]:
        model = Autoencoder(calibration=calibration)
        assert threshold(model, np.array([lowest, 400.0]), others) == expected

"""Weights of rows: a row of weight 2 is that row twice, a row of weight 0 is not there."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from shared import correlated_table, kinds, quick
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import TensorDataset

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    StackedGridSearchCV,
    fit_many,
)
from sktae._engine import net
from sktae._outliers.threshold import percentile
from sktae.randomness import Partner, Plan

X = correlated_table(200)
W = np.random.default_rng(0).integers(0, 4, 200).astype(float)
SOME, TIMES = W > 0, W.astype(int)


def assert_same(a, b, rows=X):
    for method in ("score_samples", "transform"):
        np.testing.assert_array_equal(getattr(a, method)(rows), getattr(b, method)(rows))
    assert a.offset_ == b.offset_


def frame(rows):
    """Return a table with missing values and categories, one of them in a single row."""
    table = pd.DataFrame(rows, columns=list("abcdefgh"))
    table.loc[::7, "b"] = np.nan
    return table.assign(c=np.where(table.index == 3, "z", np.where(table["c"] > 0, "x", "y")))


@pytest.mark.parametrize("E", kinds())
def test_equal_weights_are_none_and_zero_is_absence(E):
    """To the bit, and however often the fit goes on."""
    assert_same(quick(E).fit(X, sample_weight=np.full(200, 0.7)), quick(E).fit(X))
    weighted = quick(E).fit(X, sample_weight=W)
    without = quick(E).fit(X[SOME], sample_weight=5 * W[SOME])
    assert_same(weighted, without)
    assert not np.array_equal(quick(E).fit(X[SOME]).transform(X), weighted.transform(X))
    assert_same(pickle.loads(pickle.dumps(weighted)), weighted)
    without.partial_fit(X[SOME], sample_weight=W[SOME])
    assert_same(weighted.partial_fit(X, sample_weight=W), without)


@pytest.mark.parametrize("make", [frame, np.asarray])
def test_zero_is_absence_whatever_the_fit_does(make):
    """Of rows that are held out, or left out, too; of categories and missing values."""
    held_out = {"early_stopping": True, "calibration": 0.2}
    for how in (held_out, {"training_data": "contaminated"}):
        without = quick(**how).fit(make(X)[SOME], sample_weight=W[SOME])
        assert_same(quick(**how).fit(make(X), sample_weight=W), without, make(X))


def test_zero_is_absence_of_lengths_and_files(tmp_path):
    """A long sequence of weight 0 makes others no longer; files and Datasets give the same."""
    lists = [np.arange(5.0 + n % 3) for n in range(9)] + [np.arange(30.0)]
    model = quick(RecurrentAutoencoder, max_steps=2)
    assert model.fit(lists, sample_weight=[2] + [1] * 8 + [0]).sequence_length_ == 7
    np.save(tmp_path / "X.npy", X)
    expected = quick().fit(X, sample_weight=W)
    for source in (np.load(tmp_path / "X.npy", mmap_mode="r"), TensorDataset(torch.tensor(X))):
        assert_same(quick().fit(source, sample_weight=W), expected)


@pytest.mark.parametrize(
    ("E", "rows"),
    [
        (Autoencoder, X),
        (Autoencoder, frame(X)),
        (RecurrentAutoencoder, np.where(X > 3, np.nan, X)),
        (ConvolutionalAutoencoder, X.reshape(200, 1, 2, 4)),
    ],
)
def test_scales_and_score_are_those_of_repeated_rows(E, rows):
    """Weights count in means, variances and shares exactly as repetitions do."""
    counts = np.where(np.arange(200) == 3, 1, TIMES)  # what one row has is rare, whatever it weighs
    again = np.repeat(np.arange(200), counts)
    repeated = rows.iloc[again] if isinstance(rows, pd.DataFrame) else rows[again]
    model, other = quick(E).fit(rows, sample_weight=counts), quick(E).fit(repeated)
    for name in ("mean", "shift", "scale", "incomplete", "has_missing", "shape"):
        np.testing.assert_allclose(*(getattr(m._inputs, name) for m in (model, other)), rtol=1e-9)
    for column, block in getattr(model._inputs, "blocks", {}).items():
        np.testing.assert_allclose(block.axes, other._inputs.blocks[column].axes, rtol=1e-5)
    if not isinstance(rows, pd.DataFrame):
        score = other.score(rows, sample_weight=counts)
        np.testing.assert_allclose(score, other.score(repeated), rtol=1e-9)


def test_percentiles_and_likelihoods_are_those_of_repeated_rows():
    values, counts = np.random.default_rng(1).normal(size=30), np.arange(30) % 5 + 1
    q = [0, 1, 25, 37, 50, 100]
    expected = np.percentile(np.repeat(values, counts), q)
    np.testing.assert_allclose(percentile(values, q, counts / 7), expected, atol=1e-12)
    tokens = np.abs(X).astype(int)
    model = quick(RecurrentAutoencoder, n_tokens="auto", max_steps=2).fit(tokens)
    scores = model.score(tokens, sample_weight=W), model.score(np.repeat(tokens, TIMES, axis=0))
    np.testing.assert_allclose(*scores, rtol=1e-6)


@pytest.mark.parametrize("most", [2**20, 10])
def test_steps_draw_rows_in_proportion(most, monkeypatch):
    """Up to one within a pass, and exactly over passes; partners are drawn so, too."""
    monkeypatch.setattr("sktae.randomness._MOST_PERMUTED", most)
    weights, plan = torch.from_numpy(W[SOME]), Plan(0, int(SOME.sum()), 16)
    n, expected = plan.n_rows, weights / weights.mean()
    passes = [plan.order(number, weights)(torch.arange(n)) for number in range(400)]
    counts = torch.stack([torch.bincount(rows, minlength=n) for rows in passes]).double()
    assert ((counts - expected).abs() < 1).all()
    torch.testing.assert_close(counts.mean(0), expected, atol=0.12, rtol=0)
    numbers, row = torch.linspace(0, 0.9999, 50_000, dtype=torch.float64), torch.tensor([7])
    partners = Partner().rows(numbers, row, n, weights)
    others = weights.index_fill(0, row, 0.0)
    shares = torch.bincount(partners, minlength=n) / len(numbers)
    np.testing.assert_allclose(shares, others / others.sum(), atol=1e-3)


def test_models_are_like_those_of_repeated_rows():
    """A narrow code goes to the rows that weigh most, as if these were many."""
    rows, heavy = np.zeros((200, 2)), np.arange(200) < 100
    rows[heavy, 0], rows[~heavy, 1] = np.random.default_rng(0).normal(size=(2, 100))
    small = {"n_components": 1, "hidden_layer_sizes": (), "activation": "identity"}
    for part in (heavy, ~heavy):
        counts = np.where(part, 9, 1)
        models = [
            quick(standardize=False, max_steps=200, **small).fit(table, sample_weight=weights)
            for table, weights in [(rows, counts), (np.repeat(rows, counts, axis=0), None)]
        ]
        errors = np.array([model.reconstruction_error(rows) for model in models])
        assert (errors[:, part].mean(1) < 0.6 * errors[:, ~part].mean(1)).all()
        np.testing.assert_allclose(*errors, atol=0.1)
        assert np.corrcoef([model.score_samples(rows) for model in models])[0, 1] > 0.9


@pytest.mark.parametrize("E", [DenoisingAutoencoder, RecurrentAutoencoder])
def test_all_ways_to_train_are_one(E, monkeypatch):
    """Stacked, recorded and plain steps take the same rows."""
    how = {"max_steps": 40, "early_stopping": True, "patience": 99}
    stacked = fit_many([quick(E, **how), quick(E, **how)], [X, X], [W, None])
    monkeypatch.setattr(net, "MANY_STEPS", 0)
    traced = [quick(E, **how).fit(X, sample_weight=weights) for weights in (W, None)]
    monkeypatch.setattr(net, "MANY_STEPS", 10**9)
    plain = quick(E, **how).fit(X, sample_weight=W)
    paths = [model.training_path_ for model in (stacked[0], traced[0], plain)]
    assert paths == ["stacked", "traced", "plain"]
    assert_same(traced[0], plain)
    for one, other in zip(stacked, traced, strict=True):
        np.testing.assert_allclose(one.transform(X), other.transform(X), rtol=0.01, atol=0.01)
        losses = [model.history_[["train_loss", "valid_loss"]] for model in (one, other)]
        np.testing.assert_allclose(*losses, rtol=1e-3)


@pytest.mark.parametrize("how", [{}, {"max_samples": 0.5, "bootstrap": True}])
def test_ensembles(how):
    how |= {"n_estimators": 3, "calibration": None, "random_state": 0}
    ensemble = AutoencoderEnsemble(quick(max_steps=5), **how)
    plain, weighted, without = (clone(ensemble) for _ in range(3))
    assert_same(plain.fit(X, sample_weight=np.full(200, 3)), ensemble.fit(X))
    assert_same(weighted.fit(X, sample_weight=W), without.fit(X[SOME], sample_weight=W[SOME]))
    assert weighted.offset_ == percentile(weighted.score_samples(X[SOME]), 1, W[SOME])
    assert not np.array_equal(plain.fit(X[SOME]).score_samples(X), weighted.score_samples(X))


@pytest.mark.parametrize("Search", [GridSearchCV, StackedGridSearchCV])
def test_weights_are_routed(Search):
    """Through pipelines and searches, in scikit-learn's way, to all fits and scores."""
    scaled = StandardScaler().fit_transform(X)
    expected = quick(n_components=2).fit(scaled, sample_weight=W)
    pipe = make_pipeline(StandardScaler(), clone(expected))
    assert_same(pipe.fit(X, autoencoder__sample_weight=W)[-1], expected, scaled)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe[-1].set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe[0].set_fit_request(sample_weight=False)
        search = Search(pipe, {"autoencoder__n_components": [2]}, cv=2).fit(X, sample_weight=W)
    assert np.isfinite(search.best_score_)
    assert_same(search.best_estimator_[-1], expected, scaled)


def test_refuses():
    negative, wanting = np.r_[-1, W[1:]], np.r_[np.nan, W[1:]]
    for weights, message in [(0 * W, "non-zero"), (negative, "-1 for row 0"), (wanting, "NaN")]:
        for model in (quick(), AutoencoderEnsemble(quick(), n_estimators=1)):
            with pytest.raises(ValueError, match=message):
                model.fit(X, sample_weight=weights)
    with pytest.raises(ValueError, match="2 estimators and 1 sample_weights"):
        fit_many([quick(), quick()], [X, X], [W])

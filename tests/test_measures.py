"""The measures that scores add up, each by itself."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from shared import correlated_table, quick
from test_scoring import TRAINING_DATA, contaminated

from sktae._outliers.measures import Center, Ellipsoid, Neighbors, Ranks, Tail


@pytest.mark.parametrize(
    "shape",
    [(2000, 1), (500, 8), (20, 50), (400, 256), (500, 300), (300, 400), (40, 300), (3000, 1100)],
)
def test_distances_are_mahalanobis(shape):
    """The covariance is shrunk; beyond 256 directions, or one for each row, all count alike."""
    n, d = shape
    X = correlated_table(n + 30, d, seed=4)
    train, new = X[:n], X[n:]
    found = Ellipsoid(train)
    train = train[:: -(-n // 1024)] if d > 1024 else train
    away, mean = train - train.mean(0), train.mean(0)
    variances, axes = (part[..., ::-1] for part in np.linalg.eigh(away.T @ away / len(train)))
    top = min(256, n, d) if d > 256 else d
    weights = 1 / (variances + 0.01 * variances.mean() + 1e-9)
    if top < d:
        weights[top:] = 1 / (variances[top:].mean() + 0.01 * variances.mean() + 1e-9)
    inverse = axes * weights @ axes.T
    expected = (((new - mean) @ inverse) * (new - mean)).sum(1)
    rtol = 1e-5 if d > 1024 else 1e-6  # directions of wide rows are float32
    np.testing.assert_allclose(found.distances(torch.tensor(new)), expected, rtol=rtol)
    np.testing.assert_allclose(found.distances(torch.tensor(new).float()), expected, rtol=1e-3)
    usual = new - (new - mean) @ inverse / inverse.diagonal()
    np.testing.assert_allclose(found.expected(new, np.arange(d)), usual, atol=1e-6)


def test_what_is_expected_is_a_regression():
    """Each feature is expected to be what least squares make of the others."""
    X = correlated_table(20_000, 6) + np.random.default_rng(1).normal(size=(20_000, 6))
    found = Ellipsoid(X).expected(X, np.arange(6))
    for j in range(6):
        others = np.column_stack([np.delete(X, j, axis=1), np.ones(len(X))])
        expected = others @ np.linalg.lstsq(others, X[:, j], rcond=None)[0]
        np.testing.assert_allclose(found[:, j], expected, atol=0.05 * X[:, j].std())


@pytest.mark.parametrize("d", [8, 600])
def test_missing_values_are_conditional_means(d):
    """Those of linear equations, solved exactly; also in columns of very different variances."""
    X = correlated_table(400, d, seed=2) * np.geomspace(1, 1e3, d)
    model, rows = Ellipsoid(X), X[:20]
    missing = np.random.default_rng(3).random(rows.shape) < 0.3
    precision = model.directions * model.weights @ model.directions.T + model.rest * np.eye(d)
    found = model.completed(torch.from_numpy(np.where(missing, np.nan, rows))).numpy()
    assert np.array_equal(found[~missing], rows[~missing])
    for i, gone in enumerate(missing):
        given = precision[gone][:, ~gone] @ (rows[i] - model.mean)[~gone]
        exact = model.mean[gone] - np.linalg.solve(precision[gone][:, gone], given)
        error = (found[i, gone] - exact) / X.std(axis=0)[gone]
        assert (error**2).mean() < 0.05**2


def test_tails():
    """Heights are minus logs of the share beyond, and go on in a line; ties and constants work."""
    values = np.random.default_rng(0).exponential(size=5000)
    tail, grid, top = Tail(values), np.linspace(values.min(), 30, 1000), np.quantile(values, 0.95)
    assert (np.diff(tail(grid)) > 0).all()
    np.testing.assert_allclose(tail(np.array([-5.0, values.min(), top])), [0, 0, -np.log(0.05)])
    slopes = np.diff(tail(grid[grid > top])) / np.diff(grid)[0]
    np.testing.assert_allclose(slopes, 1 / (values[values > top] - top).mean())
    tied = Tail(np.repeat([0.0, 1.0, 5.0], [60, 30, 10]))
    nearly = Tail(np.repeat([0.0, 1.0, 5.0], [60, 30, 10]) + 1e-9 * np.arange(100))
    found = nearly(grid + 1e-8)  # has no steps
    np.testing.assert_allclose(found, tied(grid), rtol=1e-5, atol=1e-6)
    assert (np.diff(tied(np.array([0.0, 0.5, 1, 3, 5, 6]))) > 0).all()
    for constant in (np.zeros(9), np.full(9, 7.0), np.full(9, np.nan), np.zeros(0)):
        found = Tail(constant)(np.array([0.0, 7.0, 8.0, 1e6]))
        assert np.isfinite(found).all()
        assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("n", [1, 2, 17, 600])
def test_neighbors(n, monkeypatch):
    """Distances are those to the nearest row of each sample; samples have no row in common."""
    monkeypatch.setattr("sktae._outliers.measures._NEIGHBORS", 140)
    monkeypatch.setattr("sktae._outliers.measures._AT_ONCE", 32)
    rng = np.random.default_rng(0)
    known, new = (rng.normal(size=(m, 5)).astype(np.float32) for m in (n, 50))
    found = Neighbors(known, seed=0)
    size = max(1, min(140, n // 2))
    first, second = ({bytes(row) for row in sample} for sample in found.samples)
    assert len(first) == len(second) == size == found.samples.shape[1]
    assert first | second <= {bytes(row) for row in known}
    assert not (n > 1 and first & second)
    gaps = np.linalg.norm(new[:, None, None] - found.samples, axis=3)
    np.testing.assert_allclose(found.distances(torch.tensor(new)), gaps.min(2).T, rtol=1e-3)
    assert (found.distances(torch.tensor(found.samples[0]))[0] == 0).all()


def test_ranks():
    """Ranks are the same for columns of any unit, in the middle of ties, and end far outside."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 1))
    units = [x, 1e6 + 1e3 * x, np.exp(3 * x), x > 1.5, np.full_like(x, 7), 1e-40 * (x > 0)]
    columns = np.hstack(units).astype(np.float32)
    ranks = Ranks(columns)
    found = ranks(torch.from_numpy(columns)).numpy()
    np.testing.assert_allclose(found[:, 0], x[:, 0].clip(-3, 3), atol=0.5)
    np.testing.assert_allclose(found[:, 1], found[:, 0], atol=0.02)
    usual = abs(x[:, 0]) < 2
    np.testing.assert_allclose(found[usual, 2], found[usual, 0], atol=0.1)
    high = x[:, 0] > 1.5
    middle = norm.ppf(1 - high.mean() / 2)  # of the ranks of the largest values
    np.testing.assert_allclose(np.unique(found[high, 3]), middle, atol=0.1)
    assert (found[:, 4] == 0).all()
    beyond = ranks(torch.tensor([[-1e9] * 6, [1e9] * 6])).numpy()
    np.testing.assert_array_equal(beyond[:, :4], [[-3] * 4, [3] * 4])
    assert np.isfinite(beyond).all()


@pytest.mark.parametrize("training_data", TRAINING_DATA)
def test_rare_values_are_no_catastrophe(training_data):
    """A value that a tenth of the rows have in a column makes them somewhat unusual, not more."""
    rare = np.random.default_rng(0).random(1000) < 0.1
    X = np.c_[correlated_table(1000, 3), rare]
    scores = quick(training_data=training_data, max_steps=100).fit(X).score_samples(X)
    assert abs(np.median(scores[rare]) - np.median(scores[~rare])) < 10
    assert scores.min() > -60


@pytest.mark.parametrize("far", [5, 8, 20, 100])
@pytest.mark.parametrize("kind", ["scattered", "wide", "tight"])
def test_the_centre_is_that_of_normal_rows(kind, far):
    """It holds most normal rows, and no other, where a quarter are far away."""
    X, outlier = contaminated(kind, 0.25, far)
    x = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    held = Center(x).holds(torch.tensor(x))
    assert 0.69 <= held.mean() <= 0.71
    assert not held[outlier].any()

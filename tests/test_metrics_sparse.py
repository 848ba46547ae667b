"""Metrics of sparse codes: their definitions, known cases, and what they refuse."""

import numpy as np
import pytest

from sktae import SparseAutoencoder
from sktae.metrics import dead_units, l0, loss_recovered, sparse_probing_accuracy


def test_units_are_counted(X):
    """As many are active as `n_active` says, and as few are dead as a fit reports."""
    model = SparseAutoencoder(16, n_active=4, max_steps=100, calibration=None, random_state=0).fit(
        X
    )
    codes = model.transform(X)
    assert l0(codes) == 4
    assert dead_units(codes) == np.mean([not column.any() for column in codes.T])
    assert l0(-codes) == 4  # negative activations count, too
    assert dead_units(np.zeros((3, 2))) == 1
    assert l0(np.zeros((3, 2))) == 0


@pytest.mark.parametrize("ablation", ["mean", "zero"])
def test_recovered_loss_is_a_share(ablation):
    """It is 1 for the activations, 0 for the ablation, and linear between, even below 0."""
    rng = np.random.default_rng(0)
    X, target = rng.normal(1, 1, size=(50, 4)), rng.normal(size=50)
    weights = np.linalg.lstsq(X, target, rcond=None)[0]

    def loss(activations):
        assert activations.shape == (50, 4)
        return np.square(activations @ weights - target).mean()

    nothing = np.tile(X.mean(axis=0) if ablation == "mean" else np.zeros(4), (50, 1))
    assert loss_recovered(loss, X, X, ablation=ablation) == 1
    assert loss_recovered(loss, X, nothing, ablation=ablation) == 0
    half = (X + nothing) / 2
    share = (loss(nothing) - loss(half)) / (loss(nothing) - loss(X))
    assert loss_recovered(loss, X, half, ablation=ablation) == pytest.approx(share)
    assert loss_recovered(loss, X, 2 * nothing - X, ablation=ablation) < 0


def test_losses_without_an_answer_are_refused():
    """What would be a division by zero, or no number, is an error."""
    X = np.eye(3)
    with pytest.raises(ValueError, match="so there is nothing to recover"):
        loss_recovered(lambda x: 1.0, X, X)
    with pytest.raises(ValueError, match=r"loss must return finite numbers\. Got nan of X"):
        loss_recovered(lambda x: np.nan, X, X)
    with pytest.raises(ValueError, match=r"the same shape. Got \(3, 3\) and \(2, 3\) instead"):
        loss_recovered(np.sum, X, X[:2])
    with pytest.raises(ValueError, match=r"ablation must be 'mean' or 'zero'\. Got 'max' instead"):
        loss_recovered(np.sum, X, X, ablation="max")


def test_probes_find_the_units_of_classes():
    """A unit per class is enough; units at random are as good as guessing."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 100)
    noise = rng.normal(size=(300, 20))
    codes = np.column_stack([noise, 5 * (y == "a"), 5 * (y == "b"), 5 * (y == "c")])
    assert sparse_probing_accuracy(codes, y, n_units=3) == 1
    assert sparse_probing_accuracy(codes, y, n_units=1) == pytest.approx(2 / 3)
    assert sparse_probing_accuracy(codes[:, :20], y, n_units=3) < 0.5
    assert sparse_probing_accuracy(codes, y == "a") == 1  # of two classes, one unit tells both


def test_units_are_chosen_by_the_difference_of_means():
    """That is in the units of the code, not by how well a unit separates classes."""
    y = np.arange(100) % 2
    wide = 10 * np.cos(np.arange(100)) + 3 * y
    codes = np.column_stack([y, wide])
    assert sparse_probing_accuracy(codes, y) < 0.9
    assert sparse_probing_accuracy(codes * [10, 1], y) == 1


def test_probes_without_an_answer_are_refused():
    codes, y = np.eye(6), [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="Class 0 of y has 3 rows, but there are cv=5 folds"):
        sparse_probing_accuracy(codes, y)
    with pytest.raises(ValueError, match=r"y must have at least two classes\. Got only 1 instead"):
        sparse_probing_accuracy(codes, np.ones(6, int), cv=2)
    with pytest.raises(ValueError, match="n_units == 7, must be <= 6"):
        sparse_probing_accuracy(codes, y, n_units=7, cv=2)

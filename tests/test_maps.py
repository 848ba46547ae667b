"""Maps: what they are worth, and which neighbors they are made of."""

import numpy as np
import pytest
from sklearn import manifold
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from sktae.metrics import (
    _neighbors,
    continuity,
    map_scorer,
    neighborhood_hit,
    triplet_accuracy,
    trustworthiness,
)

# -- metrics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_neighbors", [1, 5, 12])
def test_trustworthiness_is_that_of_scikit_learn(n_neighbors, monkeypatch):
    """In one chunk or in many, and continuity is the same the other way round."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    codes = X[:, :2] ** 3
    for numbers in (_neighbors._NUMBERS, 200):
        monkeypatch.setattr(_neighbors, "_NUMBERS", numbers)
        for found, a, b in ((trustworthiness, X, codes), (continuity, codes, X)):
            expected = manifold.trustworthiness(a, b, n_neighbors=n_neighbors)
            assert found(X, codes, n_neighbors=n_neighbors) == pytest.approx(expected)


def test_maps_of_known_worth():
    """A turned and stretched map is perfect, one at random is worth nothing."""
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0], [9, 9], [30, 0]], 40, axis=0) + rng.normal(size=(120, 2))
    y = np.repeat([0, 1, 2], 40)
    turned, noise = 5 * X @ [[0, 1], [-1, 0]], rng.normal(size=(120, 2))
    for metric in (trustworthiness, continuity, triplet_accuracy):
        assert metric(X, turned) == 1
        assert metric(X, noise) == pytest.approx(0.5, abs=0.1)
    assert neighborhood_hit(turned, y) == 1
    assert neighborhood_hit(noise, y) == pytest.approx(1 / 3, abs=0.1)
    # Groups whose places are exchanged are still groups, but in a whole of another shape.
    exchanged = X - np.repeat([[0, 0], [9, 9], [0, 0]], 40, axis=0) * [1, 40]
    assert trustworthiness(X, exchanged) == pytest.approx(1)
    assert triplet_accuracy(X, exchanged) < 0.9


def test_scorers_of_maps_choose_in_a_search():
    """They need labels for `neighborhood_hit` only, and pass settings on."""
    X, y = load_digits(n_class=4, return_X_y=True)
    for metric, labels in ((trustworthiness, None), (neighborhood_hit, y)):
        scorer = map_scorer(metric=metric, n_neighbors=3)
        search = GridSearchCV(PCA(), {"n_components": [1, 4]}, scoring=scorer, cv=2)
        assert search.fit(X, labels).best_params_ == {"n_components": 4}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda X: trustworthiness(X, X, n_neighbors=10), "n_neighbors=10 must be less than half"),
        (lambda X: continuity(X, X[:-1]), "inconsistent numbers of samples"),
        (
            lambda X: neighborhood_hit(X, X[:, 0], n_neighbors=20),
            "n_neighbors == 20, must be <= 19",
        ),
        (lambda X: triplet_accuracy(X[:2], X[:2]), "need three rows, but X has 2"),
    ],
)
def test_bad_arguments_of_maps_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call(np.random.default_rng(0).normal(size=(20, 2)))

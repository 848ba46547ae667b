"""Codes whose parts mean something: content and style, one component for each cause."""

import numpy as np
import pytest
import torch
from shared import lean, quick
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sktae import (
    ContentStyleAutoencoder,
    ConvolutionalSequenceVariationalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    DisentangledAutoencoder,
    VariationalAutoencoder,
    all_estimators,
)
from sktae.families.parts import CodePartsMixin, ContentStyleMixin
from sktae.metrics import mutual_information_gap
from sktae.nn.losses import total_correlation

DIVIDED = [E for E in all_estimators() if issubclass(E, ContentStyleMixin)]
SWITCHED = [E for E in DIVIDED if issubclass(E, CodePartsMixin)]  # where it is an option


def test_total_correlation_of_normal_codes():
    """It is 0 where components are independent, and right where their dependence is known."""
    rng = torch.Generator().manual_seed(0)
    e = torch.randn(2000, 2, generator=rng, dtype=torch.float64)
    logvar = torch.full_like(e, np.log(0.1))
    z = e * np.sqrt(0.9)
    draw = torch.randn(2000, 2, generator=rng, dtype=torch.float64) * np.sqrt(0.1)
    assert abs(total_correlation(z + draw, z, logvar).mean()) < 0.1
    z = torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1)
    r = 0.8 * 0.9
    expected = -0.5 * np.log(1 - r**2)
    assert abs(total_correlation(z + draw, z, logvar).mean() - expected) < 0.1


def test_disentangling():
    """Independent causes are told apart better than by a larger beta at no better a fit."""
    rng = np.random.default_rng(0)
    factors, grid = rng.integers(0, 10, size=(2000, 2)), np.arange(16)
    x, y = 3 + factors.T[:, :, np.newaxis]
    X = np.exp(-((grid - x) ** 2)[:, :, np.newaxis] / 4 - ((grid - y) ** 2)[:, np.newaxis] / 4)
    X = X.reshape(2000, -1)
    settings = {"likelihood": "bernoulli", "learning_rate": 0.005}
    settings |= {"calibration": None, "random_state": 0}
    apart = DisentangledAutoencoder(4, beta=4.0, **settings).fit(X)
    plain = VariationalAutoencoder(4, beta=2.0, **settings).fit(X)
    gaps = [mutual_information_gap(factors, m.transform(X)) for m in (apart, plain)]
    assert gaps[0] > gaps[1] + 0.1
    assert apart.score(X) > plain.score(X) - 0.02


def shapes_in_places(n, seed):
    """Draw bars that lie or stand, somewhere."""
    rng = np.random.default_rng(seed)
    shapes, places = rng.integers(0, 2, n), rng.integers(0, 8, (n, 2))
    x, y = (np.arange(14) - 3 - places.T[:, :, np.newaxis]) ** 2 / 2
    x, y = x[:, np.newaxis], y[:, :, np.newaxis]
    kinds = [x / 6 + 2 * y, 2 * x + y / 6]
    X = np.exp(-np.choose(shapes[:, np.newaxis, np.newaxis], kinds))
    return X.reshape(n, -1), shapes, places


def words_of_speakers(n, seed):
    """Draw sequences whose channels sound one after the other, up or down, each as loud as it is.

    The order is the word, and the loudness of channels is the speaker.
    """
    rng = np.random.default_rng(seed)
    words, speakers = rng.integers(0, 2, n), rng.uniform(0.3, 1, (n, 4))
    order = np.where(words[:, np.newaxis], np.arange(4), np.arange(4)[::-1])
    away = np.arange(12)[:, np.newaxis] - 1.5 - 3 * order[:, np.newaxis]
    X = speakers[:, np.newaxis] * np.exp(-(away**2) / 4)
    return X + 0.02 * rng.normal(size=X.shape), words, speakers


GROUPED = {
    "rows": (
        shapes_in_places,
        ContentStyleAutoencoder(likelihood="bernoulli", learning_rate=0.005, max_steps=1000),
    ),
    "images": (
        shapes_in_places,
        ConvolutionalVariationalAutoencoder(
            image_shape=(14, 14),
            hidden_layer_sizes=(8, 16),
            likelihood="bernoulli",
            learning_rate=0.01,
            batch_size=64,
            max_steps=400,
        ),
    ),
    "sequences": (
        words_of_speakers,
        ConvolutionalSequenceVariationalAutoencoder(
            hidden_layer_sizes=(16, 16), learning_rate=0.01, max_steps=500
        ),
    ),
}


@pytest.mark.parametrize("kind", GROUPED)
def test_content_and_style(kind):
    """Content tells the group and style does not; swapped rows have one's group, other's style."""
    draw, model = GROUPED[kind]
    (X, shapes, _), (new, told, _) = draw(1500, 0), draw(300, 1)
    how = {"n_components": 6, "n_content": 3, "calibration": None, "random_state": 0}
    model = clone(model).set_params(**how).fit(X, shapes)
    codes, seen = model.transform(new), model.transform(X)
    right = [
        LogisticRegression(max_iter=1000).fit(seen[:, part], shapes).score(codes[:, part], told)
        for part in (slice(3), slice(3, 6))
    ]
    assert right[0] > 0.95
    assert right[1] < 0.75
    made = model.swap(new[:150], new[150:])
    teller = LogisticRegression(max_iter=1000).fit(X.reshape(1500, -1), shapes)
    assert (teller.predict(made.reshape(150, -1)) == told[:150]).mean() > 0.8
    with pytest.raises(ValueError, match="swap needs a style for each content"):
        model.swap(new[:3], new[:4])


@pytest.mark.parametrize("E", DIVIDED)
def test_groups_may_be_unknown(E, X):
    """Groups of any kind do, -1 and missing ones are nobody's, and their number is checked."""
    names = np.array(["a", "b", None] * 200, dtype=object)
    numbers = np.array([3.0, 7.0, np.nan] * 200)
    scores = [
        quick(E, n_components=4, n_content=2).fit(X, y).score_samples(X)
        for y in (names, numbers, np.nan_to_num(numbers, nan=-1), None, np.full(600, -1))
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_array_equal(scores[3], scores[4])
    assert not np.array_equal(scores[0], scores[3])
    with pytest.raises(ValueError, match="labels of 5 rows, but X has 600"):
        E(4, n_content="auto").fit(X, np.zeros(5))
    with pytest.raises(ValueError, match=rf"n_content=5 of {E.__name__} must be .* n_components=4"):
        E(4, n_content=5).fit(X)


@pytest.mark.parametrize("E", SWITCHED)
def test_without_content_there_is_nothing_to_swap(E, X):
    """By default `y` means nothing, so it may say which rows are outliers."""
    with pytest.raises(AttributeError, match="swap") as caught:
        quick(E).fit(X).swap(X, X)
    assert "n_content=0: set it to" in str(caught.value.__cause__)
    quick(E, use_labels=True).fit(X, np.where(np.arange(600) < 9, -1, 0))
    with pytest.raises(ValueError, match="groups of rows"):
        quick(E, use_labels=True, n_content=1).fit(X, np.arange(600) % 2)


@pytest.mark.parametrize("E", SWITCHED)
def test_total_correlation_is_penalized(E, X):
    """With a weight, components depend on each other less."""
    dependence = []
    for gamma in (1e-6, 5.0):
        model = lean(E, n_components=4, gamma=gamma, max_steps=150, batch_size=128).fit(X)
        dependence.append(model.history_["train_dependence"].iloc[-1] / gamma)
    assert dependence[1] < 0.6 * dependence[0]


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "max_steps": 60},
        {"calibration": 0.2},
        {"training_data": "contaminated"},
    ],
)
def test_groups_go_with_their_rows(params):
    """Whatever rows are set aside, the others keep their groups."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = rng.normal(size=(200, 4)) + 4 * y[:, np.newaxis]
    told = []

    class Spy(ContentStyleAutoencoder):
        def network(self, spec):
            network = super().network(spec)

            def listen(module, args):
                if len(args) == 3:  # in training
                    told.append((args[0].mean(1) > 0, args[2]))

            network.register_forward_pre_hook(listen)
            return network

    Spy(2, n_content=1, random_state=0, **{"max_steps": 30, **params}).fit(X, y)
    assert told
    for above, group in told:
        assert (above.float() - group).abs().mean() < 0.05

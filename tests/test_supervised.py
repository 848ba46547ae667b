"""Classifiers and regressors on the code of an autoencoder."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from shared import quick, run_check
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch.utils.data import Dataset

from sktae import (
    Autoencoder,
    AutoencoderClassifier,
    AutoencoderRegressor,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    TransformerAutoencoder,
    VectorQuantizedAutoencoder,
    all_estimators,
    load,
    save,
)
from sktae._engine.freeze import passes_gradients

BOTH = [AutoencoderClassifier, AutoencoderRegressor]
both = pytest.mark.parametrize("E", BOTH)


def brief(E, estimator, **params):
    return E(estimator, **{"max_steps": 40, "random_state": 0, **params})


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)


@pytest.fixture(scope="module")
def fitted(X):
    return quick(DenoisingAutoencoder).fit(X)


@parametrize_with_checks(
    [brief(E, quick(n_components=4, max_steps=3), max_steps=30) for E in BOTH],
)
def test_scikit_learn(estimator, check):
    """Every check of scikit-learn passes, but for draws in proportion to weights."""
    run_check(check, estimator)


@pytest.mark.parametrize("A", all_estimators())
def test_the_head_alone_leaves_the_encoder_as_it_is(A, X, y):
    """Codes stay the same to the bit; with the encoder they move, unless they are discrete."""
    source = quick(A, max_steps=2).fit(X[:60])
    codes = source.transform(X[:60])
    head = brief(AutoencoderClassifier, source, trainable="head").fit(X[:60], y[:60])
    np.testing.assert_array_equal(head.estimator_.transform(X[:60]), codes)
    both = brief(AutoencoderClassifier, source, max_steps=3)
    if passes_gradients(source.net_.module_, torch.zeros(1, *source._inputs.shape)):
        both.fit(X[:60], y[:60])
        assert not np.array_equal(both.estimator_.transform(X[:60]), codes)
    else:
        with pytest.raises(ValueError, match="is discrete, so its encoder cannot be trained"):
            both.fit(X[:60], y[:60])
        assert not hasattr(both, "estimator_")
    np.testing.assert_array_equal(source.transform(X[:60]), codes)  # the user's own is a copy


@both
def test_learns(E, X, y):
    """The encoder learns what a linear model on its code cannot say, on new rows, too."""
    source = quick(n_components=2, max_steps=100).fit(X)
    target = y if E is AutoencoderClassifier else X[:, 0] * X[:, 1]
    head, whole = (
        E(source, trainable=part, random_state=0).fit(X[:400], target[:400])
        for part in ("head", "all")
    )
    assert whole.score(X[400:], target[400:]) > head.score(X[400:], target[400:]) + 0.05


def test_probabilities(X):
    """They add up to 1 and belong to the classes, which may be strings."""
    for n in (2, 3):
        y = np.array(["a", "b", "c"])[np.arange(len(X)) % n]
        model = brief(AutoencoderClassifier, quick(max_steps=2)).fit(X, y)
        probabilities, scores = model.predict_proba(X), model.decision_function(X)
        np.testing.assert_allclose(probabilities.sum(1), 1)
        assert (model.classes_[probabilities.argmax(1)] == model.predict(X)).all()
        odds = np.log(probabilities)
        if n == 2:
            np.testing.assert_allclose(scores, odds[:, 1] - odds[:, 0], atol=1e-6)
        else:
            np.testing.assert_allclose(
                scores - scores.mean(1, keepdims=True),
                odds - odds.mean(1, keepdims=True),
                atol=1e-6,
            )


def test_targets_have_units(X):
    """Predictions have the units of y, of which there may be several."""
    Y = np.column_stack([X[:, 0], 1e6 + 100 * X[:, 1]])
    source = quick(max_steps=100).fit(X)
    model = AutoencoderRegressor(source, random_state=0).fit(X, Y)
    alone = AutoencoderRegressor(source, random_state=0).fit(X, Y[:, 0])
    assert model.predict(X).shape == Y.shape
    assert alone.predict(X).shape == (len(X),)
    assert model.score(X, Y) > 0.9


@pytest.mark.parametrize(
    "params",
    [
        {"trainable": "head"},
        {"learning_rate": 0.01},
        {"batch_size": 7},
        {"max_steps": 41},
        {"random_state": 1},
        {"class_weight": "balanced"},
        {"class_weight": {0: 5, 1: 1}},
        {"unlabeled": 2},
    ],
    ids=str,
)
def test_each_parameter_counts(params, X, y, fitted):
    """A change of any of them gives another model; nothing else does."""
    y = np.where(np.arange(len(X)) % 5 == 0, 2, y)
    first, again, other = (
        brief(AutoencoderClassifier, fitted, **p).fit(X, y) for p in ({}, {}, params)
    )
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    shapes = first.predict_proba(X).shape, other.predict_proba(X).shape
    assert shapes[0] != shapes[1] or (first.predict_proba(X) != other.predict_proba(X)).any()


def test_noise_counts(X, y):
    """Rows have the noise of the autoencoder's own training."""
    still, noisy = (
        DenoisingAutoencoder(noise_level=level, max_steps=1, learning_rate=1e-12, random_state=0)
        for level in (1e-9, 1.0)
    )
    fits = [brief(AutoencoderClassifier, source).fit(X, y) for source in (still, noisy)]
    assert (fits[0].predict_proba(X) != fits[1].predict_proba(X)).any()


@both
def test_is_deterministic(E, X, y, tmp_path):
    """One seed is enough; no global generator moves; copies and files predict the same."""
    unseeded = Autoencoder(max_steps=5)
    state = torch.get_rng_state()
    model = brief(E, unseeded).fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)
    assert not unseeded.__sklearn_is_fitted__()
    assert unseeded.random_state is None
    path = tmp_path / "model.sktae"
    save(model, path)
    others = clone(model).fit(X, y), pickle.loads(pickle.dumps(model)), load(path)
    for other in others:
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert (brief(E, unseeded, random_state=1).fit(X, y).predict(X) != model.predict(X)).any()


def test_rows_without_a_label_train_the_autoencoder_only(X, y):
    """It is as if the autoencoder had been trained before, and the head on the other rows."""
    some = np.where(np.arange(len(X)) % 4 == 0, y, -1)
    known = some != -1
    model = brief(AutoencoderClassifier, quick(), unlabeled=-1).fit(X, some)
    apart = brief(AutoencoderClassifier, quick().fit(X)).fit(X[known], y[known])
    np.testing.assert_array_equal(model.classes_, [0, 1])
    np.testing.assert_array_equal(model.predict_proba(X), apart.predict_proba(X))
    assert model.score(X, some) == apart.score(X[known], y[known]) > 0.5


def test_weights(X, y, fitted):
    """Rows of weight 0 are left out; heavy ones and heavy classes count more."""
    weights = (np.arange(len(X)) % 3 > 0).astype(float)
    for E in BOTH:
        model = brief(E, fitted).fit(X, y, sample_weight=weights)
        alone = brief(E, fitted).fit(X[weights > 0], y[weights > 0])
        np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    few = np.flatnonzero((y == 0) | (np.arange(len(y)) % 20 == 0))
    plain, balanced, heavy = (
        brief(AutoencoderClassifier, fitted, class_weight=weight).fit(X[few], y[few], rows)
        for weight, rows in ((None, None), ("balanced", None), (None, 1.0 + 20 * y[few]))
    )
    for other in (balanced, heavy):
        assert (other.predict(X) == 1).sum() > (plain.predict(X) == 1).sum()


class Pictures(Dataset):
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        return self.X[row]


def test_takes_what_the_autoencoder_takes():
    """Tables of all kinds, missing values, images, sequences, tokens, and Datasets."""
    digits, y = load_digits(return_X_y=True)
    digits, y = digits[:80], y[:80] % 2
    images = quick(ConvolutionalAutoencoder, max_steps=2)
    table = pd.DataFrame(digits[:, 20:24]).astype({3: str}).set_axis(list("abcd"), axis=1)
    holes = table.mask(np.random.default_rng(0).random(table.shape) < 0.2)
    sequences = [row[: 5 + n % 3].reshape(-1, 1) for n, row in enumerate(digits)]
    transformer = quick(TransformerAutoencoder, max_steps=2)
    for estimator, X in [
        (quick(), table),
        (quick(), holes),
        (images, digits.reshape(-1, 8, 8)),
        (images, Pictures(digits.reshape(-1, 1, 8, 8).astype(np.float32))),
        (clone(images).set_params(code_channels=2), digits.reshape(-1, 8, 8)),
        (transformer, sequences),
        (clone(transformer).set_params(n_tokens=17, bottleneck="steps"), digits[:, :6].astype(int)),
    ]:
        for E in BOTH:
            model = brief(E, estimator, max_steps=3).fit(X, y)
            assert np.isfinite(model.predict(X)).all()
    whole = brief(AutoencoderClassifier, quick().fit(table)).fit(holes, y)
    assert whole.predict(holes).shape == y.shape
    assert whole.feature_names_in_.tolist() == list("abcd")


def test_searches_and_pipelines(X, y):
    """Parameters inside can be searched; a frozen autoencoder stays fitted in clones."""
    pipe = make_pipeline(StandardScaler(), brief(AutoencoderClassifier, quick()))
    grid = {"autoencoderclassifier__estimator__n_components": [1, 8]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert (
        search.best_estimator_[-1].estimator_.n_components_ == search.best_params_[next(iter(grid))]
    )
    source = quick(n_components=3).fit(X)
    frozen = brief(AutoencoderClassifier, FrozenEstimator(source))
    search = GridSearchCV(frozen, {"trainable": ["head"]}, cv=2).fit(X[:200], y[:200])
    best = search.best_estimator_
    np.testing.assert_array_equal(best.estimator_.transform(X), source.transform(X))


def test_mistakes_are_errors(X, y):
    """They say what was given and what would be right."""
    with pytest.raises(TypeError, match=r"must be an autoencoder of sktae\. Got StandardScaler"):
        AutoencoderRegressor(StandardScaler()).fit(X, y)
    with pytest.raises(ValueError, match=r"more than one class, but y has the classes \[1\]"):
        AutoencoderClassifier(quick(), unlabeled=0).fit(X, y)
    with pytest.raises(ValueError, match="X has 8 features, but"):
        brief(AutoencoderClassifier, quick().fit(X[:, :3])).fit(X, y)
    with pytest.raises(ValueError, match="set trainable='head'"):
        brief(AutoencoderClassifier, quick(VectorQuantizedAutoencoder)).fit(X, y)

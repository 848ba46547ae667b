"""What holds for every estimator: scikit-learn's checks, and the contract of our own."""

import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
import torch
from shared import KINDS, LONG, every, families, kinds, lean, quick, run_check, turns, unless_long
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from sktae import Autoencoder, all_estimators

ODD = [
    {"hidden_layer_sizes": (1,), "n_components": 1},
    {"hidden_layer_sizes": (13, 70), "n_components": 3},
    {"hidden_layer_sizes": (50,), "n_components": 7},
]


def as_it_comes(E):
    """Make an estimator with few steps; all else is by default in one of each family."""
    if E in families():
        return E(max_steps=unless_long(3, 20), random_state=0)
    return quick(E, max_steps=3)


@parametrize_with_checks([as_it_comes(E) for E in all_estimators()])
def test_scikit_learn(estimator, check):
    """Every check of scikit-learn passes, but for draws in proportion to weights."""
    run_check(check, estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (estimator, check)
        for E, odd in turns(families(), ODD)
        for estimator, check in estimator_checks_generator(quick(E, max_steps=3, **odd))
        if LONG or "invariance" in check.func.__name__
    ],
)
def test_scikit_learn_at_odd_widths(estimator, check):
    """No check depends on widths that suit the hardware, above all not those of single rows."""
    check(estimator)


def test_nothing_is_missing():
    """No fewer estimators, and exactly scikit-learn's checks for each, are what is tested."""
    assert len(all_estimators()) >= 18
    expected = {"1.9": 60}.get(".".join(sklearn.__version__.split(".")[:2]))
    for E in all_estimators():
        found = len(list(estimator_checks_generator(quick(E))))
        # Missing values are NaN, so there is no check that NaN is refused; what takes sparse rows
        # has a check of weights more.
        tags = E().__sklearn_tags__().input_tags
        found += tags.allow_nan - tags.sparse
        assert found == expected if expected else found > 45


def layers(E, X):
    """Return the layers of an estimator's network that are shared with other networks."""
    _, *layers = quick(E, max_steps=1).fit(X).net_.module_.modules()
    parts = {type(layer) for layer in layers}
    return {part for part in parts if not part.__module__.startswith("sktae.autoencoders")}


def test_no_kind_is_missing(X):
    """What is tested with one estimator of each kind has met every layer of every network."""
    met = set().union(*(layers(E, X) for E in KINDS))
    for E in all_estimators():
        assert layers(E, X) <= met, E


@pytest.mark.parametrize(
    ("E", "labelled"),
    turns(all_estimators(), ["far away", "broken correlations"]),
    indirect=["labelled"],
)
def test_detects(E, labelled):
    """Outliers score below inliers, more so if one is told of them; hardly two score alike."""
    X, outlier = labelled
    budget = {"max_steps": unless_long(120, "auto")}
    told = lean(E, training_data="contaminated", **budget).fit(X)
    assert roc_auc_score(outlier, -told.score_samples(X)) >= 0.95
    model = (E(random_state=0) if LONG else lean(E, **budget)).fit(X)
    scores = model.score_samples(X)
    assert roc_auc_score(outlier, -scores) >= 0.85
    assert len(np.unique(scores)) > 0.95 * len(X)
    assert np.array_equal(model.decision_function(X), scores - model.offset_)
    assert np.array_equal(model.predict(X), np.where(scores < model.offset_, -1, 1))


@every
def test_learns(E, X):
    """The loss falls; decoded codes are closer than the column means; codes have their shape."""
    model = lean(E, max_steps=unless_long(60, 500)).fit(X)
    assert model.history_["train_loss"].iloc[-1] < model.history_["train_loss"].iloc[0]
    decoded = model.inverse_transform(model.transform(X))
    assert ((X - decoded) ** 2).sum() < ((X - X.mean(0)) ** 2).sum()
    np.testing.assert_allclose(decoded, model.reconstruct(X), atol=1e-4)
    assert model.transform(X).shape == (len(X), model.n_components_)
    assert quick(E, n_components=2).fit_transform(X).shape == (len(X), 2)


@every
def test_score_is_explained_variance(E, X):
    """`score` is 1 minus residual variance over variance around the training mean."""
    train, test = X[:400], X[400:] + 1
    model = quick(E, max_steps=5).fit(train)
    residual = (test - model.reconstruct(test)) ** 2
    expected = 1 - residual.sum() / ((test - train.mean(0)) ** 2).sum()
    np.testing.assert_allclose(model.score(test), expected, rtol=1e-9)
    np.testing.assert_array_equal(model.reconstruction_error(test, per_feature=True), residual)
    np.testing.assert_array_equal(model.reconstruction_error(test), residual.mean(1))


@every
def test_contamination_moves_only_the_threshold(E, X):
    """`contamination` is the share of training rows below the threshold, whatever the fit."""
    X = X[:200]
    plain, tenth = (quick(E, max_steps=5, contamination=c).fit(X) for c in ("auto", 0.1))
    np.testing.assert_array_equal(plain.score_samples(X), tenth.score_samples(X))
    assert (tenth.predict(X) == -1).mean() == pytest.approx(0.1)
    assert plain.offset_ == np.percentile(plain.score_samples(X), 1)


@every
def test_is_deterministic(E, X):
    """The same seed gives the same bits: refitted, cloned, pickled, in another thread."""
    X, model = X[:200], quick(E, max_steps=5)
    scores = model.fit(X).score_samples(X)
    copy = pickle.loads(pickle.dumps(model))
    for again in (copy, clone(model).fit(X), model.fit(X)):
        np.testing.assert_array_equal(again.score_samples(X), scores)
    resumed = [m.partial_fit(X).score_samples(X) for m in (model, copy)]
    np.testing.assert_array_equal(*resumed)

    def fitted(seed):
        return quick(E, max_steps=5, random_state=seed).fit(X).score_samples(X)

    alone = [scores, fitted(1), fitted(2)]
    assert not np.array_equal(*alone[:2])
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(list(pool.map(fitted, range(3))), alone)


@every
def test_leaves_global_generators_alone(E, X):
    """No global generator moves, and none is listened to."""

    def states():
        legacy = np.random.get_state()  # noqa: NPY002 (it is the global state that is watched)
        return repr((legacy[1].tolist(), torch.get_rng_state().tolist(), random.getstate()))

    before, X = states(), X[:200]
    how = {"max_steps": 5, "random_state": None}
    model = quick(E, **how).fit(X)
    model.score_samples(X)
    model.transform(X)
    assert states() == before
    assert not np.array_equal(quick(E, **how).fit(X).transform(X), model.transform(X))


@pytest.mark.usefixtures("own_tiles")
@pytest.mark.parametrize("E", kinds())
@pytest.mark.parametrize("n_components", [1, 3, 7])
def test_rows_do_not_see_each_other(E, n_components, X):
    """A row's results do not depend on its neighbours or its place, at any width."""
    order = np.random.default_rng(0).permutation(len(X))
    widths = range(n_components, 71, 7)
    for width in widths if LONG or E is Autoencoder else widths[::4]:
        model = quick(E, n_components=n_components, hidden_layer_sizes=(width,), max_steps=2)
        model.fit(X)
        for method in (model.score_samples, model.transform, model.reconstruct):
            whole = method(X)
            np.testing.assert_array_equal(method(X[order]), whole[order])
            np.testing.assert_array_equal(method(X[300:301]), whole[300:301])


@pytest.mark.parametrize("E", families())
def test_composes(E):
    """Search without labels or scorer, reduce for a classifier or a forest, name the columns."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    X = pd.DataFrame(rng.normal(size=(120, 4)) + 2 * y[:, None], columns=list("abcd"))
    grid = {f"{E.__name__.lower()}__n_components": [1, 2]}
    pipe = make_pipeline(StandardScaler(), quick(E))
    search = GridSearchCV(pipe, grid, n_jobs=unless_long(None, 2), cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    reducer = make_pipeline(
        StandardScaler(), quick(E, n_components=2, max_steps=unless_long(40, 100))
    )
    assert cross_val_score(make_pipeline(reducer, LogisticRegression()), X, y, cv=2).mean() > 0.8
    assert make_pipeline(reducer, IsolationForest(n_estimators=5)).fit(X).predict(X).shape == (120,)
    framed = reducer.set_output(transform="pandas").fit_transform(X)
    assert list(framed) == [f"{E.__name__.lower()}{i}" for i in range(2)]
    assert framed.index.equals(X.index)
    for container in ("pandas", "polars"):
        with sklearn.config_context(transform_output=container):
            model = quick(E, n_components=2).fit(X)
            assert type(model.transform(X)).__module__.startswith(container)
            assert model.inverse_transform(model.transform(X)).shape == X.shape


@pytest.mark.parametrize("E", families())
def test_accepts_every_kind_of_table(E, X):
    """Small, constant, integer, read-only, strided, float32 and polars tables all work."""
    frozen = X.copy()
    frozen.flags.writeable = False
    tables = [X[:1], X[:3], X[:, :1], np.ones((20, 3)), frozen, X[::2, ::-2], X.astype(np.float32)]
    tables += [(X * 10).astype(int), np.asfortranarray(X), pd.DataFrame(X), X * 1e8, X * 1e-8]
    tables.append(polars.DataFrame(X, schema=list("abcdefgh")))
    for table in tables:
        model = quick(E, max_steps=2).fit(table)
        assert np.isfinite(model.score_samples(table)).all()
        assert np.isfinite(model.score(table))
    with_constant = np.column_stack([X, np.full(len(X), 5.0)])
    model = quick(E).fit(with_constant)
    nudged = with_constant + np.eye(9)[8] * 1e-6
    np.testing.assert_allclose(
        model.score_samples(nudged), model.score_samples(with_constant), rtol=0.01
    )

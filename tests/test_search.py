"""Searches that fit everything at once give what scikit-learn's searches give."""

import pickle
import random
from os import getpid
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy.stats import loguniform
from shared import correlated_table, families, quick
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktae import Autoencoder, VectorQuantizedAutoencoder
from sktae import search as module
from sktae._outliers.model import OutlierModel
from sktae._training.fit import Fit
from sktae.families.image import ImageMixin
from sktae.search import StackedGridSearchCV, StackedRandomizedSearchCV

GRID = {"n_components": [1, 3], "learning_rate": [1e-3, 1e-2]}
FEW = {"n_components": [1, 2]}
FITTED = ("best_index_", "best_params_", "best_score_", "n_splits_", "multimetric_")


@pytest.fixture(scope="module")
def X():
    return correlated_table(120)


@pytest.fixture
def calls(monkeypatch):
    """Lists the tables that each call for fits was given."""
    seen = []

    def spy(estimators, Xs, **how):
        seen.append(list(Xs))
        return attempt_many(estimators, Xs, **how)

    attempt_many = module.attempt_many
    monkeypatch.setattr(module, "attempt_many", spy)
    return seen


def brief(**params):
    return quick(**{"max_steps": 5, "hidden_layer_sizes": (8,), **params})


class CountingScaler(StandardScaler):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def both(estimator, grid, *data, fit_params=(), classes=(StackedGridSearchCV, GridSearchCV), **how):
    """Search both ways, and check that the results agree; give ours."""
    how = {"cv": 2, **how}
    ours, theirs = (cls(estimator, grid, **how).fit(*data, **dict(fit_params)) for cls in classes)
    assert set(ours.cv_results_) == {*theirs.cv_results_, "training_path"}
    for name, expected in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        assert len(found) == len(expected)
        if "_test_" in name or "_train_" in name:
            if not name.startswith(("std_", "rank_")):
                # Ranks of rows whose scores are almost equal may change places, and so may rows
                # that lie between two codes; where few numbers are brought to one scale, so are
                # their last digits.
                ranked = how.get("scoring") == "roc_auc" or "auc" in name
                touchy = isinstance(estimator, VectorQuantizedAutoencoder | ImageMixin)
                rtol = 1e-2 if ranked else 5e-3 if touchy else 1e-4
                np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)
        elif "param" in name:
            assert str(found) == str(expected)
    for name in FITTED:
        assert hasattr(ours, name) == hasattr(theirs, name)
    assert vars(ours).keys() == vars(theirs).keys()
    if hasattr(theirs, "best_params_"):
        assert str(ours.best_params_) == str(theirs.best_params_)
    assert ours.estimator is estimator
    return ours


def roads(search):
    return set(search.cv_results_["training_path"])


@pytest.mark.parametrize("E", families())
def test_every_estimator_is_searched_as_by_scikit_learn(E, X, calls):
    """One call fits everything, and keys, scores and the best parameters are the same."""
    search = both(quick(E), GRID, X, return_train_score=True)
    assert len(calls) == 1
    assert len(calls[0]) == 8
    assert len({id(rows) for rows in calls[0]}) == 2
    assert "ordinary" not in roads(search)
    assert search.score(X) == search.best_estimator_.score(X)
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


def test_early_stopping(X):
    """Fits of different lengths are searched, too."""
    model = brief(early_stopping=True, max_steps=None, max_epochs=20, patience=2)
    both(model, {"learning_rate": [1e-3, 1e-1]}, X)


def test_a_head_is_fitted_once_per_fold(X, calls):
    """Candidates share the steps before the last one, unless they set something there."""
    model = make_pipeline(CountingScaler(), "passthrough", brief())
    grid = {"autoencoder__n_components": [1, 2]}
    CountingScaler.fits = 0
    StackedGridSearchCV(model, grid, cv=3, refit=False).fit(X)
    assert CountingScaler.fits == 3
    assert [len(rows) for rows in calls] == [6]
    both(model, {**grid, "countingscaler__with_std": [True, False]}, X)
    assert [len(rows) for rows in calls] == [6, 8]
    assert len({id(rows) for rows in calls[1]}) == 4


def test_rows_of_a_head_are_those_of_a_pipeline(X):
    """Frames, names and a head that knows labels all arrive."""
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    model = make_pipeline(StandardScaler(), brief()).set_output(transform="pandas")
    search = both(model, {"autoencoder__n_components": [1, 2]}, frame)
    assert list(search.feature_names_in_) == list(frame)
    named = both(brief(), FEW, frame, scoring=lambda m, X, y=None: len(X))
    assert list(named.best_estimator_.feature_names_in_) == list(frame)
    both(brief(), FEW, X.tolist())
    both(make_pipeline(brief()), {"autoencoder__n_components": [1, 2]}, X)


def test_scores(X):
    """Labels, several scores, a callable that chooses, and no refit."""
    y = np.tile([0, 1], 60)
    rows = X + 3 * y[:, None] * np.eye(8)[0]
    both(brief(), FEW, rows, y, scoring="roc_auc")
    many = {"auc": "roc_auc", "explained": lambda model, X, y: model.score(X)}
    both(brief(), FEW, rows, y, scoring=many, refit=lambda results: 1, return_train_score=True)
    both(brief(), FEW, rows, y, scoring=many, refit="explained")
    search = both(brief(), FEW, rows, scoring=lambda m, X, y=None: {"a": m.score(X)}, refit=False)
    assert not hasattr(search, "best_estimator_")


class Judging(Autoencoder):
    """Scored by its labels."""

    def score(self, X, y=None):
        return np.mean(self.predict(X))


def test_candidates_learn_what_their_scores_need(X, monkeypatch):
    """Those scored by reconstructions learn no scores of rows, and those by ranks no threshold."""
    y, gaps = np.tile([0, 1], 60), np.where(np.arange(X.size).reshape(X.shape) % 97, X, np.nan)
    both(brief(), FEW, np.concatenate([X[:80], gaps[80:]]), cv=KFold(3))  # gaps in one fold alone
    both(Judging(**brief().get_params()), FEW, X)
    learned = []
    for cls, name in ((OutlierModel, "measures"), (Fit, "_threshold")):
        method = getattr(cls, name)

        def spy(*args, method=method, name=name, **kwargs):
            learned.append(name)
            return method(*args, **kwargs)

        monkeypatch.setattr(cls, name, spy)
    for scoring, expected in ((None, set()), ("roc_auc", {"measures"})):
        StackedGridSearchCV(brief(), FEW, scoring=scoring, cv=2, refit=False).fit(X, y)
        assert set(learned) == expected


def test_a_failing_candidate_fails_alone(X):
    """It gets `error_score` and a warning, or ends the search."""
    grid = {"n_components": [2, -1, 3]}
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 6"):
        search = both(brief(), grid, X, error_score=-7.0)
    assert search.cv_results_["training_path"][1] == "failed"
    assert search.cv_results_["mean_test_score"][1] == -7
    with pytest.raises(ValueError, match="'n_components' parameter"):
        StackedGridSearchCV(brief(), grid, cv=2, error_score="raise").fit(X)
    with pytest.raises(ValueError, match="All the 5 fits failed"):
        StackedGridSearchCV(brief(), {"n_components": [-1]}).fit(X)
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        StackedGridSearchCV(brief(), {"nothing": [1]}).fit(X)


def test_a_failing_head_fails_its_candidates(X):
    """Those of the other heads go on."""
    model = make_pipeline(FunctionTransformer(), brief())
    with pytest.warns(FitFailedWarning):
        search = both(model, {"functiontransformer__func": [None, np.linalg.inv]}, X)
    assert search.cv_results_["training_path"][1] == "failed"
    assert np.isfinite(search.best_score_)


def foreign(tmp_path):
    cached = Pipeline([("scale", StandardScaler()), ("ae", brief())], memory=str(tmp_path))
    return [
        (PCA(), FEW),
        (make_pipeline(brief(), PCA()), {"pca__n_components": [1]}),
        (cached, {"ae__n_components": [1, 2]}),
    ]


def test_other_estimators_are_fitted_as_ever(X, calls, tmp_path):
    """What cannot be stacked says so, and gives scikit-learn's results."""
    for estimator, grid in foreign(tmp_path):
        assert roads(both(estimator, grid, X)) == {"ordinary"}
    y = np.tile([1, -1], 60)
    forest = IsolationForest(n_estimators=5, random_state=0)
    assert roads(both(forest, {"max_features": [2, 3]}, X, y, scoring="accuracy")) == {"ordinary"}
    weights = {"standardscaler__sample_weight": np.ones(120)}
    model = make_pipeline(StandardScaler(), brief())
    grid = {"autoencoder__n_components": [1, 2]}
    assert roads(both(model, grid, X, fit_params=weights)) == {"ordinary"}
    assert not any(calls)
    mixed = both(Pipeline([("model", brief())]), {"model": [brief(), PCA(2)]}, X)
    first, second = mixed.cv_results_["training_path"]
    assert first != second == "ordinary"
    assert [len(tables) for tables in calls if tables] == [2]


def test_random_candidates(X):
    """Candidates drawn from a distribution are those that scikit-learn draws."""
    classes = StackedRandomizedSearchCV, RandomizedSearchCV
    rates = {"learning_rate": loguniform(1e-4, 1e-1), "n_components": [1, 2]}
    search = both(brief(), rates, X, classes=classes, n_iter=3, random_state=3)
    assert len(search.cv_results_["params"]) == 3


def test_folds_are_drawn_once(X):
    """The rows that a model is scored on are apart from those it was trained on."""
    model = make_pipeline(StandardScaler(), brief())

    def distance(model, X, y=None):
        return np.abs(model[0].mean_ - X.mean(0)).max()

    grid = {"autoencoder__n_components": [1, 2]}
    how = {"scoring": distance, "return_train_score": True}
    for cv in (ShuffleSplit(2), iter(list(KFold(2).split(X)))):
        results = StackedGridSearchCV(model, grid, cv=cv, **how).fit(X).cv_results_
        assert results["mean_train_score"].max() < 1e-12
        assert results["mean_test_score"].min() > 1e-3
    groups = {"groups": np.arange(120) % 3}
    both(brief(), FEW, X, cv=GroupKFold(3), fit_params=groups)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [{}, {"backend": "loky"}])
def test_jobs_change_nothing(backend, X):
    """Threads or processes score and make the ordinary fits; threads fit the heads."""
    model = make_pipeline(StandardScaler(), brief())
    with parallel_config(**backend):
        both(model, {"autoencoder": [brief(n_components=2), PCA(2)]}, X, n_jobs=2)


def test_jobs_start_no_processes(X):
    """Several jobs score in this process, so not even the scorer needs to be pickled."""
    processes = []

    def scorer(model, X, y=None):
        processes.append(getpid())
        return model.score(X)

    StackedGridSearchCV(brief(), FEW, cv=2, scoring=scorer, n_jobs=2).fit(X)
    assert set(processes) == {getpid()}


def test_is_an_estimator_as_any_other(X):
    """It is cloned, set, pickled, nested, put in a pipeline, and fitted twice."""
    search = clone(StackedGridSearchCV(brief(), FEW, cv=2))
    search.set_params(estimator__activation="tanh", cv=3)
    assert search.get_params()["estimator__activation"] == "tanh"
    again = pickle.loads(pickle.dumps(search.fit(X)))
    np.testing.assert_array_equal(again.transform(X), search.transform(X))
    np.testing.assert_array_equal(search.fit(X).transform(X), again.transform(X))
    assert (search.cv, search.estimator.activation) == (3, "tanh")
    nested = cross_val_score(make_pipeline(StandardScaler(), search), X, cv=2)
    theirs = GridSearchCV(**search.get_params(deep=False))
    expected = cross_val_score(make_pipeline(StandardScaler(), theirs), X, cv=2)
    np.testing.assert_allclose(nested, expected, rtol=1e-4)


def test_a_failed_search_leaves_no_trace(X):
    """Parameters are those of before, whatever happens."""
    model = brief()
    search = StackedGridSearchCV(model, {"n_components": [-1]}, cv=2, error_score="raise")
    before = dict(vars(search))
    with pytest.raises(ValueError, match="n_components"):
        search.fit(X)
    assert {name: vars(search)[name] for name in before} == before
    assert not [name for name in vars(search) if name.startswith("_models")]


def test_times_are_shares(X):
    """Fit times are equal, and add up to what all the fits took."""
    start = perf_counter()
    search = StackedGridSearchCV(brief(), GRID, cv=3, refit=False).fit(X)
    elapsed = perf_counter() - start
    times = search.cv_results_["mean_fit_time"]
    assert times.max() == pytest.approx(times.min(), rel=0.01)
    assert 0 < 3 * times.sum() < elapsed
    assert (search.cv_results_["mean_score_time"] > 0).all()


def test_says_which_road_was_taken(X, monkeypatch):
    """A candidate has the names of all the roads of its folds."""

    def attempt_many(estimators, Xs, **how):
        for i, (estimator, rows) in enumerate(zip(estimators, Xs, strict=True)):
            estimator.fit(rows).training_path_ = "traced" if i == 1 else "stacked"
        return estimators

    monkeypatch.setattr(module, "attempt_many", attempt_many)
    search = StackedGridSearchCV(brief(), FEW, cv=2, refit=False).fit(X)
    assert list(search.cv_results_["training_path"]) == ["stacked+traced", "stacked"]


def test_callbacks_of_scikit_learn(X):
    """A search may have callbacks; an autoencoder that has its own is fitted by itself."""
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    grid = FEW
    search = StackedGridSearchCV(brief(), grid, cv=2).set_callbacks(callback.ProgressBar())
    assert roads(search.fit(X)) != {"ordinary"}
    monitor = callback.ScoringMonitor(scoring={"explained": lambda m, X, y: m.score(X)})
    search = StackedGridSearchCV(brief().set_callbacks(monitor), grid, cv=2).fit(X)
    assert roads(search) == {"ordinary"}


def test_leaves_global_generators_alone(X):
    """No global generator moves."""

    def states():
        legacy = np.random.get_state()  # noqa: NPY002 (it is the global state that is watched)
        return repr((legacy[1].tolist(), torch.get_rng_state().tolist(), random.getstate()))

    before = states()
    StackedGridSearchCV(Autoencoder(max_steps=5), GRID, cv=2).fit(X)
    assert states() == before

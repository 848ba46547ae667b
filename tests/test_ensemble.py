"""Ensembles: scikit-learn's checks, members as if fitted alone, a common scale, bagging."""

import ast
import inspect
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
from shared import families, quick, run_check
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktae import Autoencoder, VariationalAutoencoder, citation
from sktae._docstrings import entries, sections
from sktae.ensemble import AutoencoderEnsemble

SMALL = {"max_steps": 2, "n_components": 2, "hidden_layer_sizes": (4,)}
BAGGED = {"bootstrap": True, "max_samples": 0.7, "max_features": 0.5}
VARIANTS = [
    {},
    {"bootstrap": True},
    {"max_samples": 0.5, "aggregation": "median"},
    {"max_features": 0.6, "aggregation": "max"},
    BAGGED,
]
variants = pytest.mark.parametrize("how", VARIANTS)


def few(E=Autoencoder, n_estimators=3, n_components=2, **params):
    """Make an ensemble that fits in a moment."""
    params = {"calibration": None, "random_state": 0, **params}
    member = quick(E, n_components=n_components)
    return AutoencoderEnsemble(member, n_estimators=n_estimators, **params)


@parametrize_with_checks(
    [
        AutoencoderEnsemble(quick(VariationalAutoencoder, **SMALL), n_estimators=2),
        AutoencoderEnsemble(
            quick(**SMALL), n_estimators=2, aggregation="max", calibration=None, **BAGGED
        ),
    ],
)
def test_scikit_learn(estimator, check):
    """Every check of scikit-learn passes, whatever the members, but for draws by weights."""
    run_check(check, estimator)


def test_documentation_matches_the_signature():
    """Parameters are documented in order, with their defaults; so is what a fit leaves."""
    parts = sections(AutoencoderEnsemble.__doc__)
    documented = entries(parts["Parameters"])
    parameters = inspect.signature(AutoencoderEnsemble).parameters
    assert list(documented) == list(parameters)
    for name, text in documented.items():
        default = re.search(r"default=(.+)", text.split("\n")[0])[1]
        assert ast.literal_eval(default) == parameters[name].default, name
    fitted = vars(few().fit(pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})))
    assert {name for name in fitted if name.endswith("_")} == set(entries(parts["Attributes"]))
    assert citation(AutoencoderEnsemble).count("@misc") == parts["References"].count(".. [")


# -- members ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("E", families())
def test_members_are_as_if_fitted_alone(E, X):
    """Each member equals a fit of the estimator with its seed, on its rows and columns."""
    for how in ({}, BAGGED):
        ensemble = few(E, **how).fit(X)
        for member, columns in zip(ensemble.estimators_, ensemble.features_, strict=True):
            rows = ensemble._drawn_rows(X, len(X), member.random_state)
            alone = clone(ensemble.estimator).set_params(random_state=member.random_state)
            alone.fit(rows[:, columns])
            seen = X[:, columns]
            np.testing.assert_allclose(
                member.score_samples(seen), alone.score_samples(seen), rtol=0.03, atol=0.03
            )
        assert len({member.random_state for member in ensemble.estimators_}) == 3
        assert not hasattr(ensemble.estimator, "net_")


@pytest.mark.parametrize("E", families())
def test_one_member_ranks_as_it_does_alone(E, X):
    """An ensemble of one, without bagging, only shifts and stretches its scores."""
    for aggregation in ("mean", "max", "median"):
        ensemble = few(E, n_estimators=1, aggregation=aggregation).fit(X)
        (member,) = ensemble.estimators_
        ours, alone = ensemble.score_samples(X), member.score_samples(X)
        np.testing.assert_array_equal(ours.argsort(), alone.argsort())
        np.testing.assert_array_equal(ensemble.transform(X), member.transform(X))
        np.testing.assert_allclose(ensemble.reconstruct(X), member.reconstruct(X))
        assert ensemble.score(X) == pytest.approx(member.score(X))


def test_members_draw_different_rows_and_columns(X):
    """Rows are drawn by share, with or without replacement, differently for each member."""
    for bootstrap in (False, True):
        ensemble = few(bootstrap=bootstrap, max_samples=0.5).fit(X)
        drawn = [ensemble._drawn_rows(X, len(X), m.random_state) for m in ensemble.estimators_]
        assert all(rows.shape == (300, 8) for rows in drawn)
        assert (len(np.unique(drawn[0], axis=0)) == 300) is not bootstrap
        assert not np.array_equal(drawn[0], drawn[1])
    whole = few(bootstrap=True).fit(X)._drawn_rows(X, len(X), 0)
    assert len(whole) == len(X) > len(np.unique(whole, axis=0))


@pytest.mark.parametrize(("share", "n"), [(1.0, 1), (0.5, 2), (0.3, 4), (0.7, 3), (0.01, 8)])
def test_every_column_is_seen(share, n, X):
    """Members share the columns out evenly, and too few members are an error that says so."""
    features = few(n_estimators=n, max_features=share, n_components=1).fit(X).features_
    seen = np.bincount(features.ravel(), minlength=8)
    assert features.shape == (n, max(1, np.ceil(share * 8)))
    assert seen.min() >= 1
    assert np.ptp(seen) <= 1
    assert all(len(set(columns)) == len(columns) for columns in features)
    if n > 1:
        with pytest.raises(ValueError, match=r"max_features=0.* gives each member .* raise either"):
            few(n_estimators=1, max_features=share).fit(X)


def test_more_members_are_added_to_the_first(X):
    """A larger ensemble begins with the members of a smaller one."""
    small, large = (few(n_estimators=n, **BAGGED).fit(X) for n in (2, 4))
    np.testing.assert_array_equal(large.features_[:2], small.features_)
    pairs = zip(small.estimators_, large.estimators_[:2], strict=True)
    assert all(a.random_state == b.random_state for a, b in pairs)


# -- scores ----------------------------------------------------------------------------------------


def test_detects(labelled):
    """Outliers score below inliers, and the ensemble is about as good as its mean member."""
    X, outlier = labelled
    ensemble = AutoencoderEnsemble(n_estimators=3, random_state=0).fit(X)
    alone = [roc_auc_score(outlier, -m.score_samples(X)) for m in ensemble.estimators_]
    for aggregation in ("mean", "max", "median"):
        scores = ensemble.set_params(aggregation=aggregation).score_samples(X)
        assert roc_auc_score(outlier, -scores) >= max(0.95, np.mean(alone) - 0.01)
        assert len(np.unique(scores)) > 0.95 * len(X)


@variants
def test_threshold(how, X):
    """`contamination` is the share of training rows below the threshold, whatever the fit."""
    how = {"calibration": None, **how}
    plain, tenth = (few(contamination=c, **how).fit(X) for c in ("auto", 0.1))
    scores = plain.score_samples(X)
    np.testing.assert_array_equal(tenth.score_samples(X), scores)
    assert (tenth.predict(X) == -1).mean() == pytest.approx(0.1)
    assert plain.offset_ == np.percentile(scores, 1)
    np.testing.assert_array_equal(plain.decision_function(X), scores - plain.offset_)


@pytest.mark.parametrize("E", [Autoencoder, VariationalAutoencoder])
def test_members_have_a_common_scale(E, X):
    """On the training rows each member's anomaly has median 0 and quartiles 1 apart."""
    ensemble = few(E, max_features=0.5).fit(X * np.geomspace(1, 1e4, 8))
    anomalies = ensemble._member_anomalies(X * np.geomspace(1, 1e4, 8))
    common = (anomalies - ensemble.center_) / ensemble.scale_
    low, center, high = np.percentile(common, [25, 50, 75], axis=0)
    np.testing.assert_allclose(center, 0, atol=1e-12)
    np.testing.assert_allclose(high - low, 1)


def test_repeated_rows_do_not_spoil_the_scale(X):
    """Where nearly all rows are the same, the others still make a scale."""
    mostly_same = np.vstack([np.repeat(X[:1], 100, axis=0), X[1:10]])
    ensemble = few().fit(mostly_same)
    assert (ensemble.scale_ > 0).all()
    assert np.ptp(ensemble.score_samples(mostly_same)) > 1
    for table in (X[:1], np.ones((20, 3))):
        assert (few().fit(table).score_samples(table) == 0).all()


# -- reduction -------------------------------------------------------------------------------------


@variants
def test_codes_and_rows(how, X):
    """Codes stand side by side; rows are the means over the members that see each column."""
    ensemble = few(**how).fit(X)
    codes = ensemble.transform(X)
    assert codes.shape == (len(X), 6) == (len(X), ensemble.n_components_)
    members = list(zip(ensemble.estimators_, ensemble.features_, strict=True))
    parts = [member.transform(X[:, columns]) for member, columns in members]
    np.testing.assert_array_equal(codes, np.hstack(parts))
    rows = ensemble.inverse_transform(codes)
    np.testing.assert_allclose(rows, ensemble.reconstruct(X), atol=1e-4)
    for column in range(8):
        found = [
            member.reconstruct(X[:, columns])[:, list(columns).index(column)]
            for member, columns in members
            if column in columns
        ]
        np.testing.assert_allclose(ensemble.reconstruct(X)[:, column], np.mean(found, axis=0))
    residual = ensemble.reconstruction_error(X, per_feature=True)
    expected = 1 - residual.sum() / ((X - X.mean(0)) ** 2).sum()
    assert ensemble.score(X) == pytest.approx(expected)
    assert ensemble.transform(X.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="X has 5 components, but the codes"):
        ensemble.inverse_transform(codes[:, :5])


def test_output_is_framed(X):
    """Columns of the code are named, and members give arrays whatever the user wants to see."""
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    found = few(max_features=0.5).set_output(transform="pandas").fit_transform(frame)
    assert list(found) == [f"autoencoderensemble{i}" for i in range(6)]
    for container in ("pandas", "polars"):
        with sklearn.config_context(transform_output=container):
            model = few().fit(frame)
            assert type(model.transform(frame)).__module__.startswith(container)
            assert model.inverse_transform(model.transform(frame)).shape == X.shape
    with pytest.raises(ValueError, match="feature names should match"):
        model.score_samples(frame[list("hgfedcba")])


# -- repeatable ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, BAGGED])
def test_is_deterministic(how, X):
    """The same seed gives the same bits: refitted, cloned, pickled, in another thread."""
    how = {"n_estimators": 2, **how}
    model = few(**how)
    scores = model.fit(X).score_samples(X)
    for again in (pickle.loads(pickle.dumps(model)), clone(model).fit(X), model.fit(X)):
        np.testing.assert_array_equal(again.score_samples(X), scores)
        np.testing.assert_array_equal(again.features_, model.features_)

    def fitted(seed):
        return few(**{**how, "random_state": seed}).fit(X).score_samples(X)

    alone = [fitted(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(list(pool.map(fitted, range(3))), alone)
    assert not np.array_equal(*alone[:2])
    states = [np.random.RandomState(5) for _ in range(2)]
    np.testing.assert_array_equal(*map(fitted, states))


@pytest.mark.usefixtures("small_tiles")
@variants
def test_rows_do_not_see_each_other(how, X):
    """A row's results do not depend on its neighbours or its place, with many members too."""
    model = few(n_estimators=11, **how).fit(X)
    order = np.random.default_rng(0).permutation(len(X))
    for method in (model.score_samples, model.transform, model.reconstruct):
        whole = method(X)
        np.testing.assert_array_equal(method(X[order]), whole[order])
        np.testing.assert_array_equal(method(X[300:301]), whole[300:301])


def test_a_failed_fit_leaves_what_was_there(X):
    """What went wrong is said in the member's words, and the last fit stays whole."""
    model = few().fit(X)
    scores = model.score_samples(X)
    with pytest.raises(ValueError, match="'n_components' parameter of Autoencoder"):
        model.set_params(estimator__n_components=-1).fit(X[:, :5])
    np.testing.assert_array_equal(model.score_samples(X), scores)
    with pytest.raises(ValueError, match="'estimator' parameter of AutoencoderEnsemble must be"):
        AutoencoderEnsemble(StandardScaler()).fit(X)
    with pytest.raises(ValueError, match="'max_features' parameter of AutoencoderEnsemble must be"):
        few(max_features=0.0).fit(X)


def test_composes(X):
    """A search over the members' parameters inside a pipeline needs neither labels nor scorer."""
    pipe = make_pipeline(StandardScaler(), few())
    grid = {"autoencoderensemble__estimator__n_components": [1, 3]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X)
    assert search.best_params_ == {"autoencoderensemble__estimator__n_components": 3}
    assert search.predict(X).shape == search.score_samples(X).shape == (600,)

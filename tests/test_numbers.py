"""Numbers of any kind and size: NumPy's scalars, far outliers, offsets, large identifiers."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from scipy.stats import spearmanr
from shared import correlated_table, families, kinds, quick
from sklearn.pipeline import make_pipeline

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    ConvolutionalAutoencoder,
    RecurrentAutoencoder,
    VariationalAutoencoder,
    WindowedDetector,
    all_estimators,
    fit_many,
)
from sktae._engine.tiles import layer_size
from sktae._outliers.measures import Ellipsoid
from sktae.randomness import hold_out

# -- parameters ------------------------------------------------------------------------------------

NARROW = {bool: np.bool_, int: np.int8, float: np.float64, str: np.str_}


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderEnsemble(quick(max_steps=2), n_estimators=2, calibration=0.2),
        WindowedDetector(quick(max_steps=2), window_size=100, stride=50, max_windows=100),
    ],
    ids=lambda model: type(model).__name__,
)
def test_composed_estimators_take_scalars_of_numpy(model, X):
    """They count as plain numbers, however few bits they have, and stay what they are."""
    plain = model.set_params(random_state=0)
    params = plain.get_params(deep=False)
    scalars = {name: NARROW[type(v)](v) for name, v in params.items() if type(v) in NARROW}
    given = type(model)(**params | scalars).fit(X)
    np.testing.assert_array_equal(given.score_samples(X), plain.fit(X).score_samples(X))
    assert all(getattr(given, name) is value for name, value in scalars.items())


def test_scalars_of_numpy_join_a_stack(X):
    """What is equal as a number is one structure, so its fits are made together."""
    models = [Autoencoder(n, max_steps=2) for n in (2, np.int64(2), np.int8(2))]
    assert {model.training_path_ for model in fit_many(models, [X] * 3)} == {"stacked"}


# -- far outliers ----------------------------------------------------------------------------------

SIZES = [1e4, 1e10, 1e38, 1e100, 1e200, np.finfo(float).max]


def far_rows(X):
    """Make rows with one far value, or all values far, ever farther."""
    one, whole = np.repeat(X[:1], len(SIZES), 0), np.outer(SIZES, np.sign(X[0]))
    one[:, 2] = SIZES
    return np.vstack([one, whole])


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")  # by scikit-learn
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("E", [*all_estimators(), AutoencoderEnsemble])
def test_far_rows_have_finite_results(E, X):
    """Whatever overflows on the way, a finite row has finite results, and is an outlier."""
    members = E is AutoencoderEnsemble
    model = E(quick(), n_estimators=2) if members else quick(E)
    model.set_params(calibration=0.2).fit(X)
    rows = far_rows(X)
    codes = model.transform(rows)
    results = [
        codes,
        model.explain(rows),
        model.reconstruct(rows),
        model.reconstruction_error(rows),
    ]
    results += [model.reconstruction_error(rows, per_feature=True), model.score_samples(rows)]
    results += [model.inverse_transform(np.sign(codes) * size) for size in SIZES]
    assert all(np.isfinite(result).all(axis=None) for result in results)
    assert (model.predict(rows) == -1).all()
    assert (model.p_values(rows) == model.p_values(rows).min()).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace"])
@pytest.mark.parametrize("method", ["elbo", "importance", "monte_carlo"])
def test_far_rows_have_the_lowest_likelihoods(likelihood, method, X):
    """A likelihood that overflows is the lowest of all, for a row that is the farthest."""
    how = {"likelihood": likelihood, "score_method": method, "calibration": 0.2}
    model = quick(VariationalAutoencoder, max_steps=100, **how).fit(X)
    one, whole = np.split(model.score_samples(far_rows(X)), 2)
    assert (one < model.score_samples(X).min()).all()
    assert (np.diff(one) <= 0).all()
    assert (np.diff(whole) <= 0).all()
    np.testing.assert_allclose(model.explain(far_rows(X)).sum(axis=1), -np.append(one, whole))


@pytest.mark.parametrize("E", families())
def test_held_out_rows_may_be_the_only_incomplete_ones(E, X):
    """Their scores are those of other incomplete rows, so thresholds and p-values are numbers."""
    model = quick(E, calibration=0.2, max_steps=2)
    _, held_out = hold_out("calibration", len(X), 0.2, 0, "calibrate")
    X = X.copy()
    X[held_out[:30], 2] = np.nan
    scores = np.sort(model.fit(X).score_samples(X[held_out]))
    np.testing.assert_array_equal(model.calibration_scores_, scores)
    assert np.isfinite(model.offset_)


# -- offsets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("E", kinds())
def test_offsets_change_nothing(E, X):
    """However far from 0 columns lie, scores are what they are at 0, as long as floats hold it."""
    here, there = quick(E, max_steps=5).fit(X), quick(E, max_steps=5).fit(X + 1e12)
    assert there.score(X + 1e12) == pytest.approx(here.score(X), abs=1e-3)
    assert spearmanr(there.score_samples(X + 1e12), here.score_samples(X))[0] > 0.99


@pytest.mark.parametrize("value", [1.7e12, 2.0**60, 1e100])
def test_a_constant_column_does_not_decide_the_score(value, X):
    """Milliseconds since 1970 and the like have no variance that could be explained."""
    X = X.copy()
    X[:, 0] = value
    scores = [quick(max_steps=steps).fit(X).score(X) for steps in (1, 20, 100)]
    assert scores == sorted(scores)
    assert scores[0] + 0.2 < scores[2] < 0.999


def test_the_score_does_not_depend_on_units(X):
    """Not even where squares overflow."""
    scores = [quick().fit(X * unit).score(X * unit) for unit in (1, 2.0**500)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    model = quick().fit(X)
    assert model.score(X * 1e9) == pytest.approx(model.score(X * 1e300), abs=0.01)


@pytest.mark.parametrize("E", families())
def test_lost_digits_are_noticed(E, X):
    """Where a dtype is too coarse for a column, its name is told, at the fit and after it."""
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    frame["c"] += 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = quick(E, max_steps=1).fit(frame)
        model.score_samples(frame)
    for method in (model.score_samples, model.transform, model.predict):
        with pytest.warns(UserWarning, match="Column 'c' of X .*float32 are 64 apart"):
            method(frame.astype("f4"))
    frame["b"] += 1e15
    with pytest.warns(UserWarning, match="Column 'b' of X .*float64 are 0.125 apart") as caught:
        quick(E, max_steps=1).fit(frame)
    steps = make_pipeline("passthrough", quick(E, max_steps=1))
    with pytest.warns(UserWarning, match="Column 'b'") as caught_of_steps:
        steps.fit(frame)
    with pytest.warns(UserWarning, match="Column 'b'") as caught_of_scores:
        model.fit(frame).predict(frame)
    for one in (*caught, *caught_of_steps, *caught_of_scores):
        assert one.filename == __file__


def test_clipped_values_are_noticed(X):
    """Columns that are not scaled must not be too large."""
    with pytest.warns(UserWarning, match="values up to .*standardize=False they are clipped at"):
        quick(standardize=False).fit(X * 1e7)


# -- tokens ----------------------------------------------------------------------------------------


def test_large_identifiers_are_no_tokens():
    """A vocabulary up to an identifier would not fit memory."""
    X = np.arange(60.0).reshape(20, 3)
    X[3, 1] = 2.0**60
    with pytest.raises(ValueError, match=f"token {2**60}, but .*less than 16777216.*OrdinalEncod"):
        quick(RecurrentAutoencoder, n_tokens="auto").fit(X)


def test_tiles_are_small_where_the_vocabulary_is_large():
    """The network knows of its largest layer, which holds a number for each step and token."""
    X = np.random.default_rng(0).integers(0, 3000, (30, 5)).astype(float)
    model = quick(RecurrentAutoencoder, n_tokens=3000, max_steps=1).fit(X)
    assert layer_size(model.net_.module_) == 5 * 3001
    shares = model._inputs.summary(torch.tensor(X, dtype=torch.float32)).numpy()
    expected = [np.bincount(row.astype(int), minlength=3001) / 5 for row in X]
    np.testing.assert_array_equal(shares, np.float32(expected))


# -- wide rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("E", [*kinds(), AutoencoderEnsemble])
def test_explanations_of_wide_rows_take_little_memory(E, X, monkeypatch):
    """Features are altered a few at a time, which changes no contribution."""
    X, sizes = X[:50], []
    model = E(quick(), n_estimators=2) if E is AutoencoderEnsemble else quick(E, max_steps=2)
    whole = model.fit(X).explain(X[:4]).to_numpy()
    anomalies = E._anomalies

    def spy(model, rows):
        sizes.append(rows.size)
        return anomalies(model, rows)

    monkeypatch.setattr(E, "_anomalies", spy)
    monkeypatch.setattr("sktae._outliers.explain._CHUNK_NUMBERS", 4 * X.shape[1])
    np.testing.assert_array_equal(model.explain(X[:4]).to_numpy(), whole)
    assert max(sizes) <= 4 * X.shape[1]


@pytest.mark.parametrize(("d", "dtype"), [(1024, np.float64), (1025, np.float32)])
def test_directions_of_wide_rows_take_half_the_memory(d, dtype, monkeypatch):
    """They are kept as float32, in which distances are computed anyhow."""
    values = np.random.default_rng(0).normal(size=(30, d)).astype(np.float32)
    model = Ellipsoid(values)
    monkeypatch.setattr("sktae._outliers.measures._WIDE", 10**6)
    exact = Ellipsoid(values)
    assert (model.directions.dtype, exact.directions.dtype) == (dtype, np.float64)
    assert model.distances(torch.from_numpy(values)).equal(
        exact.distances(torch.from_numpy(values))
    )
    for parts in (np.arange(d), np.arange(d) // 100):
        given = model.expected(values[:3], parts)
        np.testing.assert_allclose(given, exact.expected(values[:3], parts), atol=1e-6)


# -- variances -------------------------------------------------------------------------------------


def test_variances_beyond_floats_are_refused(X):
    """Of sparse tables, and of channels over steps that do not vary, as of columns."""
    still = np.tile([[1e200, -1e200, 0]], (20, 1))
    sparse = scipy.sparse.csr_array(X * 1e200)
    for E, rows in [(Autoencoder, sparse), (RecurrentAutoencoder, still)]:
        with pytest.raises(ValueError, match="variance is too large"):
            quick(E, max_steps=1).fit(rows)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_extremes_need_no_warning(X):
    """Neither do squares that are 0, chunks without any value, and the largest floats."""
    tiny = 1e-300 * X[:300, :2]
    model = WindowedDetector(quick(max_steps=2), window_size=20, random_state=0).fit(tiny)
    assert np.isfinite(model.score_samples(tiny)).all()
    holes = X[:60].copy()
    holes[1:, 2] = np.nan
    assert np.isfinite(quick(max_steps=2).fit(holes).score_samples(holes)).all()
    far = np.where(X > 0, 1.7e308, 1.6999999e308)
    with pytest.raises(ValueError, match="divide them by a constant"):
        quick(max_steps=2).fit(far)


def test_one_scale_for_all_columns():
    """Columns keep their ratios, in likelihoods as well; they are as if scaled beforehand."""
    X = correlated_table() * np.arange(1, 9) + 100
    X[::7, 2] = np.nan
    X[:, 5] = 3.0
    mean, scale = np.nanmean(X, axis=0), np.sqrt(np.nanvar(X, axis=0).mean())
    scaled = (X - mean) / scale
    for E in (Autoencoder, VariationalAutoencoder):
        shared = quick(E, standardize="shared").fit(X)
        plain = quick(E, standardize=False).fit(scaled)
        np.testing.assert_allclose(shared.transform(X), plain.transform(scaled), atol=1e-5)
        back = plain.reconstruct(scaled) * scale + mean
        np.testing.assert_allclose(shared.reconstruct(X), back, rtol=1e-4)
    with pytest.raises(ValueError, match=r"'standardize' parameter .* must be"):
        quick(standardize="all").fit(X)


@pytest.mark.parametrize("E", [ConvolutionalAutoencoder, RecurrentAutoencoder])
def test_one_scale_for_all_channels(E):
    """So of images and sequences; a channel that is constant has no variance."""
    X = np.random.default_rng(0).normal(size=(50, 3, 8, 8)) * np.array([1, 10, 0])[:, None, None]
    if E is RecurrentAutoencoder:
        X = X.reshape(50, 3, 64).swapaxes(1, 2)
    inputs = quick(E, standardize="shared", max_steps=1).fit(X)._inputs
    np.testing.assert_allclose(inputs.scale, np.sqrt(101 / 3), rtol=0.05)
    own = quick(E, max_steps=1).fit(X)._inputs
    np.testing.assert_allclose(own.scale, [1, 10, 1], rtol=0.05)

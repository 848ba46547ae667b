"""Numbers of any kind and size: NumPy's scalars, far outliers, offsets, large identifiers."""

import numpy as np
import pytest
from shared import quick

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    VariationalAutoencoder,
    WindowedDetector,
    all_estimators,
    fit_many,
)

# -- parameters ------------------------------------------------------------------------------------

NARROW = {bool: np.bool_, int: np.int8, float: np.float64, str: np.str_}


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderEnsemble(quick(max_steps=2), n_estimators=2, calibration_fraction=0.2),
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
    model.set_params(calibration_fraction=0.2).fit(X)
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
    how = {"likelihood": likelihood, "score_method": method, "calibration_fraction": 0.2}
    model = quick(VariationalAutoencoder, max_steps=100, **how).fit(X)
    one, whole = np.split(model.score_samples(far_rows(X)), 2)
    assert (one < model.score_samples(X).min()).all()
    assert (np.diff(one) <= 0).all()
    assert (np.diff(whole) <= 0).all()
    np.testing.assert_allclose(model.explain(far_rows(X)).sum(axis=1), -np.append(one, whole))

"""Hostile input: what comes out is finite or a sentence, and nothing else changes.

Cases are drawn at random, the same in each run; with --long, many more.
"""

import os
import pickle
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from scipy import sparse
from shared import correlated_table, families, quick, unless_long

from sktae import Autoencoder, AutoencoderEnsemble, DenoisingAutoencoder, VariationalAutoencoder

pytest.importorskip("hypothesis", reason="hypothesis is optional")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays


def cases(few, many):
    """Return settings of Hypothesis for so many cases."""
    return settings(
        max_examples=unless_long(few, many),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


N_COLUMNS = 4
extreme = [0.0, -0.0, 5e-324, 1e-300, 1e15, 1e154, 1e300, -1e300, np.finfo(float).max, 2.0**60]
floats = st.one_of(st.floats(-10, 10), st.sampled_from(extreme), st.floats())
dtypes = [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_]


@st.composite
def tables(draw, n_columns=None):
    """Arrays of any dtype and any values."""
    shape = draw(st.integers(1, 12)), N_COLUMNS if n_columns is None else draw(n_columns)
    dtype = draw(st.sampled_from(dtypes))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if np.dtype(dtype).kind == "f":
            values = draw(arrays.arrays(np.float64, shape, elements=floats)).astype(dtype)
        else:
            values = draw(arrays.arrays(dtype, shape))
    return values


def strided(X):
    wide = np.zeros((2 * X.shape[0], 2 * X.shape[1]), X.dtype)
    wide[::2, ::2] = X
    return wide[::2, ::2]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


names = [f"column {n}" for n in range(12)]
CONTAINERS = [
    np.asarray,
    np.asfortranarray,
    strided,
    read_only,
    lambda X: X[::-1],
    lambda X: X.tolist(),
    lambda X: X.astype(object),
    lambda X: pd.DataFrame(X, columns=names[: X.shape[1]]),
    lambda X: pd.DataFrame(X, columns=names[: X.shape[1]]).convert_dtypes(),
    lambda X: polars.DataFrame(X.astype(float), schema=names[: X.shape[1]]),
    lambda X: sparse.csr_array(X.astype(float)),
    lambda X: sparse.coo_array(X.astype(float)),
    lambda X: torch.from_numpy(X.copy()),
    lambda X: X[:, :-1],
    lambda X: X[:0],
    lambda X: X[0],
    lambda X: X[..., np.newaxis],
    lambda X: X.astype(str),
    lambda X: X.astype(complex),
    lambda X: None,
]


def world():
    """Return the global state that no call may change."""
    return (
        pickle.dumps(np.random.mtrand._rand),
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        tuple(sorted(np.geterr().items())),
        os.getcwd(),
    )


def content(X):
    if isinstance(X, torch.Tensor):
        return X.numpy().tobytes()
    if isinstance(X, pd.DataFrame):  # its types remember what was asked of them, and values do not
        return pickle.dumps([(name, str(X[name].dtype), X[name].tolist()) for name in X])
    return X.write_json() if isinstance(X, polars.DataFrame) else pickle.dumps(X)


def answer(call, X):
    """Return what a call returns for X, or None if it raises a sentence."""
    world_before, before = world(), content(X)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            result = call(X)
        except (ValueError, TypeError) as error:
            result, sentence = None, str(error)
        else:
            sentence = "an answer"
    assert len(sentence) > 8, sentence
    assert world() == world_before
    assert content(X) == before
    return result


def is_finite(result):
    return bool(np.isfinite(np.asarray(result, dtype=np.float64)).all())


@pytest.fixture(scope="module")
def fitted():
    """Return models of complete and of incomplete rows, without and with names of columns."""
    X = correlated_table(120, N_COLUMNS)
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    frame = pd.DataFrame(X, columns=names[:N_COLUMNS])
    calibrated = {"calibration": 0.2, "max_steps": 5}
    return [
        *(quick(E, max_steps=5).fit(X) for E in families()),
        quick(VariationalAutoencoder, score_method="importance", **calibrated).fit(X),
        quick(DenoisingAutoencoder, **calibrated).fit(holes),
        quick(score_method="error", **calibrated).fit(frame),
        AutoencoderEnsemble(quick(max_steps=5), n_estimators=2, random_state=0).fit(X),
    ]


METHODS = ["transform", "reconstruct", "score_samples", "predict", "explain"]


@cases(80, 20_000)
@given(
    X=tables(), container=st.sampled_from(CONTAINERS), method=st.sampled_from(METHODS), n=st.data()
)
def test_methods(X, container, method, n, fitted):
    """Every method answers by finite numbers for each row, or by a sentence."""
    model = n.draw(st.sampled_from(fitted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given_rows = container(X)
    result = answer(getattr(model, method), given_rows)
    if result is not None:
        assert is_finite(result)
        assert len(result) == len(X)


@cases(30, 5_000)
@given(numbers=st.lists(floats, min_size=1, max_size=6), n=st.data())
def test_decoding(numbers, n, fitted):
    """Codes of any size are decoded to finite rows."""
    model = n.draw(st.sampled_from(fitted[:-1]))
    result = answer(model.inverse_transform, np.resize(numbers, (3, model._n_features_out)))
    assert result is None or is_finite(result)


settings_of_fits = st.fixed_dictionaries(
    {
        "n_components": st.sampled_from([1, np.int64(2), "auto"]),
        "training_data": st.sampled_from(["unknown", "clean", "contaminated"]),
        "score_method": st.sampled_from(["combined", "residual", "distance", "error"]),
        "standardize": st.booleans(),
        "contamination": st.sampled_from(["auto", 0.3, np.float32(0.1)]),
        "calibration": st.sampled_from([None, 0.3]),
        "batch_size": st.sampled_from([1, 7, 10**9]),
        "early_stopping": st.booleans(),
        "max_steps": st.sampled_from([1, np.int8(3)]),
        "learning_rate": st.sampled_from(["auto", 1e-300, 10.0]),
        "precision": st.sampled_from(["float32", "bfloat16"]),
    }
)


@cases(30, 3_000)
@given(
    X=tables(st.integers(1, 5)), container=st.sampled_from(CONTAINERS[:13]), params=settings_of_fits
)
def test_fits(X, container, params):
    """A fit ends with finite scores, or with a sentence and no half of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given_rows = container(X)
    model = Autoencoder(hidden_layer_sizes=(4,), random_state=0, **params)
    if answer(model.fit, given_rows) is None:
        assert not hasattr(model, "net_")
        return
    for method in ("score_samples", "predict", "reconstruct", "explain"):
        result = answer(getattr(model, method), given_rows)
        assert result is not None
        assert is_finite(result), method
    if model.calibration_scores_ is not None:
        p_values = model.p_values(given_rows)
        assert ((p_values > 0) & (p_values <= 1)).all()


columns = st.sampled_from(
    [
        lambda r, n: r.normal(size=n),
        lambda r, n: np.where(r.random(n) < 0.5, np.nan, r.normal(size=n)),
        lambda r, n: np.full(n, np.nan),
        lambda r, n: np.full(n, 1e300),
        lambda r, n: pd.array(r.integers(0, 2**62, n), dtype="Int64"),
        lambda r, n: pd.array([None, 3] * n, dtype="Int64")[:n],
        lambda r, n: r.random(n) < 0.5,
        lambda r, n: pd.array([True, None] * n, dtype="boolean")[:n],
        lambda r, n: r.choice(["x", "y", ""], n),
        lambda r, n: [f"name {i}" for i in range(n)],
        lambda r, n: pd.Categorical(r.choice(["x", "y"], n), ["z", "y", "x"], ordered=True),
        lambda r, n: pd.Categorical([None] * n, ["x"]),
        lambda r, n: pd.array(["x", None] * n, dtype="string")[:n],
        lambda r, n: np.array([1, "x", None] * n, dtype=object)[:n],
        lambda r, n: pd.date_range("2026", periods=n),
    ]
)


@cases(25, 2_000)
@given(kinds=st.lists(columns, min_size=1, max_size=5), n=st.integers(1, 30), seed=st.integers(0))
def test_mixed_tables(kinds, n, seed):
    """Whatever the columns hold, scores are finite, and impute gives back the same columns."""
    r = np.random.default_rng(seed)
    table = pd.DataFrame({f"c{i}": kind(r, n) for i, kind in enumerate(kinds)})
    model = quick(max_steps=2)
    if answer(model.fit, table) is None:
        assert not hasattr(model, "net_")
        return
    assert is_finite(answer(model.score_samples, table))
    assert is_finite(answer(model.explain, table))
    filled = answer(model.impute, table)
    assert list(filled) == list(table)
    for name in table:
        there = table[name].notna()
        assert (filled[name][there] == table[name][there]).all()


def test_many_threads_score_one_estimator(fitted):
    """All get the same bits."""
    X = correlated_table(50, N_COLUMNS)
    for model in fitted:
        expected = model.score_samples(X)
        with ThreadPoolExecutor(64) as pool:
            for scores in pool.map(model.score_samples, [X] * 64):
                assert np.array_equal(scores, expected)

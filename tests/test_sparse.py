"""Sparse tables and tensors go in as they are."""

import numpy as np
import polars
import pytest
import torch
from scipy import sparse
from shared import families, kinds, quick
from test_tables import some

from sktae import Autoencoder, AutoencoderEnsemble, fit_many
from sktae._training import prepare


def words(n=300, d=40, dtype=np.float64):
    rng = np.random.default_rng(0)
    return sparse.random_array((n, d), density=0.1, format="csr", rng=rng, dtype=dtype)


@pytest.mark.parametrize("E", some(kinds()))
def test_sparse_rows_are_rows(E, monkeypatch):
    """Scores are those of the dense table, whether the rows are held in memory or not."""
    X = words()
    model = quick(E, max_steps=5).fit(X)
    dense = quick(E, max_steps=5).fit(X.toarray())
    np.testing.assert_allclose(model.score_samples(X), dense.score_samples(X.toarray()), rtol=1e-3)
    scores = model.score_samples(X)
    np.testing.assert_array_equal(model.score_samples(X.toarray()), scores)
    np.testing.assert_array_equal(model.score_samples(X[7:8]), scores[7:8])
    np.testing.assert_array_equal(model.explain(X[:5]), model.explain(X[:5].toarray()))
    monkeypatch.setattr(prepare, "_LOADED_NUMBERS", 1000)
    monkeypatch.setattr("sktae._engine.batches._GATHERED_NUMBERS", 1)
    np.testing.assert_array_equal(quick(E, max_steps=5).fit(X).score_samples(X), scores)


@pytest.mark.parametrize("make", [sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
def test_all_sparse_formats(make):
    """Formats make no difference, nor do calibration, central rows, chunks and stacks."""
    X, other = words(dtype=np.float32), make(words(dtype=np.float32))
    for how in ({}, {"training_data": "contaminated"}, {"calibration": 0.2}):
        models = [quick(**how).fit(rows) for rows in (X, other)]
        np.testing.assert_array_equal(*(model.transform(X) for model in models))
    assert models[0].transform(other).dtype == np.float32
    assert models[0].partial_fit(other).predict(other).shape == (300,)
    assert fit_many([quick(), quick(random_state=1)], [other] * 2)[0].training_path_ == "stacked"
    assert models[1].score(other) == models[1].score(X)


def test_missing_values_of_sparse_tables():
    """A stored NaN is a missing value."""
    X = words()
    X.data[::20] = np.nan
    model = quick().fit(X)
    np.testing.assert_array_equal(model.score_samples(X), model.score_samples(X.toarray()))
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize("E", families())
def test_what_takes_no_sparse_rows_says_so(E):
    """Sequences, images, ensembles and tables with declared categories are dense."""
    takes = E().__sklearn_tags__().input_tags.sparse
    with pytest.raises(TypeError, match="Sparse data was passed"):
        (AutoencoderEnsemble(quick()) if takes else quick(E)).fit(words())
    with pytest.raises(TypeError, match="Sparse data was passed"):
        quick(E, categorical_features=[0]).fit(words())


@pytest.mark.parametrize("E", families())
def test_tensors_are_arrays(E, X):
    """Whatever their number type; what lies elsewhere must be brought here first."""
    model = quick(E).fit(torch.from_numpy(X).requires_grad_())
    expected = quick(E).fit(X).score_samples(X)
    np.testing.assert_array_equal(model.score_samples(torch.from_numpy(X)), expected)
    assert np.isfinite(model.score_samples(torch.from_numpy(X).bfloat16())).all()
    with pytest.raises(ValueError, match=r"a tensor on the device meta; pass X\.cpu"):
        model.score_samples(torch.empty(3, 8, device="meta"))


def test_lazy_frames_are_refused(X):
    """Of what is not computed yet, an error says that it is no table."""
    with pytest.raises((ValueError, TypeError)):
        Autoencoder().fit(polars.DataFrame(X).lazy())


def test_empty_rows_are_refused():
    """A row of which all is missing is named, as in dense tables."""
    X = np.random.default_rng(0).normal(size=(30, 4))
    model = quick().fit(sparse.csr_array(X))
    X[3] = np.nan
    for method in (model.fit, model.score_samples, model.explain):
        with pytest.raises(ValueError, match="Row 3 of X has no value"):
            method(sparse.csr_array(X))

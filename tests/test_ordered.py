"""Ordered components: one fit has all smaller codes."""

import numpy as np
import pandas as pd
import pytest
import torch
from shared import quick
from sklearn.base import clone
from sklearn.datasets import load_digits

from sktae import Autoencoder, DenoisingAutoencoder, SparseAutoencoder, fit_many, load, save
from sktae._engine import net as engine
from sktae.randomness import Prefix

MODELS = [Autoencoder, DenoisingAutoencoder, SparseAutoencoder]
each = pytest.mark.parametrize("E", MODELS)


def ordered(E=Autoencoder, **params):
    return quick(E, **{"n_components": 5, "ordered_components": True, **params})


def test_prefixes_are_drawn():
    """Each length is as frequent as any other, and what follows is hidden."""
    kept = Prefix((4,)).draw(torch.Generator().manual_seed(0), 4000)
    lengths = kept.sum(1)
    assert torch.equal(kept, (torch.arange(4) < lengths[:, None]).float())
    shares = torch.bincount(lengths.long()) / 4000
    torch.testing.assert_close(shares, torch.tensor([0, *[0.25] * 4]), atol=0.03, rtol=0)


def test_one_component_has_an_order(X):
    """There is nothing to hide, so the model is the plain one, to the bit."""
    plain, one = (quick(n_components=1, ordered_components=flag).fit(X) for flag in (False, True))
    np.testing.assert_array_equal(one.transform(X), plain.transform(X))
    np.testing.assert_array_equal(one.score_samples(X), plain.score_samples(X))


def test_the_first_components_explain_most():
    """Two of eight explain nearly what a fit of two does, and far more than without an order."""
    X, _ = load_digits(return_X_y=True)
    found, settings = {}, {"standardize": "shared", "max_steps": 300}
    for flag in (False, True):
        model = quick(n_components=8, ordered_components=flag, **settings).fit(X)
        codes = model.transform(X)
        recon = model.inverse_transform(codes * (np.arange(8) < 2))
        found[flag] = 1 - np.square(X - recon).sum() / np.square(X - X.mean(0)).sum()
    alone = quick(n_components=2, **settings).fit(X).score(X)
    assert found[True] > max(alone - 0.2, found[False] + 0.2)
    ratio = model.explained_variance_ratio_
    assert ratio[:2].sum() == pytest.approx(found[True], abs=1e-4)
    assert ratio.sum() == pytest.approx(model.score(X), abs=1e-4)
    assert ratio[:3].min() > ratio[3:].max()


@each
@pytest.mark.parametrize("structure", [{}, {"loss": "cross_entropy"}])
def test_first_components_are_decoded(E, structure, X):
    """Whatever is left out of a code is as hidden: in arrays, single rows and DataFrames."""
    X = (X - X.min(0)) / np.ptp(X, axis=0)
    model = ordered(E, **structure).fit(X)
    codes = model.transform(X)
    for k in range(1, 6):
        expected = model.inverse_transform(codes * (np.arange(5) < k))
        np.testing.assert_array_equal(model.inverse_transform(codes[:, :k]), expected)
        np.testing.assert_array_equal(model.inverse_transform(codes[:1, :k]), expected[:1])
    np.testing.assert_array_equal(expected, model.reconstruct(X))
    table = clone(model).set_output(transform="pandas").fit_transform(X)
    np.testing.assert_array_equal(
        model.inverse_transform(table.iloc[:, :2]), model.inverse_transform(codes[:, :2])
    )


def test_what_needs_an_order_says_so(X):
    """Codes of a wrong size, and shares of components that have no order, are refused."""
    model = ordered().fit(X)
    with pytest.raises(ValueError, match=r"X has 6 components, but the codes .* have 5"):
        model.inverse_transform(np.ones((2, 6)))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        model.inverse_transform(np.ones((2, 0)))
    plain = ordered(ordered_components=False).fit(X)
    with pytest.raises(ValueError, match=r"X has 4 components, but the codes .* have 5"):
        plain.inverse_transform(np.ones((2, 4)))
    with pytest.raises(AttributeError, match=r"needs .* ordered_components=True"):
        plain.explained_variance_ratio_  # noqa: B018
    # What counts is how the model was fitted.
    model.set_params(ordered_components=False)
    assert model.inverse_transform(np.ones((2, 4))).shape == (2, 8)


@each
def test_all_ways_to_fit(E, X, monkeypatch):
    """Steps that are recorded or stacked hide the same, and rows need not be complete."""
    monkeypatch.setattr(engine, "MANY_STEPS", 10**9)
    plain = ordered(E).fit(X)
    monkeypatch.setattr(engine, "MANY_STEPS", 0)
    traced = ordered(E).fit(X)
    assert (plain.training_path_, traced.training_path_) == ("plain", "traced")
    np.testing.assert_array_equal(traced.transform(X), plain.transform(X))
    models = [ordered(E), ordered(E, random_state=1), ordered(E, ordered_components=False)]
    several = fit_many([*models, clone(models[2])], [X] * 4)
    assert several[0].training_path_ == "stacked"
    for model in several:
        alone = clone(model).fit(X)
        np.testing.assert_allclose(model.transform(X), alone.transform(X), atol=1e-3)
        assert hasattr(model, "explained_variance_ratio_") == model.ordered_components


@each
def test_shares_of_variance(E, X, tmp_path):
    """They add up with missing values and categories, are those of the file, and never NaN."""
    X = X.copy()
    X[::7, 0] = np.nan
    table = pd.DataFrame(X, columns=list("abcdefgh")).assign(kind=np.where(X[:, 1] > 0, "a", "b"))
    model = ordered(E, max_steps=100).fit(table)
    ratio = model.explained_variance_ratio_
    assert ratio.shape == (5,)
    assert 0.3 < ratio.sum() < 1
    save(model, tmp_path / "model.sktae")
    np.testing.assert_array_equal(load(tmp_path / "model.sktae").explained_variance_ratio_, ratio)
    same = ordered(E).fit(np.ones((20, 3)))
    np.testing.assert_array_equal(same.explained_variance_ratio_, np.zeros(5))

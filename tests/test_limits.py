"""Every autoencoder has a limit in which it is something simpler."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, FactorAnalysis

from sktae import (
    Autoencoder,
    BinaryAutoencoder,
    CategoricalAutoencoder,
    ContentStyleAutoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    DisentangledAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
)
from sktae.autoencoders.variational import negative_elbo
from sktae.nn.losses import squared
from sktae.nn.posteriors import Posterior

LINEAR = {"hidden_layer_sizes": (), "activation": "identity"}


@pytest.fixture(scope="module")
def Z(X):
    return (X - X.mean(0)) / X.std(0)


@pytest.mark.parametrize("structure", [{}, {"tied_weights": True}, {"linear_skip": True}])
def test_linear_is_pca(Z, structure):
    """Without hidden layers, the reconstruction is the projection on the principal subspace."""
    model = Autoencoder(2, **LINEAR, **structure, learning_rate=0.02, max_steps=2000)
    pca = PCA(2).fit(Z)
    expected = pca.inverse_transform(pca.transform(Z))
    model.set_params(random_state=0).fit(Z)
    np.testing.assert_allclose(model.reconstruct(Z), expected, atol=0.05)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "swap"])
def test_no_corruption_is_plain(X, noise):
    """A denoising autoencoder without noise is the plain one, bit for bit."""
    model = DenoisingAutoencoder(noise=noise, noise_level=0.0, max_steps=30, random_state=0)
    plain = Autoencoder(max_steps=30, random_state=0)
    np.testing.assert_array_equal(model.fit(X).transform(X), plain.fit(X).transform(X))


def test_no_contraction_is_plain(X):
    """A contractive autoencoder without penalty is the plain one with the same layers."""
    model = ContractiveAutoencoder(alpha=0.0, **LINEAR, max_steps=30, random_state=0)
    plain = Autoencoder(tied_weights=True, **LINEAR, max_steps=30, random_state=0)
    expected = plain.fit(X).transform(X)
    np.testing.assert_allclose(model.fit(X).transform(X), expected, rtol=1e-4, atol=1e-5)


def test_top_all_is_plain(X):
    """Keeping every unit, the k-sparse autoencoder is the plain one."""
    model = SparseAutoencoder(8, n_active=8, max_steps=30, random_state=0)
    plain = Autoencoder(8, hidden_layer_sizes=(), max_steps=30, random_state=0)
    np.testing.assert_array_equal(model.fit(X).transform(X), plain.fit(X).transform(X))


def test_sparse_penalties_meet(X):
    """Without penalty, and keeping the whole batch, rectified codes are the same."""
    free = SparseAutoencoder(8, penalty="l1", alpha=0.0, max_steps=30, random_state=0)
    whole = SparseAutoencoder(8, penalty="batch-topk", n_active=8, max_steps=30, random_state=0)
    expected = free.fit(X).transform(X)
    np.testing.assert_allclose(whole.fit(X).transform(X), expected, rtol=1e-4, atol=1e-5)


def test_no_divergence_is_plain():
    """At beta 0, unit scale and no noise, the bound is half the squared error, up to a constant."""
    x, recon = torch.randn(2, 5, 3).unbind()
    code = torch.randn(5, 2)
    out = Posterior(recon, code, torch.zeros(5, 2), code, recon, torch.zeros(3))
    terms = negative_elbo("gaussian", x, out, beta=0.0, free_bits=0.0)
    assert torch.equal(terms["divergence"], torch.zeros(5, 2))
    constant = 0.5 * np.log(2 * np.pi)
    torch.testing.assert_close(terms["reconstruction"], squared(x, recon) / 2 + constant)


def test_no_divergence_is_cross_entropy(X):
    """At beta 0 and without noise, the bound with a Bernoulli likelihood is the cross-entropy."""
    x, code = torch.rand(5, 3), torch.randn(5, 2)
    natural, zeros = torch.randn(5, 3), torch.zeros(5, 2)
    out = Posterior(natural.sigmoid(), code, zeros, code, natural, torch.zeros(3))
    bound = negative_elbo("bernoulli", x, out, beta=0.0, free_bits=0.0)["reconstruction"]
    model = Autoencoder(loss="cross-entropy")
    torch.testing.assert_close(model.objective(x, out), bound)
    torch.testing.assert_close(
        bound, torch.nn.functional.binary_cross_entropy(out.recon, x, reduction="none")
    )


def test_one_choice_is_the_mean(X):
    """With one code or category, every row comes back as the mean of all."""
    for model in (CategoricalAutoencoder(1), VectorQuantizedAutoencoder(4, n_codes=1)):
        model.set_params(max_steps=500, random_state=0).fit(X)
        np.testing.assert_allclose(model.reconstruct(X), np.tile(X.mean(0), (len(X), 1)), atol=0.1)


@pytest.mark.parametrize("E", [CategoricalAutoencoder, BinaryAutoencoder])
def test_few_choices_are_means_of_groups(E):
    """What a category or a bit stands for is the mean of the rows that chose it, as in k-means."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) + 8 * np.eye(3)[np.repeat([0, 1], 200)]
    model = E(2 if E is CategoricalAutoencoder else 1, max_steps=1000, random_state=0).fit(X)
    codes = model.transform(X)
    for code in np.unique(codes, axis=0):
        own = (codes == code).all(axis=1)
        np.testing.assert_allclose(model.reconstruct(X[own])[0], X[own].mean(axis=0), atol=0.3)


def test_no_extra_weight_is_variational(X):
    """At beta 1, the total correlation costs nothing extra: the same model, bit for bit."""
    apart = DisentangledAutoencoder(3, beta=1.0, max_steps=30, random_state=0).fit(X)
    plain = VariationalAutoencoder(3, beta=1.0, max_steps=30, random_state=0).fit(X)
    np.testing.assert_array_equal(apart.transform(X), plain.transform(X))


def test_no_groups_are_variational(X):
    """Without groups, content and style are one code: the same model, bit for bit."""
    apart = ContentStyleAutoencoder(3, max_steps=30, random_state=0).fit(X)
    plain = VariationalAutoencoder(3, max_steps=30, random_state=0).fit(X)
    np.testing.assert_allclose(apart.transform(X), plain.transform(X), rtol=1e-4, atol=1e-5)


def test_linear_variational_is_factor_analysis(Z):
    """With linear maps, the bound is the log-likelihood of factor analysis."""
    exact = FactorAnalysis(3).fit(Z).score_samples(Z)
    model = VariationalAutoencoder(
        3,
        **LINEAR,
        learning_rate=0.01,
        max_steps=3000,
        score_method="importance",
        n_draws=64,
        random_state=0,
    ).fit(Z)
    bound = model.score_samples(Z)
    assert abs(bound.mean() - exact.mean()) < 0.5
    assert np.corrcoef(bound, exact)[0, 1] > 0.95

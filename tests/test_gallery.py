"""What single members of the gallery promise beyond the contract."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sktae import SparseAutoencoder, VariationalAutoencoder, citation
from sktae.autoencoders import contractive
from sktae.nn.codes import batch_top_k, top_k


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)[0]


@pytest.mark.parametrize("hidden", [(), (6,)])
def test_contraction_is_the_jacobian(hidden):
    """The penalty is the squared norm of the Jacobian: exact, or right on average."""
    network = contractive.Network(5, 4, hidden, "tanh", tied_weights=True)
    x = torch.randn(3, 5)
    jacobian = torch.stack([torch.autograd.functional.jacobian(network.encode, row) for row in x])
    exact = jacobian.square().sum((1, 2))
    if hidden:
        many = x.repeat_interleave(20_000, 0)
        slope = network(many, torch.randn(len(many), 4)).slope.sum(1).view(3, -1).mean(1)
        torch.testing.assert_close(slope, exact, rtol=0.05, atol=0)
    else:
        torch.testing.assert_close(network(x).slope.sum(1), exact)


def test_top_k_keeps_the_largest():
    """Exactly k entries survive in each row, or on average in the batch."""
    z = torch.randn(6, 10).abs()
    kept = top_k(z, 3)
    assert ((kept != 0).sum(1) == 3).all()
    torch.testing.assert_close(kept.sum(1), z.sort(1).values[:, -3:].sum(1))
    assert (batch_top_k(z, 3) != 0).sum() == 18
    assert batch_top_k(z, 3).sum() == pytest.approx(float(z.flatten().sort().values[-18:].sum()))


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({"penalty": "topk", "n_active": 8}, (0.124, 0.126)),
        ({"penalty": "batch-topk", "n_active": 8}, (0.11, 0.14)),
        ({"penalty": "l1"}, (0.01, 0.4)),
    ],
)
def test_codes_are_sparse_and_units_alive(digits, settings, share):
    """Few units are active in a row, hardly any unit in no row."""
    model = SparseAutoencoder(64, **settings, random_state=0).fit(digits)
    active = model.transform(digits) != 0
    assert share[0] < active.mean() < share[1]
    assert active.any(axis=0).sum() >= 58
    assert model.score(digits) > 0.5


def test_rates_approach_the_target(digits):
    """The divergence of activation rates pulls them to where they should be."""
    far, near = (
        SparseAutoencoder(64, penalty="kl", target=0.05, alpha=alpha, random_state=0)
        .fit_transform(digits)
        .mean(axis=0)
        for alpha in (0.1, 30.0)
    )
    assert abs(near - 0.05).mean() < 0.02
    assert abs(near - 0.05).mean() < 0.2 * abs(far - 0.05).mean()


def test_chunks_revive_as_fits_do(digits):
    """Units come back to life between partial fits, too."""
    chunked = SparseAutoencoder(256, n_active=2, learning_rate=0.002, random_state=0)
    for _ in range(36):
        chunked.partial_fit(digits)
    assert chunked.history_["dead_units"].iloc[-1] < 26


def test_dead_units_are_revived(digits):
    """Units that never fired get a bias that makes them fire for the rows they like most."""
    model = SparseAutoencoder(64, penalty="l1", max_steps=1, random_state=0).fit(digits)
    network, x = model.net_.module_, model._rows(digits).load().x
    with torch.no_grad():
        network.encoder[-1].bias[:10] = -100
        out = network(x)
        assert (out.code[:, :10] == 0).all()
        model.revive(network, out)
        revived = network(x).code != 0
    assert revived[:, :10].any(0).all()
    assert revived[:, :10].float().mean() < 0.02
    assert torch.equal(revived[:, 10:], out.code[:, 10:] != 0)


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "bernoulli"])
def test_samples_look_like_the_data(likelihood, X):
    """Drawn rows have the data's means and spread, and are the same at each call."""
    if likelihood == "bernoulli":
        X = (X > 0).astype(float)
    model = VariationalAutoencoder(4, likelihood=likelihood, max_steps=1000, random_state=0).fit(X)
    drawn = model.sample(4000)
    assert drawn.shape == (4000, 8)
    np.testing.assert_array_equal(drawn, model.sample(4000))
    assert np.abs(drawn.mean(0) - X.mean(0)).max() < 0.3 * X.std()
    assert 0.5 < np.linalg.norm(np.cov(drawn.T)) / np.linalg.norm(np.cov(X.T)) < 1.5
    if likelihood == "bernoulli":
        assert set(np.unique(drawn)) == {0, 1}
    assert model.sample().shape == (1, 8)


def test_free_bits_keep_the_code_alive(X):
    """Where the divergence is free up to a point, it is used up to there."""
    divergence = {
        bits: VariationalAutoencoder(8, beta=20, free_bits=bits, random_state=0)
        .fit(X)
        .history_["train_divergence"]
        .iloc[-1]
        / 20
        for bits in (0.0, 0.5)
    }
    assert divergence[0.0] < 1
    assert divergence[0.5] >= 8 * 0.5 * 0.99


def test_score_methods_are_deterministic(X):
    """Draws at score time are the same for every row, call and batch."""
    model = VariationalAutoencoder(3, max_steps=50, random_state=0).fit(X)
    for method in ("combined", "elbo", "monte-carlo", "importance"):
        scores = model.set_params(score_method=method).score_samples(X)
        np.testing.assert_array_equal(model.score_samples(X), scores)
        np.testing.assert_array_equal(model.score_samples(X[::-7]), scores[::-7])
        repeated = model.score_samples(np.repeat(X[:1], 3, axis=0))
        assert len(np.unique(repeated)) == 1
    assert scores.mean() > model.set_params(score_method="monte-carlo").score_samples(X).mean()


def test_citation_lists_every_reference():
    """Each reference of the docstring becomes an entry with all its authors."""
    entries = citation(VariationalAutoencoder(beta=4.0)).split("@misc")[1:]
    assert [entry.split(",")[0] for entry in entries] == [
        "{kingma2014",
        "{higgins2017",
        "{burda2016",
    ]
    assert "author = {Kingma, D. P. and Welling, M.}" in entries[0]
    assert "title = {Importance Weighted Autoencoders}" in entries[2]

"""Every autoencoder has a limit in which it is something simpler, and the guide says which."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, FactorAnalysis

from sktae import (
    AttentionAutoencoder,
    Autoencoder,
    AutoregressiveAutoencoder,
    BinaryAutoencoder,
    CategoricalAutoencoder,
    ContentStyleAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    ConvolutionalSequenceAutoencoder,
    ConvolutionalSequenceVariationalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    ConvolutionalVectorQuantizedAutoencoder,
    DenoisingAutoencoder,
    DisentangledAutoencoder,
    MaskedAutoencoder,
    NeighborAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    TransformerAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    VisionTransformerAutoencoder,
    all_estimators,
)
from sktae.autoencoders.disentangled import penalized_negative_elbo as disentangled
from sktae.autoencoders.variational import negative_elbo
from sktae.families import parts
from sktae.nn.layers import EncoderDecoderOutput
from sktae.nn.losses import squared
from sktae.nn.posteriors import GroupedPosterior

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "gallery-of-models.md"
LINEAR = {"hidden_layer_sizes": (), "activation": "identity"}
BRIEF = {"max_steps": 10, "random_state": 0, "calibration": None}
LIMITS = {}


def limit(*classes):
    """Keep a check of what these classes become, given standardised rows."""

    def keep(check):
        LIMITS[check.__name__] = classes, check
        return check

    return keep


@pytest.mark.parametrize("name", LIMITS)
def test_limit(name, X):
    _, check = LIMITS[name]
    check((X - X.mean(0)) / X.std(0))


def test_every_model_has_a_limit():
    """One that is checked, and one in the guide's table."""
    missing = {*all_estimators()} - {E for classes, _ in LIMITS.values() for E in classes}
    assert not missing, "Add a limit in which each of these is a simpler model to LIMITS."
    table = GUIDE.read_text().partition("## Where they meet")[2]
    for E in all_estimators():
        assert re.search(rf"^\|[^|]*`{E.__name__}`", table, re.MULTILINE), E


def assert_same(model, simpler, X, exact=True):
    """Two models are one: to the bit, or to rounding."""
    close = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-3, "atol": 2e-4}
    np.testing.assert_allclose(model.fit(X).transform(X), simpler.fit(X).transform(X), **close)


def assert_projects(model, X, atol=0.05):
    pca = PCA(2).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(model.fit(X).reconstruct(X), expected, atol=atol)


def terms(objective, likelihood, **knobs):
    """Return rows, reconstructions and the terms of a bound at unit scales and without noise."""
    x, code = torch.rand(5, 3), torch.randn(5, 2)
    natural, zeros = torch.randn(5, 3), torch.zeros(5, 2)
    recon = natural.sigmoid() if likelihood == "bernoulli" else natural
    given = recon, code, zeros, code, natural, torch.zeros(3)
    out = GroupedPosterior(*given, torch.ones(5, 2))
    return x, out, objective(likelihood, x, out, **knobs)


@limit(Autoencoder)
def linear_is_pca(X):
    """Without hidden layers, the reconstruction is the projection on the principal subspace."""
    for structure in ({}, {"tied_weights": True}, {"linear_skip": True}):
        settings = {**BRIEF, **LINEAR, **structure, "learning_rate": 0.02, "max_steps": 2000}
        assert_projects(Autoencoder(2, **settings), X)


@limit(AutoregressiveAutoencoder)
def telling_everything_by_the_code_is_pca(X):
    """Where the order is the length, every value is told by the code alone, which is linear."""
    settings = {**BRIEF, "hidden_layer_sizes": (), "learning_rate": 0.02, "max_steps": 2000}
    assert_projects(AutoregressiveAutoencoder(2, order=8, **settings), X, 0.1)


@limit(DenoisingAutoencoder)
def no_corruption_is_plain(X):
    for noise in ("gaussian", "masking", "swap"):
        model = DenoisingAutoencoder(noise=noise, noise_level=0.0, **BRIEF)
        assert_same(model, Autoencoder(**BRIEF), X)
    for E in (SparseAutoencoder, RecurrentAutoencoder, ConvolutionalAutoencoder):
        for noise in ("gaussian", "masking"):
            assert_same(E(noise=noise, noise_level=0.0, **BRIEF), E(**BRIEF), X)


@limit(NeighborAutoencoder)
def no_neighbors_are_plain(X):
    plain = Autoencoder(2, hidden_layer_sizes=(128,) * 3, learning_rate=0.01, **BRIEF)
    assert_same(NeighborAutoencoder(alpha=0.0, noise=None, **BRIEF), plain, X)


@limit(ContractiveAutoencoder)
def no_contraction_is_plain(X):
    plain = Autoencoder(tied_weights=True, **LINEAR, **BRIEF)
    assert_same(ContractiveAutoencoder(alpha=0.0, **LINEAR, **BRIEF), plain, X, exact=False)


@limit(SparseAutoencoder)
def top_all_is_plain(X):
    """Keeping every unit, the k-sparse autoencoder is the plain one."""
    plain = Autoencoder(8, hidden_layer_sizes=(), **BRIEF)
    assert_same(SparseAutoencoder(8, n_active=8, **BRIEF), plain, X)


@limit(SparseAutoencoder)
def sparse_penalties_meet(X):
    """Without penalty, and keeping the whole batch, rectified codes are the same."""
    free = SparseAutoencoder(8, penalty="l1", alpha=0.0, **BRIEF)
    whole = SparseAutoencoder(8, penalty="batch_topk", n_active=8, **BRIEF)
    assert_same(free, whole, X, exact=False)


@limit(
    VariationalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    ConvolutionalSequenceVariationalAutoencoder,
)
def no_divergence_is_plain(X):
    """At weight 0, unit scale and no noise, the bound is half the squared error and a constant."""
    for objective, knobs in (
        (negative_elbo, {"beta": 0.0, "free_bits": 0.0}),
        (parts.negative_elbo, {"beta": 0.0}),
    ):
        x, out, found = terms(objective, "gaussian", **knobs)
        assert torch.equal(found["divergence"], torch.zeros(5, 2))
        expected = squared(x, out.recon) / 2 + 0.5 * np.log(2 * np.pi)
        torch.testing.assert_close(found["reconstruction"], expected)


@limit(VariationalAutoencoder)
def no_divergence_is_cross_entropy(X):
    """The same with a Bernoulli likelihood is the cross-entropy of the plain autoencoder."""
    x, out, found = terms(negative_elbo, "bernoulli", beta=0.0, free_bits=0.0)
    expected = torch.nn.functional.binary_cross_entropy(out.recon, x, reduction="none")
    torch.testing.assert_close(found["reconstruction"], expected)
    plain = EncoderDecoderOutput(out.recon, out.code, out.decoded)
    torch.testing.assert_close(Autoencoder(loss="cross_entropy").objective(x, plain), expected)


@limit(VariationalAutoencoder)
def linear_variational_is_factor_analysis(X):
    """With linear maps, the bound is the log-likelihood of factor analysis."""
    exact = FactorAnalysis(3).fit(X).score_samples(X)
    settings = {**BRIEF, **LINEAR, "learning_rate": 0.01, "max_steps": 3000}
    model = VariationalAutoencoder(3, score_method="importance", n_draws=64, **settings)
    bound = model.fit(X).score_samples(X)
    assert abs(bound.mean() - exact.mean()) < 0.5
    assert np.corrcoef(bound, exact)[0, 1] > 0.95


@limit(DisentangledAutoencoder)
def no_extra_weight_is_variational(X):
    """At beta 1, the total correlation costs nothing extra."""
    assert_same(
        DisentangledAutoencoder(3, beta=1.0, **BRIEF), VariationalAutoencoder(3, **BRIEF), X
    )


@limit(
    ContentStyleAutoencoder,
    ConvolutionalVariationalAutoencoder,
    ConvolutionalSequenceVariationalAutoencoder,
)
def no_groups_are_variational(X):
    """Without groups, content and style are one code; without content, groups are ignored."""
    plain = VariationalAutoencoder(3, **BRIEF)
    assert_same(ContentStyleAutoencoder(3, **BRIEF), plain, X, exact=False)
    for E in (ConvolutionalVariationalAutoencoder, ConvolutionalSequenceVariationalAutoencoder):
        plain = E(3, **BRIEF).fit(X)
        np.testing.assert_array_equal(
            E(3, **BRIEF).fit(X, X[:, 0] > 0).transform(X), plain.transform(X)
        )
        np.testing.assert_array_equal(
            E(3, n_content=2, **BRIEF).fit(X).transform(X), plain.transform(X)
        )


@limit(ConvolutionalVariationalAutoencoder, ConvolutionalSequenceVariationalAutoencoder)
def a_weight_of_dependence_is_disentangled(_):
    """With gamma = beta - 1, the objective is that of `DisentangledAutoencoder`."""
    x, out, found = terms(parts.penalized_negative_elbo, "gaussian", beta=1.0, gamma=3.0)
    expected = disentangled("gaussian", x, out, beta=4.0)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in found)


@limit(CategoricalAutoencoder, VectorQuantizedAutoencoder, ConvolutionalVectorQuantizedAutoencoder)
def one_choice_is_the_mean(X):
    """With one code or category, every row comes back as the mean of all."""
    models = CategoricalAutoencoder(1), VectorQuantizedAutoencoder(4, n_codes=1)
    for model in (
        *models,
        ConvolutionalVectorQuantizedAutoencoder(n_codes=1, hidden_layer_sizes=(8,)),
    ):
        model.set_params(**{**BRIEF, "max_steps": 500}).fit(X)
        np.testing.assert_allclose(model.reconstruct(X), np.tile(X.mean(0), (len(X), 1)), atol=0.1)


@limit(CategoricalAutoencoder, BinaryAutoencoder)
def few_choices_are_means_of_groups(_):
    """What a category or a bit stands for is the mean of the rows that chose it, as in k-means."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) + 8 * np.eye(3)[np.repeat([0, 1], 200)]
    for model in (CategoricalAutoencoder(2), BinaryAutoencoder(1)):
        codes = model.set_params(**{**BRIEF, "max_steps": 1000}).fit_transform(X)
        for code in np.unique(codes, axis=0):
            own = (codes == code).all(axis=1)
            np.testing.assert_allclose(model.reconstruct(X[own])[0], X[own].mean(axis=0), atol=0.3)


@limit(AttentionAutoencoder)
def columns_that_see_only_themselves_are_features(X):
    """Masked from each other, columns look at themselves alone."""
    model = AttentionAutoencoder(mask=np.eye(8), **BRIEF).fit(X)
    np.testing.assert_array_equal(model.attention_map(X), np.tile(np.eye(8), (len(X), 1, 1)))


@limit(MaskedAutoencoder)
def columns_masked_together_have_histograms(X):
    """If all columns are masked at once, each has the probabilities of its own histogram."""
    model = MaskedAutoencoder(n_bins=4, n_groups=1, **{**BRIEF, "max_steps": 30}).fit(X)
    x = torch.from_numpy(X.astype(np.float32))
    out = model.net_.module_(x)
    for column, (edges, nll) in enumerate(
        zip(model.net_.module_.bins.edges, out.nll.T, strict=True)
    ):
        bins = torch.searchsorted(edges, x[:, column].contiguous(), right=True)
        shares = torch.bincount(bins)[bins] / len(X)
        np.testing.assert_allclose(nll.exp().reciprocal().detach(), shares, atol=0.05)
    np.testing.assert_allclose(out.expected.detach(), np.zeros_like(X), atol=0.1)


@limit(ConvolutionalAutoencoder, ConvolutionalVariationalAutoencoder)
def a_map_of_one_place_is_a_vector(X):
    """Where the stages leave one place, a map with so many channels is a code of that size."""
    settings = {"image_shape": (2, 2, 2), "hidden_layer_sizes": (16,), **BRIEF}
    for E in (ConvolutionalAutoencoder, ConvolutionalVariationalAutoencoder):
        assert_same(E(code_channels=3, **settings), E(3, **settings), X, exact=False)


@limit(TransformerAutoencoder)
def looking_far_enough_is_looking_everywhere(X):
    local = TransformerAutoencoder(attention="local", reach=8, **BRIEF)
    assert_same(local, TransformerAutoencoder(**BRIEF), X, exact=False)


@limit(VisionTransformerAutoencoder, TransformerAutoencoder)
def lines_of_images_are_steps(X):
    """If each patch is a line, an image of 4 x 2 is a sequence of 4 steps with 2 channels."""
    settings = {"hidden_layer_sizes": (16,), "learning_rate": 0.002, "standardize": False, **BRIEF}
    image = VisionTransformerAutoencoder(image_shape=(4, 2), patch_size=(1, 2), **settings)
    assert_same(image, TransformerAutoencoder(n_channels=2, batch_size=32, **settings), X)


@limit(RecurrentAutoencoder, ConvolutionalSequenceAutoencoder)
def a_sequence_seen_at_once_has_no_steps(X):
    """Of a single patch, neither the state before nor the steps around say anything."""
    settings = {"patch_size": 8, **BRIEF}
    recurrent = RecurrentAutoencoder(3, **settings).fit(X)
    filtering = ConvolutionalSequenceAutoencoder(3, **settings).fit(X)
    expected = [model.reconstruct(X) for model in (recurrent, filtering)]
    with torch.no_grad():
        for part in (recurrent.net_.module_.encoder, recurrent.net_.module_.decoder):
            for layer in part.layers:
                layer.from_state.weight.zero_()
        for part in (filtering.net_.module_.encoder, filtering.net_.module_.decoder):
            for filters in part.convolutions.filters:
                width = filters.in_features // 3
                filters.weight[:, :width] = filters.weight[:, 2 * width :] = 0
    for model, before in zip((recurrent, filtering), expected, strict=True):
        np.testing.assert_allclose(model.reconstruct(X), before, rtol=1e-5, atol=1e-6)

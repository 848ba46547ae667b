"""What single members of the gallery promise beyond the contract."""

import numpy as np
import pytest
import torch
from shared import lean, quick
from sklearn.base import clone
from sklearn.datasets import load_digits

from sktae import (
    AttentionAutoencoder,
    BinaryAutoencoder,
    CategoricalAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    all_estimators,
    citation,
    fit_many,
)
from sktae._engine import net as engine
from sktae.autoencoders import attention, contractive
from sktae.families.loss import LossMixin
from sktae.families.sampling import sample_markov_chain
from sktae.nn.codes import batch_top_k, nearest, one_hot, straight_through, top_k
from sktae.randomness import SeededInitialization


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)[0]


@pytest.mark.parametrize("hidden", [(), (6,)])
def test_contraction_is_the_jacobian(hidden):
    """The penalty is the squared norm of the Jacobian: exact, or right on average."""
    network = contractive.Network(5, 4, hidden, "tanh", tied=True, sigmoid_output=False)
    x = torch.randn(3, 5)
    jacobian = torch.stack([torch.autograd.functional.jacobian(network.encode, row) for row in x])
    exact = jacobian.square().sum((1, 2))
    if hidden:
        many = x.repeat_interleave(20_000, 0)
        slope = network(many, torch.randn(len(many), 4)).squared_jacobian.sum(1).view(3, -1).mean(1)
        torch.testing.assert_close(slope, exact, rtol=0.05, atol=0)
    else:
        torch.testing.assert_close(network(x).squared_jacobian.sum(1), exact)


def test_contraction_of_attention_is_the_jacobian():
    """Measured on a quarter of the rows, in random directions, the penalty is right on average."""
    with SeededInitialization(0):
        network = attention.Network(5, 3, (8,), 2, "silu", 0.0, True, None, False).eval()
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 5, generator=rng)
    jacobian = torch.autograd.functional.jacobian(lambda row: network.encode(row)[0], x)
    many = x.expand(20_001, 5)
    direction = torch.randn(many.shape, generator=rng)
    slope = network(many, direction=direction).squared_jacobian.sum(1).mean()
    torch.testing.assert_close(slope, jacobian.square().sum(), rtol=0.05, atol=0)


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
        ({"penalty": "batch_topk", "n_active": 8}, (0.11, 0.14)),
        ({"penalty": "l1"}, (0.01, 0.4)),
        ({"penalty": "topk", "n_active": 8, "noise": "masking"}, (0.124, 0.126)),
    ],
)
def test_codes_are_sparse_and_units_alive(digits, settings, share):
    """Few units are active in a row, hardly any unit in no row."""
    model = SparseAutoencoder(64, **settings, calibration=None, random_state=0).fit(digits)
    active = model.transform(digits) != 0
    assert share[0] < active.mean() < share[1]
    assert active.any(axis=0).sum() >= 58
    assert model.score(digits) > 0.5


def test_rates_approach_the_target(digits):
    """The divergence of activation rates pulls them to where they should be."""
    far, near = (
        SparseAutoencoder(
            64, penalty="kl", target=0.05, alpha=alpha, calibration=None, random_state=0
        )
        .fit_transform(digits)
        .mean(axis=0)
        for alpha in (0.1, 30.0)
    )
    assert abs(near - 0.05).mean() < 0.02
    assert abs(near - 0.05).mean() < 0.2 * abs(far - 0.05).mean()


def test_thresholds_are_learned(digits):
    """Each unit has its own; a higher price of active units leaves fewer of them."""

    def fitted(alpha):
        model = quick(
            SparseAutoencoder, n_components=64, penalty="jump_relu", alpha=alpha, max_steps=300
        )
        return model.fit(digits)

    cheap, dear = fitted(0.1), fitted(5.0)
    counts = [(model.transform(digits) != 0).sum(axis=1).mean() for model in (cheap, dear)]
    assert counts[1] < 0.8 * counts[0]
    assert dear.history_["train_sparsity"].iloc[-1] == pytest.approx(5 * counts[1], rel=0.15)
    network = dear.net_.module_
    threshold = network.log_threshold.exp()
    assert threshold.std() > 0.01
    code = network(dear._rows(digits).load().x).code
    assert (code[code != 0] > threshold.min() * 0.999).all()


def test_penalties_make_small_what_they_name(digits):
    """Activations, or weights; both are what the terms in the history say."""

    def fitted(**params):
        return quick(SparseAutoencoder, n_components=32, max_steps=200, **params).fit(digits)

    free, held = fitted(penalty="l2", alpha=0.0), fitted(penalty="l2", alpha=1.0)
    sizes = [(model.transform(digits) ** 2).sum(axis=1).mean() for model in (free, held)]
    assert sizes[1] < 0.5 * sizes[0]
    assert held.history_["train_sparsity"].iloc[-1] == pytest.approx(sizes[1], rel=0.1)
    assert "train_weights" not in free.history_
    few = fitted(l1_weights=0.02)
    weights = [
        torch.cat([p.detach().flatten() for p in model.net_.module_.parameters() if p.ndim > 1])
        for model in (fitted(), few)
    ]
    few_are_small, most_are_small = (float((w.abs() < 0.01).float().mean()) for w in weights)
    assert most_are_small > 2 * few_are_small
    norm = float(weights[1].abs().sum())
    assert few.history_["train_weights"].iloc[-1] == pytest.approx(0.02 * norm, rel=0.1)


def test_chunks_revive_as_fits_do(digits):
    """Units come back to life between partial fits, too."""
    chunked = SparseAutoencoder(256, n_active=2, learning_rate=0.002, random_state=0)
    for _ in range(36):
        chunked.partial_fit(digits)
    assert chunked.history_["dead_units"].iloc[-1] < 26


@pytest.mark.parametrize("penalty", ["l1", "jump_relu"])
def test_dead_units_are_revived(penalty, digits):
    """Units that never fired get a bias that makes them fire for the rows they like most."""
    model = SparseAutoencoder(64, penalty=penalty, max_steps=1, random_state=0).fit(digits)
    network, x = model.net_.module_, model._rows(digits).load().x
    with torch.no_grad():
        network.encoder[-1].bias[:10] = -100
        if penalty == "jump_relu":  # each unit has its own
            network.log_threshold[:10] = torch.linspace(-1, 2, 10)
        out = network(x)
        assert (out.code[:, :10] == 0).all()
        network.revive(out)
        revived = network(x).code != 0
    assert revived[:, :10].any(0).all()
    assert revived[:, :10].float().mean() < 0.02
    assert torch.equal(revived[:, 10:], out.code[:, 10:] != 0)


def test_the_noise_scale_may_be_given(X):
    """With the square root of 1/2, the loss is the squared error, beta KL and a constant."""
    settings = {
        "noise_scale": 0.5**0.5,
        "beta": 0.1,
        "max_steps": 200,
        "calibration": None,
        "random_state": 0,
    }
    model = VariationalAutoencoder(4, **settings).fit(X)
    last, size = model.history_.iloc[-1], X.shape[1]
    mean, std = model.code_distribution(X)
    np.testing.assert_array_equal(mean, model.transform(X))
    divergence = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum() / X.size
    assert last["divergence"] == pytest.approx(divergence, rel=0.05)
    assert last["train_divergence"] == pytest.approx(0.1 * size * last["divergence"], rel=0.1)
    constant = 0.5 * np.log(np.pi)
    expected = size * (last["squared_error"] + constant)
    assert last["train_reconstruction"] == pytest.approx(expected, rel=0.05)
    draws = np.random.default_rng(0).normal(mean, std)
    noisy = model.inverse_transform(draws) - X
    assert np.mean((noisy / X.std(0)) ** 2) == pytest.approx(last["squared_error"], rel=0.1)
    assert not [name for name, _ in model.net_.module_.named_parameters() if "scale" in name]


def test_a_shared_noise_scale_gives_up_no_column():
    """Columns that are hard to reproduce count as much as others, so more of rows comes back."""
    X, _ = load_digits(return_X_y=True)
    settings = {"max_steps": 300, "random_state": 0, "calibration": None}
    own = VariationalAutoencoder(8, **settings).fit(X[::2])
    shared = VariationalAutoencoder(8, noise_scale="shared", **settings).fit(X[::2])
    assert shared.net_.module_.log_scale().shape == (1,)
    assert shared.score(X[1::2]) > own.score(X[1::2]) + 0.03


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "bernoulli"])
def test_samples_look_like_the_data(likelihood, X):
    """Drawn rows have the data's means and spread, and are the same at each call."""
    if likelihood == "bernoulli":
        X = (X > 0).astype(float)
    model = VariationalAutoencoder(
        4, likelihood=likelihood, max_steps=1000, calibration=None, random_state=0
    ).fit(X)
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
        bits: VariationalAutoencoder(8, beta=20, free_bits=bits, calibration=None, random_state=0)
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
    model = VariationalAutoencoder(3, max_steps=50, calibration=None, random_state=0).fit(X)
    for method in ("combined", "elbo", "monte_carlo", "importance"):
        scores = model.set_params(score_method=method).score_samples(X)
        np.testing.assert_array_equal(model.score_samples(X), scores)
        np.testing.assert_array_equal(model.score_samples(X[::-7]), scores[::-7])
        repeated = model.score_samples(np.repeat(X[:1], 3, axis=0))
        assert len(np.unique(repeated)) == 1
    assert scores.mean() > model.set_params(score_method="monte_carlo").score_samples(X).mean()


# -- codes that are chosen -------------------------------------------------------------------------


def test_choices():
    """The nearest row is chosen, and gradients pass by the choice."""
    z, codebook = torch.randn(5, 3, 4), torch.randn(7, 4)
    assert torch.equal(nearest(z, codebook), torch.cdist(z, codebook).argmin(-1))
    chosen = nearest(z, codebook)
    assert torch.equal(one_hot(chosen, 7).argmax(-1), chosen)
    soft = torch.rand(4, requires_grad=True)
    hard = straight_through(soft, (soft > 0.5).float())
    torch.testing.assert_close(hard, (soft > 0.5).float())
    (slope,) = torch.autograd.grad((hard * torch.arange(4)).sum(), soft)
    assert torch.equal(slope, torch.arange(4.0))


@pytest.mark.parametrize("params", [{}, {"n_components": 16, "n_slots": 4}])
def test_codebooks_stay_alive(digits, params):
    """Nearly all codes are in use, which is told in the history, and rows come back."""
    model = VectorQuantizedAutoencoder(**params, calibration=None, random_state=0).fit(digits)
    last = model.history_.iloc[-1]
    assert last["used_codes"] >= 60
    assert 8 < last["perplexity"] <= 64
    assert model.score(digits) > 0.7
    vectors, network = model.transform(digits), model.net_.module_
    model.set_params(codes="indices")
    numbers = model.transform(digits)
    assert numbers.shape == (len(digits), network.n_slots)
    assert len(np.unique(numbers)) >= 60
    slots = network.codebook.detach().numpy()[numbers.astype(int)]
    np.testing.assert_array_equal(slots.reshape(len(digits), -1), vectors)
    np.testing.assert_allclose(
        model.inverse_transform(numbers), model.reconstruct(digits), atol=1e-4
    )
    assert model.get_feature_names_out()[-1] == f"vectorquantizedautoencoder{numbers.shape[1] - 1}"


def test_codes_that_are_not_used_are_moved(digits):
    """A code that no row chooses goes where the choice was worst, others stay."""
    model = VectorQuantizedAutoencoder(8, max_steps=1, random_state=0).fit(digits)
    network, x = model.net_.module_, model._rows(digits).load().x
    with torch.no_grad():
        network.codebook[:10] += 1e3
        before, out = network.codebook.clone(), network(x)
        worst = (out.encoded - out.quantized).square().sum(-1).flatten().argmax()
        network.revive(out)
        used = one_hot(out.indices, 64).flatten(0, 1).sum(0) > 0
        assert torch.equal(network.codebook[used], before[used])
        assert torch.equal(network.codebook[0], out.encoded.flatten(0, 1)[worst])
        assert (network.codebook.abs() < 500).all()


def test_slots_must_divide_the_code(digits):
    """The number of slots is checked against the size of the code."""
    with pytest.raises(ValueError, match=r"n_slots=3 of Vector.* must divide n_components=8"):
        VectorQuantizedAutoencoder(8, n_slots=3).fit(digits)


def test_chains_follow_what_was_seen():
    """Each number follows one that it followed before, as often as it did."""
    seen = np.array([[0, 1, 5], [0, 2, 6], [0, 2, 7], [3, 4, 8]])
    drawn = sample_markov_chain(seen, 4000, np.random.default_rng(0))
    assert {tuple(row) for row in drawn[:, :2]} == {tuple(row) for row in seen[:, :2]}
    assert {tuple(row) for row in drawn[:, 1:]} == {tuple(row) for row in seen[:, 1:]}
    assert abs((drawn[:, 0] == 3).mean() - 0.25) < 0.03
    assert abs((drawn[drawn[:, 0] == 0, 1] == 2).mean() - 2 / 3) < 0.03


def test_quantized_samples_look_like_the_data(digits):
    """Drawn codes decode to rows with the data's means."""
    model = VectorQuantizedAutoencoder(32, n_slots=4, calibration=None, random_state=0).fit(digits)
    drawn = model.sample(1000)
    np.testing.assert_array_equal(drawn, model.sample(1000))
    assert np.abs(drawn.mean(0) - digits.mean(0)).max() < 0.3 * digits.std()


@pytest.mark.parametrize("gradient", ["straight_through", "gumbel"])
def test_bits_are_yes_or_no(digits, gradient):
    """Codes are zeros and ones, rows come back, and the more so the more bits there are."""
    few, many = (
        BinaryAutoencoder(n, gradient=gradient, calibration=None, random_state=0) for n in (4, 32)
    )
    assert few.fit(digits).score(digits) < many.fit(digits).score(digits)
    bits = many.transform(digits)
    assert set(np.unique(bits)) == {0, 1}
    assert many.history_["constant_bits"].iloc[-1] == 0
    assert many.score(digits) > 0.6


def test_balanced_bits(digits):
    """The penalty makes each bit a one for half of the rows."""
    far, near = (
        BinaryAutoencoder(16, balance=balance, calibration=None, random_state=0)
        .fit_transform(digits)
        .mean(axis=0)
        for balance in (0.0, 10.0)
    )
    assert abs(near - 0.5).mean() < 0.05
    assert abs(near - 0.5).mean() < 0.5 * abs(far - 0.5).mean()


def test_categories_find_groups():
    """Without labels, each of three groups gets a category of its own."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 100)
    X = rng.normal(size=(300, 5)) + 6 * np.eye(5)[y]
    model = CategoricalAutoencoder(3, calibration=None, random_state=0).fit(X)
    assert model.history_["used_codes"].iloc[-1] == 3
    assert len({(a, b) for a, b in zip(y, model.labels_, strict=True)}) == 3
    np.testing.assert_array_equal(model.predict_code(X[::-1]), model.labels_[::-1])
    codes = model.set_output(transform="pandas").transform(X)
    np.testing.assert_array_equal(codes.to_numpy().argmax(axis=1), model.labels_)
    assert (codes.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(model.predict_code(X), model.labels_)


# -- columns that look at each other ---------------------------------------------------------------


def test_attention_keeps_to_the_mask():
    """Where a column looks adds up to 1, and a mask keeps it from looking elsewhere."""
    X = np.random.default_rng(0).normal(size=(100, 4))
    settings = {"max_steps": 20, "calibration": None, "random_state": 0}
    looks = AttentionAutoencoder(**settings).fit(X).attention_map(X)
    np.testing.assert_allclose(looks.sum(axis=2), 1, rtol=1e-5)
    own = np.eye(4, dtype=bool)
    assert (AttentionAutoencoder(**settings, mask=own).fit(X).attention_map(X)[:, ~own] == 0).all()
    with pytest.raises(ValueError, match=r"shape \(3, 3\), .* columns, so it must be \(4, 4\)"):
        AttentionAutoencoder(mask=np.eye(3)).fit(X)
    wide = np.random.default_rng(0).normal(size=(20, 300))
    looks = AttentionAutoencoder(max_steps=2, random_state=0).fit(wide).attention_map(wide)
    assert looks.shape == (20, 128, 128)


@pytest.mark.parametrize(
    ("penalty", "term"), [("contraction", "squared_jacobian"), ("entropy", "weights")]
)
def test_penalties_of_attention(penalty, term, X):
    """Their weight makes them small."""
    terms = [
        lean(AttentionAutoencoder, penalty=penalty, alpha=alpha, max_steps=150)
        .fit(X)
        .history_[f"train_{penalty}"]
        .iloc[-1]
        / alpha
        for alpha in (1e-3, 1.0)
    ]
    assert terms[1] < 0.5 * terms[0]


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


# -- losses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "E", [E for E in all_estimators() if issubclass(E, LossMixin)], ids=lambda E: E.__name__
)
def test_cross_entropy(E, monkeypatch):
    """Outputs keep between 0 and 1, steps are recorded and stacked, scores are cross-entropies."""
    X = load_digits().data / 16
    model = E(8, loss="cross_entropy", max_steps=100, calibration=None, random_state=0).fit(X)
    made = model.reconstruct(X)
    assert 0 <= made.min() < made.max() <= 1
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), made, atol=1e-4)
    assert model.training_path_ == "traced"
    monkeypatch.setattr(engine, "MANY_STEPS", 10**9)
    np.testing.assert_array_equal(clone(model).fit(X).transform(X), model.transform(X))
    scores = model.set_params(score_method="error").score_samples(X)
    clipped = made.clip(1e-7, 1 - 1e-7)
    entropy = -(X * np.log(clipped) + (1 - X) * np.log(1 - clipped)).mean(axis=1)
    np.testing.assert_allclose(-scores, entropy, rtol=1e-2)
    one, other = fit_many([clone(model), clone(model).set_params(random_state=1)], [X, X])
    assert one.training_path_ == other.training_path_ == "stacked"
    away = one.transform(X) - model.transform(X)  # which code is nearest may change
    assert np.abs(away).mean() < 0.1 * model.transform(X).std()
    with pytest.raises(ValueError, match=r"X must lie between 0 and 1 .* to 16"):
        E(loss="cross_entropy").fit(16 * X)
    assert np.isfinite(model.score_samples(2 * X)).all()  # later rows are cut off

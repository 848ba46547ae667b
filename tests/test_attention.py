"""Attention and recursions: nothing leaks, steps taken one by one are those taken at once."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from shared import in_turn, quick, unless_long
from sklearn.base import clone
from torch import nn

from sktae import (
    AutoregressiveAutoencoder,
    ConvolutionalSequenceAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
    fit_many,
)
from sktae._engine import net as engine
from sktae._engine import stack
from sktae.nn.attending import (
    Weights,
    fused_attention,
    linear_attention,
    local_attention,
    unfused_attention,
)
from sktae.nn.attention import Options, Transformer, sinusoidal
from sktae.nn.recurrent import Recurrent
from sktae.plot import AttentionDisplay

# Some processors round products of odd widths by their place in memory: these are not recorded.
SMALL = {"n_components": 4, "hidden_layer_sizes": (16, 16), "n_heads": 2, "patch_size": 2}
SPELT = {"hidden_layer_sizes": (16,), "n_heads": 2, "n_tokens": 5}
MODELS = {
    "full": (TransformerAutoencoder, SMALL),
    "causal": (TransformerAutoencoder, {**SMALL, "attention": "causal", "positions": None}),
    "local": (TransformerAutoencoder, {**SMALL, "attention": "local", "reach": 2}),
    "steps": (TransformerAutoencoder, {**SMALL, "bottleneck": "steps", "positions": "learned"}),
    "autoregressive": (TransformerAutoencoder, {**SMALL, "decoder": "autoregressive"}),
    "crossed": (
        TransformerAutoencoder,
        {**SMALL, "decoder": "autoregressive", "bottleneck": "steps"},
    ),
    "additive": (
        TransformerAutoencoder,
        {**SMALL, "similarity": "additive", "attention": "local", "reach": 2},
    ),
    "relu": (TransformerAutoencoder, {**SMALL, "weighting": "relu", "dropout": 0.2}),
    "products": (
        TransformerAutoencoder,
        {
            **SMALL,
            "attention": "linear",
            "decoder": "autoregressive",
            "positions": "recurrent",
            "noise": "gaussian",
        },
    ),
    "short": (TransformerAutoencoder, {**SMALL, "attention": "low_rank", "rank": 3}),
    "convolved": (TransformerAutoencoder, {**SMALL, "kernel_size": 3, "feedforward": 0.5}),
    "tokens": (TransformerAutoencoder, SPELT),
    "gru": (RecurrentAutoencoder, {"patch_size": 3, "hidden_layer_sizes": (32, 16)}),
    "lstm": (RecurrentAutoencoder, {"patch_size": 3, "cell": "lstm", "hidden_layer_sizes": (16,)}),
    "both ways": (
        RecurrentAutoencoder,
        {"patch_size": 3, "bidirectional": True, "hidden_layer_sizes": (16,), "noise": "masking"},
    ),
    "convolutional": (ConvolutionalSequenceAutoencoder, {"hidden_layer_sizes": (16, 16, 16)}),
    "linear": (AutoregressiveAutoencoder, {"order": 8, "hidden_layer_sizes": (16,)}),
    "neural": (
        AutoregressiveAutoencoder,
        {"order": 8, "hidden_layer_sizes": (16,), "decoder": "neural"},
    ),
    "told tokens": (TransformerAutoencoder, {**SPELT, "decoder": "autoregressive"}),
    "next token": (
        AutoregressiveAutoencoder,
        {"order": 4, "n_tokens": 5, "n_components": 16},
    ),
}
# One of each kind is enough for the ways in which steps are computed.
KINDS = ["causal", "local", "crossed", "tokens", "gru", "convolutional", "next token"]
KINDS += ["both ways", "additive", "relu", "products", "short", "convolved"]
every_model = pytest.mark.parametrize("name", unless_long(KINDS, list(MODELS)))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some_known(n, steps):
    """Say which steps are not missing: the first sequence misses its beginning, others any."""
    known = normal(n, steps, seed=7) > -0.5
    known[0, : steps // 2] = False
    return known


def waves(n=120, steps=12, seed=0):
    """Make sines of many frequencies and phases."""
    rng = np.random.default_rng(seed)
    phase, rate = rng.uniform(0, 2 * np.pi, (n, 1)), rng.uniform(0.2, 0.6, (n, 1))
    return np.sin(phase + rate * np.arange(steps))


def data_for(params, steps=12):
    """Make sequences, of which some end before the others, as the model wants them."""
    X = waves(steps=steps)
    if "n_tokens" in params:
        noise = np.random.default_rng(1).normal(size=X.shape)
        X = np.round(2 + 2 * X + noise).clip(0, 4)
    X[::3, -3:] = np.nan
    return X


# -- attention -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, (3, 1, 1, 9), (7, 9), (3, 1, 7, 9), (3, 2, 7, 9)])
def test_fused_equals_by_hand(mask):
    """The fused kernel and the formula agree, in values and gradients."""
    allowed = None
    if mask is not None:
        allowed = normal(*mask) > 0
        allowed[..., 0] = True
    inputs = [normal(3, 2, n, 5, seed=n).requires_grad_() for n in (7, 9, 9)]
    found, by_hand = fused_attention(*inputs, allowed), unfused_attention(*inputs, allowed)
    torch.testing.assert_close(found, by_hand)
    weights = normal(*found.shape)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(by_hand, inputs, weights)
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("steps", "reach"), [(5, 4), (6, 3), (16, 5), (37, 1), (37, 16)])
def test_nearby_is_a_band(steps, reach, causal):
    """Attention in blocks is attention with a band for a mask, whatever is missing."""
    inputs = [normal(3, 2, steps, 5, seed=n).requires_grad_() for n in range(3)]
    known = some_known(3, steps)[:, None, None]
    distance = torch.arange(steps) - torch.arange(steps)[:, None]
    band = (distance.abs() <= reach) & (distance <= 0 if causal else True)
    expected = fused_attention(*inputs, known & band | (distance == 0))
    layer = SimpleNamespace(weights=Weights(2, 5, "dot", "softmax"))
    found = local_attention(*inputs, layer, known, reach, causal)
    torch.testing.assert_close(found, expected)
    weights = normal(*found.shape)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights)
    )


@pytest.mark.parametrize("kind", ["full", "local", "linear"])
@pytest.mark.parametrize("causal", [False, True])
def test_what_is_missing_tells_nothing(causal, kind):
    """No known step changes by a bit with what stands at the missing ones."""
    network = Transformer(11, (8, 8), Options(2, "silu", attention=kind), "sinusoidal", 2, causal)
    h, known = normal(4, 11, 8), some_known(4, 11)
    other = torch.where(known[..., None], h, 1e6 * normal(4, 11, 8, seed=1))
    assert torch.equal(network(h, known)[known], network(other, known)[known])


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("kind", ["full", "local", "linear"])
def test_the_future_tells_nothing(kind, crossed):
    """No step changes by a bit with those after it, where attention is causal."""
    options = Options(2, "silu", attention=kind)
    network = Transformer(11, (8, 8), options, "learned", 2, causal=True, cross_attention=crossed)
    h, known = normal(4, 11, 8), torch.ones(4, 11, dtype=torch.bool)
    seen = normal(4, 5, 8, seed=2) if crossed else None
    before = network(h, known, seen)
    for step in range(11):
        other = h.clone()
        other[:, step:] = normal(4, 11 - step, 8, seed=3)
        after = network(other, known, seen)
        assert torch.equal(after[:, :step], before[:, :step])
        assert not torch.equal(after[:, step:], before[:, step:])


def test_what_a_mask_forbids_tells_nothing():
    """Steps of groups that may not look at each other know nothing of each other."""
    groups = np.array([0, 1, 1, 0, 2, 0, 1])
    mask = groups == groups[:, np.newaxis]
    network = Transformer(7, (8, 8), Options(2, "silu"), None, mask=mask)
    h, known = normal(4, 7, 8), torch.ones(4, 7, dtype=torch.bool)
    before = network(h, known)
    for group in range(3):
        inside = torch.from_numpy(groups == group)
        other = torch.where(inside[:, None], normal(4, 7, 8, seed=1), h)
        after = network(other, known)
        assert torch.equal(after[:, ~inside], before[:, ~inside])
        assert not torch.equal(after[:, inside], before[:, inside])


def test_far_steps_tell_nothing():
    """Through two blocks of local attention, a step knows what is two reaches away, no more."""
    network = Transformer(20, (8, 8), Options(2, "silu", attention="local"), None, reach=3)
    h, known = normal(1, 20, 8), torch.ones(1, 20, dtype=torch.bool)
    other = h.clone()
    other[:, 0] = 5.0
    changed = (network(other, known) != network(h, known)).any(-1)[0]
    assert changed.nonzero().squeeze(1).tolist() == list(range(7))


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", None])
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("kind", ["full", "local", "linear"])
def test_step_by_step_is_all_at_once(kind, crossed, positions):
    """With what was computed for the steps before, the next one is what a whole pass gives it."""
    options = Options(2, "silu", attention=kind)
    network = Transformer(10, (8, 6), options, positions, 3, causal=True, cross_attention=crossed)
    h, known = normal(4, 10, 8), torch.ones(4, 10, dtype=torch.bool)
    other = normal(4, 5, 8, seed=1) if crossed else None
    past = [[] for _ in network.blocks]
    found = torch.cat([network.next(h[:, i : i + 1], past, other) for i in range(10)], 1)
    torch.testing.assert_close(found, network(h, known, other), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [1, 7, 16])
def test_places_are_told_apart(width):
    """Each step has waves of its own, of the width that is asked for."""
    found = sinusoidal(300, width)
    assert found.shape == (300, width)
    assert found.abs().max() <= 1
    assert len(torch.unique(found, dim=0)) == 300


def test_weights_are_those_of_the_formulas():
    """Similarities and weights by hand, also of keys that are not allowed."""
    query, key, value = normal(3, 2, 7, 5), normal(3, 2, 9, 5, seed=1), normal(3, 2, 9, 4, seed=2)
    allowed = normal(3, 1, 7, 9, seed=3) > 0
    allowed[..., 0] = True
    additive = Weights(2, 5, "additive", "softmax")
    logits = torch.zeros(3, 2, 7, 9)
    for head in range(2):
        sums = torch.tanh(query[:, head, :, None] + key[:, head, None])
        logits[:, head] = sums @ additive.direction[head, :, 0]
    expected = torch.where(allowed, logits, -torch.inf).softmax(-1)
    torch.testing.assert_close(additive(query, key, allowed), expected)
    torch.testing.assert_close(additive.average(query, key, value, allowed), expected @ value)
    relu = Weights(2, 5, "dot", "relu")
    logits = (query @ key.mT / 5**0.5).clamp(min=0)
    torch.testing.assert_close(relu(query, key), logits / 9)
    logits = torch.where(allowed, logits, 0.0) / allowed.sum(-1, keepdim=True)
    torch.testing.assert_close(relu.average(query, key, value, allowed), logits @ value)


@pytest.mark.parametrize("causal", [False, True])
def test_sums_are_taken_once(causal):
    """Linear attention is attention with products of features as weights, in linear time."""
    query, key, value = (normal(3, 2, 9, 5, seed=n).requires_grad_() for n in range(3))
    known = some_known(3, 9)[:, None, None]
    features = [torch.where(x > 0, x + 1, x.exp()) for x in (query, key)]
    products = features[0] @ features[1].mT * known
    products = products.tril() if causal else products
    expected = products / products.sum(-1, keepdim=True).clamp(min=1e-6)
    weights = []
    for recorded in (None, weights):
        found = linear_attention(query, key, value, None, known, causal, recorded)
        torch.testing.assert_close(found, expected @ value)
    torch.testing.assert_close(weights[0], expected)


def test_options_of_attention_have_limits():
    """As many sums as keys, no dropout, a convolution of zeros: each is nothing at all."""
    h, known = normal(4, 9, 8), some_known(4, 9)
    plain = Transformer(9, (8,), Options(2, "silu"), None)
    expected = plain(h)
    short = Transformer(9, (8,), Options(2, "silu", attention="low_rank", rank=9), None)
    convolved = Transformer(9, (8,), Options(2, "silu", kernel_size=3), None)
    for network in (short, convolved):
        network.load_state_dict(plain.state_dict(), strict=False)
    nn.init.eye_(short.blocks[0].attention.shorten.weight)
    nn.init.zeros_(convolved.blocks[0].convolution.filters[0].weight)
    nn.init.zeros_(convolved.blocks[0].convolution.filters[0].bias)
    torch.testing.assert_close(short(h), expected)
    torch.testing.assert_close(convolved(h), expected)
    torch.testing.assert_close(plain(h, known, kept=torch.ones(4, plain.n_kept)), plain(h, known))
    nothing = plain(h, kept=torch.zeros(4, plain.n_kept))
    torch.testing.assert_close(nothing, plain.norm(h))
    assert plain.blocks[0].mlp[1].out_features == 16
    wide = Transformer(9, (8,), Options(2, "silu", feedforward=4.0), None)
    assert wide.blocks[0].mlp[1].out_features == 32


def test_attention_is_shown(monkeypatch):
    """Weights add up to 1, obey masks, and are those that the encoder used."""
    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    X = waves(20)
    for name in ("full", "causal", "local", "additive", "products", "crossed"):
        E, params = MODELS[name]
        model = quick(E, **params, max_steps=1).fit(X)
        weights = model.attention_map(X)
        n = model.net_.module_.embedding.n_patches
        assert weights.shape == (20, n, n)
        np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-5)
        display = AttentionDisplay.from_estimator(model, X, names=[f"{i}" for i in range(n)])
        np.testing.assert_allclose(display.weights, weights.mean(axis=0))
        assert display.ax_.get_yticklabels()[-1].get_text() == f"{n - 1}  {n - 1}"
        if name == "causal":
            assert (np.triu(weights[0], 1) == 0).all()
    with pytest.raises(ValueError, match="has no weights for patches"):
        quick(TransformerAutoencoder, attention="low_rank").fit(X).attention_map(X)


@pytest.mark.parametrize(
    ("params", "needed"),
    [
        ({"attention": "linear", "weighting": "relu"}, "needs similarity='dot', softmax"),
        ({"attention": "linear", "mask": np.eye(16)}, "softmax and no mask"),
        ({"attention": "low_rank", "decoder": "autoregressive"}, "and decoder='parallel'"),
        ({"kernel_size": 3, "attention": "causal"}, "sees later patches; set it to None"),
    ],
)
def test_options_that_exclude_each_other(params, needed):
    """A sentence says which, instead of one being ignored."""
    with pytest.raises(ValueError, match=needed):
        quick(TransformerAutoencoder, **params).fit(waves(20))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_are_those_of_torch(cell, bidirectional):
    """With the same weights, whose gates torch has in another order, they give the same states."""
    ours = Recurrent(3, (4, 4), cell, bidirectional)
    kind, order = (nn.GRU, [0, 1, 2]) if cell == "gru" else (nn.LSTM, [1, 2, 3, 0])
    theirs = kind(3, 4, num_layers=2, batch_first=True, bidirectional=bidirectional)
    with torch.no_grad():
        for suffix, layers in (("", ours.layers), ("_reverse", ours.reverse or ())):
            for depth, layer in enumerate(layers):
                for name, part in (("ih", layer.from_input), ("hh", layer.from_state)):
                    for what in ("weight", "bias"):
                        gates = getattr(part, what).chunk(len(order))
                        own = torch.cat([gates[i] for i in order])
                        getattr(theirs, f"{what}_{name}_l{depth}{suffix}").copy_(own)
    x = normal(5, 7, 3)
    states, last = theirs(x)
    torch.testing.assert_close(ours(x), states)
    final = last[0] if cell == "lstm" else last
    expected = torch.cat([final[-2], final[-1]], 1) if bidirectional else final[-1]
    torch.testing.assert_close(ours.last(ours(x)), expected)


def test_without_positions_order_is_nothing():
    """Blocks move with their steps; with positions, they do not. Learned ones are parameters."""
    h, known = normal(4, 9, 8), torch.ones(4, 9, dtype=torch.bool)
    for positions in (None, "sinusoidal", "learned", "recurrent"):
        network = Transformer(9, (8, 8), Options(2, "silu"), positions)
        turned = network(h.flip(1), known).flip(1)
        assert torch.allclose(turned, network(h, known), atol=1e-5) == (positions is None)
        names = [name for name, _ in network.named_parameters()]
        assert ("positions" in names) == (positions in ("learned", "recurrent"))


# -- roads -----------------------------------------------------------------------------------------


@every_model
def test_traced_equals_plain(name, monkeypatch):
    """Replayed steps give the bits of plain ones."""
    E, params = MODELS[name]
    X = data_for(params)
    models = []
    for many_steps in (10**9, 0):
        monkeypatch.setattr(engine, "MANY_STEPS", many_steps)
        models.append(quick(E, max_steps=10, **params).fit(X))
    plain, traced = models
    assert (plain.training_path_, traced.training_path_) == ("plain", "traced")
    np.testing.assert_array_equal(traced.transform(X), plain.transform(X))
    np.testing.assert_array_equal(traced.score_samples(X), plain.score_samples(X))


@in_turn(name=unless_long(KINDS, list(MODELS)), many_steps=[0, 10**9])
def test_stacked_equals_sequential(name, many_steps, monkeypatch):
    """Models of several seeds become what each becomes alone, recorded or not."""
    monkeypatch.setattr(stack, "MANY_STEPS", many_steps)
    E, params = MODELS[name]
    X = data_for(params)
    models = [quick(E, **{"max_steps": 10, **params, "random_state": n}) for n in range(2)]
    apart = [clone(model).fit(X) for model in models]
    for one, other in zip(fit_many(models, [X, X]), apart, strict=True):
        assert one.training_path_ == "stacked"
        np.testing.assert_allclose(one.transform(X), other.transform(X), rtol=1e-3, atol=1e-3)
        scores = [model.score_samples(X) for model in (one, other)]
        np.testing.assert_allclose(*scores, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("decoder", ["parallel", "autoregressive"])
@pytest.mark.parametrize("bottleneck", ["vector", "steps"])
def test_widths_may_change(bottleneck, decoder):
    """Blocks need not be of one width, nor need heads divide it."""
    settings = {"bottleneck": bottleneck, "decoder": decoder, "hidden_layer_sizes": (16, 7)}
    model = quick(TransformerAutoencoder, n_heads=3, **settings).fit(waves())
    assert np.isfinite(model.reconstruct(waves())).all()


# -- generation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["autoregressive", "crossed", "products", "told tokens", "linear", "neural", "next token"],
)
def test_what_is_generated_is_what_is_predicted(name):
    """A sequence made step by step, told to the decoder all at once, is what it predicts."""
    E, params = MODELS[name]
    network = quick(E, **params).fit(data_for(params, steps=13)).net_.module_
    last = network.to_code if E is TransformerAutoencoder else network.encoder[-1]
    nn.init.zeros_(last.weight)  # so that the code is the same, whatever is told
    with torch.no_grad():
        code = network(torch.zeros(1, 13, 1)).code
        made = network.decode(code)
        found = network(made)
        torch.testing.assert_close(found.code, code, rtol=0, atol=0)
        torch.testing.assert_close(found.recon, made, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "least"),
    [
        (TransformerAutoencoder(8, decoder="autoregressive", max_steps=300), 0.98),
        (
            TransformerAutoencoder(4, decoder="autoregressive", bottleneck="steps", max_steps=300),
            0.9,
        ),
        (
            AutoregressiveAutoencoder(4, patch_size=1, order=4, decoder="neural", max_steps=400),
            0.95,
        ),
    ],
    ids=["whole", "steps", "neural"],
)
def test_sines_are_generated(model, least):
    """From codes alone come the waves that they stand for, of whatever frequency and phase."""
    if isinstance(model, TransformerAutoencoder):
        model.set_params(hidden_layer_sizes=(32, 32), patch_size=4, batch_size=64)
    model.set_params(calibration=None, random_state=0).fit(waves(600, 24))
    new = waves(100, 24, seed=1)
    made = model.inverse_transform(model.transform(new))
    assert 1 - ((made - new) ** 2).sum() / ((new - new.mean()) ** 2).sum() > least


def test_linear_recursions_make_sines():
    """All sines of one frequency obey one linear recursion; the code tells where they begin."""
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (400, 1))
    X = np.sin(phase + 0.4 * np.arange(40))
    model = AutoregressiveAutoencoder(2, max_steps=600, calibration=None, random_state=0).fit(
        X[:300]
    )
    made = model.inverse_transform(model.transform(X[300:]))
    assert 1 - ((made - X[300:]) ** 2).sum() / (X[300:] ** 2).sum() > 0.99


def test_linear_is_least_squares():
    """On long series, the recursion of one code is what regression on the past finds."""
    noise = np.random.default_rng(0).normal(size=(64, 250))
    X = noise.copy()
    for t in range(2, 250):
        X[:, t] += 1.5 * X[:, t - 1] - 0.8 * X[:, t - 2]
    X = X[:, 50:]
    past = np.stack([X[:, :-2].ravel(), X[:, 1:-1].ravel(), np.ones(64 * 198)], axis=1)
    expected, *_ = np.linalg.lstsq(past, X[:, 2:].ravel())
    model = AutoregressiveAutoencoder(
        1,
        patch_size=1,
        order=2,
        hidden_layer_sizes=(),
        max_steps=1000,
        calibration=None,
        random_state=0,
    )
    (found,) = model.fit(X).net_.module_.recursion[0].weight.detach().numpy()
    np.testing.assert_allclose(found[:2], expected[:2], atol=0.005)

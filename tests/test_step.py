"""Recorded steps: the same numbers as without, and no step where there must be none."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from shared import families, in_turn, quick
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from sktae import (
    Autoencoder,
    AutoencoderNet,
    ConvolutionalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    TransformerAutoencoder,
    VariationalAutoencoder,
    VisionTransformerAutoencoder,
    all_estimators,
)
from sktae._engine import net as engine
from sktae._engine import replay
from sktae._engine.replay import Replay, Step, recorded

VARIANTS = [
    {},
    {"n_components": 3, "hidden_layer_sizes": (13,), "activation": "relu"},
    {"batch_size": 32, "weight_decay": 0.1, "activation": "gelu", "max_grad_norm": None},
    {"early_stopping": True, "schedule": "constant", "activation": "leaky_relu"},
]


def fitted(E, X, monkeypatch, many_steps, **params):
    monkeypatch.setattr(engine, "MANY_STEPS", many_steps)
    return quick(E, **{"max_steps": 20, **params}).fit(X)


@in_turn(E=all_estimators(), params=VARIANTS)
def test_traced_equals_plain(E, params, X, monkeypatch):
    """Replayed steps give the bits of plain ones: scores, codes and history."""
    plain = fitted(E, X, monkeypatch, 10**9, **params)
    traced = fitted(E, X, monkeypatch, 0, **params)
    assert (plain.training_path_, traced.training_path_) == ("plain", "traced")
    np.testing.assert_array_equal(traced.score_samples(X), plain.score_samples(X))
    np.testing.assert_array_equal(traced.transform(X), plain.transform(X))
    seconds = ["seconds"]
    assert traced.history_.drop(columns=seconds).equals(plain.history_.drop(columns=seconds))


@pytest.mark.parametrize("penalty", ["l1", "kl", "jump_relu", "topk", "batch_topk"])
def test_every_penalty_is_traced(penalty, X, monkeypatch):
    """So do the penalties of one class, each an objective of its own."""
    params = {"penalty": penalty, "n_active": 3}
    plain = fitted(SparseAutoencoder, X, monkeypatch, 10**9, **params)
    traced = fitted(SparseAutoencoder, X, monkeypatch, 0, **params)
    assert traced.training_path_ == "traced"
    np.testing.assert_array_equal(traced.score_samples(X), plain.score_samples(X))


def test_the_road_depends_on_the_fit(X, monkeypatch):
    """Long fits are recorded; listeners and other optimizers get skorch's own steps."""
    monkeypatch.setattr(engine, "MANY_STEPS", 64)

    class Listener(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    assert quick(max_steps=100).fit(X).training_path_ == "traced"
    assert quick(max_steps=20).fit(X).training_path_ == "plain"
    assert quick(net=AutoencoderNet(callbacks=[Listener()])).fit(X).training_path_ == "skorch"
    assert quick(net=AutoencoderNet(optimizer=torch.optim.SGD)).fit(X).training_path_ == "skorch"


def test_listening_changes_no_number(X):
    """skorch's own steps, the plain ones and the recorded ones are one sequence."""

    norms = []

    class Watcher(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append(sum(float(p.grad.square().sum()) for _, p in named_parameters) ** 0.5)

    settings = {"max_steps": 100, "max_grad_norm": 0.01}
    watched = quick(net=AutoencoderNet(callbacks=[Watcher()]), **settings).fit(X)
    np.testing.assert_array_equal(
        watched.score_samples(X), quick(**settings).fit(X).score_samples(X)
    )
    assert len(norms) == 100
    assert max(norms) <= 0.01 * X.shape[1] * 1.0001


def test_weights_put_elsewhere(X, monkeypatch):
    """A callback may replace the weights; training goes on from those."""

    class Reset(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 11:
                for p in net.module_.parameters():
                    p.data = torch.zeros_like(p)

    models = [
        fitted(Autoencoder, X, monkeypatch, many, net=AutoencoderNet(callbacks=[Reset()]))
        for many in (0, 10**9)
    ]
    assert [model.training_path_ for model in models] == ["traced", "plain"]
    np.testing.assert_array_equal(*(model.transform(X) for model in models))
    assert not np.array_equal(models[0].transform(X), quick().fit(X).transform(X))


def test_pickles_are_small(X):
    """Weights that share one memory are not pickled with all of it, and share it again after."""
    model = quick().fit(X)
    numbers = sum(p.numel() for p in model.net_.module_.parameters())
    # weights, twice, and two moments
    assert len(pickle.dumps(model.net_)) < 4 * 4 * numbers + 50_000
    again = pickle.loads(pickle.dumps(model)).net_
    (flat,) = again.optimizer_.param_groups[0]["params"]
    memory = flat.untyped_storage().data_ptr()
    assert {p.untyped_storage().data_ptr() for p in again.module_.parameters()} == {memory}
    assert again.module is again.module_


# -- captured steps --------------------------------------------------------------------------------


class Device:
    """Stands for CUDA: two devices, whose streams capture what is called while they are current."""

    def __init__(self, fails=False, empty=False):
        self.device, self.streams, self.fails, self.empty = (
            0,
            ["default 0", "default 1"],
            fails,
            empty,
        )
        self.modes = []

    def install(self, monkeypatch):
        for name in ("device", "stream", "graph", "Stream", "CUDAGraph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, f"use_{name}"))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.streams[1])
        monkeypatch.setattr(replay, "_on_gpu", lambda value: True)

    @contextmanager
    def use_device(self, device):
        self.device = 1
        yield
        self.device = 0

    @contextmanager
    def use_stream(self, stream):
        before = self.streams[self.device]
        self.streams[self.device] = stream
        yield
        self.streams[self.device] = before

    @contextmanager
    def use_graph(self, graph, stream, capture_error_mode):
        self.modes.append(capture_error_mode)
        self.streams[self.device] = stream
        yield
        if self.fails:  # as torch, before it goes back to the former stream
            raise RuntimeError("capture failed")
        self.streams[self.device] = "default 1"

    def use_Stream(self, device):
        return "captures"

    def use_CUDAGraph(self):
        device = self

        class Graph:
            def replay(self):
                for call in () if device.empty else device.calls:
                    call()

        return Graph()


@pytest.mark.parametrize(
    ("how", "kept"), [({}, True), ({"empty": True}, False), ({"fails": True}, False)]
)
def test_graphs_are_checked(how, kept, monkeypatch):
    """A captured step is used if it gives what its calls give; streams are as they were."""
    device, w = Device(**how), torch.randn(7, 6, requires_grad=True)
    device.install(monkeypatch)
    captured = replay._captured

    def capture(calls, where):
        device.calls = calls
        return captured(calls, where)

    monkeypatch.setattr(replay, "_captured", capture)
    step = gradient_of(lambda x, w: (x @ w).tanh().square().sum(), w)
    replayed = recorded(step, torch.randn(8, 7))
    assert (replayed.graph is not None) == kept
    assert device.streams == ["default 0", "default 1"]
    assert device.modes == ["thread_local"]
    x = torch.randn(8, 7)
    (expected,) = step(x)
    gradient = step.outputs[0].clone()
    assert torch.equal(replayed(x)[0], expected)
    assert torch.equal(step.outputs[0], gradient)


# -- recording single functions --------------------------------------------------------------------


def gradient_of(loss, *parameters):
    """Make a step that computes a gradient."""

    def function(x):
        with torch.enable_grad():
            value = loss(x, *parameters)
            return *torch.autograd.grad(value, parameters), value.detach()

    return Step(function, [torch.empty_like(p) for p in parameters], parameters)


def attention(h, dropout):
    heads = h.view(1, 2, 4, 6)
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    return F.scaled_dot_product_attention(heads, heads, heads, mask, dropout)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, w: ((x @ w).tanh() ** 2).sum(),
        lambda x, w: F.layer_norm(x @ w, (6,)).square().mean(),
        lambda x, w: F.gelu(x @ w).exp().log1p().sum(),
        lambda x, w: torch.where(x @ w > 0, (x @ w).abs(), 0.1).mean(),
        lambda x, w: (x @ w).sort(1).values[:, -2:].sum() + (x @ w).softmax(1)[:, 0].sum(),
        lambda x, w: torch.cat([x @ w, (x @ w).relu()], 1).std(0).sum(),
        lambda x, w: F.cross_entropy(x @ w, torch.arange(8) % 6),
        lambda x, w: F.smooth_l1_loss(x @ w, torch.ones(8, 6)) + F.huber_loss(x @ w, x[:, :6] * 2),
        lambda x, w: (x @ w).view(2, 4, 6).transpose(1, 2).cumsum(-1).square().sum(),
        lambda x, w: torch.zeros(8, 6).index_add_(0, torch.arange(8), x @ w).square().sum(),
        lambda x, w: F.conv1d(x[:, None], w.T[:, None, :3]).square().sum(),
        lambda x, w: (x @ w / 3 - 2 * (x @ w) + 1).square().sum() * 0.25,
        lambda x, w: attention(x @ w, 0.0).square().sum(),
    ],
)
def test_whatever_torch_computes(loss):
    """Kernels with and without a place for their result, views, changes in place, constants."""
    w = torch.randn(7, 6, requires_grad=True)
    step = gradient_of(loss, w)
    replay = recorded(step, torch.randn(8, 7))
    assert isinstance(replay, Replay)
    for _ in range(3):
        x = torch.randn(8, 7)
        w.data.copy_(torch.randn(7, 6))
        (value,) = step(x)
        expected = step.outputs[0].clone(), value
        (found,) = replay(x)
        assert torch.equal(step.outputs[0], expected[0])
        assert torch.equal(found, expected[1])


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, w: F.dropout(x @ w).sum(),
        lambda x, w: attention(x @ w, 0.5).sum(),
        lambda x, w: (x @ w)[(x @ w) > 0].sum(),
        lambda x, w: (x @ w).sum() * float(x.sum()),
        lambda x, w: (x.mul_(2) @ w).sum(),
    ],
    ids=["random", "random attention", "shape", "value", "changes its input"],
)
def test_what_cannot_be_repeated(loss):
    """Random numbers, shapes and values that depend on the data, changed inputs: no recording."""
    step = gradient_of(loss, torch.randn(7, 6, requires_grad=True))
    assert recorded(step, torch.randn(8, 7)) is step


@pytest.mark.parametrize("E", families())
def test_half_precision_is_nearly_the_same(E, X, monkeypatch):
    """bf16 changes the fit a little, and nothing after it."""
    full, half = (
        quick(E, n_components=3).fit(X),
        quick(E, n_components=3, precision="bfloat16").fit(X),
    )
    assert all(p.dtype == torch.float32 for p in half.net_.module_.parameters())
    assert not np.array_equal(half.reconstruct(X), full.reconstruct(X))
    assert half.score(X) == pytest.approx(full.score(X), abs=0.05)
    traced = fitted(E, X, monkeypatch, 0, n_components=3, precision="bfloat16")
    assert traced.training_path_ == "traced"
    assert np.isfinite(traced.score_samples(X)).all()


CHOICES = [
    (ConvolutionalAutoencoder, {"output_activation": "sigmoid"}),
    (ConvolutionalVariationalAutoencoder, {"output_activation": "tanh"}),
    (RecurrentAutoencoder, {"n_tokens": 5}),
    (RecurrentAutoencoder, {"n_tokens": 5, "cell": "lstm"}),
    (TransformerAutoencoder, {"n_tokens": 5}),
    (VisionTransformerAutoencoder, {"output_activation": "tanh", "noise": "masking"}),
]


@pytest.mark.parametrize(("E", "params"), CHOICES)
@pytest.mark.parametrize("many_steps", [0, 10**9])
def test_half_precision_of_outputs(E, params, many_steps, monkeypatch):
    """Nor does an output in a range, or of tokens, mix the two."""
    X = np.random.default_rng(0).integers(0, 5 if "n_tokens" in params else 2, (60, 8))
    model = fitted(E, X, monkeypatch, many_steps, max_steps=3, precision="bfloat16", **params)
    assert np.isfinite(model.score_samples(X)).all()


def test_networks_that_cannot_be_recorded_train_plainly(X):
    """Dropout draws from a global generator, torch's GRU is odd: they train on the plain road."""

    class Dropping(Autoencoder):
        def network(self, spec):
            network = super().network(spec)
            network.encoder.append(nn.Dropout(0.1))
            return network

    class Remembering(Autoencoder):
        def network(self, spec):
            network = super().network(spec)
            network.encoder.insert(0, Whole(nn.GRU(1, 1, batch_first=True)))
            return network

    class Whole(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x[..., None])[0].flatten(1)

    for E in (Dropping, Remembering):
        model = quick(E, max_steps=100).fit(X)
        assert model.training_path_ == "plain"
        assert np.isfinite(model.score_samples(X)).all()


def test_many_rows_are_scored_as_few_are(monkeypatch):
    """Recording the function of a tile changes no score."""
    X = np.random.default_rng(0).normal(size=(40_000, 5)).astype(np.float32)
    model = quick().fit(X[:1000])
    whole = model.score_samples(X)
    np.testing.assert_array_equal(whole[-700:], model.score_samples(X[-700:]))


@pytest.mark.parametrize("E", [Autoencoder, VariationalAutoencoder])
def test_few_rows_are_scored_as_many_are(E):
    """What is recorded for few rows changes no score, also if several threads need it."""
    X = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    model = quick(E).fit(X)
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(model.score_samples, np.split(X, len(X))))
    np.testing.assert_array_equal(np.concatenate(alone), model.score_samples(X))

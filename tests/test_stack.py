"""Many models as one: each becomes what it would have become alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from shared import correlated_table, families, in_turn, quick, unless_long
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from skorch.callbacks import EarlyStopping

from sktae import (
    AttentionAutoencoder,
    Autoencoder,
    AutoencoderNet,
    BinaryAutoencoder,
    CategoricalAutoencoder,
    ContentStyleAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalSequenceVariationalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    ConvolutionalVectorQuantizedAutoencoder,
    DisentangledAutoencoder,
    NeighborAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    all_estimators,
    fit_many,
)
from sktae._engine import stack
from sktae._engine.batches import TrainingSteps, ValidationBatches
from sktae._engine.net import AutoencoderNet as Net
from sktae._engine.objective import Objective
from sktae._engine.rows import Loaded
from sktae._engine.stack import Run, train_stacked
from sktae._fit_many import attempt_many
from sktae._training.build import objective_parameters
from sktae._training.spec import resolve
from sktae.families.attention import AttentionMixin
from sktae.families.image import ImageMixin
from sktae.families.sequence import SequenceMixin
from sktae.randomness import Plan, SeededInitialization

KNOBS = {
    AttentionAutoencoder: [{"alpha": 0.0}, {"alpha": 0.1}],
    BinaryAutoencoder: [{"balance": 0.0}, {"balance": 2.0}],
    CategoricalAutoencoder: [{"balance": 0.0}, {"balance": 1.0}],
    ConvolutionalSequenceVariationalAutoencoder: [
        {"beta": 0.5, "gamma": 1.0},
        {"beta": 2.0, "gamma": 3.0},
    ],
    ConvolutionalVariationalAutoencoder: [
        {"beta": 0.5, "gamma": 1.0},
        {"beta": 2.0, "gamma": 3.0},
    ],
    ConvolutionalVectorQuantizedAutoencoder: [{"commitment": 0.25}, {"commitment": 1.0}],
    ContractiveAutoencoder: [{"alpha": 0.1}, {"alpha": 1.0}],
    NeighborAutoencoder: [{"alpha": 0.1}, {"alpha": 1.0, "negative_sample_rate": 1.0}],
    SparseAutoencoder: [
        {"penalty": "kl", "alpha": 0.1, "target": 0.1},
        {"penalty": "kl", "alpha": 2.0, "target": 0.05},
    ],
    ContentStyleAutoencoder: [{"beta": 0.5}, {"beta": 2.0}],
    DisentangledAutoencoder: [{"beta": 1.0}, {"beta": 6.0}],
    VectorQuantizedAutoencoder: [{"commitment": 0.25}, {"commitment": 1.0}],
    VariationalAutoencoder: [{"beta": 0.5}, {"beta": 2.0, "free_bits": 0.1}],
}


def make_run(estimator, x, seed, rate, max_steps, patience, Net=Net):
    """Make a run in double precision, as the engine takes it."""
    estimator.set_params(n_components=3)
    with SeededInitialization(seed):
        network = estimator.network(resolve(estimator, estimator.inputs().fit(x.numpy()))).double()
    callbacks = []
    if patience:
        stopping = EarlyStopping(patience=patience, threshold=0, load_best=True, sink=str)
        callbacks.append(("stopping", stopping))
    net = Net(
        network,
        Objective(estimator.objective, objective_parameters(estimator)),
        lr=rate,
        optimizer__weight_decay=0.01 * seed,
        schedule="cosine",
        max_grad_norm=0.5,
        callbacks=callbacks,
    ).initialize()
    plan = Plan(seed, len(x) - 20, 16, tuple(network.noise))
    steps = TrainingSteps(Loaded(x[20:]), plan, 0, max_steps, 7)
    return Run(net, steps, ValidationBatches(Loaded(x[:20]), plan) if patience else None)


def assert_alike(one, other, X):
    """Codes agree; so do scores, whose tails stretch differences."""
    # Where few numbers are brought to one scale, so are their last digits.
    close = 1e-2 if isinstance(one, ImageMixin) else 1e-3
    np.testing.assert_allclose(one.transform(X), other.transform(X), rtol=close, atol=close)
    np.testing.assert_allclose(one.score_samples(X), other.score_samples(X), rtol=0.01, atol=0.01)


def alone(run):
    run.net.partial_fit(run.steps, run.valid, epochs=run.steps.n_blocks)


@in_turn(E=all_estimators(), many_steps=[0, 10**9])
def test_stacked_equals_sequential(E, many_steps, monkeypatch):
    """Seeds, folds, rates, decay, knobs, budgets and early stopping: equal to 1e-12 in float64."""
    monkeypatch.setattr(stack, "MANY_STEPS", many_steps)
    table = torch.from_numpy(correlated_table(150, 6))
    table[:20] = table[:20, torch.randperm(6, generator=torch.Generator().manual_seed(0))] * 2
    rates = [0.01, 0.1]
    if issubclass(E, SequenceMixin | AttentionMixin | AttentionAutoencoder):
        rates = [0.001, 0.03]  # above, some are chaotic: no rounding stays small
    if issubclass(E, SequenceMixin):
        table = table.view(150, 3, 2)
    elif issubclass(E, ImageMixin):
        table = table.view(150, 1, 2, 3)
    choices = KNOBS.get(E, [{}])

    def runs():
        for seed in range(unless_long(6, 7)):
            estimator = E(hidden_layer_sizes=(5,), **choices[seed % len(choices)])
            x = table[: 150 - seed % 3]
            budget = 60 + 5 * (seed % 2)
            yield make_run(estimator, x, seed, rates[seed % 2], budget, seed % 3 and 2)

    together, apart = list(runs()), list(runs())
    train_stacked(together, size=3)
    for one, other in zip(together, apart, strict=True):
        assert one.error is None
        alone(other)
        assert one.steps.step == other.steps.step
        for a, b in zip(one.parameters, other.parameters, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
        frames = [pd.DataFrame(list(run.net.history)).drop(columns=["dur"]) for run in (one, other)]
        frames = [frame.drop(columns=frame.filter(regex="batch")) for frame in frames]
        pd.testing.assert_frame_equal(*frames, rtol=1e-6)
        assert one.net.training_path_ == "stacked"
    assert len({run.steps.step for run in together}) > 2


@in_turn(
    E=families(),
    params=[
        {},
        {"early_stopping": True, "patience": 1, "max_steps": 60},
        {"training_data": "contaminated", "calibration": 0.2},
    ],
)
def test_fit_many_equals_fit(E, params, X):
    """Estimators fitted together score as they do fitted alone, and go on equally."""
    folds = [X[:400], X[200:], X[:401]]
    models = [
        quick(E, random_state=n, learning_rate=0.001 * (1 + n % 2), n_components=4, **params)
        for n in range(unless_long(4, 6))
    ]
    apart = [clone(model).fit(folds[n % 3]) for n, model in enumerate(models)]
    together = fit_many(models, [folds[n % 3] for n in range(len(models))])
    assert together == models
    for one, other in zip(together, apart, strict=True):
        assert one.training_path_ == "stacked"
        assert one.n_iter_ == other.n_iter_
        assert_alike(one, other, X)
        assert_alike(one.partial_fit(X), other.partial_fit(X), X)
        assert one.offset_ == pytest.approx(other.offset_, rel=0.01)


@pytest.mark.parametrize("penalty", ["l1", "kl", "jump_relu", "topk", "batch_topk"])
def test_every_penalty_is_stacked(penalty, X):
    """So are the penalties of one class, thresholds and revived units included."""
    models = [
        SparseAutoencoder(8, penalty=penalty, n_active=2, max_steps=40, random_state=n)
        for n in range(3)
    ]
    apart = [clone(model).fit(X) for model in models]
    for one, other in zip(fit_many(models, [X] * 3), apart, strict=True):
        assert one.training_path_ == "stacked"
        assert_alike(one, other, X)


def test_what_is_not_stacked_is_fitted(X):
    """Other estimators and unusual fits come back fitted by their own `fit`."""
    models = [
        quick(),
        quick(n_components=3),
        quick(batch_size=64),
        quick(net=AutoencoderNet(optimizer=torch.optim.SGD)),
        quick(net=AutoencoderNet(optimizer=torch.optim.SGD), random_state=1),
        IsolationForest(n_estimators=5),
        quick(random_state=1),
    ]
    apart = [clone(model).fit(X) for model in models[:5]]
    fit_many(models, [X] * 7)
    roads = [getattr(model, "training_path_", None) for model in models]
    assert roads == ["stacked", "plain", "plain", "skorch", "skorch", None, "stacked"]
    for one, other in zip(models, apart, strict=False):
        assert_alike(one, other, X)


def test_networks_that_cannot_be_stacked_are_fitted(X):
    """Where torch cannot add the model axis, or would not see all of a network."""

    class Branching(Autoencoder):
        @staticmethod
        def objective(x, out):
            return (x - out.recon) ** 2 * (2 if float(x.sum()) > 0 else 1)

    class Hiding(Autoencoder):
        def network(self, spec):
            network = super().network(spec)
            network.secret = torch.randn(3)
            return network

    for E in (Branching, Hiding):
        models = fit_many([quick(E, random_state=n) for n in range(2)], [X, X])
        assert [model.training_path_ for model in models] == ["plain", "plain"]


def test_one_failure_stays_one(X):
    """A fit that fails leaves the others alone, and its own estimator as it was."""
    fitted = quick().fit(X)
    scores = fitted.score_samples(X)
    models = [
        quick(random_state=1),
        fitted.set_params(learning_rate=1e30, max_grad_norm=None),
        quick(random_state=2),
    ]
    outcomes = attempt_many(models, [X] * 3)
    assert outcomes[0] is models[0]
    assert isinstance(outcomes[1], ValueError)
    np.testing.assert_array_equal(fitted.score_samples(X), scores)
    assert_alike(outcomes[2], quick(random_state=2).fit(X), X)
    with pytest.raises(ValueError, match="loss became"):
        fit_many(models, [X] * 3)
    with pytest.raises(ValueError, match=r"learning_rate.*a float in the range"):
        fit_many([quick(learning_rate=-1), quick()], [X, X])
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (its note is what matters)
        fit_many([quick(), quick(learning_rate=-1)], [X, X])
    assert "estimator 1" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="number 1 of them is <class"):
        fit_many([quick(), Autoencoder], [X, X])
    with pytest.raises(ValueError, match="a table for each estimator"):
        fit_many([quick()], [X, X])


def test_an_interruption_leaves_everything_as_it_was(X, monkeypatch):
    """Ctrl-C is passed on; what was fitted is, what was not is not."""
    fitted, fresh = quick().fit(X), quick(random_state=1)
    scores = fitted.score_samples(X)

    def interrupted(self, n):
        raise KeyboardInterrupt

    monkeypatch.setattr(stack.Stack, "_take_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_many([fitted, fresh], [X + 1, X])
    np.testing.assert_array_equal(fitted.score_samples(X), scores)
    assert not [name for name in vars(fresh) if name.endswith("_")]


def test_stacks_leave_global_generators_alone(X):
    """Nothing global moves."""
    before = torch.get_rng_state()
    fit_many([quick(VariationalAutoencoder, random_state=n) for n in range(3)], [X] * 3)
    assert torch.equal(torch.get_rng_state(), before)

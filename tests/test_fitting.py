"""How a fit runs: budgets, stopping, resuming, the skorch prototype, callbacks, devices."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from shared import LONG, every, kinds, quick
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, Checkpoint, LoadInitState, LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from sktae import (
    AutoencoderNet,
    SparseAutoencoder,
    VariationalAutoencoder,
    fit_many,
)
from sktae._engine.batches import TrainingSteps
from sktae.randomness import hold_out

# -- budgets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "steps", "epochs"),
    [
        ({"max_steps": 50}, 50, 17),  # blocks of ceil(50 / 20) = 3 steps
        ({"max_steps": 100}, 100, 20),
        ({"max_steps": 7}, 7, 7),
        ({"max_steps": None, "max_epochs": 4}, 20, 4),  # 600 rows are 5 batches of 128
        ({"max_steps": 12, "max_epochs": 4}, 12, 3),
        ({"max_steps": 500, "max_epochs": 2}, 10, 2),
    ],
)
def test_the_first_limit_ends_the_fit(X, budget, steps, epochs):
    """A fit takes as many steps as the tighter budget allows, told in epochs."""
    model = quick(**budget).fit(X)
    assert model.n_iter_ == steps
    assert model.history_["epoch"].tolist() == list(range(1, epochs + 1))
    assert model.history_["step"].iloc[-1] == steps


@every
def test_auto_is_the_number_that_it_stands_for(E, X):
    """To type the size that "auto" comes to changes nothing: not sizes, not rates, not budgets."""
    few = X[:40]  # whose budget depends on how wide the code is
    budget = {"random_state": 0} | ({} if LONG or E.__name__ == "Autoencoder" else {"max_steps": 3})
    auto = E(**budget).fit(few)
    typed = E(n_components=auto.n_components_, **budget).fit(few)
    assert typed.get_params()["n_components"] != "auto"
    assert (typed.hidden_layer_sizes_, typed.n_iter_) == (auto.hidden_layer_sizes_, auto.n_iter_)
    np.testing.assert_array_equal(typed.score_samples(few), auto.score_samples(few))


NUMPY = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}


@every
def test_parameters_may_be_scalars_of_numpy(E, X):
    """Searches over `np.arange` give numbers of NumPy, which count as plain ones."""
    plain = quick(E, max_steps=3, n_components=2, calibration=0.2).fit(X)
    params = plain.get_params(deep=False)
    scalars = {name: NUMPY[type(v)](v) for name, v in params.items() if type(v) in NUMPY}
    model = E().set_params(**params | scalars).fit(X)
    np.testing.assert_array_equal(model.p_values(X), plain.p_values(X))
    np.testing.assert_array_equal(model.transform(X), plain.transform(X))
    assert type(model.n_components) is np.int64


def test_a_fit_without_limit_is_refused(X):
    """Without any budget a fit would not end."""
    with pytest.raises(ValueError, match="max_steps and max_epochs of Autoencoder are both None"):
        quick(max_steps=None).fit(X)


def test_history_names_the_terms(X):
    """The history shows the objective, its terms by name, learning rate and seconds."""
    history = quick(VariationalAutoencoder, early_stopping=True).fit(X).history_
    assert isinstance(history, pd.DataFrame)
    terms = ["reconstruction", "divergence"]
    for part in ("train", "valid"):
        total = sum(history[f"{part}_{term}"] for term in terms)
        np.testing.assert_allclose(history[f"{part}_loss"], total, rtol=1e-6)
    assert list(history)[-2:] == ["learning_rate", "seconds"]


def test_schedules(X):
    """The learning rate falls to 0 along a cosine, at once or after it has risen, or stays."""
    cosine = quick(max_steps=100).fit(X).history_["learning_rate"]
    assert cosine.is_monotonic_decreasing
    assert cosine.iloc[-1] < 1e-5
    one_cycle = quick(schedule="one_cycle", learning_rate=0.01, max_steps=300).fit(X).history_
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    theirs, rates = OneCycleLR(optimizer, 0.01, 300, final_div_factor=1e9), []
    for _ in range(299):
        rates += theirs.get_last_lr()
        optimizer.step()
        theirs.step()
    rates = np.array([*rates, 0.0])[one_cycle["step"] - 1]
    np.testing.assert_allclose(one_cycle["learning_rate"], rates, atol=3e-4)
    constant = quick(schedule="constant", learning_rate=0.01).fit(X).history_["learning_rate"]
    assert (constant == 0.01).all()


def test_gradients_are_clipped(X):
    """A tiny limit on the gradient leaves plain gradient descent where it was."""
    net = AutoencoderNet(optimizer=torch.optim.SGD)
    still = quick(net=net, batch_size=600, max_grad_norm=1e-9).fit(X)
    moving = quick(net=net, batch_size=600, max_grad_norm=None).fit(X)
    losses = [model.history_["train_loss"] for model in (still, moving)]
    assert np.ptp(losses[0]) < 1e-4 * np.ptp(losses[1])


# -- stopping --------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_weights(X):
    """The fit ends `patience` epochs after the best one and goes back to it."""
    noise = np.random.default_rng(0).normal(size=(80, 8))
    model = quick(max_steps=None, max_epochs=500, early_stopping=True, patience=3).fit(noise)
    losses = model.history_["valid_loss"]
    assert len(losses) == losses.argmin() + 1 + 3
    assert model.n_iter_ == len(losses)  # one batch an epoch
    shorter = quick(max_steps=None, max_epochs=int(losses.argmin()) + 1, schedule="constant")
    longer = clone(model).set_params(schedule="constant").fit(noise)
    shorter.set_params(
        early_stopping=True, max_epochs=int(longer.history_["valid_loss"].argmin()) + 1
    )
    np.testing.assert_array_equal(longer.transform(noise), shorter.fit(noise).transform(noise))


@pytest.mark.parametrize("E", kinds())
def test_validation_rows_are_watched(E, X):
    """Their loss is in the history, and nothing else changes; with early stopping, they decide."""
    X, new = X[:200], X[500:]
    alone, watched = quick(E, calibration="cross"), quick(E, calibration="cross")
    alone.fit(X)
    assert watched.fit(X, X_val=new) is watched
    np.testing.assert_array_equal(watched.score_samples(X), alone.score_samples(X))
    assert watched.offset_ == alone.offset_
    losses = watched.history_["valid_loss"]
    assert losses.notna().all()
    assert "valid_loss" not in alone.history_
    stopped = quick(E, early_stopping=True, patience=3, max_steps=100).fit(X, X_val=new)
    losses = stopped.history_["valid_loss"]
    assert len(losses) in (20, losses.argmin() + 1 + 3)
    with pytest.raises(ValueError, match="has 7 features"):
        quick(E).fit(X, X_val=X[:, :7])


def test_the_best_weights_are_those_that_were_judged():
    """Reviving dead units does not slip in between judging the weights and keeping them."""
    X = load_digits().data
    model = SparseAutoencoder(
        512,
        n_active=1,
        max_steps=None,
        max_epochs=200,
        patience=2,
        early_stopping=True,
        random_state=0,
    ).fit(X)
    _, rows = hold_out("validation_fraction", len(X), model.validation_fraction, 0, "split")
    held_out = model._rows(X).take(rows)
    with torch.no_grad():
        loss = (held_out - model.net_.module_(held_out).recon).square().sum(1).mean()
    assert float(loss) == pytest.approx(model.history_["valid_loss"].min(), rel=1e-5)


def test_held_out_rows_are_shuffled(X):
    """The validation rows are drawn from everywhere, not from one end."""
    ends = np.repeat([[-1.0, 1.0], [1.0, -1.0]], 100, axis=0)
    model = quick(early_stopping=True, max_steps=200).fit(ends)
    assert model.history_["valid_loss"].iloc[-1] < 0.1
    with pytest.raises(ValueError, match=r"leaves no row of n_samples=1 to train on"):
        quick(early_stopping=True).fit(X[:1])


def test_interruptions(X, monkeypatch):
    """A callback that stops a fit leaves a fitted model; Ctrl-C is passed on."""

    class StopSoon(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt  # skorch's way

    model = quick(net=AutoencoderNet(callbacks=[StopSoon()])).fit(X)
    assert model.n_iter_ == 2
    assert np.isfinite(model.score_samples(X)).all()

    def interrupted(self):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(TrainingSteps, "__iter__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick().fit(X)


# -- resuming --------------------------------------------------------------------------------------


@pytest.mark.parametrize("E", kinds())
def test_partial_fits_add_up(E, X):
    """Passes over the same rows, one call each, are one fit at a constant learning rate."""
    whole = quick(E, max_steps=None, max_epochs=3, schedule="constant").fit(X)
    parts = quick(E, early_stopping=True)  # which needs an end, and so has no part in this
    for _ in range(3):
        parts.partial_fit(X)
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))
    assert parts.n_iter_ == whole.n_iter_
    assert len(parts.history_) == 3


def test_chunks_are_remembered(X, monkeypatch):
    """Scores compare with a sample of all rows so far, each as likely to be in it as the others."""
    model = quick().fit(X)
    model.partial_fit(X[:1])
    assert 0.005 < np.mean(model.predict(X) == -1) < 0.05
    monkeypatch.setattr("sktae._training.fit._MEMORY_NUMBERS", 100 * X.shape[1])
    chunks = quick()
    for chunk in np.array_split(X, [100, 150, 151, 500]):
        chunks.partial_fit(chunk)
        rows = chunks._inputs.to_array(chunks._fitted.memory.x.numpy(), X.dtype)
        assert len(rows) <= 100
    assert chunks._fitted.memory.n_rows == 600
    origin = np.abs(rows[:, None] - X).sum(2).argmin(1)
    assert np.all(np.abs(np.histogram(origin, [0, 150, 300, 450, 600])[0] - 25) <= 12)


def test_warm_start(X):
    """A second fit goes on where the first one ended, unless the network would change."""
    model = quick(warm_start=True).fit(X)
    first = model.history_["train_loss"].iloc[-1]
    model.fit(X)
    assert model.n_iter_ == 16
    assert len(model.history_) == 16
    assert model.history_["train_loss"].iloc[-1] < first
    scores = model.score_samples(X)
    with pytest.raises(ValueError, match="cannot continue its last fit"):
        model.set_params(n_components=3).fit(X)
    np.testing.assert_array_equal(model.score_samples(X), scores)
    assert quick(warm_start=False).fit(X).fit(X).n_iter_ == 8
    model.set_params(n_components="auto", net=AutoencoderNet(optimizer=torch.optim.SGD))
    assert isinstance(model.fit(X).net_.optimizer_, torch.optim.SGD)
    amsgrad = quick(warm_start=True, net=AutoencoderNet()).fit(X)
    amsgrad.set_params(net__optimizer__amsgrad=True).fit(X)
    assert model.n_iter_ == 24
    beta = quick(VariationalAutoencoder, warm_start=True).fit(X).set_params(beta=0).fit(X)
    assert (beta.history_["train_divergence"].iloc[8:] == 0).all()
    late = quick(warm_start=True).fit(X).set_params(early_stopping=True).fit(X)
    assert late.history_["valid_loss"].isna().sum() == 8


# -- the prototype ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "owner"),
    [
        ({"lr": 0.1}, "learning_rate"),
        ({"optimizer__lr": 0.1}, "learning_rate"),
        ({"optimizer__weight_decay": 0.1}, "weight_decay"),
        ({"max_epochs": 3}, "max_epochs"),
        ({"batch_size": 3}, "batch_size"),
        ({"device": "cuda"}, "device"),
        ({"verbose": 1}, "verbose"),
        ({"module": torch.nn.Linear}, "network"),
        ({"module__bias": False}, "network"),
        ({"iterator_train__shuffle": True}, "batch_size"),
    ],
)
def test_the_prototype_leaves_the_estimator_its_own(X, setting, owner):
    """What the estimator decides cannot be set a second time in the net."""
    with pytest.raises(ValueError, match=f"which the estimator decides.*{owner}"):
        quick(net=AutoencoderNet(**setting)).fit(X)


def test_the_prototype_is_a_nested_parameter(X):
    """Optimizer classes and their settings are reached through `net__`, in a search too."""
    model = quick(net=AutoencoderNet(optimizer=torch.optim.SGD))
    search = GridSearchCV(model, {"net__optimizer__momentum": [0.0, 0.9]}, cv=2).fit(X)
    optimizer = search.best_estimator_.net_.optimizer_
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert not hasattr(model.net, "module_")
    with pytest.raises(ValueError, match="net is None: pass net=AutoencoderNet"):
        quick().set_params(net__optimizer__momentum=0.9)
    quick().set_params(net=AutoencoderNet(), net__optimizer__betas=(0.5, 0.9))
    with pytest.raises(ValueError, match="'net' parameter of Autoencoder must be"):
        quick(net="adam").fit(X)
    with pytest.raises(ValueError, match="LBFGS has no weight decay"):
        quick(net=AutoencoderNet(optimizer=torch.optim.LBFGS), weight_decay=0.1).fit(X)


def test_a_scheduler_callback_needs_the_learning_rate(X):
    """Two schedules would fight for one learning rate."""
    net = AutoencoderNet(callbacks=[("lr", LRScheduler("StepLR", step_size=5, gamma=0.5))])
    with pytest.raises(ValueError, match="pass schedule='constant'"):
        quick(net=net).fit(X)
    history = quick(net=net, schedule="constant").fit(X).history_
    assert history["learning_rate"].iloc[-1] < history["learning_rate"].iloc[0]


def test_callbacks_may_listen_to_batches(X):
    """A callback hears of every batch and changes no number; ours do not stay behind."""
    heard = []

    class Listener(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            heard.append(len(batch[1]))

        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            heard.append(float(kwargs["loss"].detach()))

    listening = quick(net=AutoencoderNet(callbacks=[Listener()])).fit(X)
    assert heard[::2] == [128] * 8
    np.testing.assert_array_equal(listening.score_samples(X), quick().fit(X).score_samples(X))
    assert [name for name, _ in listening.net_.callbacks_] == ["epoch_timer", "Listener"]


STEPS = 40
SCHEDULES = {
    "one cycle": (
        LRScheduler(OneCycleLR, max_lr=0.01, total_steps=STEPS, step_every="batch"),
        lambda rates: rates[0] < max(rates) > rates[-1],
    ),
    "cosine": (
        LRScheduler(CosineAnnealingLR, T_max=20),
        lambda rates: np.all(np.diff(rates) < 0),
    ),
    "plateau": (
        LRScheduler(
            ReduceLROnPlateau, monitor="train_loss", patience=0, threshold=10.0, factor=0.7
        ),
        lambda rates: rates[-1] < 0.01 * rates[0],
    ),
}
OPTIMIZERS = {
    "Adam": {"optimizer": torch.optim.Adam},
    "AdamW": {"optimizer": torch.optim.AdamW},
    "SGD": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_and_schedules_go_through_the_net(optimizer, schedule, X, tmp_path):
    """Rates move as torch's schedules say; checkpoints and pickles hold the optimizer's state."""
    callback, moves = SCHEDULES[schedule]
    kept = Checkpoint(dirname=tmp_path, monitor=None, f_pickle=None)
    net = AutoencoderNet(callbacks=[clone(callback), kept], **OPTIMIZERS[optimizer])
    model = quick(net=net, schedule="constant", max_steps=STEPS).fit(X)
    history = model.history_
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert moves(history["learning_rate"].to_numpy())

    def state(fitted):
        return fitted.net_.optimizer_.state_dict()["state"][0].values()

    going_on = AutoencoderNet(callbacks=[LoadInitState(kept)], **OPTIMIZERS[optimizer])
    loaded = quick(net=going_on, schedule="constant", max_steps=1).fit(X)
    assert len(loaded.history_) == len(history) + 1
    np.testing.assert_allclose(loaded.transform(X), model.transform(X), atol=0.01)
    copy = pickle.loads(pickle.dumps(model))
    for ours, theirs in zip(state(model), state(copy), strict=True):
        assert torch.equal(ours, theirs)
    np.testing.assert_array_equal(*(m.partial_fit(X).transform(X) for m in (model, copy)))


def test_checkpoints(X, tmp_path):
    """skorch's checkpoints tick with the epochs."""
    checkpoint = Checkpoint(monitor="train_loss_best", dirname=tmp_path)
    model = quick(net=AutoencoderNet(callbacks=[checkpoint])).fit(X)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert saved.keys() == model.net_.module_.state_dict().keys()


# -- callbacks of scikit-learn, and progress -------------------------------------------------------


def test_verbose_shows_progress(X, capsys):
    """`verbose` shows one bar, on standard error; silence is the default."""
    quick().fit(X)
    assert capsys.readouterr() == ("", "")
    quick(verbose=1).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Autoencoder: 100%" in err
    quick(verbose=2, early_stopping=True, max_steps=5).fit(X)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert re.match(
        r"Autoencoder, epoch 5 of 5, step 5: train_loss \S+, valid_loss \S+$", lines[-1]
    )


def test_scoring_monitor(X):
    """Each epoch is a task with a model that works as if the fit had stopped there."""
    callback = pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")
    monitor = callback.ScoringMonitor(scoring={"score": lambda model, X, y: model.score(X)})
    model = quick(SparseAutoencoder, penalty="batch_topk", max_steps=20)
    model.set_callbacks(monitor).fit(X)
    log = monitor.get_logs().data_as_pandas
    scores = log.loc[log["task_name"] == "epoch", "score"]
    assert len(scores) == 20
    assert scores.iloc[-1] > scores.iloc[0]
    assert scores.iloc[-1] == pytest.approx(model.score(X))
    outliers = callback.ScoringMonitor(scoring="roc_auc")
    quick().set_callbacks(outliers).fit(X, np.arange(600) > 10)
    assert outliers.get_logs().data_as_pandas["roc_auc"].notna().all()


def test_progress_bar(X, capsys):
    """scikit-learn's progress bar works on a bare fit, in a pipeline and in a search."""
    callback = pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")
    scores = quick().fit(X).score_samples(X)
    bare = quick().set_callbacks(callback.ProgressBar())
    np.testing.assert_array_equal(bare.fit(X).score_samples(X), scores)
    pipeline = make_pipeline(StandardScaler(), quick())
    pipeline.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X)
    search = GridSearchCV(make_pipeline(StandardScaler(), quick()), {}, cv=2)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X)
    assert "Autoencoder" in capsys.readouterr().out


def test_a_callback_can_end_the_fit(X):
    """scikit-learn's callbacks stop a fit by returning True."""
    pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")

    class StopAtOnce:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            return True

    assert quick().set_callbacks(StopAtOnce()).fit(X).n_iter_ == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every
def test_cuda_agrees_with_cpu(E, X):
    """The same draws on both devices: scores agree, taken step by step, replayed or stacked."""
    for max_steps in (20, 80):
        cpu, cuda = (
            quick(E, device=device, max_steps=max_steps, learning_rate=1e-4).fit(X)
            for device in ("cpu", "cuda")
        )
        assert cpu.training_path_ == cuda.training_path_
        np.testing.assert_allclose(cuda.score_samples(X), cpu.score_samples(X), rtol=1e-2)
        stacked = fit_many(
            [quick(E, device="cuda", max_steps=max_steps, learning_rate=1e-4) for _ in range(2)],
            [X, X],
        )
        np.testing.assert_allclose(stacked[0].score_samples(X), cpu.score_samples(X), rtol=1e-2)
    half = quick(E, device="cuda", precision="bfloat16", max_steps=80).fit(X)
    assert np.isfinite(half.score_samples(X)).all()

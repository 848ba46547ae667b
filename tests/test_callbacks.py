"""Callbacks of skorch: what they may do, and what comes of it."""

import threading

import numpy as np
import pytest
import skorch.callbacks
import torch
from shared import kinds, quick
from sklearn.base import clone
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import StepLR

from sktae import AutoencoderNet, SparseAutoencoder

EVENTS = ["epoch_begin", "batch_begin", "grad_computed", "batch_end", "epoch_end"]


def stops(event, at=1):
    """Return a net with a callback that ends the fit, in skorch's way, when an event comes."""

    class Stop(Callback):
        n = 0

        def stop(self, net, *args, **kwargs):
            self.n += 1
            if self.n == at:
                raise KeyboardInterrupt

    setattr(Stop, f"on_{event}", Stop.stop)
    return AutoencoderNet(callbacks=[Stop()])


@pytest.mark.parametrize("E", kinds())
def test_a_callback_may_end_a_fit_at_any_event(E, X):
    """The model is what was learned so far, and its history has whole epochs only."""
    for event in EVENTS:
        model = quick(E, max_steps=8, net=stops(event, at=2)).fit(X)
        assert model.n_iter_ < 8
        assert 1 <= len(model.history_) <= 2
        assert model.history_.notna().all(axis=None)


@pytest.mark.parametrize("event", ["train_begin", "train_end", *EVENTS[:-1]])
def test_without_an_epoch_there_is_no_model(event, X):
    """A callback that ends a fit too early, or too late, interrupts it: nothing changes."""
    model = quick(max_steps=8).fit(X)
    fitted = vars(model).copy()
    with pytest.raises(KeyboardInterrupt):
        model.set_params(net=stops(event)).fit(X)
    assert {**vars(model), "net": None} == fitted


class Writer:
    """Stands for what callbacks write to, which has locks, so it cannot be copied."""

    def __init__(self, folder):
        self.lock, self.dir, self.n_written = threading.Lock(), str(folder), 0
        self.info, self.run_id = self, "run"

    def write(self, *args, **kwargs):
        self.n_written += 1

    add_scalar = log = log_scalar = log_metric = log_artifact = write

    def watch(self, module): ...

    def set_terminated(self, run_id): ...


def loss(net, X, y):
    return np.square(net.predict(X) - y).sum(axis=1).mean()


def offered(folder, writer):
    """Return skorch's callbacks, and what each leaves in the history; without loggers of others."""
    mse = "neg_mean_squared_error"
    return {
        "BatchScoring": ({"scoring": mse, "lower_is_better": False}, mse),
        "Callback": ({}, None),
        "Checkpoint": ({"dirname": folder / "best"}, "event_cp"),
        "EarlyStopping": ({}, None),
        "EpochScoring": ({"scoring": loss}, "loss"),
        "EpochTimer": ({}, "seconds"),
        "Freezer": ({"patterns": "encoder.*"}, None),
        "GradientNormClipping": ({"gradient_clip_value": 1.0}, None),
        "Initializer": ({"patterns": "*", "fn": torch.nn.init.zeros_}, None),
        "LRScheduler": ({"policy": StepLR, "step_size": 1}, "event_lr"),
        "LoadInitState": ({"checkpoint": skorch.callbacks.Checkpoint(dirname=folder)}, None),
        "MlflowLogger": ({"run": writer, "client": writer}, None),
        "ParamMapper": ({"patterns": "encoder.*"}, None),
        "PassthroughScoring": ({"name": "valid_loss"}, "valid_loss"),
        "PrintLog": ({}, None),
        "ProgressBar": ({}, None),
        "SacredLogger": ({"experiment": writer}, None),
        "TensorBoard": ({"writer": writer, "close_after_train": False}, None),
        "TrainEndCheckpoint": ({"dirname": folder / "last"}, None),
        "Unfreezer": ({"patterns": "encoder.*", "at": 2}, None),
        "WandbLogger": ({"wandb_run": writer}, None),
    }


def test_callbacks_of_skorch(X, tmp_path, capsys):
    """All of them work, or there is a sentence; none changes the rows or the order of a fit."""
    writer = Writer(tmp_path)
    names = set(skorch.callbacks.__all__)
    others = {"InputShapeSetter", "NeptuneLogger", "WarmRestartLR"}
    assert names - others <= offered(tmp_path, writer).keys()
    settings = {"max_steps": 6, "early_stopping": True, "schedule": "constant"}
    steps = quick(**settings).fit(X).history_["step"].tolist()
    for name, (params, left) in offered(tmp_path, writer).items():
        callback, n_written = getattr(skorch.callbacks, name)(**params), writer.n_written
        model = clone(quick(net=AutoencoderNet(callbacks=[callback]), **settings)).fit(X)
        assert model.history_["step"].tolist() == steps, name
        assert left is None or left in model.history_, name
        assert (writer.n_written > n_written) == (writer in params.values()), name
    out, err = capsys.readouterr()
    assert "train_loss" in out  # of PrintLog
    assert "1/1" in err or "2/2" in err or "it/s" in err  # of ProgressBar
    for rows in ("train", "valid"):
        scoring = skorch.callbacks.EpochScoring(loss, on_train=rows == "train")
        history = quick(net=AutoencoderNet(callbacks=[scoring]), **settings).fit(X).history_
        np.testing.assert_allclose(history["loss"], history[f"{rows}_loss"], rtol=1e-4)


def test_callbacks_that_a_net_has_no_use_for(X):
    """What an estimator does itself is refused."""
    callback = skorch.callbacks.InputShapeSetter()
    with pytest.raises(ValueError, match="has an InputShapeSetter, but Autoencoder builds its net"):
        quick(net=AutoencoderNet(callbacks=[callback])).fit(X)
    scoring = skorch.callbacks.EpochScoring(loss, on_train=True, use_caching=False)
    with pytest.raises(ValueError, match=r"predictions of the training rows.*use_caching=True"):
        quick(net=AutoencoderNet(callbacks=[scoring])).fit(X)


@pytest.mark.parametrize("tool", ["tensorboard", "wandb", "mlflow"])
def test_tools_get_the_history(tool, X, tmp_path, monkeypatch):
    """TensorBoard, Weights & Biases and MLflow have the last losses of a fit, offline."""
    pytest.importorskip(tool, reason=f"{tool} is optional")
    names = ["train_loss", "valid_loss"]
    if tool == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from torch.utils.tensorboard import SummaryWriter

        callback = skorch.callbacks.TensorBoard(SummaryWriter(tmp_path))
    elif tool == "wandb":
        import wandb

        run = wandb.init(mode="offline", dir=tmp_path)
        callback = skorch.callbacks.WandbLogger(run)
    else:
        import mlflow

        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
        run = mlflow.start_run()
        callback = skorch.callbacks.MlflowLogger()
    net = AutoencoderNet(callbacks=[callback])
    model = quick(net=net, max_steps=20, early_stopping=True).fit(X)
    if tool == "tensorboard":
        scalars = EventAccumulator(str(tmp_path)).Reload().Scalars
        found = [scalars(f"Loss/{name}")[-1].value for name in names]
    elif tool == "wandb":
        found = [run.summary[name] for name in names]
        run.finish()
    else:
        mlflow.end_run()
        found = [mlflow.get_run(run.info.run_id).data.metrics[name] for name in names]
    np.testing.assert_allclose(found, model.history_[names].iloc[-1])


@pytest.mark.parametrize("changes", [False, True])
def test_repairs_follow_changes_by_callbacks(X, changes, monkeypatch):
    """A network is repaired by what it returns then; it runs twice only if it was changed."""

    class Doubles(Callback):
        def on_epoch_begin(self, net, **kwargs):
            with torch.no_grad():
                net.module_.encoder[0].weight.mul_(1 + changes)

    seen = []  # by diagnosis, then by repair: outputs, and the weights then
    for name in ("diagnose", "revive"):

        def note(network, *args):
            seen.append((args[-1], network.encoder[0].weight.clone()))
            return {}

        monkeypatch.setattr(f"sktae.autoencoders.sparse.Network.{name}", note)
    monkeypatch.setattr(SparseAutoencoder, "_complaint", lambda *_: None)
    net = AutoencoderNet(callbacks=[Doubles()])
    quick(SparseAutoencoder, max_steps=4, net=net).fit(X)
    (out, weight), (again, changed) = seen[:2]
    assert torch.equal(changed, weight * (1 + changes))
    assert (again is out) != changes

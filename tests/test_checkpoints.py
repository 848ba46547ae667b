"""Fits that are interrupted go on from their checkpoints, with the bits of those that are not."""

import contextlib
import subprocess
import sys
import time

import numpy as np
import pytest
from shared import families, unless_long
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import LRScheduler

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    AutoencoderImputer,
    AutoencoderNet,
    DenoisingAutoencoder,
    WindowedDetector,
)
from sktae._training import checkpoint


class Stop(Exception):
    """Ends a fit where it is, as a killed process would."""


@pytest.fixture
def stops(monkeypatch):
    """Write a checkpoint at each epoch, and return a function that ends fits after some of them."""
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    write = checkpoint.Checkpoint._write

    def after(n):
        left = [n]

        def counted(self, net):
            write(self, net)
            left[0] -= 1
            if left[0] == 0:
                raise Stop

        monkeypatch.setattr(checkpoint.Checkpoint, "_write", counted)

    return after


@pytest.mark.parametrize("E", families())
def test_interrupted_fits_go_on(E, X, stops, tmp_path):
    """Scores, history and later chunks are those of a fit without an interruption."""
    X, params = X[:150], {"max_steps": 12, "random_state": 0}
    whole = E(**params).fit(X)
    stops(5)
    model = E(**params, checkpoint_dir=tmp_path)
    with pytest.raises(Stop):
        model.fit(X)
    assert not hasattr(model, "net_")
    stops(0)
    model.fit(X)
    assert model.n_iter_ == whole.n_iter_
    assert np.array_equal(model.score_samples(X), whole.score_samples(X))
    columns = [name for name in whole.history_ if name != "seconds"]
    assert model.history_[columns].equals(whole.history_[columns])
    chunks = [m.partial_fit(X).score_samples(X) for m in (model, whole)]
    assert np.array_equal(*chunks)


def ways(path):
    inner = Autoencoder(2, max_steps=8, checkpoint_dir=path, random_state=0)
    return {
        "early stopping": Autoencoder(
            early_stopping=True,
            max_steps=None,
            max_epochs=30,
            patience=2,
            learning_rate=0.05,
            checkpoint_dir=path,
            random_state=0,
        ),
        "missing values": DenoisingAutoencoder(max_steps=8, checkpoint_dir=path, random_state=0),
        "ensemble": AutoencoderEnsemble(inner, n_estimators=3, random_state=0),
        "search": GridSearchCV(inner, {"batch_size": [16, 32]}, cv=2, error_score="raise"),
        "detector": WindowedDetector(inner, window_size=9, random_state=0),
        "imputer": make_pipeline(AutoencoderImputer(inner), inner),
    }


@pytest.mark.parametrize("way", ways("x"))
def test_whatever_fits_goes_on(way, X, stops, tmp_path):
    """With early stopping and missing values; in ensembles, searches, detectors and imputers."""
    X = X[:90].copy()
    X[::5, 1] = np.nan if way == "missing values" else 0.0
    whole = ways(tmp_path / "whole")[way].fit(X).score_samples(X)
    for n in (3, 9, 2):
        stops(n)
        with contextlib.suppress(Stop):
            ways(tmp_path / "parts")[way].fit(X)
    stops(0)
    assert np.array_equal(ways(tmp_path / "parts")[way].fit(X).score_samples(X), whole)


def test_other_calls_begin_anew(X, stops, tmp_path):
    """Other rows, parameters or seeds have a checkpoint of their own; a finished fit is kept."""
    model = Autoencoder(2, max_steps=4, checkpoint_dir=tmp_path, random_state=0)
    model.fit(X)
    model.fit(X[1:])
    model.set_params(verbose=1).fit(X)  # which changes nothing
    model.set_params(activation="tanh").fit(X)
    model.set_params(random_state=1).fit(X)
    assert len(list(tmp_path.iterdir())) == 4 * 3  # of each call, and both its halves of the rows
    stops(1)
    model.fit(X)  # writes nothing, since it is finished


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=["none", "generator"])
def test_seeds_that_differ_are_refused(seed, X, tmp_path):
    """Where each call draws anew, no fit could go on: whoever holds the seed says so."""
    inner = Autoencoder(2, max_steps=2, checkpoint_dir=tmp_path, random_state=0)
    unseeded = Autoencoder(2, max_steps=2, checkpoint_dir=tmp_path, random_state=seed)
    search = {"error_score": "raise", "cv": 2}
    for estimator, name in [
        (unseeded, "Autoencoder"),
        (AutoencoderImputer(unseeded), "Autoencoder"),
        (GridSearchCV(unseeded, {"batch_size": [16, 32]}, **search), "Autoencoder"),
        (AutoencoderEnsemble(inner, n_estimators=2, random_state=seed), "AutoencoderEnsemble"),
        (WindowedDetector(inner, window_size=9, random_state=seed), "WindowedDetector"),
    ]:
        with pytest.raises(ValueError, match=f"asks for a number as random_state of {name}, since"):
            estimator.fit(X)
    assert not list(tmp_path.iterdir())
    source = inner.fit(X)
    plain = Autoencoder(2, max_steps=2, init_from=FrozenEstimator(source))
    AutoencoderEnsemble(plain, n_estimators=2, random_state=seed).fit(X)


def test_checkpoints_say_what_they_need(X, tmp_path):
    """No callbacks, a file that is not damaged, a folder."""
    net = AutoencoderNet(callbacks=[LRScheduler()])
    how = {"schedule": "constant", "calibration": None, "random_state": 0}
    model = Autoencoder(checkpoint_dir=tmp_path, net=net, **how)
    with pytest.raises(ValueError, match="has callbacks, whose state checkpoints do not hold"):
        model.fit(X)
    model.set_params(net=None, max_steps=2).fit(X)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="is damaged: delete it, and the fit begins anew"):
        model.fit(X)
    with pytest.raises(ValueError, match="is a file: name a folder"):
        model.set_params(checkpoint_dir=path).fit(X)


KILLED = """
import sys, numpy as np
from sktae import Autoencoder
from sktae._training import checkpoint
checkpoint._SECONDS = 0.0
X = np.random.default_rng(0).normal(size=(200, 5))
print("begun", flush=True)
for folder in sys.argv[1:]:
    model = Autoencoder(2, max_steps=100, batch_size=32, checkpoint_dir=folder, random_state=0)
    np.save(folder + "/scores", model.fit(X).score_samples(X))
"""


def test_killed_processes_go_on(tmp_path):
    """Whenever a process is killed, the next one ends with the same bits."""
    rng = np.random.default_rng(0)

    def run(*folders, seconds=None):
        command = [sys.executable, "-c", KILLED, *map(str, folders)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            if seconds is not None:
                time.sleep(seconds)
                process.kill()
        return process.returncode

    for n in range(unless_long(1, 200)):
        killed, whole = (tmp_path / f"{kind} {n}" for kind in ("killed", "whole"))
        killed.mkdir()
        whole.mkdir()
        run(killed, seconds=rng.uniform(0, 0.6))
        assert run(killed, whole) == 0
        assert np.array_equal(*(np.load(folder / "scores.npy") for folder in (killed, whole)))

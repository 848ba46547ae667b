"""Checkpoints: files from which an interrupted fit goes on as if nothing had happened."""

import os
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback

from sktae._files import container
from sktae._files.encoding import Decoder, Encoder, from_text, to_text
from sktae._training.plain import arrays, net_to_plain, restore_net, tensors
from sktae._training.state import made_of
from sktae.datasets import TableDataset
from sktae.inputs.datasets import DatasetRows, Selected, SparseRows

# A checkpoint is written at the end of an epoch, if the last one is older than this. So a fit of
# seconds is not slowed down.
_SECONDS = 10.0
# So many rows of a Dataset tell whether it is the same as before.
_DATASET_ROWS = 1000
# What skorch's EarlyStopping remembers from epoch to epoch.
_STOPPING = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")


class Checkpoint(Callback):
    """Writes the state of a fit to a file, and goes on from there if the file exists.

    Its name is a hash of everything that the result of the fit depends on. So many fits may share a
    folder, and a call with other rows or parameters begins anew.

    Parameters
    ----------
    fit : Fit
        The fit, before its first step.

    folder : str or path-like
        Where to write.

    before : Fitted or None
        The state that the fit begins with.
    """

    def __init__(self, fit: Any, folder: str | os.PathLike[str], before: Any):
        name = type(fit.estimator).__name__
        check_seed(fit.estimator, fit.estimator)
        if fit.params.net is not None and fit.params.net.callbacks:
            raise ValueError(
                f"The net of {name} has callbacks, whose state checkpoints do not hold: set "
                f"checkpoint_dir=None."
            )
        if folder == "":
            raise ValueError(f"checkpoint_dir='' of {name} is empty: name a folder, or pass None.")
        self.fit = fit
        self.path = Path(folder) / f"{name}-{_fingerprint(fit, before)}.checkpoint"
        self.finished, self.written = False, time.monotonic()
        self.stopping: dict[str, Any] = {}
        if self.path.parent.exists() and not self.path.parent.is_dir():
            raise ValueError(f"checkpoint_dir={str(folder)!r} of {name} is a file: name a folder.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            try:
                self._restore(*container.read(self.path))
            except ValueError as error:
                raise ValueError(
                    f"The checkpoint {str(self.path)!r} is damaged: delete it, and the fit begins "
                    f"anew."
                ) from error

    def _restore(self, text: str, stored: dict[str, np.ndarray]) -> None:
        state = Decoder(_no_class, _no_class, stored).decode(from_text(text))
        restore_net(self.fit.net, state["net"])
        self.fit.steps.step = state["step"]
        self.finished, self.stopping = state["finished"], tensors(state["stopping"])

    def on_train_begin(self, net, **kwargs):
        vars(self._early_stopping(net)).update(self.stopping)  # which has just forgotten it

    def on_epoch_end(self, net, **kwargs):
        stopping = self._early_stopping(net)
        stops = getattr(stopping, "misses_", 0) == getattr(stopping, "patience", None)
        # A fit that stops now is finished, and could not go on from here.
        if not stops and time.monotonic() - self.written >= _SECONDS:
            self._write(net)

    def on_train_end(self, net, **kwargs):
        self.finished = True
        self._write(net)

    def _write(self, net: Any) -> None:
        stopping = vars(self._early_stopping(net))
        state = {
            "net": net_to_plain(net),
            "step": self.fit.steps.step,
            "finished": self.finished,
            "stopping": arrays({name: stopping[name] for name in _STOPPING if name in stopping}),
        }
        encoder = Encoder(lambda cls: None)
        container.write(self.path, to_text(encoder.encode(state)), encoder.arrays)
        self.written = time.monotonic()

    def _early_stopping(self, net: Any) -> Any:
        return dict(net.callbacks_).get("early_stopping", Callback())


def check_seed(owner: Any, inner: Any) -> None:
    """Raise if an inner estimator writes checkpoints, but each fit of its owner draws anew."""
    params = inner.get_params()
    names = [name for name in params if name.split("__")[-1] == "checkpoint_dir"]
    writes = any(params[name] is not None for name in names if "init_from__" not in name)
    if writes and not isinstance(owner.random_state, int | np.integer):
        raise ValueError(
            f"checkpoint_dir asks for a number as random_state of {type(owner).__name__}, since a "
            f"fit can go on only if the same call makes the same model. Got {owner.random_state!r}."
        )


def _fingerprint(fit: Any, before: Any) -> str:
    """Return a hash of everything that the result of a fit depends on."""
    params = made_of(fit.params)
    for name in ("checkpoint_dir", "verbose"):
        params.pop(name)
    source = None if before is None else (before.n_steps, net_to_plain(before.net))
    weights, labels = fit.prepared.weights, fit.prepared.labels
    return joblib.hash(
        [
            type(fit.estimator).__qualname__,
            torch.__version__,
            params,
            fit.seed,
            source,
            _content(fit.prepared.X),
            _content(fit.prepared.outliers),
            weights,
            None if labels is None else labels.numpy(),
        ]
    )


def _content(X: Any) -> Any:
    """Return what tells raw rows from others."""
    if isinstance(X, Selected):
        return _content(X.X), X.rows
    if isinstance(X, SparseRows):
        return X.table
    if isinstance(X, DatasetRows | TableDataset):
        few = np.linspace(0, len(X) - 1, min(len(X), _DATASET_ROWS)).astype(int)
        return len(X), X[few]
    return X


def _no_class(name: str) -> type:
    raise ValueError(f"checkpoints hold no objects, but this one has a {name!r}")

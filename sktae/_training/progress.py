"""Progress of a fit, for scikit-learn's callbacks and as a progress bar."""

import sys
from typing import Any

from skorch.callbacks import Callback

from sktae._engine.callbacks import StopTraining

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin where there is none."""


class FitTasks(Callback):
    """Presents a fit to scikit-learn's callbacks as a task with one subtask for each epoch."""

    def __init__(self, estimator: Any, X: Any, y: Any, n_epochs: int, snapshot: Any):
        self.estimator, self.n_epochs, self.snapshot = estimator, n_epochs, snapshot
        # An autoencoder's target is its input: callbacks that compare the two get both.
        self.data = {"X": X, "y": X if y is None else y}

    def attributes(self, net):
        """Return the fitted attributes that the estimator would have if the fit ended here."""
        return self.estimator._fitted_attributes(self.snapshot(net))

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.root_ = self.estimator._init_callback_context(max_subtasks=self.n_epochs)
        self.root_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ = self.root_.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, **kwargs):
        stop = self.epoch_.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self.attributes(net),
        )
        if stop:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.root_.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self.attributes(net),
        )


class EpochLines(Callback):
    """A line for each epoch of a fit, with its losses, on standard error."""

    def __init__(self, name: str, n_epochs: int):
        self.name, self.n_epochs = name, n_epochs

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        losses = [f"{key} {last[key]:.4g}" for key in ("train_loss", "valid_loss") if key in last]
        place = f"{self.name}, epoch {len(net.history)} of {self.n_epochs}"
        sys.stderr.write(f"{place}, step {last['step']}: {', '.join(losses)}\n")


class EpochBar(Callback):
    """One progress bar for a fit, with the latest loss beside it."""

    def __init__(self, name: str, n_epochs: int):
        self.name, self.n_epochs = name, n_epochs

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        from tqdm.auto import tqdm  # slow to import, and seldom needed

        self.bar_ = tqdm(total=self.n_epochs, desc=self.name, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        self.bar_.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4g}")
        self.bar_.update()

    def close(self):
        if hasattr(self, "bar_"):
            self.bar_.close()

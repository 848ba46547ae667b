"""The callbacks that a fit adds to its net: diagnosis, early stopping, checkpoints, progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch.callbacks import Callback, EarlyStopping

from sktae._engine.probe import Probe
from sktae._engine.tiles import layer_size
from sktae._training.progress import EpochBar, EpochLines, FitTasks
from sktae._training.start import StoppingFromStart
from sktae.randomness import generator, in_proportion

# The network is diagnosed on this many rows, the second number if it is also repaired, or fewer, so
# that its largest layer has no more than this many numbers (64 MB in float32). They are drawn from
# the first rows of the table, up to this many, so that a long table needs no permutation of all its
# rows.
_PROBE_ROWS, _PROBE_NUMBERS, _PROBE_POOL = (256, 1024), 2**24, 2**20


@contextmanager
def attached_callbacks(fit: Any) -> Iterator[None]:
    """Add callbacks to the net of a fit for its steps: they hold the rows, so they do not stay."""
    net, added = fit.net, _callbacks(fit)
    before = list(net.callbacks_)
    net.callbacks_ = before + [(name, callback.initialize()) for name, callback in added]
    try:
        yield
    finally:
        net.callbacks_ = before
        for _, callback in added:
            if isinstance(callback, EpochBar):
                callback.close()


def _callbacks(fit: Any) -> list[tuple[str, Callback]]:
    estimator, steps, plan = fit.estimator, fit.steps, fit.plan
    network = fit.net.module_
    callbacks: list[tuple[str, Callback]] = []
    # No repair if a part is frozen, which the repair might change.
    revives = network.overrides("revive") and estimator.trainable == "all"
    if network.overrides("diagnose") or revives:
        pool = min(plan.n_rows, _PROBE_POOL)
        few = max(1, min(_PROBE_ROWS[revives], _PROBE_NUMBERS // layer_size(network)))
        rows = torch.randperm(pool, generator=generator(plan.seed, "probe"))[:few]
        if steps.x.weights is not None:
            rows = in_proportion(steps.x.weights, rows, plan.n_rows)
        noise = plan.draws("probe", 0, rows, steps.x)
        callbacks.append(("probe", Probe(steps, steps.x.take(rows), noise, revives)))
    if fit.stops_early:
        settings = {"patience": estimator.patience, "threshold": 0, "load_best": True}
        settings["sink"] = lambda _: None
        stopping = EarlyStopping(**settings)
        if fit.few is not None:
            stopping = StoppingFromStart(fit.few, **settings)
        callbacks.append(("early_stopping", stopping))
    if getattr(estimator, "_skl_callbacks", None):
        X, y = fit.prepared.data
        tasks = FitTasks(estimator, X, y, steps.n_blocks, fit.snapshot)
        callbacks.append(("fit_tasks", tasks))
    if fit.checkpoint is not None:
        callbacks.append(("checkpoint", fit.checkpoint))
    if estimator.verbose:
        shown = EpochBar if estimator.verbose == 1 else EpochLines
        callbacks.append(("progress", shown(type(estimator).__name__, steps.n_blocks)))
    return callbacks

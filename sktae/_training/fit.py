"""A fit: from an estimator and its rows to what it knows afterwards."""

import copy
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping

from sktae._engine.batches import ValidationBatches
from sktae._engine.freeze import freeze
from sktae._engine.net import AutoencoderNet
from sktae._engine.probe import Probe
from sktae._engine.rows import Loaded, Rows
from sktae._engine.tiles import layer_size
from sktae._outliers.model import OutlierModel
from sktae._outliers.scores import score_settings
from sktae._outliers.threshold import threshold
from sktae._training.budget import training_steps
from sktae._training.build import check_same_structure, continue_from, new_net
from sktae._training.prepare import Prepared
from sktae._training.progress import EpochBar, FitTasks
from sktae._training.spec import resolve
from sktae._training.state import Fitted, Memory
from sktae.nn.module import AutoencoderModule
from sktae.parameters import plain_copy
from sktae.randomness import Plan, SeededInitialization, drawn, generator

# The network is diagnosed on so many rows, fewer where its layers are large, drawn from so many.
_PROBE_ROWS, _PROBE_NUMBERS, _PROBE_POOL = 1024, 2**24, 2**20
# Networks are calibrated on so many rows.
_CALIBRATION_ROWS = 4096
# The memory of earlier chunks has so many numbers.
_MEMORY_NUMBERS = 2**18
# Thresholds are those of all training rows up to this many, and of as many beyond.
_THRESHOLD_ROWS = 1_000_000


class Fit:
    """One fit of an estimator, which it reads and never changes.

    Parameters
    ----------
    estimator : estimator
        Its parameters.

    prepared : Prepared
        Its rows.

    seed : int
        What its `random_state` came to.

    source : estimator or None, default=None
        The fitted estimator whose weights the fit begins with: the estimator itself where a fit
        goes on.

    one_pass : bool, default=False
        Whether to take one pass over the rows, as `partial_fit` does.
    """

    def __init__(
        self,
        estimator: Any,
        prepared: Prepared,
        seed: int,
        source: Any = None,
        one_pass: bool = False,
    ):
        resume = source is estimator
        before: Fitted | None = None if source is None else source._fitted
        self.estimator, self.prepared, self.seed = estimator, prepared, seed
        self.inputs = prepared.inputs
        self.params = params = plain_copy(estimator)
        self.earlier = before.memory if before is not None and resume and one_pass else None
        self.spec = resolve(params, self.inputs)
        with SeededInitialization(seed):
            network = params.network(self.spec)
        if not isinstance(network, AutoencoderModule):
            raise TypeError(
                f"network of {type(estimator).__name__} must return an AutoencoderModule of "
                f"sktae.nn.module. Got {type(network).__name__} instead."
            )
        if before is not None:
            check_same_structure(estimator, network, source)
            network.load_state_dict(before.net.module_.state_dict())
        if params.trainable != "all":
            # Read by themselves, since those of `prepared` may be shared.
            few = Rows(prepared.X, self.inputs.to_tensor).spread(2).load().x
            freeze(network, few, params.trainable)
        self.net = new_net(params, self.spec, network)
        if before is not None and resume:
            continue_from(self.net, before.net)
        self.net.schedule = "constant" if one_pass else params.schedule

        x = prepared.rows(self.net.device)
        self.rows, self.held_out, self.valid = x, None, None
        if prepared.held_out is not None:
            self.held_out = Rows(prepared.held_out, self.inputs.to_tensor, self.net.device)
        if prepared.central is not None:
            x = x.choose(torch.from_numpy(np.flatnonzero(prepared.central)))
        stops_early = params.early_stopping and not one_pass
        if stops_early:
            share = "validation_fraction", len(x), params.validation_fraction
            train, valid = drawn(*share, seed, "split", prepared.gap)
            x, x_valid = x.choose(train), x.choose(valid)
        self.plan = Plan(seed, len(x), min(params.batch_size, len(x)), tuple(network.noise))
        first = before.n_steps if before is not None and resume else 0
        self.steps = training_steps(params, self.spec, x, self.plan, first, one_pass)
        if stops_early:
            self.valid = ValidationBatches(x_valid, self.plan)

    def run(self) -> None:
        """Train the network alone; `fit_many` trains those of many fits together instead."""
        with self.listening():
            self.net.partial_fit(self.steps, self.valid, epochs=self.steps.n_blocks)

    def finish(self, stacklevel: int) -> Fitted:
        """Return what the estimator knows now, and warn of what a user should know."""
        fitted, scores = self._fitted(self.net)
        complaints = []
        if scores[0] == scores[-1] and self._rows_differ():
            complaints.append(
                f"All training rows have the same score, so {type(self.estimator).__name__} "
                f"cannot tell them apart. Train longer (max_steps), or lower the penalties."
            )
        complaints.append(self.params._complaint(self.net.history[-1], self.spec))
        for complaint in filter(None, complaints):
            warnings.warn(complaint, UserWarning, stacklevel=stacklevel)
        return fitted

    def snapshot(self, net: AutoencoderNet) -> Fitted:
        """Return what the estimator would know if the fit ended here, for callbacks."""
        return self._fitted(copy.deepcopy(net))[0]

    def _fitted(self, net: AutoencoderNet) -> tuple[Fitted, np.ndarray]:
        """Calibrate network and scores; return what is known, and sorted scores of training."""
        params, network, memory = self.params, net.module_, self._memory()
        if network.overrides("calibrate"):
            network.calibrate(self.steps.x.spread(_CALIBRATION_ROWS).load().x)
        rows = self.rows if self.earlier is None else Loaded(memory.x.to(net.device))
        model = OutlierModel(params.training_data)
        model.fit(params, network, self.inputs, rows, self.seed)

        def scores(rows: Rows) -> np.ndarray:
            return np.sort(-model.score(params, network, rows, params.score_method))

        training = scores(rows.spread(_THRESHOLD_ROWS))
        calibration = None if self.held_out is None else scores(self.held_out)
        fitted = Fitted(
            net=net,
            inputs=self.inputs,
            spec=self.spec,
            seed=self.seed,
            n_steps=self.steps.step,
            memory=memory,
            outlier_model=model,
            offset=threshold(params.contamination, training, calibration),
            calibration_scores=calibration,
            scored_by=score_settings(params),
            n_features=self.prepared.n_features,
            feature_names=self.prepared.feature_names,
        )
        return fitted, training

    def _memory(self) -> Memory:
        """Return a sample of the rows, and of those of earlier chunks in proportion."""
        n, size = len(self.rows), max(1, _MEMORY_NUMBERS // math.prod(self.rows.shape))
        if self.earlier is None:
            return Memory(self.rows.spread(size).load().x.cpu(), n)
        size = min(size, n + self.earlier.n_rows)
        n_new = min(n, max(1, round(size * n / (n + self.earlier.n_rows))))
        old, new = Loaded(self.earlier.x).spread(max(1, size - n_new)), self.rows.spread(n_new)
        both = [rows.load().x.cpu() for rows in (old, new)]
        return Memory(torch.cat(both), n + self.earlier.n_rows)

    def _rows_differ(self) -> bool:
        sample = self.steps.x.spread(_CALIBRATION_ROWS).load().x
        return bool((sample != sample[0]).any())

    # -- callbacks -----------------------------------------------------------------------------

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Add our own callbacks to the net for a fit; they hold the rows, so they must not stay."""
        net, listeners = self.net, self._listeners()
        own = list(net.callbacks_)
        net.callbacks_ = own + [(name, callback.initialize()) for name, callback in listeners]
        try:
            yield
        finally:
            net.callbacks_ = own
            for _, callback in listeners:
                if isinstance(callback, EpochBar):
                    callback.close()

    def _listeners(self) -> list[tuple[str, Callback]]:
        estimator, steps, plan = self.estimator, self.steps, self.plan
        network = self.net.module_
        listeners: list[tuple[str, Callback]] = []
        # Where a part is frozen, a repair would change it.
        revives = network.overrides("revive") and estimator.trainable == "all"
        if network.overrides("diagnose") or revives:
            pool = min(plan.n_rows, _PROBE_POOL)
            few = max(1, min(_PROBE_ROWS, _PROBE_NUMBERS // layer_size(network)))
            rows = torch.randperm(pool, generator=generator(plan.seed, "probe"))[:few]
            noise = plan.draws("probe", 0, rows, steps.x)
            listeners.append(("probe", Probe(steps, steps.x.take(rows), noise, revives)))
        if self.valid is not None:
            stopping = EarlyStopping(
                patience=estimator.patience, threshold=0, load_best=True, sink=lambda _: None
            )
            listeners.append(("early_stopping", stopping))
        if getattr(estimator, "_skl_callbacks", None):
            tasks = FitTasks(estimator, *self.prepared.data, steps.n_blocks, self.snapshot)
            listeners.append(("fit_tasks", tasks))
        if estimator.verbose:
            listeners.append(("epoch_bar", EpochBar(type(estimator).__name__, steps.n_blocks)))
        return listeners

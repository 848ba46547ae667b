"""A fit: from an estimator and its rows to its fitted state."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from sklearn.base import clone

from sktae._engine.batches import ValidationBatches
from sktae._engine.freeze import freeze
from sktae._engine.net import AutoencoderNet
from sktae._engine.rows import Loaded, Rows
from sktae._outliers.model import OutlierModel, Taken
from sktae._outliers.scores import score_settings
from sktae._outliers.threshold import no_higher, threshold
from sktae._training.budget import training_steps
from sktae._training.build import check_same_structure, continue_from, new_net, new_network
from sktae._training.callbacks import attached_callbacks
from sktae._training.checkpoint import Checkpoint
from sktae._training.prepare import Prepared, read_once
from sktae._training.spec import resolve
from sktae._training.start import begin, few_rows, project
from sktae._training.state import Fitted, Memory, made_of
from sktae._warnings import warn
from sktae.nn.missing import fill_missing, filled
from sktae.parameters import plain_copy
from sktae.randomness import Draw, Plan, hold_out

# Networks with a `calibrate` method are calibrated on this many rows.
_CALIBRATION_ROWS = 4096
# The sample of training rows that an estimator keeps has this many numbers (1 MB in float32), since
# it is part of every pickle.
_MEMORY_NUMBERS = 2**18
# The threshold is a quantile of the scores of all training rows; of more than the first number, of
# rows evenly spaced, as many as give a thousand below it, whose share is then right to 3 % (one
# standard error), up to the last number.
_THRESHOLD_ROWS, _BELOW, _MOST_ROWS = 100_000, 1000, 1_000_000
# For `calibration="cross"`, halves of at most so many rows judge each other, by models that learned
# from them in this share of the steps: in as many passes over their rows as the model itself.
CROSS_ROWS, CROSS_SHARE = 20_000, 1 / 2
# Of training rows whose scores give no threshold, so many are scored, to see whether they differ.
_COMPARED_ROWS = 1000

# What a fitted estimator is needed for. For labels, there is all; for scores alone, no threshold;
# and for reconstructions alone, no scores either.
Needs = Literal["labels", "scores", "reconstructions"]


def _one_by_one(fits: Sequence["Fit"]) -> None:
    for fit in fits:
        fit.run()


class Fit:
    """One fit of an estimator, which it reads and never changes.

    The estimator takes over the result when all of it is there. So a fit that fails, or that a user
    interrupts, leaves an estimator as it was.

    Parameters
    ----------
    estimator : estimator
        Where the parameters come from.

    prepared : Prepared
        The rows.

    seed : int
        The integer that `random_state` was reduced to.

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
        # With `init_from`, only the weights are another estimator's. Where a fit goes on, so do
        # the optimizer's state, the history and the count of steps.
        resume = source is estimator
        before: Fitted | None = None if source is None else source._fitted
        self.estimator, self.prepared, self.seed = estimator, prepared, seed
        self.inputs = prepared.inputs
        self.params = params = plain_copy(estimator)
        self.earlier = before.memory if before is not None and resume and one_pass else None
        # Weights that have seen the rows before would not judge them as new ones.
        self.crosses = params.calibration == "cross" and not (resume or one_pass)
        self.source = source
        self.calibration: np.ndarray | None = None
        self.needs: Needs = "labels"
        self.spec = resolve(params, self.inputs)
        network = new_network(params, self.spec, seed)
        masks = params._fills_missing and prepared.has_missing
        hidden: tuple[Draw, ...] = ()
        if masks and not network.takes_missing:
            # Filled in as in the earlier fit, if this one goes on.
            known = before.outlier_model.features if before is not None and resume else None
            hidden = (fill_missing(network, self.inputs, known or prepared.features()),)
        if before is not None:
            check_same_structure(estimator, network, source)
            network.load_state_dict(before.net.module_.state_dict())
        if params.trainable != "all":
            # Two rows show which parameters the code depends on. They are read by themselves,
            # since the rows of `prepared` may be shared.
            few = Rows(prepared.X, self.inputs.to_tensor).spread(2).load().x
            freeze(network, few, params.trainable)
        is_few = few_rows(params, self.spec, network, prepared) and before is None and not one_pass
        self.net = new_net(params, self.spec, network, masks, is_few)
        self.net.inputs_ = self.inputs  # for callbacks
        if before is not None and resume:
            continue_from(self.net, before.net)
        self.net.schedule = "constant" if one_pass else params.schedule

        x = prepared.rows(self.net.device)
        self.rows, self.held_out, watched = x, None, None
        if prepared.held_out is not None:
            self.held_out = Rows(prepared.held_out, self.inputs.to_tensor, self.net.device)
        if prepared.central is not None:
            x = x.choose(torch.from_numpy(np.flatnonzero(prepared.central)))
        self.few = x if is_few else None
        self.stops_early = (params.early_stopping or is_few) and not one_pass
        if self.stops_early and prepared.validation is None:
            share = "validation_fraction", len(x), params.validation_fraction
            train, valid = hold_out(*share, seed, "split", prepared.gap)
            x, x_valid = x.choose(train), x.choose(valid)
            watched = x_valid.spread(len(x_valid))
        elif prepared.validation is not None:
            watched = read_once(Rows(prepared.validation, self.inputs.to_tensor, self.net.device))
        if is_few:
            project(network, x)
        begin(network, x, is_new=before is None)
        noise = (*network.noise, *hidden)
        self.plan = Plan(seed, len(x), min(params.batch_size, len(x)), noise)
        self.valid = None if watched is None else ValidationBatches(watched, self.plan)
        self.net.batch_size = self.plan.batch_size  # for progress bars
        first = before.n_steps if before is not None and resume else 0
        self.steps = training_steps(params, self.spec, x, self.plan, first, one_pass)
        self.checkpoint = None
        if params.checkpoint_dir is not None and not one_pass:
            self.checkpoint = Checkpoint(self, params.checkpoint_dir, before)

    def run(self) -> None:
        """Train the network alone; `fit_many` trains those of many fits together instead."""
        if self.checkpoint is not None and self.checkpoint.finished:
            return
        with attached_callbacks(self):
            self.net.partial_fit(self.steps, self.valid, epochs=self.steps.n_blocks)

    def parts(self) -> list["Fit"]:
        """Return the fits of halves of the rows that `calibration="cross"` needs, if any."""
        if not self.crosses or self.needs != "labels":
            return []
        part = copy.copy(self.params)
        if self.few is None:  # else they begin as a PCA, too, and stop by themselves
            part.max_steps, part.max_epochs = math.ceil(CROSS_SHARE * self.steps.budget), None
        # Callbacks and progress bars are for the fit that the user sees.
        part._skl_callbacks, part.verbose = (), 0
        if part.net is not None:
            part.net = clone(part.net).set_params(callbacks=None)
        prepared = list(self.prepared.parts(part.training_data, CROSS_ROWS, self.seed))
        for half in () if self.stops_early else prepared:
            half.validation = None  # nobody sees its history
        return [Fit(part, half, self.seed, self.source) for half in prepared]

    def calibrate(self, train: Callable[[Sequence["Fit"]], None] = _one_by_one) -> None:
        """Take the scores that halves of the rows, once trained, give each other for new rows."""
        parts = self.parts()
        if parts:
            train(parts)
            self.calibration = np.sort(np.concatenate([part.judged() for part in parts]))

    def judged(self) -> np.ndarray:
        """Return the scores of the rows held out, (n,), without the rest of `finish`."""
        self.rows = read_once(self.rows)
        model, _ = self._outlier_model(self.net, self.rows)
        return self._scores(self.net, model, cast(Rows, self.held_out))

    def finish(self) -> Fitted:
        """Return the fitted state, and warn if the fit is of no use."""
        fitted, scores = self._fitted(self.net)
        complaints: list[str | None] = []
        if scores is not None and scores.min() == scores.max() and self._rows_differ():
            complaints.append(
                f"All training rows have the same score, so {type(self.estimator).__name__} "
                f"cannot tell them apart. Train longer (max_steps), or lower the penalties."
            )
        prepared = self.prepared
        complaints.append(self.inputs.too_coarse(prepared.X.dtype, prepared.feature_names))
        complaints.append(self.inputs.too_large())
        complaints.append(self.params._complaint(self.net.history[-1], self.spec))
        for complaint in filter(None, complaints):
            warn(complaint)
        return fitted

    def snapshot(self, net: AutoencoderNet) -> Fitted:
        """Return the state that the estimator would have if the fit ended here, for callbacks.

        On a copy of the net, which goes on training.
        """
        return self._fitted(copy.deepcopy(net))[0]

    def _fitted(self, net: AutoencoderNet) -> tuple[Fitted, np.ndarray | None]:
        """Calibrate network and scores; return the state, and the scores of rows, if any."""
        # What is learned of the rows after the steps comes from one pass over them.
        self.rows = read_once(self.rows)
        params, memory = self.params, self._memory()
        # A chunk of `partial_fit` may be small, so its statistics come from the sample of all rows.
        rows = self.rows if self.earlier is None else Loaded(memory.x.to(net.device))
        model, taken = self._outlier_model(net, rows)
        offset, calibration, training = 0.0, None, None
        if self.needs == "labels":
            offset, calibration, training = self._threshold(net, model, rows, taken)
        fitted = Fitted(
            net=net,
            inputs=self.inputs,
            spec=self.spec,
            seed=self.seed,
            n_steps=self.steps.step,
            memory=memory,
            outlier_model=model,
            offset=offset,
            calibration_scores=calibration,
            params=made_of(params),
            scored_by=score_settings(params),
            n_features=self.prepared.n_features,
            feature_names=self.prepared.feature_names,
        )
        return fitted, training

    def _threshold(
        self, net: AutoencoderNet, model: OutlierModel, rows: Rows, taken: Taken
    ) -> tuple[float, np.ndarray | None, np.ndarray]:
        """Return the threshold, the scores for calibration, and those of training rows."""
        params, calibration = self.params, self.calibration
        if self.held_out is not None:
            calibration = np.sort(self._scores(net, model, self.held_out))
        share = params.contamination
        most = _COMPARED_ROWS
        if share != "auto" or calibration is None:
            share = params.false_alarm_rate if share == "auto" else share
            most = min(max(_THRESHOLD_ROWS, math.ceil(_BELOW / share)), _MOST_ROWS)
        rows = rows.spread(most) if len(rows) > most else rows
        training = self._scores(net, model, rows, taken)
        if self.calibration is not None:
            calibration = no_higher(self.calibration, training)
        weights = None if rows.weights is None else rows.weights.numpy()
        return threshold(params, training, calibration, weights), calibration, training

    def _outlier_model(self, net: AutoencoderNet, rows: Rows) -> tuple[OutlierModel, Taken]:
        """Calibrate the network, and learn what residuals and codes of normal rows are like."""
        network = net.module_
        if network.overrides("calibrate"):
            network.calibrate(filled(network, self.steps.x.spread(_CALIBRATION_ROWS).load().x))
        model = OutlierModel(self.params.training_data)
        known, scores = self.prepared.known_outliers(net.device), self.needs != "reconstructions"
        taken = model.fit(self.params, network, self.inputs, rows, self.seed, known, scores)
        return model, taken

    def _scores(
        self, net: AutoencoderNet, model: OutlierModel, rows: Rows, taken: Taken | None = None
    ) -> np.ndarray:
        completing = model.completing(self.params, net.module_, rows)
        method = self.params.score_method
        return -model.score(self.params, completing, self.inputs, rows, method, taken=taken)

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
        sample = sample.nan_to_num()
        return bool((sample != sample[0]).any())

"""Where a fit to few rows starts: at the projection that PCA would make of them."""

import copy
import math
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EarlyStopping

from sktae._engine.rows import Rows
from sktae._outliers.measures import directions
from sktae._training.prepare import Prepared
from sktae._training.spec import Spec
from sktae.nn.missing import filled
from sktae.nn.module import AutoencoderModule

# One tenth of fewer rows than these would be less than a row.
_FEWEST = 10
# Training must lower the loss of held-out rows by this share, or the fit ends where it started:
# among few rows, smaller gains occur by chance.
_GAIN = 0.02
# Variances below this share of the largest one are rounding errors, and their directions arbitrary.
_NOISE = 1e-10
# Directions are learned from no more than this many numbers (64 MB in float32).
_NUMBERS = 2**24


def few_rows(estimator: Any, spec: Spec, network: AutoencoderModule, prepared: Prepared) -> bool:
    """Return whether a fit starts at a projection, takes small steps and may end where it started.

    It does with `max_steps="auto"`, a narrow code, and fewer rows than columns. The rows of such a
    table can be memorized within a few passes, so new rows would be reproduced worse than by PCA,
    or by their means: see benchmarks/results/quality/wide.csv, which chose this rule.
    """
    central = prepared.central
    n_rows = len(prepared.X) if central is None else int(central.sum())
    # The windows of a series are many views of the same values, so they are not few.
    is_wide = prepared.gap is None and _FEWEST <= n_rows < math.prod(spec.shape)
    usual = estimator.max_steps == "auto" and estimator.trainable == "all"
    return usual and network.projects and spec.narrow and is_wide


def project(network: AutoencoderModule, x: Rows) -> None:
    """Set the weights of a network so that it projects rows on their principal directions."""
    sample = x.spread(max(1, _NUMBERS // math.prod(x.shape))).load()
    rows = filled(network, sample.x).cpu().double().numpy()
    weights = None if sample.weights is None else sample.weights.cpu().numpy()
    mean = np.average(rows, axis=0, weights=weights)
    centered = rows - mean
    if weights is not None:
        centered *= np.sqrt(weights / weights.mean())[:, np.newaxis]
    variances, found = directions(centered, min(centered.shape) - 1)
    found = found[:, variances > _NOISE * variances[0]]
    parts = (torch.from_numpy(part).to(x.device, torch.float32) for part in (mean, found.T.copy()))
    network.project(*parts)


class StoppingFromStart(EarlyStopping):
    """Early stopping for few rows, which may keep the weights from before the first step.

    These project rows, and do so better if all rows say how, those held out as well.
    """

    def __init__(self, rows: Rows, **settings: Any):
        super().__init__(**settings)
        self.rows = rows

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_begin(net, **kwargs)
        net._set_training(True)  # as in the validation of each epoch
        losses = [float(net.validation_step(batch)["loss"]) * len(batch[1]) for batch in y]
        self.dynamic_threshold_ = (1 - _GAIN) * sum(losses) / len(y)
        self.best_model_weights_ = copy.deepcopy(net.module_.state_dict())

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        super().on_train_end(net, **kwargs)
        if self.best_epoch_ == 0:
            project(net.module_, self.rows)

"""Where a fit starts: one to few rows at the projection that PCA would make of them."""

import copy
import math
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EarlyStopping
from torch import Tensor

from sktae._engine.rows import Loaded, Rows
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
# Networks with a `start` method start from this many rows.
_START_ROWS = 10_000
# By so many rows it is seen whether a network keeps the rules.
_CHECKED_ROWS = 8
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


def begin(network: AutoencoderModule, x: Rows, is_new: bool) -> None:
    """Start a new network from the rows of a fit, and check that it keeps the rules of networks."""
    with torch.no_grad():
        if is_new and network.overrides("start"):
            network.start(x.spread(_START_ROWS).load().x)
        # Other rows are not read more often than needed. Networks that are calibrated after the
        # fit, as batch norms are, may use the batch before.
        if isinstance(x, Loaded) and not network.overrides("calibrate"):
            _check_rules(network, x.slice(0, _CHECKED_ROWS))


def _check_rules(network: AutoencoderModule, x: Tensor) -> None:
    """Raise if results are random, or if those of a row depend on others."""
    name, was_training, half = type(network).__name__, network.training, len(x) // 2
    others = torch.cat([x[:half], x[: len(x) - half]])
    network.eval()
    out, again, beside = (network(rows) for rows in (x, x, others))
    network.train(was_training)
    for wanted in ("recon", "code"):
        if not hasattr(out, wanted):
            raise TypeError(
                f"forward of {name} must return a NamedTuple with recon and code. Got "
                f"{type(out).__name__} without {wanted} instead."
            )
    if not _same(out, again, len(x)):
        raise ValueError(
            f"forward of {name} gives other results for the same rows. It must not draw random "
            f"numbers: declare them in `noise`, and they are passed as further arguments."
        )
    if not _same(out, beside, half):
        raise ValueError(
            f"forward of {name} gives other results for a row when the rows beside it change. It "
            f"must treat rows independently: what concerns the batch belongs in the objective."
        )


def _same(a: Any, b: Any, n: int) -> bool:
    """Tell whether two outputs agree in their first n rows, up to rounding."""
    pairs = ((getattr(out, name)[:n].float() for out in (a, b)) for name in ("recon", "code"))
    return all(torch.allclose(v, w, rtol=1e-3, atol=1e-5, equal_nan=True) for v, w in pairs)


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

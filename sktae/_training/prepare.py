"""Rows made ready for a fit: validated, split, scaled, held in memory where they fit."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from sktae._engine.rows import Rows
from sktae._outliers.measures import Centre
from sktae.inputs.datasets import Selected
from sktae.randomness import drawn

_CENTRE_ROWS = 10_000


# Up to this many numbers, prepared rows are held in memory; beyond, they stay where they are.
_LOADED_NUMBERS = 2**24


def _room(device: str) -> int:
    """Say how many numbers may be held on a device."""
    if torch.device(device).type != "cuda":
        return _LOADED_NUMBERS
    free, _ = torch.cuda.mem_get_info(device)
    return free // 8  # half of it, in float32


class Prepared:
    """A table made ready for training; one may serve many fits."""

    def __init__(
        self,
        estimator: Any,
        raw: Any,
        seed: int,
        source: Any = None,
        one_pass: bool = False,
        y: Any = None,
    ):
        self.raw, self.y = raw, y
        self.inputs = estimator.inputs() if source is None else source._inputs
        if source is not None and source is not estimator:
            self.inputs.checked(source, raw, reset=False)
        self.X = self.inputs.checked(estimator, raw, reset=source is not estimator)
        self.gap: int | None = getattr(self.X, "gap", None)
        self.labels = None if estimator.groups is None else estimator.groups(y, len(self.X))
        self.held_out: Selected | None = None
        if estimator.calibration_fraction is not None and not one_pass:
            self._hold_out(estimator.calibration_fraction, seed)
        if source is None:
            self.inputs.fit(self.X)
        self.seen = {
            name: value
            for name, value in vars(estimator).items()
            if name in ("n_features_in_", "feature_names_in_")
        }
        self.seen |= self.inputs.learnt
        self.central = None
        if estimator.training_data == "contaminated":
            self.central = self._central()
            if source is None:  # outliers shall not stretch the scales
                self.inputs = estimator.inputs().fit(Selected(self.X, np.flatnonzero(self.central)))
        self.inputs.check(self.X)

    def _hold_out(self, fraction: float, seed: int) -> None:
        """Set rows aside before anything is learnt, their scales included."""
        share = "calibration_fraction", len(self.X), fraction
        rows, held_out = drawn(*share, seed, "calibrate", self.gap)
        whole = self.X
        self.X, self.held_out = Selected(whole, rows.numpy()), Selected(whole, held_out.numpy())
        self.labels = None if self.labels is None else self.labels[rows]

    def _central(self) -> np.ndarray:
        """Say which rows are central: those that a fit on contaminated data is trained on."""
        x = Rows(self.X, self.inputs.prepare)
        size = max(1, min(_CENTRE_ROWS, _LOADED_NUMBERS // math.prod(x.shape)))
        summary = self.inputs.summary
        centre = Centre(summary(x.spread(size).load().x).numpy())
        parts = (summary(x.slice(i, i + size)) for i in range(0, len(x), size))
        return np.concatenate([centre.holds(part) for part in parts])

    def rows(self, device: str) -> Rows:
        """Return the rows for a network: held on the device, unless they are too many."""
        if not hasattr(self, "_rows"):
            x = Rows(self.X, self.inputs.prepare, device, labels=self.labels)
            held = self.X.X if isinstance(self.X, Selected) else self.X
            known = isinstance(held, np.ndarray)  # a Dataset may be another at each look
            small = len(x) * math.prod(x.shape) <= _room(device)
            self._rows = x.load() if known and small else x
        return self._rows


def fitted_source(estimator: Any) -> Any:
    """Return the fitted estimator whose weights a fit begins with, if there is one."""
    source = estimator.init_from
    source = getattr(source, "estimator", source)  # of a FrozenEstimator
    if source is not None and not (hasattr(source, "net_") and hasattr(source, "_inputs")):
        raise ValueError(
            f"The 'init_from' parameter of {type(estimator).__name__} must be a fitted "
            f"autoencoder. Got {source!r} instead. If it was fitted, it has been cloned since; "
            f"sklearn.frozen.FrozenEstimator prevents that."
        )
    return source


def _check_same_structure(estimator: Any, network: nn.Module, source: Any) -> None:
    old, name = source.net_.module_, type(estimator).__name__
    same_shapes = [p.shape for p in network.parameters()] == [p.shape for p in old.parameters()]
    same_inputs = estimator.inputs().settings == source._inputs.settings
    if same_shapes and same_inputs and repr(network) == repr(old):
        return
    if source is estimator:
        raise ValueError(
            f"{name} cannot continue its last fit, because parameters that make the network have "
            f"changed since; set warm_start=False or make a clone."
        )
    raise ValueError(
        f"{name} cannot begin with the weights of init_from={source!r}, because parameters that "
        f"make the network differ; give it the same sizes, activation and standardize."
    )

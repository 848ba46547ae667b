"""Rows made ready for a fit: validated, split, scaled, held in memory where they fit."""

import copy
import math
from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sktae._engine.rows import Loaded, Rows
from sktae._outliers.measures import Center, Ellipsoid, of_incomplete
from sktae.datasets import TableDataset
from sktae.inputs.datasets import Selected, SparseRows, is_dataset
from sktae.inputs.labels import check_labels, set_apart
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import holds_missing
from sktae.inputs.weights import check_weights
from sktae.parameters import plain_copy
from sktae.randomness import halves, hold_out

# The center of contaminated rows, and the covariance of incomplete ones, is estimated from this
# many of them.
_CENTER_ROWS = 10_000
# Up to this many numbers (64 MB in float32), rows are held in memory as tensors; larger tables are
# read batch by batch, so that fits need little memory.
_LOADED_NUMBERS = 2**24
# With fewer rows in a half, none judges the other.
FEWEST_ROWS = 10


class Prepared:
    """Rows ready for training; several fits may share them.

    Parameters
    ----------
    estimator : estimator
        What the rows are for. It is read, never changed.

    X : array-like or Dataset
        Rows as the user passed them.

    y : array-like or None
        Groups of the rows, for the estimators that use them, or, with `use_labels`, which rows are
        known outliers.

    seed : int
        Seed of the draw of rows that are held out.

    source : estimator or None, default=None
        The fitted estimator whose scales are kept: the estimator itself where a fit goes on.

    one_pass : bool, default=False
        Whether the rows are one chunk of many, of which none are held out.

    sample_weight : array-like or None, default=None
        Weights of the rows.

    X_val : array-like or None, default=None
        Rows for the validation loss.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        seed: int,
        source: Any = None,
        one_pass: bool = False,
        sample_weight: Any = None,
        X_val: Any = None,
    ):
        self.data = X, y
        known: np.ndarray | None = None
        if estimator.use_labels:
            if one_pass:
                raise ValueError(
                    f"partial_fit of {type(estimator).__name__} cannot use labels: set "
                    f"use_labels=False, or pass all rows to fit."
                )
            sample_weight, known = set_apart(check_labels(estimator, y, X), sample_weight, X)
        self.weights, positive = check_weights(sample_weight, X)
        # Others are left out before anything is learned of them, such as the length of sequences.
        on_disk = is_dataset(X) or isinstance(X, np.memmap)
        if positive is not None and not on_disk:
            X = _safe_indexing(X, positive)
        # scikit-learn's validation sets attributes on the estimator, so it gets a copy.
        params = plain_copy(estimator)
        self.inputs: Inputs = params.inputs() if source is None else source._fitted.inputs
        other = source if source is not estimator else None
        if other is not None:  # rows must have the source's columns, and get its layout
            rows = self.inputs.validate(other, X, reset=False)
        self.X = self.inputs.validate(params, X, reset=source is not estimator)
        self.n_features: int = params.n_features_in_
        if other is not None:
            self.X, self.n_features = rows, other.n_features_in_
        self.feature_names = getattr(params, "feature_names_in_", None)
        self.gap: int | None = getattr(self.X, "gap", None)
        whole = self.X
        if positive is not None and on_disk:
            self.X = Selected(self.X, positive)
        self.labels = None
        if not estimator.use_labels:
            self.labels = params._groups(y, _num_samples(self.data[0]))
        if self.labels is not None and positive is not None:
            self.labels = self.labels[positive]
        self.held_out: Any = None
        if isinstance(estimator.calibration, Real) and not one_pass:
            self._hold_out(float(estimator.calibration), seed)
        self.keeps_scales = source is not None
        self._learn(estimator.training_data)
        self.validation: Any = None
        if X_val is not None:
            self.validation = self.inputs.validate(other or params, X_val, reset=False)
        # Nothing but the last part of scores is learned from known outliers.
        self.outliers: Any = None
        if known is not None and len(known):
            if on_disk:
                self.outliers = Selected(whole, known)
            else:
                some = _safe_indexing(self.data[0], known)
                self.outliers = self.inputs.validate(other or params, some, reset=False)

    def _learn(self, training_data: str) -> None:
        """Learn from the rows what must be known before a network is made."""
        if not self.keeps_scales:
            self.inputs.fit(self.X, self.weights)
        self.central: np.ndarray | None = None
        if training_data == "contaminated":
            # Which rows are central is decided with the scales of all rows; then the scales are
            # fitted again to the central ones, since outliers would stretch them.
            self.central = self._central()
            if not self.keeps_scales:
                weights = None if self.weights is None else self.weights[self.central]
                self.inputs = copy.copy(self.inputs).fit(
                    Selected(self.X, np.flatnonzero(self.central)), weights
                )
        self.has_missing = self.inputs.has_missing or holds_missing(self.X)
        self.inputs.check(self.X)
        self._rows: dict[str, Rows] = {}  # by device

    def _hold_out(self, fraction: float, seed: int) -> None:
        """Hold out rows before anything is learned, even the scales.

        P-values are valid only if these rows have not influenced the model at all.
        """
        share = "calibration", len(self.X), fraction
        rows, held_out = hold_out(*share, seed, "calibrate", self.gap)
        whole = self.X
        self.X, self.held_out = Selected(whole, rows.numpy()), Selected(whole, held_out.numpy())
        self.labels = None if self.labels is None else self.labels[rows]
        self.weights = None if self.weights is None else self.weights[rows.numpy()]

    def parts(self, training_data: str, most: int, seed: int) -> Iterator["Prepared"]:
        """Yield both halves of the rows, at most `most` in all; each holds out the other.

        They share nothing that is learned, not even scales. None are there if a half would be too
        small.
        """
        pairs = halves(len(self.X), most, seed, self.gap)
        if min(len(rows) for rows, _ in pairs) < FEWEST_ROWS:
            return
        for rows, others in pairs:
            part = copy.copy(self)
            part.X, part.held_out = self._read(rows), self._read(others)
            part.labels = None if self.labels is None else self.labels[rows]
            part.weights = None if self.weights is None else self.weights[rows.numpy()]
            if not self.keeps_scales:
                part.inputs = copy.copy(self.inputs)
            part._learn(training_data)
            yield part

    def _read(self, rows: torch.Tensor) -> Any:
        """Return some raw rows: read once, unless they are too many."""
        some = Selected(self.X, rows.numpy())
        return some[:] if math.prod(some.shape) <= _LOADED_NUMBERS else some

    def _central(self) -> np.ndarray:
        """Return a mask of the central rows: those that a fit on contaminated data trains on."""
        x = self._unloaded("cpu")
        size = max(1, min(_CENTER_ROWS, _LOADED_NUMBERS // math.prod(x.shape)))

        def features(rows: Any) -> Any:
            return self.inputs.summary(rows)[:, : self.inputs.n_central]

        center = Center(features(x.spread(size).load().x).numpy())
        parts = (features(x.slice(i, i + size)) for i in range(0, len(x), size))
        return np.concatenate([center.holds(part) for part in parts])

    def features(self) -> Ellipsoid:
        """Learn mean and covariance of incomplete rows, by which missing values are filled in."""
        x = self._unloaded("cpu")
        if self.central is not None:
            x = x.choose(torch.from_numpy(np.flatnonzero(self.central)))
        size = max(1, min(_CENTER_ROWS, _LOADED_NUMBERS // math.prod(x.shape)))
        values = x.spread(size).load().x.flatten(1)
        return of_incomplete(values[:, : len(self.inputs.column_of)])

    def rows(self, device: str) -> Rows:
        """Return the rows for networks on a device: loaded there, unless they are too many.

        Fits that share this object share the loaded rows, too.
        """
        if device not in self._rows:
            x = self._unloaded(device)
            whole = self.X.X if isinstance(self.X, Selected) else self.X
            # Another Dataset may augment rows.
            fixed = isinstance(whole, np.ndarray | SparseRows | TableDataset)
            self._rows[device] = read_once(x) if fixed else x
        return self._rows[device]

    def known_outliers(self, device: str) -> Rows | None:
        """Return the known outliers, which are not among the rows, for networks on a device."""
        if self.outliers is None:
            return None
        return Rows(self.outliers, self.inputs.to_tensor, device)

    def _unloaded(self, device: str) -> Rows:
        weights = None if self.weights is None else torch.from_numpy(self.weights)
        return Rows(self.X, self.inputs.to_tensor, device, labels=self.labels, weights=weights)


def read_once(x: Rows) -> Rows:
    """Return rows in memory, or as they are if they are too many."""
    if isinstance(x, Loaded) or len(x) * math.prod(x.shape) > _capacity(x.device):
        return x
    return x.load()


def _capacity(device: str) -> int:
    """Return how many numbers may be held on a device."""
    if torch.device(device).type != "cuda":
        return _LOADED_NUMBERS
    free, _ = torch.cuda.mem_get_info(torch.device(device).index)  # None for the current device
    return free // 8  # half of the free memory, in float32

"""The outlier model: how far the residuals and codes of a row are from those of normal rows."""

import math
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sktae._engine.rows import Loaded, Rows
from sktae._engine.tiles import Trial, in_tiles, tile_size
from sktae._outliers.measures import Center, Ellipsoid, KnownOutliers, Neighbors, Ranks, Space, Tail
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import holds_missing
from sktae.nn.missing import Completing, on_observed

# Statistics of residuals and codes come from at most so many training rows, and so many numbers in
# them; tails come from fewer rows.
_SAMPLE, _SAMPLE_NUMBERS = 10_000, 2**24
_TAIL_ROWS = 1500
# Measures of so many rows are held at once, and added up for fewer at a time.
_ROWS_HELD, _ROWS_AT_ONCE = 2**20, 2**16
# The error of a row that is so far from all others that its error overflows.
_LARGEST = float(np.finfo(np.float32).max)
# What rows are compared by, and with which weights. Of tables with more columns there are no ranks.
SPACE = {"code": 1.0, "residual": 0.5, "ranks": 1.0}
_RANKED = 1024

# The weights of measures, by what the user says about the training data.
WEIGHTS = {
    "clean": {"residual": 1.0, "near": 2.0},
    "unknown": {"residual": 1.0, "near": 1.0, "center": 2.0},
    "contaminated": {"residual": 1.0, "center": 2.0},
}
# The weight of a likelihood, where a model has one. With contaminated rows, whose outliers may be
# alike and hence likely, it has none.
_LIKELIHOOD = {"clean": 0.5, "unknown": 0.5}
_MEASURES = {
    "combined": ("residual", "likelihood", "near", "center", "known"),
    "residual": ("residual", "likelihood"),
    "distance": ("near", "center", "known"),
}


class HasErrors(Protocol):
    """What an outlier model needs of an autoencoder: the errors of its network."""

    _fills_missing: ClassVar[bool]
    _space: ClassVar[dict[str, float]]

    def residual(self, x: Tensor, out: Any) -> Tensor:
        """Return what the network did not reproduce of rows, (n, ...)."""
        ...

    def nll(self, x: Tensor, out: Any) -> Tensor | None:
        """Return the negative log-likelihood of each element, (n, ...), if the model has any."""
        ...

    def _completed(self, x: Tensor, out: Any) -> Tensor:
        """Return rows in which missing values are as the network reproduces them."""
        ...

    def _row_errors(self, network: nn.Module, x: Tensor, method: str) -> Tensor:
        """Return the errors of rows by a `score_method` of the estimator, (n,)."""
        ...


class Parts(NamedTuple):
    """What measures are taken of."""

    features: Tensor  # (n, d)
    residual: Tensor  # (n, m)
    code: Tensor  # (n, k)
    nll: Tensor  # (n, 1), or (n, 0) where a model has no likelihood


class Taken(NamedTuple):
    """What was taken of rows, by a network."""

    rows: Rows
    network: nn.Module
    parts: Parts


class OutlierModel:
    """How far rows are from normal ones, by their residuals, codes and ranks.

    There are up to four measures. "residual" is the squared Mahalanobis distance of the residual,
    "likelihood" the negative log-likelihood, if the model has one. The other two are distances in a
    space of codes, residuals and, for tables, the ranks of values in their columns: "near" to the
    nearest of many training rows, "center" the squared Mahalanobis distance from a center that
    outliers do not move. Each measure is brought to the scale of its tail on the training rows. The
    anomaly is their weighted sum. If there are known outliers, a further one, "known", is how much
    a row looks like them, in the same space. It has the weight of the others together.

    Parameters
    ----------
    training_data : {"unknown", "clean", "contaminated"}
        What the user says about the training rows.

    Attributes
    ----------
    features : Ellipsoid
        Mean and covariance of the features of normal rows.

    residuals : Ellipsoid
        Mean and covariance of their residuals.

    ranks : Ranks or None
        Ranks of the numbers of a table.

    kinds : dict of float
        What rows are compared by, with weights.

    space : Space
        The space in which rows are compared.

    neighbors, center : Neighbors, Ellipsoid
        The references of "near" and "center", if these have a weight.

    known : KnownOutliers
        The reference of "known", if that has a weight.

    tails : dict of Tail
        The scale of each measure.
    """

    ranks: Ranks | None
    neighbors: Neighbors
    center: Ellipsoid
    known: KnownOutliers

    def __init__(self, training_data: str):
        self.training_data, self.weights = training_data, WEIGHTS[training_data]

    def fit(
        self,
        estimator: HasErrors,
        network: nn.Module,
        inputs: Inputs,
        rows: Rows,
        seed: int,
        known: Rows | None = None,
        scores: bool = True,
    ) -> Taken:
        """Learn from a sample of the training rows, in proportion to their weights.

        Of known outliers, which are not among these, only the measure of that name is learned.
        Without `scores`, there is only what completes rows of which values are missing. Returns
        what was learned from, which `score` need not compute again.
        """
        chosen = rows.spread(_sample_size(rows))
        arrays = in_tiles(lambda x: parts(estimator, network, inputs, x), network, chosen)
        x, residual = arrays[:2]
        central = central_rows(x[:, : inputs.n_central], self.training_data)
        self.features = Ellipsoid(x[central])
        sample = Parts(*map(torch.from_numpy, arrays))
        if not scores:
            return Taken(chosen, network, sample)
        self.residuals = Ellipsoid(residual[central])
        ranked = x[:, : inputs.n_central] if len(inputs.shape) == 1 else x[:, :0]
        self.ranks = Ranks(ranked) if 0 < ranked.shape[1] <= _RANKED else None
        if sample.nll.shape[1] and self.training_data in _LIKELIHOOD:
            self.weights = {**self.weights, "likelihood": _LIKELIHOOD[self.training_data]}
        kinds = estimator._space
        self.kinds = {k: w for k, w in kinds.items() if k != "ranks" or self.ranks is not None}
        blocks = self._blocks(sample)
        named = zip(self.kinds, blocks, strict=True)
        self.space = Space({kind: block.numpy() for kind, block in named}, self.kinds)
        points = self.space.points(blocks).numpy()
        if "near" in self.weights:
            self.neighbors = Neighbors(points, seed)
        if "center" in self.weights:
            self.center = Center(points).ellipsoid
        if known is not None:
            self.known = KnownOutliers(points, self._points(estimator, network, inputs, known))
            self.weights = {**self.weights, "known": sum(self.weights.values())}
        few = slice(None, None, max(1, len(x) // _TAIL_ROWS))
        of = Parts(*(part[few] for part in sample))
        measures = self.measures(of, tuple(self.weights), known=True)
        self.tails = dict(zip(self.weights, map(Tail, measures.numpy().T), strict=True))
        return Taken(chosen, network, sample)

    def score(
        self,
        estimator: HasErrors,
        network: nn.Module,
        inputs: Inputs,
        rows: Rows,
        method: str,
        sample: Tensor | None = None,
        taken: Taken | None = None,
    ) -> np.ndarray:
        """Return the anomalies of rows by a `score_method`, (n,): the higher, the more unusual.

        With a sample of the training, as the network gets it, few rows take less time. So do the
        rows that `fit` has learned from, if it was given the same network.
        """
        trial = None if sample is None else Trial(self, (type(network), method), sample)
        names = self.counted(method)
        if names is None:
            (errors,) = in_tiles(
                lambda x: (estimator._row_errors(network, x, method),), network, rows, trial=trial
            )
            # What overflows is infinite, or NaN where infinite terms cancel out.
            return np.nan_to_num(errors.astype(np.float64), nan=_LARGEST, posinf=_LARGEST)

        def parted(x: Tensor) -> Parts:
            return parts(estimator, network, inputs, x)

        def measures(*of: Tensor) -> tuple[Tensor]:
            return (self.measures(Parts(*of), names),)

        if taken is not None and taken.rows is rows and taken.network is network:
            # In the tiles that the network would have, so that sums are rounded the same way.
            tables = [Loaded(part.to(rows.device)) for part in taken.parts]
            (values,) = in_tiles(measures, network, *tables, size=tile_size(network, rows))
            return self.anomalies(values, names)
        total = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS_HELD):
            span = start, min(start + _ROWS_HELD, len(rows))
            (values,) = in_tiles(parted, network, rows, last=measures, trial=trial, span=span)
            total[slice(*span)] = self.anomalies(values, names)
        return total

    def completing(self, estimator: HasErrors, network: Any, rows: Rows) -> Any:
        """Return the network for rows; they may lack values where training rows did not."""
        raw = getattr(rows, "raw", None)
        if estimator._fills_missing and not network.takes_missing and holds_missing(raw):
            return Completing(network, self.features.completed)
        return network

    def counted(self, method: str) -> tuple[str, ...] | None:
        """Return the measures that a `score_method` adds up; None if it takes errors instead."""
        names = _MEASURES.get(method)
        return names and tuple(name for name in self.weights if name in names)

    def measures(self, of: Parts, names: tuple[str, ...], known: bool = False) -> Tensor:
        """Return measures of rows by their names, (n, m).

        A training row may be its own nearest neighbor, at distance 0, in one of the two samples.
        Then the distance in the other sample counts: for rows that are `known` to be of the
        training, and for all rows if some of those to be judged may be outliers of the training.
        """
        columns = {}
        if "residual" in names:
            columns["residual"] = self.residuals.distances(of.residual)
        if "likelihood" in names:
            columns["likelihood"] = of.nll[:, 0]
        if {"near", "center", "known"} & set(names):
            points = self.space.points(self._blocks(of))
        if "near" in names:
            distances = self.neighbors.distances(points)
            nearest = distances.amin(0)
            if known or self.training_data != "clean":
                nearest = torch.where(nearest == 0, distances.amax(0), nearest)
            columns["near"] = nearest
        if "center" in names:
            columns["center"] = self.center.distances(points)
        if "known" in names:
            columns["known"] = self.known.log_odds(points)
        return torch.stack([columns[name] for name in names], 1)

    def _points(
        self, estimator: HasErrors, network: nn.Module, inputs: Inputs, rows: Rows
    ) -> np.ndarray:
        """Return the coordinates of rows of which values may be missing, (n, k)."""
        network, rows = self.completing(estimator, network, rows), rows.spread(_sample_size(rows))

        def points(x: Tensor) -> tuple[Tensor]:
            return (self.space.points(self._blocks(parts(estimator, network, inputs, x))),)

        return in_tiles(points, network, rows)[0]

    def _blocks(self, of: Parts) -> list[Tensor]:
        """Return the numbers by which rows are compared, of each kind."""
        blocks = of._asdict()
        if self.ranks is not None:
            blocks["ranks"] = self.ranks(of.features[:, : self.ranks.width])
        return [blocks[kind] for kind in self.kinds]

    def anomalies(self, measures: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Add up these measures on the scales of their tails, (n, m) to (n,)."""
        total = np.zeros(len(measures))
        for start in range(0, len(measures), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            for name, values in zip(names, measures[part].T, strict=True):
                total[part] += self.weights[name] * self.tails[name](values)
        # Whatever a model holds, no score is NaN, which would count as normal.
        return np.nan_to_num(total, copy=False, nan=_LARGEST, posinf=_LARGEST)


def parts(estimator: HasErrors, network: Any, inputs: Inputs, x: Tensor) -> Parts:
    """Return what measures are taken of."""
    out = network(x)
    features = inputs.summary(estimator._completed(x, out))
    # Squares of residuals are compared, and sums of log-likelihoods.
    residual = on_observed(estimator.residual, network, x, out, 0.5).flatten(1)
    nll = residual[:, :0]
    if estimator.nll(x, out) is not None:
        nll = on_observed(estimator.nll, network, x, out).flatten(1).sum(1, keepdim=True)
    return Parts(features, residual, out.code.flatten(1), nll)


def central_rows(x: np.ndarray, training_data: str) -> np.ndarray:
    """Return a mask of the rows that can be assumed to be normal."""
    if training_data == "clean":
        return np.ones(len(x), dtype=bool)
    return Center(x).holds(torch.from_numpy(x))


def feature_model(x: Rows, training_data: str, n_central: int | None = None) -> Ellipsoid:
    """Learn mean and covariance of the features of normal rows."""
    sample = x.spread(_sample_size(x)).load().x.cpu().numpy()
    return Ellipsoid(sample[central_rows(sample[:, :n_central], training_data)])


def _sample_size(x: Rows) -> int:
    return min(_SAMPLE, max(1, _SAMPLE_NUMBERS // math.prod(x.shape)))

"""The outlier model: how far the residuals and codes of a row are from those of normal rows."""

import math
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sktae._engine.rows import Rows
from sktae._engine.tiles import in_tiles
from sktae._outliers.measures import Center, Ellipsoid, Neighbors, Space, Tail
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import holds_missing
from sktae.nn.missing import Completing

# Statistics of residuals and codes come from at most so many training rows, and so many numbers in
# them; tails come from fewer rows.
_SAMPLE, _SAMPLE_NUMBERS = 10_000, 2**24
_TAIL_ROWS = 1500
# Measures are added up for so many rows at once.
_ROWS_AT_ONCE = 2**16
# The error of a row that is so far from all others that its error overflows.
_LARGEST = float(np.finfo(np.float32).max)
# Samples in which neighbors are searched: how many, of how many rows, whether they are disjoint.
_ALL_SAMPLES, _CENTRAL_SAMPLES = (2, 512, True), (16, 16, False)

# The weights of measures, by what the user says about the training data.
WEIGHTS = {
    "clean": {"residual": 1.0, "near": 2.0},
    "unknown": {"residual": 1.0, "near": 0.5, "central": 2.0},
    "contaminated": {"residual": 1.0, "central": 2.0},
}
_MEASURES = {
    "combined": ("residual", "near", "central"),
    "residual": ("residual",),
    "neighbors": ("near", "central"),
}


class HasErrors(Protocol):
    """What an outlier model needs of an autoencoder: the errors of its network."""

    _fills_missing: ClassVar[bool]

    def _residuals(self, network: nn.Module, x: Tensor, out: Any) -> Tensor:
        """Return what the network did not reproduce of rows, (n, ...); 0 where x is missing."""
        ...

    def _completed(self, x: Tensor, out: Any) -> Tensor:
        """Return rows in which missing values are as the network reproduces them."""
        ...

    def _row_errors(self, network: nn.Module, x: Tensor, method: str) -> Tensor:
        """Return the errors of rows by a `score_method` of the estimator, (n,)."""
        ...


class OutlierModel:
    """How far rows are from normal ones, by their residuals and codes.

    There are up to three measures. "residual" is the squared Mahalanobis distance of the residual.
    "near" is the distance to the nearest neighbor in random samples of the training rows, in the
    space of codes and residuals. "central" is the same in small samples of the central rows. Each
    measure is brought to the scale of its tail on the training rows. The anomaly is their weighted
    sum. Rows that may be outliers are not used as a reference.

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

    space : Space
        The space in which neighbors are searched.

    all_rows, central_rows : Neighbors
        The reference rows of "near" and "central", if these have a weight.

    tails : dict of Tail
        The scale of each measure.
    """

    all_rows: Neighbors
    central_rows: Neighbors

    def __init__(self, training_data: str):
        self.training_data, self.weights = training_data, WEIGHTS[training_data]

    def fit(
        self, estimator: HasErrors, network: nn.Module, inputs: Inputs, rows: Rows, seed: int
    ) -> "OutlierModel":
        """Learn from a sample of the training rows, in proportion to their weights."""

        def features_residual_code(x: Tensor) -> tuple[Tensor, ...]:
            out = network(x)
            features = inputs.summary(estimator._completed(x, out))
            return features, estimator._residuals(network, x, out), out.code

        x, residual, code = in_tiles(
            features_residual_code, network, rows.spread(_sample_size(rows))
        )
        return self.learn(x, residual, code, seed, inputs.n_central)

    def learn(
        self,
        x: np.ndarray,
        residual: np.ndarray,
        code: np.ndarray,
        seed: int,
        n_central: int | None = None,
    ) -> "OutlierModel":
        """Learn from rows (n, d), their residuals (n, ...) and their codes (n, k).

        The first `n_central` features say which rows are central.
        """
        residual, code = residual.reshape(len(x), -1), code.reshape(len(x), -1)
        central = central_rows(x[:, :n_central], self.training_data)
        usable = central if self.training_data == "contaminated" else np.ones_like(central)
        self.features = Ellipsoid(x[central])
        self.residuals = Ellipsoid(residual[central])
        self.space = Space(code[usable], residual[usable])
        points = self.space.points(torch.from_numpy(code), torch.from_numpy(residual)).numpy()
        if "near" in self.weights:
            self.all_rows = Neighbors(points[usable], *_ALL_SAMPLES, seed)
        if "central" in self.weights:
            self.central_rows = Neighbors(points[central], *_CENTRAL_SAMPLES, seed)
        rows = np.flatnonzero(usable)
        rows = rows[:: max(1, len(rows) // _TAIL_ROWS)]
        measures = self.measures(torch.from_numpy(residual[rows]), torch.from_numpy(code[rows]))
        self.tails = dict(zip(self.weights, map(Tail, measures.numpy().T), strict=True))
        return self

    def score(
        self, estimator: HasErrors, network: nn.Module, rows: Rows, method: str
    ) -> np.ndarray:
        """Return the anomalies of rows by a `score_method`, (n,): the higher, the more unusual."""
        if method not in _MEASURES:
            (errors,) = in_tiles(
                lambda x: (estimator._row_errors(network, x, method),), network, rows
            )
            # What overflows is infinite, or NaN where infinite terms cancel out.
            return np.nan_to_num(errors.astype(np.float64), nan=_LARGEST, posinf=_LARGEST)

        def measures(x: Tensor) -> tuple[Tensor]:
            out = network(x)
            return (self.measures(estimator._residuals(network, x, out), out.code),)

        (values,) = in_tiles(measures, network, rows)
        return self.anomalies(values, _MEASURES[method])

    def completing(self, estimator: HasErrors, network: Any, rows: Rows) -> Any:
        """Return the network for rows; they may lack values where training rows did not."""
        raw = getattr(rows, "raw", None)
        if estimator._fills_missing and not network._takes_missing and holds_missing(raw):
            return Completing(network, self.features.completed)
        return network

    def measures(self, residual: Tensor, code: Tensor) -> Tensor:
        """Return the measures of rows, (n, m).

        A training row may be its own nearest neighbor, at distance 0, in one of the two disjoint
        samples. Then the distance in the other sample counts. If training data is not clean, all
        rows may be training rows, so the larger of the two distances counts for any row.
        """
        residual, code = residual.flatten(1), code.flatten(1)
        points = self.space.points(code, residual)
        columns = {"residual": self.residuals.distances(residual)}
        if "near" in self.weights:
            distances = self.all_rows.distances(points)
            nearest, other = distances.amin(0), distances.amax(0)
            if self.training_data == "clean":
                other = torch.where(nearest == 0, other, nearest)
            columns["near"] = other
        if "central" in self.weights:
            columns["central"] = self.central_rows.distances(points).mean(0)
        return torch.stack([columns[name] for name in self.weights], 1)

    def anomalies(self, measures: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Add up these measures on the scales of their tails, (n, m) to (n,)."""
        total = np.zeros(len(measures))
        for start in range(0, len(measures), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            for (name, weight), values in zip(self.weights.items(), measures[part].T, strict=True):
                if name in names:
                    total[part] += weight * self.tails[name](values)
        # Whatever a model holds, no score is NaN, which would count as normal.
        return np.nan_to_num(total, copy=False, nan=_LARGEST, posinf=_LARGEST)


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

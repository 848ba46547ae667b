"""The model of outliers: what residuals and codes of normal rows are like, and how far a row is."""

import math
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sktae._engine.rows import Rows
from sktae._engine.tiles import in_tiles
from sktae._outliers.measures import Center, Ellipsoid, Neighbors, Space, Tail
from sktae.inputs.protocol import Inputs

# Statistics of residuals and codes come from about this many training rows, and no more numbers
# than that; tails from fewer.
_SAMPLE, _SAMPLE_NUMBERS = 10_000, 2**24
_TAIL_ROWS = 1500
# Measures are added up for so many rows at once.
_ROWS_AT_ONCE = 2**16
# Samples in which neighbors are looked for: how many, of how many rows, and whether they are
# disjoint.
_ALL_SAMPLES, _CENTRAL_SAMPLES = (2, 512, True), (16, 16, False)

# What each measure counts for, by what the user says about the training data.
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


class Errs(Protocol):
    """How an autoencoder errs: what it states about the outputs of its network."""

    def residual(self, x: Tensor, out: Any) -> Tensor:
        """Return what the network did not reproduce of rows, (n, ...)."""
        ...

    def _row_errors(self, network: nn.Module, x: Tensor, method: str) -> Tensor:
        """Return how badly rows are reproduced by a method of the estimator's own, (n,)."""
        ...


class OutlierModel:
    """How far rows are from normal ones, by their residuals and codes.

    Up to three measures, each brought to the scale of its tail on the training rows and added up:
    how large residuals are, whitened by how they vary together; how far the row is from its nearest
    neighbor among all rows, in the space of codes and residuals; how far it is from the nearest of
    a few central rows. Rows that may be outliers are left out of what the others are compared with.

    Parameters
    ----------
    training_data : {"unknown", "clean", "contaminated"}
        What the user says about the training rows.

    Attributes
    ----------
    features : Ellipsoid
        How the features of normal rows vary together.

    residuals : Ellipsoid
        How their residuals do.

    space : Space
        Where neighbors are looked for.

    all_rows, central_rows : Neighbors
        The rows that neighbors are looked for among; only those that the weights ask for.

    tails : dict of Tail
        The scale of each measure.
    """

    all_rows: Neighbors
    central_rows: Neighbors

    def __init__(self, training_data: str):
        self.training_data, self.weights = training_data, WEIGHTS[training_data]

    def fit(
        self, errs: Errs, network: nn.Module, inputs: Inputs, rows: Rows, seed: int
    ) -> "OutlierModel":
        """Learn from a sample of the training rows what normal rows are like."""

        def evidence(x: Tensor) -> tuple[Tensor, ...]:
            out = network(x)
            return inputs.summary(x), errs.residual(x, out), out.code

        x, residual, code = in_tiles(evidence, network, rows.spread(_sample_size(rows)))
        return self.learn(x, residual, code, seed)

    def learn(
        self, x: np.ndarray, residual: np.ndarray, code: np.ndarray, seed: int
    ) -> "OutlierModel":
        """Learn from rows (n, d), their residuals (n, ...) and their codes (n, k)."""
        residual, code = residual.reshape(len(x), -1), code.reshape(len(x), -1)
        central = central_rows(x, self.training_data)
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

    def score(self, errs: Errs, network: nn.Module, rows: Rows, method: str) -> np.ndarray:
        """Return how unusual rows are by a `score_method`, (n,); the larger, the more."""
        if method not in _MEASURES:
            (errors,) = in_tiles(lambda x: (errs._row_errors(network, x, method),), network, rows)
            return errors.astype(np.float64)

        def measures(x: Tensor) -> tuple[Tensor]:
            out = network(x)
            return (self.measures(errs.residual(x, out), out.code),)

        (values,) = in_tiles(measures, network, rows)
        return self.anomalies(values, _MEASURES[method])

    def measures(self, residual: Tensor, code: Tensor) -> Tensor:
        """Return the measures of rows, (n, m).

        A training row is its own nearest neighbor in one of the disjoint samples, at distance 0, so
        the other sample counts. The rows of data that are not clean may all be rows of the fit.
        """
        residual, code = residual.flatten(1), code.flatten(1)
        points = self.space.points(code, residual)
        columns = [self.residuals.distances(residual)]
        if "near" in self.weights:
            distances = self.all_rows.distances(points)
            nearest, other = distances.amin(0), distances.amax(0)
            itself = nearest == 0
            columns.append(
                torch.where(itself, other, nearest) if self.training_data == "clean" else other
            )
        if "central" in self.weights:
            columns.append(self.central_rows.distances(points).mean(0))
        return torch.stack(columns, 1)

    def anomalies(self, measures: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Add up these measures on the scales of their tails, (n, m) to (n,)."""
        total = np.zeros(len(measures))
        for start in range(0, len(measures), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            for (name, weight), values in zip(self.weights.items(), measures[part].T, strict=True):
                if name in names:
                    total[part] += weight * self.tails[name](values)
        return total


def central_rows(x: np.ndarray, training_data: str) -> np.ndarray:
    """Return a mask of the rows that may be taken to be normal."""
    if training_data == "clean":
        return np.ones(len(x), dtype=bool)
    return Center(x).holds(torch.from_numpy(x))


def feature_model(x: Rows, training_data: str) -> Ellipsoid:
    """Learn how the features of normal rows vary together."""
    sample = x.spread(_sample_size(x)).load().x.cpu().numpy()
    return Ellipsoid(sample[central_rows(sample, training_data)])


def _sample_size(x: Rows) -> int:
    return min(_SAMPLE, max(1, _SAMPLE_NUMBERS // math.prod(x.shape)))

"""The model of outliers: what residuals and codes of the training rows were."""

import math

import numpy as np
import torch
from torch import Tensor

from sktae._engine.rows import Rows
from sktae._outliers.measures import Centre, Ellipsoid, Neighbours, Space, Tail

# Statistics of errors and codes are learnt from about this many training rows, and no more
# numbers than that; tails from fewer.
_SAMPLE, _SAMPLE_NUMBERS = 10_000, 2**24


_TAIL_ROWS = 1500


# Measures are added up for so many rows at once.
_ROWS_AT_ONCE = 2**16


# Samples of neighbours: how many, of how many rows, and whether no row is in two of them.
_ALL, _FEW = (2, 512, True), (16, 16, False)


# What each measure counts for, by what is known of the training data.
WEIGHTS = {
    "clean": {"residual": 1.0, "near": 2.0},
    "unknown": {"residual": 1.0, "near": 0.5, "central": 2.0},
    "contaminated": {"residual": 1.0, "central": 2.0},
}


_MEASURES = {
    "combined": ("residual", "near", "central"),
    "residual": ("residual",),
    "neighbours": ("near", "central"),
}


class ErrorModel:
    """What a row's residuals and its code amount to.

    Up to three measures, each brought to the scale of its tail on the training rows and added up:
    how large residuals are, whitened by how they vary together; how far the row is from its
    nearest neighbour, in the space of codes and residuals; how far it is from the nearest of a
    few central rows. What may be contaminated is measured by the central rows.

    Parameters
    ----------
    training_data : {"unknown", "clean", "contaminated"}
        What is known of the training rows.
    """

    def __init__(self, training_data: str):
        self.training_data, self.weights = training_data, WEIGHTS[training_data]

    def fit(self, x: np.ndarray, residual: np.ndarray, code: np.ndarray, seed: int) -> "ErrorModel":
        """Learn from training rows (n, d), their residuals (n, ...) and their codes (n, k)."""
        residual, code = residual.reshape(len(x), -1), code.reshape(len(x), -1)
        inner = _inner(x, self.training_data)
        self.typical_ = Ellipsoid(x[inner])
        usual = inner if self.training_data == "contaminated" else np.ones_like(inner)
        self.residuals_ = Ellipsoid(residual[inner])
        self.space_ = Space(code[usual], residual[usual])
        places = self.space_.places(torch.from_numpy(code), torch.from_numpy(residual)).numpy()
        if "near" in self.weights:
            self.all_ = Neighbours(places[usual], *_ALL, seed)
        if "central" in self.weights:
            self.few_ = Neighbours(places[inner], *_FEW, seed)
        rows = np.flatnonzero(usual)
        rows = rows[:: max(1, len(rows) // _TAIL_ROWS)]
        known = torch.from_numpy(residual[rows]), torch.from_numpy(code[rows])
        measures = self.measures(*known, seen=True).numpy()
        self.tails_ = dict(zip(self.weights, map(Tail, measures.T), strict=True))
        return self

    def measures(self, residual: Tensor, code: Tensor, seen: bool = False) -> Tensor:
        """Return the measures of rows, (n, m).

        A row that was seen in training is its own neighbour in one sample, so the other counts. Of
        data that are not clean, the rows to be scored may well be those of training.
        """
        residual, code = residual.flatten(1), code.flatten(1)
        places = self.space_.places(code, residual)
        found = [self.residuals_.distances(residual)]
        if "near" in self.weights:
            nearest = self.all_.distances(places)
            seen = seen or self.training_data != "clean"
            found.append(nearest.amax(0) if seen else nearest.amin(0))
        if "central" in self.weights:
            found.append(self.few_.distances(places).mean(0))
        return torch.stack(found, 1)

    def anomalies(self, measures: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Return one number per row, larger for more unusual rows: a sum over these measures."""
        found = np.zeros(len(measures))
        for start in range(0, len(measures), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            for (name, weight), values in zip(self.weights.items(), measures[part].T, strict=True):
                if name in names:
                    found[part] += weight * self.tails_[name](values)
        return found


def _inner(x: np.ndarray, training_data: str) -> np.ndarray:
    """Say which rows may be taken to be normal."""
    if training_data == "clean":
        return np.ones(len(x), dtype=bool)
    return Centre(x).holds(torch.from_numpy(x))


def typical(x: Rows, training_data: str) -> Ellipsoid:
    """Learn how the features of normal rows vary together."""
    sample = x.spread(_sample_size(x)).load().x.cpu().numpy()
    return Ellipsoid(sample[_inner(sample, training_data)])


def _sample_size(x: Rows) -> int:
    return min(_SAMPLE, max(1, _SAMPLE_NUMBERS // math.prod(x.shape)))

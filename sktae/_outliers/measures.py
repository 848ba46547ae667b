"""Measures of how unusual a row is, each learned from training rows."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sktae.nn.missing import conditional_mean
from sktae.randomness import generator

# How many principal directions are kept; all other directions share one variance.
_DIRECTIONS = 256

# So many numbers at most are kept as directions, of which rows of more than 16384 have fewer; and
# at least one direction.
_KEPT_NUMBERS = 2**22

# Where a row has more numbers than this, directions are learned from no more than so many rows,
# and kept as float32.
_WIDE = 1024

# How often missing values are replaced to learn a covariance.
_COMPLETION_ROUNDS = 6

# Share of the rows that are central, share of the rows from which the center is learned, and how
# often it is refitted.
_CENTRAL, _ANCHORS = 0.7, 0.75
_ANCHOR_ROUNDS = 5

# Neighbors are looked for in a space of so many dimensions, where residuals weigh half as much as
# codes.
_DIMENSIONS = 16
_RESIDUAL_WEIGHT = 0.5

# Quantiles nearer than this share of their range are one.
_SAME = 1e-6

# Up to this quantile, tails are empirical; beyond, they are exponential.
_EMPIRICAL = 0.95

# Samples are padded to a multiple of this many rows, which fill vector registers.
_LANES = 16

# Beyond so many nats a tail grows with the logarithm, so that no measure can grow without limit.
_FAR_OUT = 1000.0

# Squared distances below this share of the squared length are rounding errors.
_NOISE = 1e-5


def directions(centered: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances along the n principal directions, (n,), and these directions, (d, n)."""
    rows, d = centered.shape
    n = min(n, max(1, _KEPT_NUMBERS // d))
    wide = rows < d and n < d
    products = centered @ centered.T if wide else centered.T @ centered
    values, vectors = np.linalg.eigh(products / rows)
    values, vectors = values[::-1][:n].clip(0), vectors[:, ::-1][:, :n]
    if wide:  # the same directions, from the smaller matrix
        vectors = centered.T @ vectors
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)
    return values.copy(), vectors.copy()  # torch takes no reversed arrays


class Ellipsoid:
    """Mean and covariance of numbers: squared Mahalanobis distances and conditional means.

    The covariance is kept as its principal directions, with one variance for all others. Variances
    are shrunk towards their mean, or directions in which the training rows do not vary would
    outweigh all others.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
        Rows to learn from.
    """

    def __init__(self, values: np.ndarray):
        values = _thinned(values.reshape(len(values), -1)).astype(np.float64)
        d = values.shape[1]
        self.mean = values.mean(axis=0)
        centered = values
        centered -= self.mean  # in place, since wide rows take much memory
        total = (centered**2).sum() / len(values)
        along, self.directions = directions(centered, _DIRECTIONS)
        shrinkage = 1e-2 * total / d + 1e-9
        n = len(along)
        others = max(0.0, total - along.sum()) / max(1, d - n)
        # The precision matrix is rest * I + directions * diag(weights) * directions^T.
        self.rest = 1 / (others + shrinkage) if n < d else 0.0
        self.weights = 1 / (along + shrinkage) - self.rest
        if d > _WIDE:  # most of a model of wide rows; distances are computed in float32 anyhow
            self.directions = self.directions.astype(np.float32)

    def distances(self, values: Tensor) -> Tensor:
        """Return the squared distances of rows from the mean, (n, d) to (n,)."""
        statistics = [self.mean, self.directions.T, np.append(self.weights, self.rest)[np.newaxis]]
        mean, axes, weight = (_like(values, statistic) for statistic in statistics)
        deviation = values - mean
        squares = F.linear(deviation, axes).square()
        # By linear maps instead of sums, whose rounding would depend on the place in a batch.
        length = F.linear(deviation.square(), torch.ones_like(mean)[None])
        return F.linear(torch.cat([squares, length], 1), weight)[:, 0]

    def expected(self, values: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return the conditional mean of each number, given the numbers of other parts.

        `parts` numbers the part that each number belongs to.
        """
        deviation = values - self.mean
        weighted = (deviation @ self.directions * self.weights) @ self.directions.T
        weighted = weighted + self.rest * deviation  # the precision matrix times the deviation
        if len(np.unique(parts)) == len(parts):
            diagonal = (self.directions**2) @ self.weights + self.rest
            return values - weighted / diagonal
        expected = np.empty_like(values)
        for part in range(parts.max() + 1):
            own = parts == part
            expected[:, own] = values[:, own] - self._solve_block(own, weighted[:, own].T).T
        return expected

    def completed(self, values: Tensor) -> Tensor:
        """Replace NaN by the conditional mean, given what is observed of a row, (n, d)."""
        statistics = self.mean, self.directions.T, self.weights, np.asarray(self.rest)
        return conditional_mean(values, *(_like(values, statistic) for statistic in statistics))

    def _solve_block(self, own: np.ndarray, weighted: np.ndarray) -> np.ndarray:
        """Solve a diagonal block of the precision matrix for weighted deviations, (m, n)."""
        axes = self.directions[own].astype(np.float64)
        if len(axes) <= axes.shape[1]:
            block = axes * self.weights @ axes.T + self.rest * np.eye(len(axes))
            return np.linalg.solve(block, weighted)
        # The same by the smaller matrix (Woodbury).
        inner = self.rest * np.eye(axes.shape[1]) + self.weights[:, np.newaxis] * (axes.T @ axes)
        inside = np.linalg.solve(inner, self.weights[:, np.newaxis] * (axes.T @ weighted))
        return (weighted - axes @ inside) / self.rest


class Center:
    """The region that holds the central share of rows, learned so that outliers do not move it.

    Starting from the median, the ellipsoid of the nearest rows is fitted again and again, as in
    the concentration steps of a minimum covariance determinant.
    """

    def __init__(self, x: np.ndarray):
        rows, n = torch.from_numpy(x).flatten(1), math.ceil(_ANCHORS * len(x))
        # The mean of all rows would lie between the normal ones and a cluster of outliers.
        distances = np.square(rows.numpy() - np.median(rows.numpy(), axis=0)).sum(axis=1)
        for _ in range(_ANCHOR_ROUNDS):
            self.ellipsoid = Ellipsoid(x[np.argsort(distances, kind="stable")[:n]])
            distances = self.ellipsoid.distances(rows).numpy()
        self.radius = float(np.sort(distances)[math.ceil(_CENTRAL * len(x)) - 1])

    def holds(self, x: Tensor) -> np.ndarray:
        """Return a mask of the rows that are central."""
        return (self.ellipsoid.distances(x.flatten(1)) <= self.radius).cpu().numpy()


class Space:
    """Where neighbors are looked for: principal directions of codes and residuals side by side."""

    def __init__(self, code: np.ndarray, residual: np.ndarray):
        scales = code.std(axis=0).mean(), np.sqrt((residual**2).mean()) / _RESIDUAL_WEIGHT
        scale = np.repeat(np.maximum(scales, 1e-9), [code.shape[1], residual.shape[1]])
        both = _thinned(np.hstack([code, residual])) / scale.astype(np.float64)
        mean = both.mean(axis=0)
        both -= mean
        _, axes = directions(both, _DIMENSIONS)
        self.axes = (axes / scale[:, np.newaxis]).T.astype(np.float32)
        self.offset = -(mean @ axes).astype(np.float32)

    def points(self, code: Tensor, residual: Tensor) -> Tensor:
        """Return the coordinates of rows in this space."""
        axes, offset = _like(code, self.axes), _like(code, self.offset)
        return F.linear(torch.cat([code, residual], 1), axes, offset)


class Neighbors:
    """Distances to the nearest row of each of some random samples.

    Parameters
    ----------
    points : ndarray of shape (n, k)
        Coordinates of the rows to draw from.

    n_samples, size : int
        How many samples, and of how many rows.

    disjoint : bool
        Whether no row is in two samples.

    seed : int
        Seed of the draw.
    """

    def __init__(self, points: np.ndarray, n_samples: int, size: int, disjoint: bool, seed: int):
        n = len(points)
        size = max(1, min(size, n // n_samples if disjoint else n))
        rng = generator(seed, "neighbors", n_samples)
        n_shuffles = math.ceil(n_samples * size / n)
        rows = torch.cat([torch.randperm(n, generator=rng) for _ in range(n_shuffles)])
        self.samples = points[rows[: n_samples * size].numpy()].reshape(n_samples, size, -1)

    def distances(self, points: Tensor) -> Tensor:
        """Return the distance of each row to its nearest in each sample, (n_samples, n)."""
        others = _like(points, self.samples)
        samples, size, _ = others.shape
        # Padded, so that the rounding of a distance does not depend on the position of a row.
        missing = -size % _LANES
        squares = F.pad(others.square().sum(2), (0, missing), value=torch.inf)
        others = F.pad(others, (0, 0, 0, missing)).flatten(0, 1)
        # |a - b|^2 = |a|^2 - 2 a b + |b|^2, of which |a|^2 is added after the minimum.
        products = torch.addmm(squares.reshape(-1, 1), others, points.T, alpha=-2)
        nearest = products.view(samples, size + missing, points.shape[0]).amin(1)
        lengths = points.square().sum(1)
        nearest = nearest + lengths
        return torch.where(nearest > _NOISE * lengths, nearest, 0.0).sqrt()


class Tail:
    """Upper tail of a distribution: minus the log of the share of training values that are larger.

    On this scale, in nats, measures of any kind may be added.
    """

    def __init__(self, values: np.ndarray):
        values = np.sort(values[np.isfinite(values)].astype(np.float64))
        values = values if len(values) else np.zeros(1)
        levels = np.linspace(0, _EMPIRICAL, 97)
        knots, first = np.unique(np.quantile(values, levels), return_index=True)
        # Knots that differ by rounding, as of rows that occur twice, would make a step.
        apart = np.diff(knots, prepend=-np.inf) > _SAME * (knots[-1] - knots[0])
        knots, first = knots[apart], first[apart]
        self.knots, self.heights = knots, -np.log1p(-levels[first])
        beyond = values[values > knots[-1]]
        excess = (beyond - knots[-1]).mean() if len(beyond) else 0.0
        self.excess = max(excess, 1e-3 * (knots[-1] - knots[0]), 1e-6 * abs(knots[-1]), 1e-9)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        within = np.interp(values, self.knots, self.heights)
        beyond = np.maximum(values - self.knots[-1], 0) / self.excess
        return within + np.minimum(
            beyond, _FAR_OUT * (1 + np.log(np.maximum(beyond / _FAR_OUT, 1)))
        )


def of_incomplete(values: Tensor) -> Ellipsoid:
    """Learn mean and covariance of rows of which values are missing, (n, d).

    As in the EM algorithm, missing values are replaced by their conditional means, again and again.
    """
    ellipsoid = Ellipsoid(values.nan_to_num(0.0).numpy())
    for _ in range(_COMPLETION_ROUNDS):
        ellipsoid = Ellipsoid(ellipsoid.completed(values).numpy())
    return ellipsoid


def _thinned(values: np.ndarray) -> np.ndarray:
    """Return fewer rows where rows are long, evenly spaced: enough to learn directions from."""
    return values[:: math.ceil(len(values) / _WIDE)] if values.shape[1] > _WIDE else values


def _like(values: Tensor, statistic: np.ndarray) -> Tensor:
    return torch.as_tensor(statistic, dtype=values.dtype, device=values.device)

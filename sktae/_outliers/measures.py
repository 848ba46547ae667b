"""Measures of how unusual a row is, each learned from training rows."""

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from sktae._engine.settings import without_function_modes
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

# Rows are compared in a space of so many dimensions. Neighbors are looked for in two samples of so
# many rows. So many distances at once stay in the cache of a processor, but those to no fewer rows.
_DIMENSIONS = 16
_NEIGHBORS, _IN_CACHE, _AT_ONCE = 2048, 2**18, 256

# Ranks are interpolated between so many quantiles of a column, a power of two. Normal scores beyond
# the limit, which one normal value in 370 exceeds, are all the same.
_QUANTILES = 64
_FARTHEST = 3.0

# Quantiles nearer than this share of their range, or of themselves, are one.
_SAME = 1e-6

# Differences below this may be no numbers of float32 any more when they divide.
_TINY = 1e-30

# Up to this quantile, tails are empirical; beyond, they are exponential.
_EMPIRICAL = 0.95

# Samples are padded to a multiple of this many rows, which fill vector registers.
_LANES = 16

# Beyond so many nats a tail grows with the logarithm, so that no measure can grow without limit.
_FAR_OUT = 1000.0

# Rows are compared with at most so many known outliers, by kernels of this width as a share of the
# length of a mean row; _RIDGE is the inverse of the ridge penalty. In the benchmark "labels", half
# or twice of either changes little.
_REFERENCES, _BANDWIDTH, _RIDGE = 256, 0.5, 8.0

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
        exact = values.dtype == torch.float64
        statistics = self._tensors() if exact else self._statistics
        mean, axes, weights = (statistic.to(values) for statistic in statistics)
        deviation = values - mean
        # By linear maps instead of sums, whose rounding would depend on the place in a batch.
        distances = F.linear(F.linear(deviation, axes).square(), weights)
        if self.rest:
            rest = torch.full_like(mean, self.rest)[None]
            distances = distances + F.linear(deviation.square(), rest)
        return distances[:, 0]

    @cached_property
    def _statistics(self) -> list[Tensor]:
        """The same in float32, kept for the sake of single rows."""
        return [statistic.float() for statistic in self._tensors()]

    def _tensors(self) -> list[Tensor]:
        """Return mean, directions and weights."""
        statistics = self.mean, self.directions.T, self.weights[np.newaxis]
        return [torch.as_tensor(statistic) for statistic in statistics]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_statistics"}

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


class Ranks:
    """The ranks of values in their columns, as normal scores: the same for columns of any unit.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        The rows in which values have their ranks.
    """

    def __init__(self, values: np.ndarray):
        levels = np.linspace(0, 1, _QUANTILES)
        # Sorted first, which takes less time than to select as many quantiles.
        columns = np.quantile(np.sort(values.T), levels, axis=1).astype(np.float32).T
        # Of each column, quantiles that differ and their normal scores; the last is repeated.
        self.knots = np.repeat(columns[:, -1:], _QUANTILES, axis=1)
        self.heights, self.slopes = np.zeros_like(self.knots), np.zeros_like(self.knots)
        self.last = np.zeros((len(columns), 1), int)  # the last interval
        for column, quantiles in enumerate(columns):
            least = _SAME * (abs(quantiles) + 1e-3 * np.ptp(quantiles)) + _TINY
            apart = np.diff(quantiles, prepend=-np.inf) > least
            first, m = np.flatnonzero(apart), apart.sum()
            if m < 2:
                continue
            middle = (first + np.append(first[1:], len(levels)) - 1) / 2 / (len(levels) - 1)
            heights = ndtri(middle).clip(-_FARTHEST, _FARTHEST)
            self.knots[column, :m], self.heights[column, :m] = quantiles[apart], heights
            self.slopes[column, : m - 1] = np.diff(heights) / np.diff(quantiles[apart])
            self.last[column] = m - 2

    @property
    def width(self) -> int:
        return len(self.knots)

    @without_function_modes
    def __call__(self, values: Tensor) -> Tensor:
        """Return the normal scores of rows, (n, d) to (n, d)."""
        columns = values.T.contiguous()
        knots, heights, slopes = (
            _like(values, table) for table in (self.knots, self.heights, self.slopes)
        )
        # A binary search for the interval of each value, faster than that of torch.
        place, step = torch.zeros_like(columns, dtype=torch.long), _QUANTILES // 2
        while step:
            place = place.add(knots[:, step:].gather(1, place) <= columns, alpha=step)
            step //= 2
        place = place.minimum(torch.as_tensor(self.last, device=values.device))
        steps = (columns - knots.gather(1, place)) * slopes.gather(1, place)
        return (heights.gather(1, place) + steps).clamp(-_FARTHEST, _FARTHEST).T


class Space:
    """Where rows are compared: principal directions of several kinds of numbers side by side.

    Parameters
    ----------
    blocks : dict of ndarray of shape (n, k)
        Numbers of each kind.

    weights : dict of float
        The weight of each kind, as a share of the length of a mean row.
    """

    def __init__(self, blocks: dict[str, np.ndarray], weights: dict[str, float]):
        lengths = {name: np.sqrt(block.var(axis=0).sum()) for name, block in blocks.items()}
        scale = np.concatenate(
            [
                np.full(block.shape[1], max(lengths[name], 1e-9) / weights[name])
                for name, block in blocks.items()
            ]
        )
        both = _thinned(np.hstack(list(blocks.values()))) / scale
        mean = both.mean(axis=0)
        both -= mean
        _, axes = directions(both, _DIMENSIONS)
        self.axes = (axes / scale[:, np.newaxis]).T.astype(np.float32)
        self.offset = -(mean @ axes).astype(np.float32)

    def points(self, blocks: list[Tensor]) -> Tensor:
        """Return the coordinates of rows in this space, given their blocks in the same order."""
        axes, offset = _like(blocks[0], self.axes), _like(blocks[0], self.offset)
        # One after the other, since side by side they would have to be copied first.
        parts = axes.split([block.shape[1] for block in blocks], 1)
        points = F.linear(blocks[0], parts[0], offset)
        for block, part in zip(blocks[1:], parts[1:], strict=True):
            points = points + F.linear(block, part)
        return points


class Neighbors:
    """Distances to the nearest row in each of two random samples that share no row.

    Parameters
    ----------
    points : ndarray of shape (n, k)
        Coordinates of the rows to draw from.

    seed : int
        Seed of the draw.
    """

    def __init__(self, points: np.ndarray, seed: int):
        n = len(points)
        rows = torch.randperm(n, generator=generator(seed, "neighbors")).repeat(2 if n == 1 else 1)
        size = min(_NEIGHBORS, len(rows) // 2)
        self.samples = points[rows[: 2 * size].numpy()].reshape(2, size, -1)

    @without_function_modes
    def distances(self, points: Tensor) -> Tensor:
        """Return the distance of each row to its nearest in each sample, (2, n)."""
        nearest = torch.stack([_nearest(points, *parts) for parts in self._padded])
        lengths = points.square().sum(1)
        nearest = nearest + lengths
        return torch.where(nearest > _NOISE * lengths, nearest, 0.0).sqrt()

    @cached_property
    def _padded(self) -> list[tuple[Tensor, Tensor]]:
        """Each sample and the squared lengths of its rows.

        They are padded, so that the rounding of a distance does not depend on the position of a
        row, and kept, since for a single row this would take longer than all else.
        """
        missing, padded = -self.samples.shape[1] % _LANES, []
        for rows in map(torch.from_numpy, self.samples):
            squares = F.pad(rows.square().sum(1), (0, missing), value=torch.inf)
            padded.append((F.pad(rows, (0, 0, 0, missing)), squares))
        return padded

    def __getstate__(self) -> dict[str, Any]:
        return {"samples": self.samples}


def _nearest(points: Tensor, others: Tensor, squares: Tensor) -> Tensor:
    """Return the smallest squared distance from each point to others, less its squared length."""
    # |a - b|^2 = |a|^2 - 2 a b + |b|^2, of which |a|^2 is the same for all others.
    n, size = points.shape[0], _AT_ONCE
    if isinstance(n, int):  # and no symbol, for which a graph is traced
        size = max(size, _IN_CACHE // n)
    parts = zip(squares.to(points).split(size), others.to(points).split(size), strict=True)
    smallest = [torch.addmm(b, points, rows.T, alpha=-2).amin(1) for b, rows in parts]
    return torch.stack(smallest).amin(0)


class KnownOutliers:
    """How much rows look like known outliers: the log-odds of a logistic regression.

    It tells known outliers from all other training rows, by the coordinates of a row and by how
    near it is to each known outlier. So rows are suspicious in the direction of known outliers, as
    well as close to one that lies among normal rows.

    Parameters
    ----------
    points : ndarray of shape (n, k)
        Coordinates of the other training rows.

    known : ndarray of shape (m, k)
        Coordinates of the known outliers.
    """

    def __init__(self, points: np.ndarray, known: np.ndarray):
        self.length = max(float(np.sqrt(points.var(axis=0).sum())), 1e-9)
        self.known = known[:: math.ceil(len(known) / _REFERENCES)] / np.float32(self.length)
        features = self._features(torch.from_numpy(np.concatenate([points, known]))).numpy()
        labels = np.repeat([0, 1], [len(points), len(known)])
        model = LogisticRegression(C=_RIDGE, solver="newton-cholesky")
        model.fit(features.astype(np.float64), labels)
        # The intercept is the same for all rows, so it does not change their tail.
        self.coefficients = model.coef_

    def log_odds(self, points: Tensor) -> Tensor:
        """Return the log-odds of rows, up to a constant, (n, k) to (n,)."""
        return F.linear(self._features(points), _like(points, self.coefficients))[:, 0]

    def _features(self, points: Tensor) -> Tensor:
        points, known = points / self.length, _like(points, self.known)
        squares = F.linear(points.square(), torch.ones_like(known)) + known.square().sum(1)
        squares = (squares - 2 * F.linear(points, known)).clamp(min=0)
        return torch.cat([points, torch.exp(-squares / (2 * _BANDWIDTH**2))], 1)


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

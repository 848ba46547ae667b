"""What errors and codes say of a row: measures of it, each learnt from training rows."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sktae.randomness import generator

# How many directions of variation are told apart; those beyond count alike.
_DIRECTIONS = 256


# Where there are more numbers than this in a row, directions are learnt from as many rows.
_WIDE = 1024


# Share of the rows that are central, and of the rows that decide which these are.
_CENTRAL, _ANCHORS = 0.7, 0.75


_ANCHOR_ROUNDS = 5


# Neighbours are looked for in a space of so many dimensions, where residuals weigh half as much
# as codes.
_DIMENSIONS = 16


_RESIDUAL_WEIGHT = 0.5


# Up to this quantile, tails are those of training; beyond, they fall off exponentially.
_KNOWN = 0.95


_LANES = 16


# Beyond so many nats, it does not matter how far out a row is, and the logarithm will do.
_FAR_OUT = 1000.0


_NOISE = 1e-5


def directions(centred: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n directions in which rows vary most, (d, n), and their variances."""
    rows, d = centred.shape
    few = rows < d and n < d
    values, vectors = np.linalg.eigh((centred @ centred.T if few else centred.T @ centred) / rows)
    values, vectors = values[::-1][:n].clip(0), vectors[:, ::-1][:, :n]
    if few:  # the same directions, from the smaller matrix
        vectors = centred.T @ vectors
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)
    return values.copy(), vectors.copy()  # torch takes no reversed arrays


class Ellipsoid:
    """How numbers vary together: distances from their mean (Mahalanobis), squared.

    Variances are shrunk towards their mean, or directions that rows never took would outweigh all
    others.
    """

    def __init__(self, values: np.ndarray):
        values = _few(values.reshape(len(values), -1)).astype(np.float64)
        d = values.shape[1]
        self.mean = values.mean(axis=0)
        centred = values - self.mean
        total = (centred**2).sum() / len(values)
        along, self.directions = directions(centred, _DIRECTIONS)
        shrinkage = 1e-2 * total / d + 1e-9
        n = len(along)
        others = max(0.0, total - along.sum()) / max(1, d - n)
        self.rest = 1 / (others + shrinkage) if n < d else 0.0
        self.weights = 1 / (along + shrinkage) - self.rest

    def distances(self, values: Tensor) -> Tensor:
        """Return the squared distances of rows, (n, d) to (n,), where d is their usual size."""
        found = [self.mean, self.directions.T, np.append(self.weights, self.rest)[np.newaxis]]
        mean, axes, weight = (_like(values, part) for part in found)
        away = values - mean
        squares = F.linear(away, axes).square()
        length = F.linear(away.square(), torch.ones_like(mean)[None])
        return F.linear(torch.cat([squares, length], 1), weight)[:, 0]

    def expected(self, values: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return, for each number of a row, what those of other parts let one expect.

        `parts` numbers the part that each number belongs to.
        """
        away = values - self.mean
        pull = (away @ self.directions * self.weights) @ self.directions.T + self.rest * away
        if len(np.unique(parts)) == len(parts):
            stiffness = (self.directions**2) @ self.weights + self.rest
            return values - pull / stiffness
        found = np.empty_like(values)
        for part in range(parts.max() + 1):
            own = parts == part
            found[:, own] = values[:, own] - self._yield(own, pull[:, own].T).T
        return found

    def _yield(self, own: np.ndarray, pull: np.ndarray) -> np.ndarray:
        """Solve for how far some numbers must move until nothing pulls at them any more."""
        axes = self.directions[own]
        if len(axes) <= axes.shape[1]:
            stiffness = axes * self.weights @ axes.T + self.rest * np.eye(len(axes))
            return np.linalg.solve(stiffness, pull)
        # The same by the smaller matrix (Woodbury).
        inner = self.rest * np.eye(axes.shape[1]) + self.weights[:, np.newaxis] * (axes.T @ axes)
        inside = np.linalg.solve(inner, self.weights[:, np.newaxis] * (axes.T @ pull))
        return (pull - axes @ inside) / self.rest


class Centre:
    """Where most rows are, even if others are not: the central share of them."""

    def __init__(self, x: np.ndarray):
        rows, n = torch.from_numpy(x).flatten(1), math.ceil(_ANCHORS * len(x))
        # The mean of all rows would lie between the normal ones and a crowd of others.
        distances = np.square(rows.numpy() - np.median(rows.numpy(), axis=0)).sum(axis=1)
        for _ in range(_ANCHOR_ROUNDS):
            self.ellipsoid = Ellipsoid(x[np.argsort(distances, kind="stable")[:n]])
            distances = self.ellipsoid.distances(rows).numpy()
        self.radius = float(np.sort(distances)[math.ceil(_CENTRAL * len(x)) - 1])

    def holds(self, x: Tensor) -> np.ndarray:
        """Say which rows are central."""
        return (self.ellipsoid.distances(x.flatten(1)) <= self.radius).cpu().numpy()


class Space:
    """Where neighbours are looked for: codes and residuals side by side, in few dimensions."""

    def __init__(self, code: np.ndarray, residual: np.ndarray):
        scales = code.std(axis=0).mean(), np.sqrt((residual**2).mean()) / _RESIDUAL_WEIGHT
        scale = np.repeat(np.maximum(scales, 1e-9), [code.shape[1], residual.shape[1]])
        both = _few(np.hstack([code, residual])) / scale.astype(np.float64)
        mean = both.mean(axis=0)
        _, axes = directions(both - mean, _DIMENSIONS)
        self.axes = (axes / scale[:, np.newaxis]).T.astype(np.float32)
        self.offset = -(mean @ axes).astype(np.float32)

    def places(self, code: Tensor, residual: Tensor) -> Tensor:
        axes, offset = _like(code, self.axes), _like(code, self.offset)
        return F.linear(torch.cat([code, residual], 1), axes, offset)


class Neighbours:
    """Distances to the nearest row of each of some random samples.

    Parameters
    ----------
    places : ndarray of shape (n, k)
        What to draw from.

    n_samples, size : int
        How many samples, and of how many rows.

    apart : bool
        Whether no row is in two samples.

    seed : int
        Seed of the draw.
    """

    def __init__(self, places: np.ndarray, n_samples: int, size: int, apart: bool, seed: int):
        n = len(places)
        size = max(1, min(size, n // n_samples if apart else n))
        rng = generator(seed, "neighbours", n_samples)
        n_shuffles = math.ceil(n_samples * size / n)
        rows = torch.cat([torch.randperm(n, generator=rng) for _ in range(n_shuffles)])
        self.places = places[rows[: n_samples * size].numpy()].reshape(n_samples, size, -1)

    def distances(self, places: Tensor) -> Tensor:
        """Return the distance of each row to its nearest in each sample, (n_samples, n)."""
        known = _like(places, self.places)
        samples, size, _ = known.shape
        missing = -size % _LANES
        squares = F.pad(known.square().sum(2), (0, missing), value=torch.inf)
        known = F.pad(known, (0, 0, 0, missing)).flatten(0, 1)
        found = torch.addmm(squares.reshape(-1, 1), known, places.T, alpha=-2)
        nearest = found.view(samples, size + missing, len(places)).amin(1)
        lengths = places.square().sum(1)
        nearest = nearest + lengths
        # What remains of the difference of two large numbers is noise.
        return torch.where(nearest > _NOISE * lengths, nearest, 0.0).sqrt()


class Tail:
    """How far out a value is: minus the log of the share of training values that are larger.

    So values of any kind come to one scale, on which they may be added.
    """

    def __init__(self, values: np.ndarray):
        values = np.sort(values[np.isfinite(values)].astype(np.float64))
        values = values if len(values) else np.zeros(1)
        levels = np.linspace(0, _KNOWN, 97)
        knots, first = np.unique(np.quantile(values, levels), return_index=True)
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


def _few(values: np.ndarray) -> np.ndarray:
    """Return fewer rows where rows are long: enough to learn directions from."""
    return values[:: math.ceil(len(values) / _WIDE)] if values.shape[1] > _WIDE else values


def _like(values: Tensor, statistic: np.ndarray) -> Tensor:
    return torch.as_tensor(statistic, dtype=values.dtype, device=values.device)

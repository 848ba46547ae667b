"""All randomness of a fit: each draw has an address (seed, purpose, number).

A draw depends on its address alone, never on what was drawn before. So a resumed fit goes on with
the same sequence, two fits in two threads cannot disturb each other, and no global generator is
read or moved. Draws are made on the CPU, hence equal on every device.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# A purpose is part of an address by its position here: to add one, or to change the order, changes
# every draw, and thus every model.
_PURPOSES = (
    "initialize",
    "split",
    "order",
    "noise",
    "validate",
    "probe",
    "score",
    "sample",
    "calibrate",
    "neighbors",
)


def seed_of(random_state: Any) -> int:
    """Reduce scikit-learn's `random_state` to one integer, leaving the global generator alone."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return int(random_state)


def generator(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """Return the generator at an address."""
    # Neighboring addresses must not give related sequences. The finalizer of splitmix64 scatters
    # them over all 64-bit seeds; the constants are its own.
    mixed = (
        seed * 0x9E3779B97F4A7C15 + number * len(_PURPOSES) + _PURPOSES.index(purpose) + 1
    ) % 2**64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    return torch.Generator().manual_seed((mixed ^ (mixed >> 31)) >> 1)


def hold_out(
    name: str, n: int, fraction: float, seed: int, purpose: str, gap: int | None = None
) -> tuple[Tensor, Tensor]:
    """Draw a share of n rows at random; return the numbers of the other rows, and of these.

    Windows of a series overlap, so a window drawn at random would share values with others. Instead
    the last ones are held out, and those in the gap before them, which reach into them, belong to
    neither part.
    """
    size = max(1, round(fraction * n))
    if size + (gap or 0) >= n:
        raise ValueError(f"{name}={fraction} leaves no row of n_samples={n} to train on.")
    if gap is not None:
        rows = torch.arange(n)
        return rows[: n - size - gap], rows[n - size :]
    rows = torch.randperm(n, generator=generator(seed, purpose))
    return rows[size:], rows[:size]


# With so many rows, one half is enough to compare new rows with.
_ENOUGH = 2000


def halves(
    n: int, most: int, seed: int, gap: int | None = None
) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return two pairs of rows of n: those to learn from, and those to judge.

    Of each pair, the rows to judge are about those to learn from of the other. They are drawn at
    random, at most `most` in all. Windows of a series are not: the first half of them and the last
    judge each other, but for those in the gap between them, as in `hold_out`. Of many rows, one
    half is enough to compare with, so only the first pair is returned.
    """
    if gap is not None:
        rows, middle = torch.arange(n), n // 2
        first, last = rows[:middle], rows[middle:]
        return (rows[: max(0, middle - gap)], last), (rows[middle + gap :], first)
    rng, size = generator(seed, "calibrate"), min(n, most)
    if n > _MOST_PERMUTED:
        rows = _shuffle(n, rng)(torch.arange(size))
    else:
        rows = torch.randperm(n, generator=rng)[:size]
    # In order, since tables in files are read faster like that.
    first, last = rows[: size // 2].sort().values, rows[size // 2 :].sort().values
    return ((first, last),) if size >= _ENOUGH else ((first, last), (last, first))


@dataclass(frozen=True)
class Normal:
    """Standard normal noise, `shape` numbers for each row."""

    shape: tuple[int, ...]

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.randn((n, *self.shape), generator=rng)


@dataclass(frozen=True)
class Uniform:
    """Numbers between 0 and 1, both excluded."""

    shape: tuple[int, ...]

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        # Both excluded, since networks take logarithms of them and of their difference from 1.
        return torch.rand((n, *self.shape), generator=rng).clamp(1e-7, 1 - 1e-7)


@dataclass(frozen=True)
class Mask:
    """Ones with probability `rate`, else zeros."""

    shape: tuple[int, ...]
    rate: float

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return (torch.rand((n, *self.shape), generator=rng) < self.rate).float()


@dataclass(frozen=True)
class Prefix:
    """Ones for the first of `shape[0]` components, as many as are drawn, then zeros."""

    shape: tuple[int]

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        (size,) = self.shape
        return (torch.arange(size) < torch.randint(1, size + 1, (n, 1), generator=rng)).float()


@dataclass(frozen=True)
class Partner:
    """Another row of the training data for each row."""

    shape: tuple[int, ...] = ()

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.rand(n, generator=rng, dtype=torch.float64)

    def rows(
        self, numbers: Tensor, rows: Tensor, n_rows: int, weights: Tensor | None = None
    ) -> Tensor:
        """Turn drawn numbers into the rows that these rows are paired with.

        A shift by at least one, and less than n_rows, is never the row itself. With weights, rows
        have such widths in place of one.
        """
        if weights is not None:
            ends = weights.cumsum(0)
            places = ends[rows] + numbers * (ends[-1] - weights[rows])
            return torch.searchsorted(ends, places % ends[-1], right=True).clamp(max=n_rows - 1)
        shift = 1 + (numbers * (n_rows - 1)).long()
        return (rows + shift) % n_rows


@dataclass(frozen=True)
class Label:
    """The group that each row belongs to, -1 if it has none.

    Not random at all, but passed to a network in the same way.
    """

    shape: tuple[int, ...] = ()

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.full((n,), -1.0)


@dataclass(frozen=True)
class Neighbor:
    """One of the nearest training rows of each row; the nearer, the more often.

    It is drawn by the weights of UMAP, from the `n_neighbors` nearest by a metric of scikit-learn.
    Those of another label have 1 - `target_weight` of their weights.
    """

    n_neighbors: int
    metric: str = "euclidean"
    target_weight: float = 0.0
    shape: tuple[int, ...] = ()

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.rand(n, generator=rng, dtype=torch.float64)


Draw = Normal | Uniform | Mask | Prefix | Partner | Neighbor | Label

# Up to this many rows, the permutation of a pass is a tensor (8 MB); beyond, it is a function that
# computes each position when it is needed, so its memory does not grow with the table.
_MOST_PERMUTED = 2**20
# Noise is drawn for several steps at once, of at most about this many numbers (1 MB in float32).
_NUMBERS_PER_DRAW = 2**18


@dataclass(frozen=True)
class Plan:
    """What one fit draws at random: the order of the rows in each pass, the noise of each step.

    A pass is ceil(n_rows / batch_size) full batches; the last one wraps around to the beginning.
    """

    seed: int
    n_rows: int
    batch_size: int
    noise: tuple[Draw, ...] = ()

    @property
    def steps_per_pass(self) -> int:
        return math.ceil(self.n_rows / self.batch_size)

    @property
    def steps_per_draw(self) -> int:
        """How many steps share an address of noise: to seed a generator takes time.

        The noise of all of them is drawn, whatever part a fit uses; so no more than 16 share one.
        """
        width = self.batch_size * sum(math.prod(draw.shape) for draw in self.noise)
        return max(1, min(16, _NUMBERS_PER_DRAW // max(1, width)))

    def order(self, number: int, weights: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Return the order of a pass, a function from positions to rows.

        With weights, a pass has each row as often as its weight says, on average over passes.
        """
        rng = generator(self.seed, "order", number)
        if self.n_rows > _MOST_PERMUTED:
            shuffled = _shuffle(self.n_rows, rng)
        else:
            shuffled = torch.randperm(self.n_rows, generator=rng).__getitem__
        if weights is None:
            return shuffled
        offset = float(torch.rand((), generator=rng, dtype=torch.float64))
        return lambda positions: in_proportion(weights, shuffled(positions), self.n_rows, offset)

    def draws(
        self, purpose: str, number: int, rows: Tensor, data: Any, skip: int = 0
    ) -> tuple[Tensor, ...]:
        """Return the noise at an address for these rows of the data, after `skip` other rows."""
        if not self.noise:
            return ()
        rng = generator(self.seed, purpose, number)
        n = skip + len(rows)
        if purpose == "noise":
            # All of the address, whatever part is used: a draw of fewer numbers may give others.
            n = self.steps_per_draw * self.batch_size
        pairs = ((draw, draw.draw(rng, n)[skip : skip + len(rows)]) for draw in self.noise)
        return tuple(
            _values(draw, numbers, rows, data, self.seed).to(data.device) for draw, numbers in pairs
        )


def in_proportion(weights: Tensor, positions: Tensor, n: int, offset: float = 0.5) -> Tensor:
    """Return the rows at some of n positions, among which rows are as frequent as their weights.

    This is systematic resampling: rows lie side by side, each as wide as its weight, and n points
    at equal distances, the first shifted by an offset between 0 and 1, fall on them. So a row is
    at as many positions as its weight says, up to rounding, and exactly so on average over offsets.
    """
    ends = weights.cumsum(0)
    points = (positions.double() + offset) * (ends[-1] / n)
    return torch.searchsorted(ends, points, right=True).clamp(max=len(weights) - 1)


def _values(draw: Draw, numbers: Tensor, rows: Tensor, data: Any, seed: int) -> Tensor:
    """Turn numbers drawn for rows of the data into an argument of the network."""
    if isinstance(draw, Partner):
        return data.take(draw.rows(numbers, rows, len(data), data.weights))
    if isinstance(draw, Neighbor):
        return data.take(data.graph(draw, seed).drawn(numbers, rows))
    if isinstance(draw, Label) and data.labels is not None:
        return data.labels[rows]
    return numbers


def _shuffle(n: int, rng: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Return a random permutation of 0..n-1 as a function, of which no table is kept.

    Four rounds of a Feistel network, as in block ciphers, permute the numbers below the next power
    of four: each round changes one half of the bits by a function of the other half, which can be
    undone, so no two numbers meet. Results of n or more are permuted again until they are below n
    (cycle walking), which keeps the map one-to-one.
    """
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    mask = 2**half - 1
    keys = torch.randint(1, 2**62, (4, 2), generator=rng).tolist()

    def scatter(numbers: np.ndarray) -> np.ndarray:
        left, right = numbers >> half, numbers & mask
        for multiplier, shift in keys:
            mixed = (right + shift) * (multiplier | 1)
            left, right = right, left ^ ((mixed ^ (mixed >> 29)) >> 17 & mask)
        return (left << half) | right

    def shuffled(positions: Tensor) -> Tensor:
        rows = scatter(positions.numpy())
        while (outside := np.flatnonzero(rows >= n)).size:
            rows[outside] = scatter(rows[outside])
        return torch.from_numpy(rows)

    return shuffled


class SeededInitialization(TorchFunctionMode):
    """Within this context, parameters are initialized from one explicit generator.

    Layers keep their own initialisation rules. The mode is local to the thread, unlike seeding,
    which would race with other fits and move the user's global generator.
    """

    _IN_PLACE = "uniform_ normal_ bernoulli_ exponential_ random_ log_normal_ cauchy_ geometric_"
    _CREATING = "rand randn randint randperm normal bernoulli multinomial rand_like randn_like"
    _DRAWING = frozenset(
        [
            *(getattr(torch.Tensor, name) for name in _IN_PLACE.split()),
            *(getattr(torch, name) for name in _CREATING.split()),
            *(
                function
                for function in vars(nn.init).values()
                if inspect.isfunction(function)
                and "generator" in inspect.signature(function).parameters
            ),
        ]
    )

    def __init__(self, seed: int):
        super().__init__()
        self.rng = generator(seed, "initialize")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in self._DRAWING and kwargs.get("generator") is None:
            kwargs["generator"] = self.rng
        return func(*args, **kwargs)

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

_PURPOSES = (
    "initialise",
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
    # The finaliser of splitmix64 scatters neighbouring addresses over all 64-bit seeds.
    mixed = (
        seed * 0x9E3779B97F4A7C15 + number * len(_PURPOSES) + _PURPOSES.index(purpose) + 1
    ) % 2**64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    return torch.Generator().manual_seed((mixed ^ (mixed >> 31)) >> 1)


def drawn(
    name: str, n: int, fraction: float, seed: int, purpose: str, gap: int | None = None
) -> tuple[Tensor, Tensor]:
    """Draw a share of n rows at random; return the others, and it.

    Windows of a series are not drawn, since neighbours overlap: the last ones are taken, and those
    in the gap before them belong to neither part.
    """
    size = max(1, round(fraction * n))
    if size + (gap or 0) >= n:
        raise ValueError(f"{name}={fraction} leaves no row of n_samples={n} to train on.")
    if gap is not None:
        rows = torch.arange(n)
        return rows[: n - size - gap], rows[n - size :]
    rows = torch.randperm(n, generator=generator(seed, purpose))
    return rows[size:], rows[:size]


@dataclass(frozen=True)
class Normal:
    """Standard normal noise, `shape` numbers for each row."""

    shape: tuple[int, ...]

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.randn((n, *self.shape), generator=rng)


@dataclass(frozen=True)
class Uniform:
    """Numbers between 0 and 1, neither of which is drawn."""

    shape: tuple[int, ...]

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.rand((n, *self.shape), generator=rng).clamp(1e-7, 1 - 1e-7)


@dataclass(frozen=True)
class Mask:
    """Ones with probability `rate`, else zeros."""

    shape: tuple[int, ...]
    rate: float

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return (torch.rand((n, *self.shape), generator=rng) < self.rate).float()


@dataclass(frozen=True)
class Partner:
    """Another row of the training data for each row."""

    shape: tuple[int, ...] = ()

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.rand(n, generator=rng, dtype=torch.float64)

    def rows(self, drawn: Tensor, rows: Tensor, n_rows: int) -> Tensor:
        """Turn drawn numbers into the rows that these rows are paired with."""
        shift = 1 + (drawn * (n_rows - 1)).long()
        return (rows + shift) % n_rows


@dataclass(frozen=True)
class Label:
    """The group that each row belongs to, which is no draw at all; -1 where it is unknown."""

    shape: tuple[int, ...] = ()

    def draw(self, rng: torch.Generator, n: int) -> Tensor:
        return torch.full((n,), -1.0)


Draw = Normal | Uniform | Mask | Partner | Label

# Shuffled as a whole up to this many rows; beyond, each place of the shuffle is computed by itself.
_LISTED = 2**20
# About how many numbers are drawn at once for several steps.
_DRAWN = 2**18


@dataclass(frozen=True)
class Plan:
    """What one fit draws: the order of the rows in each pass, the noise of each step.

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
        """How many steps share an address of noise: seeding a generator has its price."""
        width = self.batch_size * sum(math.prod(draw.shape) for draw in self.noise)
        return max(1, min(16, _DRAWN // max(1, width)))

    def order(self, number: int) -> Callable[[Tensor], Tensor]:
        """Return the order of a pass, a function from places to rows."""
        rng = generator(self.seed, "order", number)
        if self.n_rows > _LISTED:
            return _shuffle(self.n_rows, rng)
        rows = torch.randperm(self.n_rows, generator=rng)
        return lambda places: rows[places]

    def draws(
        self, purpose: str, number: int, rows: Tensor, data: Any, skip: int = 0
    ) -> tuple[Tensor, ...]:
        """Return the noise at an address for these rows of the data, after `skip` others."""
        if not self.noise:
            return ()
        rng = generator(self.seed, purpose, number)
        n = skip + len(rows)
        if purpose == "noise":  # complete, whatever part of it is wanted
            n = self.steps_per_draw * self.batch_size
        drawn = ((draw, draw.draw(rng, n)[skip : skip + len(rows)]) for draw in self.noise)
        return tuple(_told(draw, numbers, rows, data).to(data.device) for draw, numbers in drawn)


def _told(draw: Draw, numbers: Tensor, rows: Tensor, data: Any) -> Tensor:
    """Turn what was drawn for rows of the data into what a network is told."""
    if isinstance(draw, Partner):
        return data.take(draw.rows(numbers, rows, len(data)))
    if isinstance(draw, Label) and data.labels is not None:
        return data.labels[rows]
    return numbers


def _shuffle(n: int, rng: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Return a random one-to-one map of 0..n-1 that is computed where it is needed.

    A Feistel network shuffles the next power of four; what falls outside goes around again.
    """
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    mask = 2**half - 1
    keys = torch.randint(1, 2**62, (4, 2), generator=rng).tolist()

    def scatter(places: np.ndarray) -> np.ndarray:
        left, right = places >> half, places & mask
        for multiplier, shift in keys:
            mixed = (right + shift) * (multiplier | 1)
            left, right = right, left ^ ((mixed ^ (mixed >> 29)) >> 17 & mask)
        return (left << half) | right

    def shuffled(places: Tensor) -> Tensor:
        rows = scatter(places.numpy())
        while (outside := np.flatnonzero(rows >= n)).size:
            rows[outside] = scatter(rows[outside])
        return torch.from_numpy(rows)

    return shuffled


class SeededInitialization(TorchFunctionMode):
    """Within this context, parameters are initialised from one explicit generator.

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
        self.rng = generator(seed, "initialise")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in self._DRAWING and kwargs.get("generator") is None:
            kwargs["generator"] = self.rng
        return func(*args, **kwargs)

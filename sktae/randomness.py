"""All randomness of a fit: each draw has an address (seed, purpose, number).

A draw depends on its address alone, never on what was drawn before. So a resumed fit goes on with
the same sequence, two fits in two threads cannot disturb each other, and no global generator is
read or moved. Draws are made on the CPU, hence equal on every device.
"""

import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_PURPOSES = ("initialise", "split", "order", "noise", "validate", "probe", "score", "sample")


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


@dataclass(frozen=True)
class Normal:
    """Standard normal noise, `shape` numbers for each row."""

    shape: tuple[int, ...]

    def draw(self, rng: torch.Generator, rows: Tensor, data: Tensor) -> Tensor:
        return torch.randn((len(rows), *self.shape), generator=rng)


@dataclass(frozen=True)
class Mask:
    """Ones with probability `rate`, else zeros."""

    shape: tuple[int, ...]
    rate: float

    def draw(self, rng: torch.Generator, rows: Tensor, data: Tensor) -> Tensor:
        return (torch.rand((len(rows), *self.shape), generator=rng) < self.rate).float()


@dataclass(frozen=True)
class Partner:
    """Another row of the training data for each row."""

    def draw(self, rng: torch.Generator, rows: Tensor, data: Tensor) -> Tensor:
        if len(data) == 1:
            return data[rows]
        shift = torch.randint(1, len(data), rows.shape, generator=rng)
        return data[(rows + shift.to(rows.device)) % len(data)]


Draw = Normal | Mask | Partner


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

    def order(self, number: int) -> Tensor:
        """Return the rows of a pass, (steps_per_pass, batch_size)."""
        rows = torch.randperm(self.n_rows, generator=generator(self.seed, "order", number))
        wrapped = torch.cat([rows, rows])[: self.steps_per_pass * self.batch_size]
        return wrapped.reshape(self.steps_per_pass, self.batch_size)

    def draws(self, purpose: str, number: int, rows: Tensor, data: Tensor) -> tuple[Tensor, ...]:
        """Return the noise of one step for these rows."""
        if not self.noise:
            return ()
        rng = generator(self.seed, purpose, number)
        return tuple(draw.draw(rng, rows, data).to(data.device) for draw in self.noise)


class seeded_initialisation(TorchFunctionMode):
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

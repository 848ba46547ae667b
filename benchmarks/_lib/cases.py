"""A case compares contestants in each of its settings."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks._lib.measure import Lap, Run, in_turns

Rows = Iterable[dict[str, Any]]


class Case(NamedTuple):
    """A function that compares contestants in one setting, and the settings it is given."""

    title: str
    compared: Callable[..., Rows]
    full: Sequence[tuple]
    tiny: Sequence[tuple]
    threads: int

    def rows(self, args: Namespace) -> Rows:
        settings = {"full": self.full, "quick": self.full[:1], "tiny": self.tiny}
        for setting in settings[args.size]:
            yield from self.compared(args, *setting)


CASES: dict[str, Case] = {}


def case(title: str, *, full: Sequence[tuple], tiny: Sequence[tuple], threads=1) -> Callable:
    """Make a function a case of its name; its docstring says what it asks."""

    def add(compared: Callable[..., Rows]) -> Callable[..., Rows]:
        CASES[compared.__name__] = Case(title, compared, full, tiny, threads)
        return compared

    return add


def compare(
    args: Namespace, setting: str, runs: Mapping[str, Run], baseline: str, **options: Any
) -> list[dict[str, Any]]:
    """Run contestants in turn and return a row for each; options are those of `summed_up`."""
    return list(summed_up(setting, in_turns(runs, args.repeats), baseline, **options))


def summed_up(
    setting: str,
    laps: Mapping[str, Sequence[Lap]],
    baseline: str,
    *,
    shares: Mapping[str, float] | None = None,
    calls: int = 1,
    memory: Mapping[str, float] | None = None,
    **facts: Any,
) -> Iterator[dict[str, Any]]:
    """Sum up the laps of one setting.

    A contestant that did only a share of the work is scaled up to all of it. Where a lap consists
    of several calls, times are those of one. A ratio is the median over rounds, each of which saw
    the baseline at about the same speed of the machine. Memory was measured before.
    """
    shares = shares or {}

    def seconds(name: str, clock: str) -> list[float]:
        return [getattr(each, clock) / calls / shares.get(name, 1) for each in laps[name]]

    for name, own in laps.items():
        row = {"setting": setting, "contestant": name, "baseline": baseline}
        for clock in ("wall", "cpu"):
            times, base = seconds(name, clock), seconds(baseline, clock)
            ratios = [a / b for a, b in zip(times, base, strict=True) if b]
            row[f"{clock}_median"], row[f"{clock}_min"] = median(times), min(times)
            row[f"{clock}_ratio"] = median(ratios) if ratios else np.nan
        row |= {"share": shares.get(name, 1), "training_path": own[-1].training_path}
        if memory:
            row["memory_mb"] = memory.get(name, np.nan)
        yield {**row, **facts}


def table(n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Make rows near a curved surface of eight dimensions, about standardized."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_rows, 8), dtype=np.float32)
    mixing = rng.standard_normal((8, n_features), dtype=np.float32)
    X = np.tanh(factors @ mixing)
    X += 0.3 * rng.standard_normal(X.shape, dtype=np.float32)
    return (X - X.mean(0)) / X.std(0)

"""Axes: from values to places, and round numbers beside them."""

import math
from collections.abc import Iterable

import numpy as np

from sktae._report.elements import number
from sktae._report.page import UNITS, Tick


class Axis:
    """A range of values along a side of a chart.

    Parameters
    ----------
    low, high : float
        The ends of the range. If they are equal, it is a little wider.

    log : bool, default=False
        Whether equal steps are equal factors.

    margin : float, default=0.0
        The share of the range that is added at both ends.
    """

    def __init__(self, low: float, high: float, log: bool = False, *, margin: float = 0.0):
        self.log = log
        low, high = (math.log10(low), math.log10(high)) if log else (float(low), float(high))
        if not high > low:
            low, high = low - 0.5, low + 0.5
        extra = margin * (high - low)
        self.low, self.high = low - extra, high + extra

    def places(self, values: Iterable[float]) -> np.ndarray:
        """Return the places of values, from 0 at the low end to 1."""
        values = np.asarray(values, dtype=float)
        values = np.log10(values) if self.log else values
        return (values - self.low) / (self.high - self.low)

    def ticks(self, n: int = 5) -> list[Tick]:
        """Return about n round numbers in the range."""
        if self.log and self.high - self.low >= 1:
            powers = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
            values = [10.0**power for power in powers[:: math.ceil(len(powers) / n)]]
        else:
            low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
            rough = (high - low) / n
            power = 10.0 ** math.floor(math.log10(rough))
            step = power * next(s for s in (1, 2, 5, 10) if s * power >= rough * (1 - 1e-9))
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            values = [round(i * step, 12) for i in range(first, last + 1)]
        places = self.places(values)
        return [Tick(float(p), number(v)) for p, v in zip(places, values, strict=True)]


def line(x: np.ndarray, y: np.ndarray) -> str:
    """Return the path of a line through points in units of a chart; NaN interrupts it."""
    parts, is_new = [], True
    for a, b in zip(np.round(x), np.round(UNITS - y), strict=True):
        if math.isnan(b):
            is_new = True
            continue
        parts.append(f"{'M' if is_new else 'L'}{a:.0f} {b:.0f}")
        is_new = False
    return "".join(parts)


def dots(x: np.ndarray, y: np.ndarray) -> str:
    """Return the path of points: lines without length, which have round ends."""
    pairs = zip(np.round(x), np.round(UNITS - y), strict=True)
    return "".join(f"M{a:.0f} {b:.0f}h0" for a, b in pairs)

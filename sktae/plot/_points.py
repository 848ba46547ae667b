"""Points in axes, by their labels or numbers."""

import math
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd

from sktae.plot._axes import _COLORS, _MARKERS, _colormap, _legend

# More distinct numbers than this are drawn by a continuous color map, with a color bar.
_MAX_CLASSES = 10
# Color maps of up to so many colors are qualitative, such as "tab20".
_MAX_QUALITATIVE = 20
# The color of points whose label is unknown, on white and on black.
_GRAY = "0.55"
# Classes in one column of the legend.
_LEGEND_ROWS = 16


def _scatter(ax: Any, points: np.ndarray, labels: Any, style: dict[str, Any], cmap: Any) -> None:
    """Draw points: all alike, by a number, or by a label with a legend.

    Without a color map, labels have colors and markers that are told apart with any color vision.
    Those of unknown label are gray, beneath the others.
    """
    if labels is None:
        ax.scatter(*points.T, **style)
        return
    unknown = _unknown(labels)
    if unknown.any():
        name = None if unknown.all() else "unknown"
        ax.scatter(*points[unknown].T, label=name, **{"color": _GRAY, **style})
        points, labels = points[~unknown], _known(labels[~unknown])
    classes = np.unique(labels)
    if len(classes) > _MAX_CLASSES and labels.dtype.kind in "fiu":
        drawn = ax.scatter(*points.T, c=labels, cmap=cmap or "viridis", **style)
        bar = ax.figure.colorbar(drawn, ax=ax)
        bar.solids.set_alpha(1)
        return
    colors = _colors(len(classes), cmap)
    for number, (label, color) in enumerate(zip(classes, colors, strict=True)):
        look = {"color": color}
        if cmap is None:
            look["marker"] = _MARKERS[number // len(_COLORS) % len(_MARKERS)]
        ax.scatter(*points[labels == label].T, label=str(label), **{**look, **style})
    if not ax.get_legend_handles_labels()[0]:
        return
    _legend(ax, markerscale=2, ncols=math.ceil(len(classes) / _LEGEND_ROWS))
    for handle in ax.get_legend().legend_handles:
        handle.set_alpha(1)


def _unknown(labels: np.ndarray) -> np.ndarray:
    """Return which labels are missing, or are -1 beside several others that are not negative.

    Labels of -1 and 1 are those of outliers and inliers, and many numbers are no labels.
    """
    unknown = np.array(pd.isna(labels))
    known = labels[~unknown]
    others = set(known.tolist()) - {-1}
    numbers = [other for other in others if not isinstance(other, str)]
    if len(others) > 1 and (not numbers or (len(others) <= _MAX_CLASSES and min(numbers) >= 0)):
        unknown[~unknown] = known == -1
    return unknown


def _known(labels: np.ndarray) -> np.ndarray:
    """Return labels as they would be if none had been missing: no objects, no float for an int."""
    values = np.array(labels.tolist())
    is_whole = values.dtype.kind == "f" and (values == np.round(values)).all()
    return values.astype(np.int64) if is_whole else values


def _colors(n: int, cmap: Any) -> Iterator[Any]:
    """Return colors of n classes."""
    if cmap is None:
        return islice(cycle(_COLORS), n)
    colors = _colormap(cmap)
    # Colors of a qualitative map are taken in order, those of a continuous one evenly.
    if colors.N <= _MAX_QUALITATIVE:
        return (colors(number % colors.N) for number in range(n))
    return (colors(number / max(1, n - 1)) for number in range(n))

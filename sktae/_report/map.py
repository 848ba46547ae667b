"""The section with a map of the codes."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from sktae._report.axes import Axis, dots
from sktae._report.elements import Html, counted, element, number, percent
from sktae._report.page import UNITS, chart, drawing, legend, section
from sktae._report.subject import Subject

# Of more rows, so many are drawn: the most unusual ones, and others.
_POINTS, _UNUSUAL = 4_000, 1_000
# Labels of rows have at most so many characters here.
_LABEL = 30
# Directions of codes are learned from at most so many rows.
_LEARNED = 10_000


class Map(NamedTuple):
    """Places of rows on a map."""

    rows: np.ndarray  # their numbers, the most unusual first
    places: np.ndarray  # (n, 2), from 0 to 1
    names: tuple[str, str]  # of the axes
    note: str


def mapped(subject: Subject) -> Map | None:
    """Return a map of codes, None if there are no codes or too few rows."""
    codes = subject.codes()
    if codes is None or len(codes) < 3:
        return None
    n, k = codes.shape
    rows = subject.order
    if n > _POINTS:
        others = rows[_UNUSUAL:]
        some = np.linspace(0, len(others) - 1, _POINTS - _UNUSUAL).round().astype(int)
        rows = np.concatenate([rows[:_UNUSUAL], others[some]])
    codes = codes.astype(np.float64)
    if k == 2:
        points, names = codes[rows], ("component 0", "component 1")
        note = "The code has two components; these are the axes."
    elif k == 1:
        points = np.column_stack([codes[rows, 0], subject.anomalies[rows]])
        names = "component 0", "anomaly score"
        note = "The code has one component; the other axis is the anomaly score."
    else:
        step = -(-n // _LEARNED)
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore")  # codes may all be the same
            pca = PCA(2, random_state=0).fit(codes[::step])
        points, names = pca.transform(codes[rows]), ("direction 1", "direction 2")
        share = float(np.nan_to_num(pca.explained_variance_ratio_.sum()))
        note = (
            f"The code has {k:,} components. The axes are the two directions in which codes vary "
            f"most, found by PCA; they hold {percent(share)} of the variance of the codes."
        )
    if n > len(rows):
        note += (
            f" {len(rows):,} of {n:,} rows are drawn: the {_UNUSUAL:,} most unusual ones, and "
            f"others chosen evenly by their score."
        )
    axes = [Axis(column.min(), column.max(), margin=0.04) for column in points.T]
    places = np.column_stack([a.places(v) for a, v in zip(axes, points.T, strict=True)])
    return Map(rows, places, names, note)


def map_section(subject: Subject, found: Map, outliers: np.ndarray | None) -> Html:
    """Return the map, in which the flagged rows have another color and size."""
    flagged = subject.flagged[found.rows]
    x, y = UNITS * found.places.T
    known = None if outliers is None else outliers[found.rows]
    layers = [("dot known", known)] if known is not None else []
    layers += [("dot calm", ~flagged), ("dot flagged", flagged)]
    picture = drawing(
        *(element("path", d=dots(x[chosen], y[chosen]), class_=name) for name, chosen in layers),
        label=f"Map of the codes of {counted(len(x), 'row')}, of which {int(flagged.sum()):,} are "
        f"flagged. With the script of the page, arrow keys go from row to row.",
    )
    keys = [("calm", "not flagged"), ("flagged", "flagged")]
    keys += [("known", "known outlier")] if known is not None else []
    return section(
        "map",
        "Map of the rows",
        element("p", f"Rows with similar codes lie near each other. {found.note}"),
        element(
            "p",
            "Point at a row to read what it is. With the keyboard, select the map and press the "
            "arrow keys to go from the most unusual row to the next.",
            hidden=True,
            class_="needs-script",
        ),
        legend(keys),
        chart(
            picture, [], [], title=found.names[1], x_title=found.names[0], class_="bare", id="codes"
        ),
        element("p", class_="tip", id="tip", role="status", hidden=True),
    )


def map_summary(subject: Subject, found: Map) -> dict[str, Any]:
    """Return what the script of the page needs."""
    return {
        "x": np.round(found.places[:, 0], 4).tolist(),
        "y": np.round(found.places[:, 1], 4).tolist(),
        "labels": subject.labels(found.rows, _LABEL),
        "ranks": subject.ranks[found.rows].tolist(),
        "scores": [number(anomaly) for anomaly in subject.anomalies[found.rows]],
    }

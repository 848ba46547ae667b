"""The section on series: lines of channels and of the anomaly score, and the events in them."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from sktae._report.axes import Axis, line
from sktae._report.elements import Html, element, joined, number, shortened
from sktae._report.page import UNITS, drawing, legend, section
from sktae._report.quality import is_number
from sktae._report.subject import Series, Subject
from sktae._report.unusual import bars

# Series and channels that are drawn, those first in which most happens.
_SERIES, _CHANNELS = 6, 4
# Points of all lines together, by which the size of the page is bounded, and of one line.
_POINTS, _LINE = 120_000, 10_000
# Events that are marked, and how many times are known at the axis, of at most so many characters.
_EVENTS, _TIMES, _LABEL = 500, 1_000, 30
# Marks are at least one part of a timeline wide, of so many.
_NARROW = 350
# Channels that are named as reasons of an event.
_REASONS = 5


def timeline_section(subject: Subject, n_events: int) -> tuple[Html, dict[str, Any], int]:
    """Return timelines with their events, what the script needs, and the number of events."""
    events = _events(subject)
    n = sum(map(len, events))
    peaks = [subject.anomalies[series.rows].max(initial=-np.inf) for series in subject.series]
    numbers = range(len(events))
    most = sorted(numbers, key=lambda i: (-len(events[i]), -peaks[i]))[:_SERIES]
    chosen, drawn, times = sorted(most), [], list[dict[str, Any]]()
    for i in chosen:
        series = subject.series[i]
        drawn.append(_timeline(subject, series, events[i], len(chosen), len(times)))
        times.append(_times(series, _TIMES // len(chosen)))
    note = f"Events are flagged timestamps that lie close together. There are {n:,} of them."
    if len(chosen) < len(subject.series):
        note += (
            f" {len(chosen)} of {len(subject.series):,} series are drawn, those with most events."
        )
    keys = [(f"event {kind}", f"event: {kind}") for kind in ("shape", "jump", "level")]
    body = [
        element("p", note),
        element(
            "p",
            "To zoom in, use the buttons, draw over a part with the mouse, or select a timeline "
            "and press + and -; the arrow keys move along, and 0 shows all again.",
            class_="needs-script",
            hidden=True,
        ),
        legend([*keys, ("threshold", "threshold")]),
        *drawn,
        element("h3", "Events, the most unusual first"),
        _listed(subject, events, chosen, n_events),
    ]
    return section("timeline", "Timeline and events", *body), {"times": times}, n


def _events(subject: Subject) -> list[pd.DataFrame]:
    """Return the events of each series, with the numbers of its rows where they start and end."""
    found = subject.model.events(subject.inputs)
    if not isinstance(found, list):
        group = subject.model.group
        names = [series.name for series in subject.series]
        found = [found if group is None else found[found[group] == name] for name in names]
    placed = []
    for events, series in zip(found, subject.series, strict=True):
        first = ~series.frame.index.duplicated()  # rows with the same label count as one here
        labels, numbers = series.frame.index[first], np.flatnonzero(first)
        rows = {
            f"{n}_row": numbers[labels.get_indexer(events[n])] for n in ("start", "end", "peak")
        }
        placed.append(events.assign(**rows))
    return placed


def _timeline(
    subject: Subject, series: Series, events: pd.DataFrame, n_series: int, number_of: int
) -> Html:
    """Return the lines of the channels of a series above that of its anomaly score."""
    frame, n = series.frame, len(series.frame)
    channels = _shown(frame, events)
    n_points = max(200, min(_LINE, _POINTS // (n_series * (len(channels) + 1))))
    shades = _shades(events, n)
    tracks = []
    for i in channels:
        values = frame.iloc[:, i].to_numpy(float)
        low, high = _ends(values)
        picture = _line(values, n_points, Axis(low, high, margin=0.05), shades, n)
        ends = f"from {number(low)} to {number(high)}"
        tracks.append(_track(shortened(frame.columns[i]), ends, picture))
    anomalies = subject.anomalies[series.rows]
    low, high = min(0.0, anomalies.min()), max(anomalies.max(), subject.threshold)
    axis = Axis(low, high, margin=0.03)
    level = UNITS * (1 - axis.places([subject.threshold])[0])
    mark = element(
        "path",
        d=f"M0 {level:.1f}H{n}",
        class_="threshold",
        data_low=axis.low,
        data_high=axis.high,
        data_length=n,
    )
    picture = _line(anomalies, n_points, axis, [*shades, mark], n, "anomaly")
    tracks.append(_track("anomaly score", f"up to {number(high)}", picture))
    names = ("Zoom in", "+"), ("Zoom out", "−"), ("Earlier", "←"), ("Later", "→"), ("All", "all")
    buttons = (
        element("button", sign, type="button", aria_label=name, data_do=name)
        for name, sign in names
    )
    title = (
        f"{n:,} timestamps"
        if series.name is None
        else f"{shortened(series.name)}: {n:,} timestamps"
    )
    return element(
        "div",
        element(
            "div",
            element("h3", title),
            element("div", joined(buttons), class_="buttons needs-script", hidden=True),
            class_="bar",
        ),
        element("div", joined(tracks), class_="tracks", tabindex=0, role="group", aria_label=title),
        element("div", _ticks(frame.index), class_="x-ticks", aria_hidden="true"),
        class_="timeline",
        data_number=number_of,
        data_length=n,
    )


def _track(name: str, ends: str, picture: Html) -> Html:
    title = element("div", element("b", name), f", {ends}", class_="y-title")
    return element("div", title, picture, class_="track")


def _line(
    values: np.ndarray, n_points: int, axis: Axis, behind: Any, n: int, kind: str = ""
) -> Html:
    x, y = thinned(values, n_points)
    path = element("path", d=line(x, UNITS * axis.places(y)), class_=f"line {kind}".strip())
    label = "Line of the anomaly score" if kind else "Line of a channel"
    return drawing(joined(behind), path, label=label, box=f"0 0 {max(1, n - 1)} {UNITS}")


def thinned(values: np.ndarray, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and values of a line: of so many parts of a long one, the ends of their range.

    NaN stays where all values of a part are missing.
    """
    n = len(values)
    if n <= n_points:
        return np.arange(n), values
    starts = np.linspace(0, n, n_points // 2 + 1).astype(int)
    rows = []
    for start, end in pairwise(starts):
        part = values[start:end]
        if np.isnan(part).all():
            rows.append(start)
        else:
            rows += sorted({start + int(np.nanargmin(part)), start + int(np.nanargmax(part))})
    return np.array(rows), values[rows]


def _ends(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def _shown(frame: pd.DataFrame, events: pd.DataFrame) -> list[int]:
    """Return the numbers of the channels to draw: those that events name most often."""
    counts = pd.Series([name for names in events["channels"] for name in names], dtype=object)
    often = counts.value_counts()
    named = [int(often.get(name, 0)) for name in frame.columns]
    order = np.argsort(np.negative(named), kind="stable")
    numeric = [i for i in order.tolist() if is_number(frame.iloc[:, i])]
    return sorted(numeric[:_CHANNELS])


def _shades(events: pd.DataFrame, n: int) -> list[Html]:
    """Return what marks the events, in the color of their kind; each is wide enough to be seen."""
    least = n / _NARROW
    marks = []
    for event in events.nsmallest(_EVENTS, "score").sort_index().itertuples():
        width = max(event.end_row - event.start_row + 1, least)
        x = (event.start_row + event.end_row - width) / 2
        box = {"x": f"{x:.1f}", "y": 0, "width": f"{width:.1f}", "height": UNITS}
        marks.append(element("rect", **box, class_=f"event {event.kind}"))
    return marks


def _ticks(labels: pd.Index) -> Html:
    """Return five times at the axis of a whole series."""
    n = len(labels)
    places = np.linspace(0, n - 1, min(5, n)).round().astype(int)
    share = 100 / max(1, n - 1)
    return joined(
        element("span", shortened(labels[i]), style=f"left:{share * i:.2f}%") for i in places
    )


def _times(series: Series, n_times: int) -> dict[str, list[Any]]:
    """Return rows, in equal steps, and their labels, for the axis where a part is shown."""
    n = len(series.frame)
    rows = np.unique(np.linspace(0, n - 1, min(n, n_times)).round().astype(int))
    return {
        "rows": rows.tolist(),
        "labels": [shortened(series.frame.index[i], _LABEL) for i in rows],
    }


def _listed(subject: Subject, events: list[pd.DataFrame], chosen: list[int], n_events: int) -> Html:
    """Return the most unusual events, with what each channel adds at the peak."""
    order = sorted(
        ((event.score, i, event) for i, found in enumerate(events) for event in found.itertuples()),
        key=lambda one: one[:2],
    )[:n_events]
    if not order:
        return element("p", "There are none.")
    contributions = None
    if any(event.channels for *_, event in order):
        found = subject.model.explain(subject.inputs)
        parts = found if isinstance(found, list) else [found]
        contributions = np.concatenate([np.asarray(part) for part in parts])
    cards = []
    for place, (_, i, event) in enumerate(order):
        series = subject.series[i]
        row = series.rows[event.peak_row]
        name = "" if series.name is None else f"{shortened(series.name)}: "
        facts = f"{event.kind}; peak at {event.peak}; anomaly score {number(-event.score)}"
        show = element(
            "button",
            "Show",
            type="button",
            class_="needs-script",
            hidden=True,
            aria_label=f"Show event {place + 1}",
            data_show=chosen.index(i) if i in chosen else None,
            data_start=event.start_row,
            data_end=event.end_row,
        )
        title = f"{place + 1}. {name}{event.start}"
        title += "" if event.start == event.end else f" to {event.end}"
        parts = [] if contributions is None else [_reasons(series, event, contributions[row])]
        cards.append(
            element(
                "article",
                element("h4", title, element("span", "flagged", class_="badge")),
                element("p", facts, class_="note"),
                show if i in chosen else None,
                *parts,
                data_rank=subject.ranks[row],
            )
        )
    rest = sum(map(len, events)) - len(order)
    more = element("p", f"and {rest:,} more", class_="note") if rest else None
    return joined([element("div", joined(cards), class_="cards"), more])


def _reasons(series: Series, event: Any, contributions: np.ndarray) -> Html:
    leading = np.argsort(-contributions, kind="stable")[:_REASONS]
    names = [shortened(series.frame.columns[i]) for i in leading]
    values = series.frame.iloc[event.peak_row]
    cells = [[number(values.iloc[i])] for i in leading]
    return bars(names, contributions[leading], cells, ["Channel", "Value at the peak", "Adds"])

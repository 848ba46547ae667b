"""The section on scores: their histogram, a threshold that can be moved, and what is flagged."""

from typing import Any

import numpy as np

from sktae._report.axes import Axis
from sktae._report.elements import Html, counted, element, number, percent
from sktae._report.page import UNITS, chart, drawing, legend, section
from sktae._report.subject import Subject

# Bars of the histogram, and places of the slider.
_BARS, _STOPS = 60, 401
# The histogram ends at so many times the distance from the median to the last of a hundred rows, so
# that a few rows far away do not squeeze all others into one bar.
_REACH = 4
# So many flagged rows are named.
_NAMED = 300


class Thresholds:
    """Thresholds to choose from, and how many rows are above each.

    Parameters
    ----------
    subject : Subject
        The rows and their anomaly scores.

    outliers : ndarray of shape (n_samples,), bool, or None
        Which rows are known to be outliers.
    """

    def __init__(self, subject: Subject, outliers: np.ndarray | None):
        ascending = subject.anomalies[subject.order[::-1]]
        middle, far = np.quantile(ascending, [0.5, 0.99])
        low = min(ascending[0], subject.threshold)
        high = max(subject.threshold, min(ascending[-1], middle + _REACH * (far - middle)))
        self.axis = Axis(low, high, margin=0.02)
        self.is_cut = bool(ascending[-1] > self.axis.high)
        stops = np.linspace(self.axis.low, self.axis.high, _STOPS)
        self.fitted = int(abs(stops - subject.threshold).argmin())
        stops[self.fitted] = subject.threshold
        self.total, self.stops = len(ascending), stops
        self.counts = len(ascending) - np.searchsorted(ascending, stops, "right")
        self.hits = None
        if outliers is not None:
            found = np.append(0, np.cumsum(outliers[subject.order]))
            self.hits = found[self.counts]
        calibration = subject.model.calibration_scores_
        self.alarms = None
        if calibration is not None:  # as `p_values` counts
            n = len(calibration)
            self.alarms = (1 + calibration.searchsorted(-stops, "left")) / (1 + n)

    def summary(self, n_outliers: int | None) -> dict[str, Any]:
        """Return what the script of the page needs."""
        return {
            "total": self.total,
            "stops": [number(stop) for stop in self.stops],
            "values": [float(f"{stop:.6g}") for stop in self.stops],
            "places": np.round(self.axis.places(self.stops), 5).tolist(),
            "counts": self.counts.tolist(),
            "hits": None if self.hits is None else self.hits.tolist(),
            "outliers": n_outliers,
            "alarms": None if self.alarms is None else [percent(a) for a in self.alarms],
            "fitted": self.fitted,
        }


def scores_section(subject: Subject, thresholds: Thresholds, word: str, n_linked: int) -> Html:
    """Return the histogram, the slider, the counts and the flagged rows.

    The first ones are links to where they are explained.
    """
    anomalies, axis = subject.anomalies, thresholds.axis
    place = axis.places([subject.threshold])[0]
    shown = np.clip(axis.places(anomalies), 0, 1 - 1e-9)
    heights, _ = np.histogram(shown, bins=_BARS, range=(0, 1))
    y_axis = Axis(0.7, max(10, heights.max()) * 1.1, log=True)
    tops = UNITS * y_axis.places(np.maximum(heights, 0.7))
    width = UNITS / _BARS
    bars = "".join(
        f"M{width * i + 1:.1f} {UNITS}V{UNITS - top:.1f}h{width - 2:.1f}V{UNITS}z"
        for i, (top, n) in enumerate(zip(tops, heights, strict=True))
        if n
    )
    at = UNITS * place
    clips = (("below", 0, at), ("above", at, UNITS - at))
    picture = drawing(
        element(
            "defs",
            *(element("clipPath", _rect(x, w), id=f"clip-{name}") for name, x, w in clips),
        ),
        *(
            element("path", d=bars, class_=f"bar {name}", clip_path=f"url(#clip-{name})")
            for name, *_ in clips
        ),
        element("path", d=f"M{at:.1f} 0V{UNITS}", class_="threshold", id="threshold-line"),
        label=f"Histogram of the anomaly scores of {counted(len(anomalies), word)}. The threshold "
        f"is {number(subject.threshold)}; {int(thresholds.counts[thresholds.fitted]):,} are above.",
    )
    slider = element(
        "div",
        element("label", "Threshold", for_="slider"),
        element(
            "input",
            type="range",
            id="slider",
            min=0,
            max=_STOPS - 1,
            value=thresholds.fitted,
            step=1,
            aria_valuetext=number(subject.threshold),
        ),
        class_="slider",
        hidden=True,
    )
    x_title = "anomaly score" + (
        f" (the last bar holds all scores above {number(axis.high)})" if thresholds.is_cut else ""
    )
    histogram = chart(
        picture,
        axis.ticks(6),
        y_axis.ticks(4),
        slider,
        title=f"{word}s in each bar (logarithmic axis)",
        x_title=x_title,
        id="histogram",
    )
    keys = legend([("below", "not flagged"), ("above", "flagged"), ("threshold", "threshold")])
    reset = element(
        "button", "Back to the fitted threshold", type="button", id="reset", hidden=True
    )
    return section(
        "scores",
        "Scores and threshold",
        element(
            "p",
            f"The higher the anomaly score of a {word}, the more unusual it is. Those above the "
            f"threshold are flagged.",
        ),
        keys,
        histogram,
        element("div", _counts(subject, thresholds, word), reset, class_="outcome"),
        element("h3", f"Flagged {word}s, the most unusual first"),
        _names(subject, thresholds, n_linked),
    )


def _rect(x: float, width: float) -> Html:
    return element("rect", x=f"{x:.1f}", y=0, width=f"{max(0, width):.1f}", height=UNITS)


def _counts(subject: Subject, thresholds: Thresholds, word: str) -> Html:
    """Return what the threshold leads to, in numbers that the script replaces."""
    i, n = thresholds.fitted, len(subject.anomalies)
    count = int(thresholds.counts[i])
    facts = [
        ("Threshold", number(subject.threshold), "threshold"),
        (f"Flagged {word}s", f"{count:,} of {n:,} ({percent(count / n)})", "count"),
    ]
    if thresholds.alarms is not None:
        alarms = percent(thresholds.alarms[i])
        facts.append((f"New normal {word}s that would be flagged", f"about {alarms}", "alarms"))
    if thresholds.hits is not None:
        n_outliers = int(thresholds.hits.max())
        facts.append(
            ("Known outliers among them", f"{int(thresholds.hits[i]):,} of {n_outliers:,}", "hits")
        )
    pairs = (
        element("div", element("dt", name), element("dd", text, id=f"now-{key}"))
        for name, text, key in facts
    )
    return element("div", element("dl", *pairs, class_="facts"), role="status")


def _names(subject: Subject, thresholds: Thresholds, n_linked: int) -> Html:
    labels = subject.labels(subject.order[:_NAMED])
    count = int(thresholds.counts[thresholds.fitted])
    items = (
        element(
            "li",
            element("a", label, href=f"#row-{rank}") if rank < n_linked else label,
            data_rank=rank,
            hidden=rank >= count,
        )
        for rank, label in enumerate(labels)
    )
    rest = max(0, count - len(labels))
    return element(
        "div",
        element("ol", *items, class_="names", id="flagged", tabindex=0, aria_label="Flagged"),
        element("p", f"and {rest:,} more", id="flagged-rest", hidden=not rest),
        element("p", "None is flagged.", id="flagged-none", hidden=count > 0),
    )

"""The section on the most unusual rows of a table, and why they are."""

import math
from typing import Any

import numpy as np

from sktae._outliers.scores import p_values
from sktae._report.elements import Html, counted, element, joined, number, shortened
from sktae._report.page import section
from sktae._report.quality import is_number, typical
from sktae._report.subject import Reasons, Subject

# Columns that are named as reasons of a row.
_REASONS = 5


def unusual_section(
    subject: Subject, reasons: Reasons, rows: np.ndarray, outliers: np.ndarray | None
) -> Html:
    """Return the most unusual rows, each with the columns that make it so."""
    p, cards = None, []
    if subject.model.calibration_scores_ is not None:
        p = p_values(subject.model, -subject.anomalies[rows])
    leading = leading_columns(reasons)
    usual = {i: _usual(reasons, i) for i in {*leading.ravel().tolist()}}
    labels = subject.labels(rows)
    for rank, row in enumerate(rows):
        facts = [f"anomaly score {number(subject.anomalies[row])}"]
        facts += [] if p is None else [f"p-value {number(p[rank])}"]
        if outliers is not None and outliers[row]:
            facts.append("a known outlier")
        badge = element("span", "flagged", class_="badge", hidden=not subject.flagged[row])
        cards.append(
            element(
                "article",
                element("h3", f"{rank + 1}. Row {labels[rank]} ", badge),
                element("p", "; ".join(facts), class_="note"),
                _bars(reasons, leading[rank], rank, row, usual),
                id=f"row-{rank}",
                data_rank=rank,
                class_=None if subject.flagged[row] else "calm",
            )
        )
    return section(
        "unusual",
        "The most unusual rows",
        element(
            "p",
            f"These are the {counted(len(rows), 'row')} with the highest anomaly scores. A bar is "
            f"what a column adds to the score; all columns add up to it. Usual is, among the rows "
            f"of this page, the range of the middle 90 % of the numbers in a column, or its most "
            f"frequent category.",
        ),
        element("div", joined(cards), class_="cards"),
    )


def leading_columns(reasons: Reasons) -> np.ndarray:
    """Return the numbers of the columns that add most to the anomaly of each row, (n, few)."""
    return np.argsort(-reasons.contributions, axis=1, kind="stable")[:, :_REASONS]


def bars(names: list[str], contributions: np.ndarray, cells: list[list[Any]], head: Any) -> Html:
    """Return contributions as bars, each with its name before it and cells between them."""
    largest = max(abs(contributions).max(initial=0), 1e-12)
    digits = max(0, 2 - math.floor(math.log10(largest)))
    rows = []
    for name, contribution, own in zip(names, contributions, cells, strict=True):
        width = f"width:{max(0.0, 100 * contribution / largest):.1f}%"
        bar = element("span", element("i", style=width), class_="bar-track", aria_hidden="true")
        size = element(
            "td", element("div", bar, element("span", f"{contribution:,.{digits}f}")), class_="adds"
        )
        cells_ = (element("td", value) for value in own)
        rows.append(element("tr", element("th", name, scope="row"), *cells_, size))
    titles = (element("th", text, scope="col") for text in head)
    return element(
        "table",
        element("thead", element("tr", *titles)),
        element("tbody", joined(rows)),
        class_="reasons",
    )


def _bars(
    reasons: Reasons, leading: np.ndarray, rank: int, row: int, usual: dict[int, str]
) -> Html:
    contributions = reasons.contributions[rank]
    names = [shortened(reasons.names[i]) for i in leading]
    cells = [[_value(reasons, row, i), usual[i]] for i in leading.tolist()]
    shown = bars(names, contributions[leading], cells, ["Column", "Value", "Usual", "Adds"])
    n_others = len(contributions) - len(leading)
    if not n_others:
        return shown
    rest = number(np.delete(contributions, leading).sum())
    others = f"{counted(n_others, 'other column')}: {rest}"
    return joined([shown, element("p", others, class_="note")])


def _value(reasons: Reasons, row: int, i: int) -> str:
    if reasons.frame is None:
        return ""
    column = reasons.frame.iloc[:, i]
    value = column.iloc[row]
    if _is_missing(value):
        return "missing"
    return number(value) if is_number(column) else shortened(value)


def _usual(reasons: Reasons, i: int) -> str:
    return "" if reasons.frame is None else typical(reasons.frame.iloc[:, i])


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # NaN and NaT differ from themselves

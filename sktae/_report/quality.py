"""The section on the quality of the data."""

from typing import Any

import numpy as np
import pandas as pd

from sktae._report.elements import Html, counted, element, joined, number, percent, shortened
from sktae._report.page import section, table

# So many columns are listed, those first that something is said of.
_COLUMNS = 60


class Quality:
    """What is missing, constant or doubled in a table.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    """

    def __init__(self, frame: pd.DataFrame):
        frame = frame.set_axis(range(frame.shape[1]), axis=1)  # names may occur twice
        self.missing = frame.isna().sum().to_numpy()
        self.distinct = frame.nunique().to_numpy()
        self.constant = (self.distinct <= 1) & (self.missing == 0)
        self.empty = self.missing == len(frame)
        self.n_doubled = int(frame.duplicated().sum())
        self.share_missing = float(self.missing.sum() / max(1, frame.size))


def quality_section(frame: pd.DataFrame, found: Quality, is_series: bool) -> Html:
    """Return the section on what is missing, constant or doubled."""
    n_rows, n_columns = frame.shape
    names = [shortened(name) for name in frame.columns]
    word = "timestamp" if is_series else "row"
    facts = [
        (f"{word.capitalize()}s", f"{n_rows:,}"),
        ("Channels" if is_series else "Columns", f"{n_columns:,}"),
        ("Missing values", _missing(found, n_rows)),
        ("Constant columns", _listed(names, found.constant)),
        ("Columns without any value", _listed(names, found.empty)),
    ]
    if not is_series:
        doubled = f"{found.n_doubled:,} ({percent(found.n_doubled / max(1, n_rows))})"
        facts.append(("Rows that repeat an earlier row", doubled if found.n_doubled else "none"))
    issues = found.constant | found.empty
    order = np.lexsort((np.arange(n_columns), -found.missing, ~issues))[:_COLUMNS]
    order = order if n_columns > _COLUMNS else np.arange(n_columns)
    rows = [_column(names[i], frame.iloc[:, i], found, i) for i in order]
    head = "Column", "Kind", "Missing", "Distinct values", "Typical values"
    title = (
        f"All {n_columns:,} columns"
        if len(order) == n_columns
        else (f"{len(order)} of {n_columns:,} columns, those with missing or constant values first")
    )
    details = element("details", element("summary", title), table(head, rows, numeric=(2, 3)))
    return section("quality", "Data quality", facts_list(facts), details)


def facts_list(facts: Any) -> Html:
    """Return names and what is said of them."""
    pairs = (element("div", element("dt", n), element("dd", text)) for n, text in facts)
    return element("dl", joined(pairs), class_="facts")


def typical(values: pd.Series) -> str:
    """Return what values are like: the range of the middle 90 % of numbers, or the most usual."""
    known = values.dropna()
    if known.empty:
        return "none"
    if is_number(known):
        low, high = np.quantile(known.to_numpy(float), [0.05, 0.95])
        return number(low) if low == high else f"{number(low)} to {number(high)}"
    counts = known.astype(str).value_counts()
    most = counts[counts == counts.iloc[0]].index.min()
    return f"{shortened(most)} ({percent(counts.iloc[0] / len(known))})"


def is_number(values: pd.Series) -> bool:
    """Return whether a column holds numbers, other than booleans."""
    is_numeric = pd.api.types.is_numeric_dtype(values)
    return is_numeric and not pd.api.types.is_bool_dtype(values)


def _column(name: str, values: pd.Series, found: Quality, i: int) -> list[Any]:
    kind = "number" if is_number(values) else "category"
    missing = percent(found.missing[i] / max(1, len(values))) if found.missing[i] else "0"
    return [name, kind, missing, f"{found.distinct[i]:,}", typical(values)]


def _missing(found: Quality, n_rows: int) -> str:
    n = int(found.missing.sum())
    if not n:
        return "none"
    columns = counted(int((found.missing > 0).sum()), "column")
    return f"{n:,} ({percent(found.share_missing)} of all values), in {columns}"


def _listed(names: list[str], chosen: np.ndarray) -> str:
    some = [name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen]
    if not some:
        return "none"
    rest = f" and {len(some) - 8:,} more" if len(some) > 8 else ""
    return f"{len(some):,}: {', '.join(some[:8])}{rest}"

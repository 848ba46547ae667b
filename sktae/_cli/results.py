"""Scores, reasons and events as tables, and how well outliers are found."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from sktae._cli.console import Console
from sktae._cli.rows import Rows
from sktae._outliers.scores import p_values
from sktae._pipelines import events, explain, last_step

# So many columns at most are given as reasons, if each adds this share of the anomaly or more.
_REASONS, _LEAST = 3, 0.1
# So many rows or events are shown.
SHOWN = 5


def scored(model: Any, rows: Rows) -> pd.DataFrame:
    """Return a table with the score of each row, whether it is an outlier, and why.

    A row without any value has no score and no label.
    """
    last, observed = last_step(model), rows.observed
    X = rows.X[observed]
    scores = model.score_samples(X)
    flagged = scores < last.offset_
    found: dict[str, Any] = {"score": scores}
    if last.calibration_scores_ is not None:
        found["p_value"] = p_values(last, scores)
    found["outlier"] = flagged
    found |= {f"reason_{n + 1}": None for n in range(_REASONS)}
    table = pd.DataFrame(found, index=np.flatnonzero(observed))
    if flagged.any():
        # Of a series, all rows: the reasons of a row depend on those around it.
        some = np.ones(len(X), bool) if rows.series else flagged
        contributions = explain(model, X[some])[flagged[some]]
        reasons = _reasons(contributions, X[flagged].assign(**rows.written))
        table.loc[flagged, table.columns[-_REASONS:]] = reasons
    return pd.concat([rows.beside, table.reindex(range(len(rows.X)))], axis=1)


def _reasons(contributions: pd.DataFrame, X: pd.DataFrame) -> np.ndarray:
    """Return the columns that add most to the anomaly of rows, as "column=value", (n, 3)."""
    numbers = contributions.to_numpy()
    least = _LEAST * numbers.sum(axis=1)
    order = np.argsort(-numbers, axis=1, kind="stable")[:, :_REASONS]
    reasons = np.full((len(X), _REASONS), None, dtype=object)
    for row, columns in enumerate(order):
        for place, column in enumerate(columns):
            if numbers[row, column] > max(0, least[row]):
                name = contributions.columns[column]
                value = _text(X[name].iloc[row]) if name in X else ""
                reasons[row, place] = f"{name}={value}"
    return reasons


def _text(value: Any) -> str:
    if pd.isna(value):
        return "missing"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def shown(table: pd.DataFrame, beside: list[str]) -> list[dict[str, Any]]:
    """Return the most unusual outliers of a table, each with its number, counted from 0."""
    worst = table[table["outlier"].eq(True)].nsmallest(SHOWN, "score")
    keys = [*beside, "score", *(["p_value"] if "p_value" in table else [])]
    reasons = worst.filter(regex=r"^reason_\d$")
    return [
        {
            "row": int(number),
            **{key: None if pd.isna(row[key]) else row[key] for key in keys},
            "reasons": [str(reason) for reason in reasons.loc[number].dropna()],
        }
        for number, row in worst.iterrows()
    ]


def alarms(model: Any, rows: Rows, table: pd.DataFrame) -> pd.DataFrame:
    """Return the outliers of a table, the most unusual first, or the events of a series."""
    if rows.series:
        found = events(model, rows.X)
        found["channels"] = found["channels"].map(", ".join)
        return found
    found = table[table["outlier"].eq(True)].sort_values("score").drop(columns="outlier")
    found.insert(0, "row", found.index)
    return found


def agreement(labels: pd.Series, scores: pd.Series, console: Console) -> dict[str, float]:
    """Return how well scores tell the rows that labels say are outliers from the others."""
    outliers = are_outliers(labels)
    both = outliers.notna() & scores.notna()
    truth, anomalies = outliers[both].astype(bool), -scores[both]
    if truth.nunique() < 2:
        console.note(
            f"Labels of {labels.name!r} are all the same, so nothing says how good scores are."
        )
        return {}
    return {
        "labeled_outliers": int(truth.sum()),
        "auroc": float(roc_auc_score(truth, anomalies)),
        "average_precision": float(average_precision_score(truth, anomalies)),
    }


def are_outliers(labels: pd.Series) -> pd.Series:
    """Return which rows are outliers by their labels: True, False, or missing."""
    values = set(labels.dropna().tolist())
    for outlier, normal in ((1, 0), (-1, 1)):
        if values <= {outlier, normal}:
            return labels.map({outlier: True, normal: False})
    raise ValueError(
        f"Labels must be 1 for outliers and 0 for normal rows, or -1 for outliers and 1 for normal "
        f"rows, but column {labels.name!r} holds {sorted(map(str, values))[:5]}."
    )

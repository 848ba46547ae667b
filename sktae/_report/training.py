"""The section on the training: how the loss fell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktae._report.axes import Axis, line
from sktae._report.elements import Html, element, number
from sktae._report.page import UNITS, chart, drawing, legend, section
from sktae.timeseries.detector import WindowedDetector

# Curves of so many members of an ensemble are drawn, and so many terms of an objective.
_MEMBERS, _TERMS = 16, 4
# The axis of the loss is logarithmic if the largest is so many times the smallest.
_FAR = 30
# Where losses end, these count.
_LOSSES = {"train_loss": "training rows", "valid_loss": "rows held out for early stopping"}


def histories(model: Any) -> list[pd.DataFrame]:
    """Return the history of each network that was trained: of members, or of sizes of windows."""
    if isinstance(model, WindowedDetector):
        models = [shape.estimator for shape in model._kinds.shapes]
    else:
        models = [model]
    members = (member for one in models for member in getattr(one, "estimators_", [one]))
    return [member.history_ for member in members if hasattr(member, "history_")]


def training_section(found: Sequence[pd.DataFrame], is_series: bool) -> Html | None:
    """Return the curves of the losses, None where no network has been trained."""
    if not found:
        return None
    curves = _curves(found)
    steps = [history["step"].to_numpy(float) for history, *_ in curves]
    losses = [history[column].to_numpy(float) for history, column, *_ in curves]
    finite = np.concatenate(losses)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return None
    low, high = finite.min(), finite.max()
    is_log = bool(low > 0 and high > _FAR * low)
    x_axis, y_axis = Axis(0, max(map(np.max, steps))), Axis(low, high, is_log, margin=0.04)
    paths = (
        element("path", d=line(UNITS * x_axis.places(x), UNITS * y_axis.places(y)), class_=kind)
        for x, y, (*_, kind) in zip(steps, losses, curves, strict=True)
    )
    keys = dict.fromkeys((kind, name) for _, _, name, kind in curves)
    first, last = map(number, found[0]["train_loss"].iloc[[0, -1]])
    n_steps = f"{int(found[0]['step'].iloc[-1]):,}"
    text = f"In {n_steps} steps, the loss of training rows fell from {first} to {last}."
    if last == first or found[0]["train_loss"].iloc[-1] > found[0]["train_loss"].iloc[0]:
        text = f"In {n_steps} steps, the loss of training rows went from {first} to {last}."
    if is_series and len(found) > 1:
        text += " Each curve is that of one size of windows; the first is that of the longest."
    elif len(found) > 1:
        text += " Each curve is that of one member; the first one is described."
    if is_log:
        text += " The axis of the loss is logarithmic."
    label = f"Curves of the loss. {text}"
    return section(
        "training",
        "Training",
        element("p", text),
        legend(keys),
        chart(
            drawing(*paths, label=label),
            x_axis.ticks(5),
            y_axis.ticks(4),
            title="loss",
            x_title="training step",
            class_="low",
        ),
    )


def _curves(found: Sequence[pd.DataFrame]) -> list[tuple[pd.DataFrame, str, str, str]]:
    """Return history, column, name and class of each curve."""
    if len(found) > 1:
        return [(one, "train_loss", "training rows", "curve c0") for one in found[:_MEMBERS]]
    history = found[0]
    curves = [
        (history, column, name, f"curve c{i}")
        for i, (column, name) in enumerate(_LOSSES.items())
        if column in history
    ]
    terms = [c for c in history if c.startswith("train_") and c not in _LOSSES]
    terms = [c for c in terms if pd.api.types.is_float_dtype(history[c])][:_TERMS]
    return curves + [
        (history, term, term.removeprefix("train_").replace("_", " "), f"curve thin c{i + 2}")
        for i, term in enumerate(terms)
    ]

"""The model card: what the detector is, how it was made, and what it promises."""

import inspect
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import sklearn
import torch

from sktae._report.elements import Html, counted, element, percent, shortened
from sktae._report.page import section, table
from sktae._report.quality import facts_list
from sktae._report.subject import Subject


def card_section(subject: Subject, histories: Sequence[pd.DataFrame], word: str) -> Html:
    """Return what the detector is, how it was made, and what it promises."""
    model = subject.model
    facts = [("Class", type(model).__name__)]
    if subject.before is not None:
        steps = ", ".join(_plain(step) for _, step in subject.before.steps)
        facts.append(("Steps before it", steps))
    memory = getattr(getattr(model, "_fitted", None), "memory", None)
    if memory is not None:
        facts.append(("Training rows", f"{memory.n_rows:,}"))
    facts.append(("Random seed", _plain(model.random_state)))
    if histories:
        seconds = [float(history["seconds"].sum()) for history in histories]
        trained = getattr(model, "estimators_", [model])[0]
        together = getattr(trained, "training_path_", None) == "stacked"
        total = max(seconds) if together else sum(seconds)
        facts.append(("Seconds of training", f"{total:.1f}"))
    facts.append(("Promise", promise(model, word)))
    changed = [(name, _plain(value)) for name, value in _changed(model)]
    settings = (
        table(("Parameter", "Value"), changed, name="Parameters")
        if changed
        else element("p", "All parameters have their default values.")
    )
    versions = [(name, text) for name, text in _versions().items()]
    return section(
        "model",
        "Model card",
        facts_list(facts),
        element("h3", "Parameters that differ from the default"),
        settings,
        element("h3", "Versions with which this report was written"),
        facts_list(versions),
    )


def promise(model: Any, word: str) -> str:
    """Return what a threshold promises, in a sentence or two."""
    calibration, rate = model.calibration_scores_, percent(model.false_alarm_rate)
    compared = (
        ""
        if calibration is None
        else (
            f" The threshold comes from the scores of {counted(len(calibration), word)} that were "
            f"not trained on (calibration={model.calibration!r})."
        )
    )
    if getattr(model, "false_alarms_per", None) is not None:
        return f"One false event, on average, in {model.false_alarms_per} of normal rows.{compared}"
    if model.contamination is None:
        return f"The threshold is beyond all {word}s that it was set by.{compared}"
    if model.contamination != "auto":
        share = percent(model.contamination)
        return f"{share} of the training {word}s are flagged (contamination)."
    if calibration is None:
        return f"{rate} of the training {word}s are flagged (false_alarm_rate)."
    return f"Of new normal {word}s, about {rate} are flagged (false_alarm_rate).{compared}"


def _changed(model: Any) -> list[tuple[str, Any]]:
    """Return the parameters that differ from the default, and their values."""
    defaults = inspect.signature(type(model)).parameters
    values = model.get_params(deep=False)
    return [
        (name, value)
        for name, value in values.items()
        if repr(value) != repr(defaults[name].default)
    ]


def _plain(value: Any) -> str:
    """Return how a value is written, without addresses of memory, which differ in each process."""
    if isinstance(value, np.generic):
        value = value.item()
    return shortened(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)))


def _versions() -> dict[str, str]:
    return {
        "sktae": version("sktae"),
        "Python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "pandas": pd.__version__,
    }

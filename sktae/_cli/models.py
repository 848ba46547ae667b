"""Estimators by name, with parameters as text."""

import ast
import difflib
from collections.abc import Sequence
from typing import Any

import typer
from sklearn.decomposition import PCA

from sktae import WindowedDetector, all_estimators

# With more of them, PCA reproduces anomalies, too.
_PCA_COMPONENTS = 8
_WORDS = {"true": True, "false": False, "none": None}


def class_of(name: str) -> Any:
    """Return the class of an estimator, or raise and name the most similar one."""
    classes = {cls.__name__: cls for cls in (*all_estimators(), WindowedDetector, PCA)}
    if name not in classes:
        lower = {known.lower(): known for known in classes}
        similar = difflib.get_close_matches(name.lower(), lower, n=1)
        but = f", but there is {lower[similar[0]]}" if similar else ""
        raise typer.BadParameter(
            f"There is no estimator {name!r} here{but}; `sktae list` lists all."
        )
    return classes[name]


def build(
    name: str | None,
    settings: Sequence[str] | None,
    *,
    seed: int,
    series: bool = False,
    categories: Sequence[str] = (),
    verbose: bool = False,
    default: Any = None,
    **others: Any,
) -> Any:
    """Return an unfitted estimator.

    Parameters
    ----------
    name : str or None
        Its class; of a series, the class of the one in a `WindowedDetector`, where PCA is one, too.
        None for `default`.

    settings : sequence of str or None
        Parameters as "name=value".

    seed : int
        Its random state.

    series : bool, default=False
        Whether rows are those of a series.

    categories : sequence of str, default=()
        Columns that are categories, beside those that a setting declares.

    verbose : bool, default=False
        Whether a fit shows its progress.

    default : estimator, default=None
        What is returned, with the settings, if there is no name and no series.

    **others : dict
        More parameters; those that are None are left out.
    """
    if name is None or name == WindowedDetector.__name__:
        inner = class_of("DenoisingAutoencoder")(training_data="clean") if series else default
    elif name == PCA.__name__:
        if not series:
            raise typer.BadParameter("PCA judges time series only; `sktae list` lists the others.")
        inner = PCA(_PCA_COMPONENTS)
    else:
        inner = class_of(name)()
    if name != PCA.__name__:
        inner.set_params(verbose=int(verbose))
    estimator = class_of("WindowedDetector")(inner) if series else inner
    estimator.set_params(random_state=seed)
    chosen = {key: value for key, value in others.items() if value is not None}
    chosen |= dict(_parsed(estimator, setting) for setting in settings or ())
    declared = chosen.get("categorical_features", "from_dtype")
    if categories and declared != "from_dtype":
        chosen["categorical_features"] = [*(declared or ()), *categories]
    estimator.set_params(**chosen)
    try:
        estimator._validate_params()
        inner._validate_params()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return estimator


def _parsed(estimator: Any, setting: str) -> tuple[str, Any]:
    """Return the name and the value of a parameter that is written as "name=value"."""
    name, sign, text = setting.partition("=")
    if not sign:
        raise typer.BadParameter(
            f"--set takes a name and a value, as in n_components=4, not {setting!r}."
        )
    owner, own = estimator, name
    series = isinstance(estimator, WindowedDetector)
    if series and name.startswith("estimator__"):
        owner, own = estimator.estimator, name.removeprefix("estimator__")
    parameters = owner.get_params(deep=False)
    if own not in parameters:
        inside = owner is estimator and series and own in estimator.estimator.get_params()
        cure = f"write estimator__{own}" if inside else f"it has {', '.join(parameters)}"
        raise typer.BadParameter(f"{type(owner).__name__} has no parameter {own!r}; {cure}.")
    return name, _value(text, owner._parameter_constraints[own])


def _value(text: str, allowed: Sequence[Any]) -> Any:
    """Return the value that a text stands for: a number, a tuple, True, False, None, or itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    # Names of columns.
    return text.split(",") if "array-like" in allowed and text != "from_dtype" else text

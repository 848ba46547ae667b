"""Methods of detectors, for pipelines that end with one and for searches that have chosen one."""

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing

from sktae.inputs.columns import is_frame
from sktae.inputs.dtypes import container_of

# A column of a step: the number of the column of X that it comes from, or the name that a step gave
# it, which has made it of several.
Origin = int | str

# How columns are numbered in names: by a character that no other name has.
_NUMBERED = re.compile("\0([0-9]+)\0")


def explain(estimator: Any, X: Any) -> Any:
    """Compute which columns make rows unusual, for the columns before a pipeline.

    The steps of the pipeline transform the rows, and the detector at its end explains them. What it
    says of a column counts for the column of `X` that this column comes from, and is added up where
    a step makes several columns of one, as `OneHotEncoder` does. A step that makes one column of
    several, such as `PCA`, has the last word: the result then has the names that this step gives.
    So it does if the step gives no names by `get_feature_names_out`.

    Parameters
    ----------
    estimator : estimator
        A fitted detector, a pipeline that ends with one, or a search over one of these.

    X : array-like of shape (n_samples, n_features)
        The rows to explain, as the estimator takes them.

    Returns
    -------
    contributions : DataFrame of shape (n_samples, n_columns)
        What each column adds to the anomaly; a row adds up to minus its score. The columns of `X`
        come first, in their order; those that no step passes on are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> import sktae
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> X = pd.DataFrame({"size": range(50), "color": ["red", "blue"] * 25})
    >>> encoder = make_column_transformer((OneHotEncoder(), ["color"]), remainder="passthrough")
    >>> model = make_pipeline(encoder, sktae.Autoencoder(max_steps=50, random_state=0)).fit(X)
    >>> sktae.explain(model, X).columns.tolist()
    ['size', 'color']
    """
    final, rows, origins = _reach(estimator, X, "explain")
    contributions = final.explain(rows)
    if not origins:
        return contributions
    table = np.asarray(contributions)
    if table.shape[1] < len(origins):  # a column that names series has no part in the anomaly
        origins = [origins[rows.columns.get_loc(name)] for name in contributions]
    kept: list[Origin] = sorted({origin for origin in origins if isinstance(origin, int)})
    kept += dict.fromkeys(origin for origin in origins if isinstance(origin, str))
    sums = np.zeros((len(table), len(kept)), table.dtype)
    np.add.at(sums.T, np.array([kept.index(origin) for origin in origins]), table.T)
    columns = _text(kept, _column_names(estimator, X))
    if container_of(X) == "polars":
        return type(X)(sums, schema=columns)
    index = X.index if isinstance(X, pd.DataFrame | pd.Series) else None
    return pd.DataFrame(sums, index=index, columns=columns)


def p_values(estimator: Any, X: Any) -> Any:
    """Compute how often normal rows would look at least as unusual, through a pipeline.

    Parameters
    ----------
    estimator : estimator
        A fitted detector, a pipeline that ends with one, or a search over one of these.

    X : array-like of shape (n_samples, n_features)
        The rows to judge, as the estimator takes them.

    Returns
    -------
    p_values : ndarray of shape (n_samples,)
        As of the method `p_values` of the detector.

    Examples
    --------
    >>> import sktae
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import RobustScaler
    >>> X, _ = load_wine(return_X_y=True)
    >>> detector = sktae.Autoencoder(max_steps=50, random_state=0)
    >>> model = make_pipeline(RobustScaler(), detector).fit(X)
    >>> sktae.p_values(model, X).shape
    (178,)
    """
    final, rows, _ = _reach(estimator, X, "p_values")
    return final.p_values(rows)


def select(estimator: Any, X: Any, fdr: float = 0.1) -> Any:
    """Select outliers at a given false discovery rate, through a pipeline.

    Parameters
    ----------
    estimator : estimator
        A fitted detector, a pipeline that ends with one, or a search over one of these.

    X : array-like of shape (n_samples, n_features)
        The rows to judge together, as the estimator takes them.

    fdr : float, default=0.1
        False discovery rate: the share of normal rows that is expected among those selected.

    Returns
    -------
    selected : ndarray of shape (n_samples,), bool
        As of the method `select` of the detector.

    Examples
    --------
    >>> import sktae
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import RobustScaler
    >>> X, _ = load_wine(return_X_y=True)
    >>> detector = sktae.Autoencoder(max_steps=50, random_state=0)
    >>> model = make_pipeline(RobustScaler(), detector).fit(X)
    >>> bool(sktae.select(model, 10 * X, fdr=0.05).all())
    True
    """
    final, rows, _ = _reach(estimator, X, "select")
    return final.select(rows, fdr)


def events(estimator: Any, X: Any) -> Any:
    """List the intervals of outliers in a series, through a pipeline.

    Parameters
    ----------
    estimator : estimator
        A fitted `WindowedDetector`, a pipeline that ends with one, or a search over one of these.

    X : array-like of shape (n_timepoints, n_channels)
        The series to judge, as the estimator takes it.

    Returns
    -------
    events : DataFrame
        As of the method `events` of the detector, with the labels of rows that `X` has. `channels`
        are columns of `X`, as far as they can be told: see `explain`.

    Examples
    --------
    >>> import numpy as np
    >>> import sktae
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import RobustScaler
    >>> X = np.sin(np.arange(1200) / 5)[:, np.newaxis]
    >>> X[1000:1010] = 0
    >>> detector = sktae.WindowedDetector(window_size=30, contamination=None, random_state=0)
    >>> model = make_pipeline(RobustScaler(), detector).fit(X[:800])
    >>> len(sktae.events(model, X))
    1
    """
    final, rows, origins = _reach(estimator, X, "events")
    if not origins:
        return final.events(rows)
    if isinstance(X, pd.DataFrame) and isinstance(rows, np.ndarray):
        # Labels of rows are times, and numbers as names of columns are none for scikit-learn.
        rows = pd.DataFrame(rows, index=X.index)
    found = final.events(rows)
    before = rows.columns if is_frame(rows) else [f"x{i}" for i in range(len(origins))]
    after = dict(zip(before, _text(origins, _column_names(estimator, X)), strict=True))
    found["channels"] = pd.Series(
        [tuple(dict.fromkeys(map(after.get, names))) for names in found["channels"]], dtype=object
    )
    return found


def last_step(estimator: Any) -> Any:
    """Return the estimator at the end of a pipeline, or inside a search, or both."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif _is_search(estimator):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        else:
            return estimator


def _is_search(estimator: Any) -> bool:
    """Return whether an estimator fits others, and refits the best one."""
    return hasattr(estimator, "refit") and hasattr(estimator, "estimator")


def _reach(estimator: Any, X: Any, method: str) -> tuple[Any, Any, list[Origin]]:
    """Return the detector in an estimator, the rows that it gets, and where their columns are from.

    There are no origins if no step comes before the detector, or if its rows are no table.
    """
    if not hasattr(last_step(estimator), method):
        raise TypeError(
            f"{method} needs a detector of sktae that has the method {method}, or a pipeline or a "
            f"search that ends with one. Got {estimator!r} instead."
        )
    names, rows = _column_names(estimator, X), X
    origins: list[Origin] | None = None
    while isinstance(estimator, Pipeline) or _is_search(estimator):
        if _is_search(estimator):
            if not hasattr(estimator, "best_estimator_"):
                raise NotFittedError(
                    f"{type(estimator).__name__} has no best_estimator_ yet, which {method} needs: "
                    f"call fit, with refit=True."
                )
            estimator = estimator.best_estimator_
            continue
        for _, step in estimator.steps[:-1]:
            if step is None or isinstance(step, str):  # "passthrough"
                continue
            rows = step.transform(rows)
            if origins is None:
                origins = list(range(getattr(step, "n_features_in_", 0)))
            origins = _outputs(step, origins, rows.shape[1], names) if len(rows.shape) == 2 else []
            if is_frame(rows):  # with names of its own, such as those that a function gives
                named = zip(origins, rows.columns, strict=True)
                origins = [o if isinstance(o, int) else str(column) for o, column in named]
        estimator = estimator.steps[-1][1]
    return estimator, rows, origins or []


def _column_names(estimator: Any, X: Any) -> Any:
    """Return the names of the columns of X, as far as it has any, else as `explain` gives them."""
    if is_frame(X):
        return list(X.columns)
    return getattr(estimator, "feature_names_in_", None)


def _text(origins: Sequence[Origin], names: Any) -> list[Any]:
    """Return the names of columns with these origins."""
    if names is None:
        return [origin if isinstance(origin, str) else f"x{origin}" for origin in origins]
    return [origin if isinstance(origin, str) else names[origin] for origin in origins]


def _outputs(step: Any, origins: list[Origin], n: int, names: Any) -> list[Origin]:
    """Return the origins of the n columns that a fitted step makes of columns with origins."""
    if len(origins) == 1:
        return origins * n
    outputs = _by_names(step, origins, names)
    if outputs is None or len(outputs) != n:
        return [f"{type(step).__name__.lower()}{i}" for i in range(n)]
    return outputs


def _by_names(step: Any, origins: list[Origin], names: Any) -> list[Origin] | None:
    """Return the origins of the columns that a step makes, or None if it does not name them."""
    if step is None or isinstance(step, str | OneToOneFeatureMixin):
        return origins
    if isinstance(step, FrozenEstimator):
        return _by_names(step.estimator, origins, names)
    if isinstance(step, Pipeline):
        outputs: list[Origin] | None = origins
        for _, inner in step.steps:
            outputs = outputs and _by_names(inner, outputs, names)
        return outputs
    if isinstance(step, ColumnTransformer):
        return _of_column_transformer(step, origins, names)
    if isinstance(step, FeatureUnion):
        parts = [
            _prefixed(name, _by_names(inner, origins, names), origins)
            for name, inner in step.transformer_list
            if inner != "drop"
        ]
        return None if None in parts else [origin for part in parts for origin in part or []]
    if hasattr(step, "output_to_input_"):  # skrub's transformers of tables
        inputs = [step.output_to_input_.get(name, name) for name in step.get_feature_names_out()]
        return [origins[list(step.feature_names_in_).index(name)] for name in inputs]
    if hasattr(step, "get_feature_names_out"):
        return _of_one_transformer(step, origins, names)
    return None


def _of_column_transformer(step: Any, origins: list[Origin], names: Any) -> list[Origin]:
    """Return the origins of the columns that a ColumnTransformer makes."""
    numbers = pd.DataFrame([range(len(origins))], columns=getattr(step, "feature_names_in_", None))
    outputs: list[Origin] = []
    unused = set(range(len(origins)))  # the columns of the remainder
    for name, inner, columns in step.transformers_:
        if name == "remainder":
            chosen = sorted(unused)
        else:
            chosen = np.ravel(_safe_indexing(numbers, columns, axis=1)).tolist()
        unused -= set(chosen)
        positions = step.output_indices_[name]
        if n := positions.stop - positions.start:
            own = [origins[number] for number in chosen]
            outputs += _prefixed(name, _outputs(inner, own, n, names), own) or []
    return outputs


def _prefixed(name: str, outputs: list[Origin] | None, before: list[Origin]) -> Any:
    """Return origins, in which the columns that a transformer makes of several bear its name."""
    if outputs is None:
        return None
    return [o if isinstance(o, int) or o in before else f"{name}__{o}" for o in outputs]


def _of_one_transformer(step: Any, origins: list[Origin], names: Any) -> list[Origin]:
    """Return the origins of the columns of a transformer that is no container of others.

    It is asked how it would name its outputs if its inputs were called by numbers. An output whose
    name has one number in it comes from that input alone.
    """
    step = copy.copy(step)
    vars(step).pop("feature_names_in_", None)  # or it would refuse these names
    numbered = np.array([f"\0{i}\0" for i in range(len(origins))], dtype=object)
    outputs: list[Origin] = []
    for name in step.get_feature_names_out(numbered if origins else None):
        inputs = {origins[int(i)] for i in _NUMBERED.findall(name)}
        text = _NUMBERED.sub(lambda found: _text([origins[int(found[1])]], names)[0], name)
        outputs.append(inputs.pop() if len(inputs) == 1 else text)
    return outputs

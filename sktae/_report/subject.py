"""What a report is about: a detector, the rows that it judges, and what it says of them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from sktae._outliers.scores import check_scored_as_in_fit
from sktae._pipelines import explain
from sktae._report.elements import LONGEST, shortened
from sktae.base import BaseAutoencoder
from sktae.ensemble import AutoencoderEnsemble
from sktae.inputs.columns import is_frame
from sktae.timeseries.detector import WindowedDetector
from sktae.timeseries.validation import rows_of, split_series

_DETECTORS = BaseAutoencoder, AutoencoderEnsemble, WindowedDetector


def unwrapped(detector: Any) -> tuple[Any, Any]:
    """Return the steps before a detector of this library, None if there are none, and itself."""
    model, before = getattr(detector, "best_estimator_", detector), None
    if isinstance(model, Pipeline):
        before, model = (model[:-1] if len(model) > 1 else None), model[-1]
    if not isinstance(model, _DETECTORS):
        raise TypeError(
            f"detector must be an autoencoder, an AutoencoderEnsemble or a WindowedDetector, or a "
            f"Pipeline that ends in one. Got {detector!r} instead."
        )
    return before, model


class Series(NamedTuple):
    """One of the series that a detector judges."""

    name: Any  # None if it has none
    frame: pd.DataFrame
    rows: np.ndarray  # the numbers of its rows among all


class Reasons(NamedTuple):
    """What makes rows unusual."""

    names: list[str]  # of columns
    contributions: np.ndarray  # what they add to the anomaly of rows, (n, d)
    frame: pd.DataFrame | None  # the columns of all rows, if they are those of a table at hand


class Subject:
    """A detector, the rows that it judges, and what it says of them.

    Parameters
    ----------
    detector : estimator
        The fitted detector, as the user gave it.

    X : array-like
        The rows, as the user gave them.

    Attributes
    ----------
    before, model : estimator
        The steps before the detector, None if there are none, and the detector itself.

    inputs : array-like
        The rows as the model gets them.

    series : list of Series
        The series, if the rows are those of series.

    frame : DataFrame
        All rows as one table.

    anomalies : ndarray of shape (n_samples,)
        The anomaly scores: the higher, the more unusual.

    threshold : float
        The anomaly score above which rows are flagged.

    order : ndarray of shape (n_samples,)
        The numbers of the rows, the most unusual first.

    ranks : ndarray of shape (n_samples,)
        The place of each row in that order.
    """

    def __init__(self, detector: Any, X: Any):
        self.before, self.model = unwrapped(detector)
        check_is_fitted(detector)
        check_scored_as_in_fit(self.model, "offset_ is a threshold for")
        self.detector, self.X = detector, X
        self.inputs = X if self.before is None else self.before.transform(X)
        scores = self.model.score_samples(self.inputs)
        self.anomalies = -(np.concatenate(scores) if isinstance(scores, list) else scores)
        self.threshold = float(-self.model.offset_)
        self.order = np.argsort(-self.anomalies, kind="stable")
        self.ranks = np.argsort(self.order)
        self.series = self._series() if isinstance(self.model, WindowedDetector) else []
        if self.series:
            numbers = np.concatenate([part.rows for part in self.series])
            joined = pd.concat([part.frame for part in self.series])
            self.frame = joined.iloc[np.argsort(numbers)]
        else:
            self.frame = frame_of(X, self.model if self.before is None else self.before)

    @property
    def flagged(self) -> np.ndarray:
        """Which rows are above the threshold, (n,)."""
        return self.anomalies > self.threshold

    def labels(self, rows: Iterable[int], longest: int = LONGEST) -> list[str]:
        """Return the names of rows: their labels in the index, or their numbers."""
        index = self.frame.index
        return [shortened(index[row], longest) for row in rows]

    def codes(self) -> np.ndarray | None:
        """Return the codes of the rows, (n, k), if the detector has some."""
        if self.series:
            return None
        return np.asarray(self.model.transform(self.inputs)).reshape(len(self.anomalies), -1)

    def reasons(self, rows: np.ndarray) -> Reasons:
        """Return what makes some rows of a table unusual."""
        found = explain(self.detector, _safe_indexing(self.X, rows))
        names = [_flat(name, found.columns) for name in found.columns]
        frame = _columns(self.frame, names, self.before is None)
        if frame is None:
            frame = _columns(frame_of(self.inputs, self.model), names, True)
        return Reasons(names, np.asarray(found), frame)

    def _series(self) -> list[Series]:
        parts, positions, names = split_series(self.inputs, self.model.group)
        numbers = np.arange(len(self.anomalies))
        if positions is None:  # a list
            found = np.split(numbers, np.cumsum([len(part) for part in parts])[:-1])
        else:
            found = [numbers[rows] for rows in positions]
        frames = [frame_of(part, self.model) for part in parts]
        return [Series(*one) for one in zip(names, frames, found, strict=True)]


def frame_of(X: Any, owner: Any) -> pd.DataFrame:
    """Return rows as a table; those of sequences and images have a column for each number."""
    if isinstance(X, pd.DataFrame):
        return X
    if is_frame(X):
        return pd.DataFrame({name: X[name].to_numpy() for name in X.columns})
    values = X.toarray() if issparse(X) else rows_of(X)
    try:
        values = np.asarray(values)
        values = values.reshape(len(values), -1)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"X must be a table, a series or an array whose rows have one shape. Got "
            f"{type(X).__name__} instead."
        ) from error
    names = getattr(owner, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])
    return pd.DataFrame(values, columns=names if len(names) == values.shape[1] else None)


def _columns(frame: pd.DataFrame, names: list[str], is_same: bool) -> pd.DataFrame | None:
    """Return columns by their names, or all of a table that is the same; None without them."""
    if is_same and len(names) == frame.shape[1]:
        return frame
    places = {str(name): i for i, name in enumerate(frame.columns)}
    if not places.keys() >= set(names):
        return None
    return frame.iloc[:, [places[name] for name in names]]


def _flat(name: Any, columns: Any) -> str:
    """Return the name of a column; of a sequence or an image, with its place on each axis."""
    if not isinstance(name, tuple):
        return str(name)
    axes = [axis or "" for axis in getattr(columns, "names", [""] * len(name))]
    return ", ".join(f"{axis} {place}".strip() for axis, place in zip(axes, name, strict=True))

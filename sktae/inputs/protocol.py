"""The protocol of inputs: how rows of one kind become tensors, and tensors rows."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sktae._warnings import warn
from sktae.inputs.scaling import CLIP


class Inputs(Protocol):
    """How rows of one kind become tensors, and tensors rows.

    An implementation is a dataclass. Its fields are its settings, so two objects that are equal
    treat rows alike. What `fit` learns are further attributes. Rows that have passed `validate` are
    called raw: they are arrays in the units of `X`, not yet tensors.

    Attributes
    ----------
    shape : tuple of int
        Shape of a row as the network sees it.

    mean : ndarray
        Mean of each number of a raw row in training, around which `score` counts variance.

    rounding : ndarray
        How far each number may be from its mean where both are equal but for rounding.

    coarse : dict
        By the names of dtypes: the column whose variation they cannot resolve, its mean and its
        standard deviation. Dtypes that are fine enough are not in it.

    clipped : float
        The largest number, if it is too large to be taken as it is; else 0.

    axes : tuple of str
        Names of the axes of a raw row, such as ("step", "channel"). `explain` names its columns by
        them where raw rows have more than two dimensions, that is, where a row has several axes.

    incomplete : sequence of int
        The columns of which the network is told by an indicator whether they are missing.

    has_missing : bool
        Whether values were missing in the rows of the fit.

    n_central : int or None
        So many of the features in `summary` say which rows are central; None for all.

    categorical : sequence of int
        The columns of categories, of which a missing one is a value like others.
    """

    shape: tuple[int, ...]
    mean: np.ndarray
    rounding: np.ndarray
    coarse: Mapping[str, tuple[int, float, float]] = MappingProxyType({})
    clipped: float = 0.0
    incomplete: Sequence[int] = ()
    has_missing: bool = False
    categorical: Sequence[int] = ()
    n_central: int | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of a raw row."""
        ...

    @property
    def hidden_values(self) -> Tensor:
        """A row of which all columns are hidden, (...): NaN for those that are filled in later."""
        return torch.full(self.shape, torch.nan)

    @property
    def column_of(self) -> np.ndarray:
        """The number of a raw row that each number of `summary` comes from."""
        return np.arange(math.prod(self.shape))

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate what a user passed, in scikit-learn's way, and return raw rows.

        Parameters
        ----------
        estimator : estimator
            Named in errors. With `reset`, its `n_features_in_` and `feature_names_in_` are set;
            without, `X` is checked against them.

        X : array-like or Dataset
            Rows as the user passed them.

        reset : bool
            Whether these are the rows of a first fit.

        Returns
        -------
        raw : array or DatasetRows
            Has a `shape` and a `dtype`, and can be indexed by slices and by arrays of row numbers.
        """
        ...

    def fit(self, X: Any, weights: np.ndarray | None = None) -> "Inputs":
        """Learn the shape of a row and the scales of its numbers from raw rows.

        Parameters
        ----------
        X : array or DatasetRows
            Raw rows.

        weights : ndarray of shape (n,) or None, default=None
            Their weights; None if they are equal.

        Returns
        -------
        self : object
        """
        ...

    def check(self, X: Any) -> None:
        """Raise if raw rows cannot be trained on, such as values outside a required range."""
        ...

    def too_large(self) -> str | None:
        """Say which numbers are too large, so that they are clipped, if any are."""
        if not self.clipped:
            return None
        return (
            f"X has values up to {self.clipped:.4g}, but with standardize=False they are clipped "
            f"at {CLIP:g}: divide X by a constant, or set standardize=True."
        )

    def too_coarse(self, dtype: np.dtype, names: Any = None) -> str | None:
        """Say for which column the numbers of a dtype are too coarse, if there is one.

        Parameters
        ----------
        dtype : dtype
            The dtype of raw rows.

        names : sequence of str or None, default=None
            Names of the columns, if they have any.
        """
        if np.dtype(dtype).name not in self.coarse:
            return None
        column, mean, deviation = self.coarse[np.dtype(dtype).name]
        gap = float(np.spacing(np.asarray(abs(mean), dtype)))
        name = column if names is None else repr(names[column])
        return (
            f"Column {name} of X has mean {mean:.6g} and standard deviation {deviation:.3g}, but "
            f"numbers of {np.dtype(dtype).name} are {gap:.3g} apart there, so that part of its "
            f"variation is rounding: subtract a constant before X becomes {np.dtype(dtype).name}."
        )

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Convert raw rows to inputs of the network, (n, ...)."""
        ...

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Convert outputs of the network, (n, ...), to rows in the shape and units of `X`."""
        ...

    def to_table(self, raw: np.ndarray, index: Any = None) -> Any:
        """Return raw rows as a user gets them, in the container and with the values of `X`."""
        return raw

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return the error of each number of raw rows, in the units of `X`; NaN if missing."""
        ...

    def summary(self, x: Tensor) -> Tensor:
        """Return the features by which inputs of the network are compared with others, (n, d)."""
        ...


def validated(estimator: Any, X: Any) -> Any:
    """Return what a user passed to a fitted estimator as raw rows; warn if they are too coarse."""
    raw = estimator._inputs.validate(estimator, X, reset=False)
    names = getattr(estimator, "feature_names_in_", None)
    complaint = estimator._inputs.too_coarse(raw.dtype, names)
    if complaint is not None:
        warn(complaint)
    return raw

"""The protocol of inputs: how rows of one kind become tensors, and tensors rows."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


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

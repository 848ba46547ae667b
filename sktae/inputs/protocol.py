"""What every kind of input does: the one way from arrays to tensors and back."""

from typing import Any, Protocol

import numpy as np
from torch import Tensor


class Inputs(Protocol):
    """How rows of one kind become tensors, and tensors rows.

    An implementation is a dataclass. Its fields are its settings, so two that are equal treat rows
    alike; what `fit` learns are further attributes. Between `validate` and the network, rows are
    called raw: they have passed validation but keep the units of `X`.

    Attributes
    ----------
    shape : tuple of int
        Shape of a row as the network sees it.

    mean : ndarray
        Mean of each number of a raw row in training, around which `score` counts variance.
    """

    shape: tuple[int, ...]
    mean: np.ndarray

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate what a user passed, in scikit-learn's way, and return raw rows.

        Parameters
        ----------
        estimator : estimator
            Named in errors. With `reset`, its `n_features_in_` and `feature_names_in_` are set;
            without, `X` is held against them.

        X : array-like or Dataset
            What the user passed.

        reset : bool
            Whether these are the rows of a first fit.

        Returns
        -------
        raw : array or DatasetRows
            Has a `shape` and a `dtype`, and answers to slices and to arrays of row numbers.
        """
        ...

    def fit(self, X: Any) -> "Inputs":
        """Learn the shape of a row and the scales of its numbers from raw rows."""
        ...

    def check(self, X: Any) -> None:
        """Raise where raw rows must not be trained on, such as values outside a required range."""
        ...

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Turn raw rows into what the network sees, (n, ...)."""
        ...

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network gave, (n, ...), into rows in the layout and units of `X`."""
        ...

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return the error of each number, in the units of `X`; NaN where there is no number."""
        ...

    def summary(self, x: Tensor) -> Tensor:
        """Return the numbers by which rows, as the network sees them, are compared, (n, d)."""
        ...

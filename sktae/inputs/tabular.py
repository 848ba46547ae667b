"""Tables: rows of numeric columns become tensors, and tensors rows."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor
from torch.utils.data import Dataset

from sktae.inputs.datasets import DatasetRows
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import CLIP, FLOATS, check_n_features, chunked, fit_scaler


@dataclass
class Tabular(Inputs):
    """Rows of numeric columns, (n, d).

    Parameters
    ----------
    standardize : bool
        Whether each column is scaled to mean 0 and variance 1 for the network.

    unit_interval : bool, default=False
        Whether training values must lie between 0 and 1. Values of later rows are clipped to that.
    """

    axes: ClassVar = ("feature",)

    standardize: bool
    unit_interval: bool = False

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate rows by `validate_data`; a torch Dataset is validated as it is read."""
        if getattr(X, "ndim", 2) > 2:
            raise ValueError(
                f"Found array with dim {X.ndim}, but {type(estimator).__name__} takes rows, "
                f"(n_samples, n_features). There are others for sequences, such as "
                f"TransformerAutoencoder, and for images, such as ConvolutionalAutoencoder."
            )
        if not isinstance(X, Dataset):
            return validate_data(estimator, X, dtype=FLOATS, reset=reset)
        rows = DatasetRows(X)
        check_n_features(estimator, rows.shape[1], reset)
        return rows

    def fit(self, X: Any) -> "Tabular":
        """Learn the shape of a row and the scale of each column."""
        self.shape = X.shape[1:]
        scaler = fit_scaler(chunked(X), self.standardize)
        self.mean = scaler.mean_
        self.shift = self.mean if self.standardize else np.zeros(self.shape)
        self.scale = scaler.scale_ if self.standardize else np.ones(self.shape)
        return self

    def check(self, X: Any) -> None:
        """Raise if rows for training have values outside a required range."""
        if not self.unit_interval:
            return
        low = min(chunk.min() for chunk in chunked(X))
        high = max(chunk.max() for chunk in chunked(X))
        # The tolerance is for rounding errors of MinMaxScaler.
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood or loss, but its values run from "
                f"{low:.4g} to {high:.4g}; scale it with MinMaxScaler."
            )

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Convert raw rows to inputs of the network, (n, d)."""
        low, high = (0.0, 1.0) if self.unit_interval else (-CLIP, CLIP)
        offset = torch.from_numpy(-self.shift / self.scale)
        factor = torch.from_numpy(1 / self.scale)
        return torch.addcmul(offset, rows.double(), factor).float().clamp(low, high)

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Convert outputs of the network to rows in the units of `X`."""
        return (z.astype(np.float64) * self.scale + self.shift).astype(dtype)

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return the squared error of each value, in the units of `X`."""
        return (X.astype(np.float64) - reconstruction) ** 2

    def summary(self, x: Tensor) -> Tensor:
        """Return the features by which inputs of the network are compared with others, (n, d)."""
        return x.flatten(1)

"""Arrays become tensors here and nowhere else, and tensors arrays."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

# Beyond a million standard deviations a value says no more, and its square still fits float32.
_FAR = 1e6


class Tabular:
    """Rows of numeric columns, (n, d).

    Parameters
    ----------
    standardize : bool
        Whether the network sees each column with mean 0 and variance 1.

    unit_interval : bool
        Whether the values must lie between 0 and 1.
    """

    def __init__(self, standardize: bool, unit_interval: bool = False):
        self.unit_interval = unit_interval
        self.scaler = StandardScaler(with_mean=standardize, with_std=standardize)
        self.scaler.set_output(transform="default")  # arrays, whatever the user wants to see

    def fit(self, X: np.ndarray) -> "Tabular":
        """Learn the shape of a row and the scale of each column."""
        X = X.astype(np.float64, copy=False)
        if self.unit_interval and (X.min() < 0 or X.max() > 1):
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood, but its values run from "
                f"{X.min():.4g} to {X.max():.4g}; scale it with MinMaxScaler."
            )
        self.shape = X.shape[1:]
        self.mean = X.mean(axis=0)
        self.scaler.fit(X)
        return self

    def tensor(self, X: np.ndarray) -> Tensor:
        """Turn rows into what the network sees."""
        z = np.clip(self.scaler.transform(X.astype(np.float64, copy=False)), -_FAR, _FAR)
        return torch.from_numpy(z.astype(np.float32))

    def array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        return self.scaler.inverse_transform(z.astype(np.float64)).astype(dtype)

"""Arrays become tensors here and nowhere else, and tensors arrays."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

# What arrays may hold; anything else is converted to the first.
FLOATS = (np.float64, np.float32)

# Beyond a million standard deviations a value says no more, and its square still fits float32.
_FAR = 1e6


class Tabular:
    """Rows of numeric columns, (n, d).

    Parameters
    ----------
    standardize : bool
        Whether the network sees each column with mean 0 and variance 1.

    unit_interval : bool
        Whether the values must lie between 0 and 1; of later rows, what lies beyond is cut off.
    """

    def __init__(self, standardize: bool, unit_interval: bool = False):
        self.settings = (standardize, unit_interval)
        self.scaler = StandardScaler(with_mean=standardize, with_std=standardize)
        self.scaler.set_output(transform="default")  # arrays, whatever the user wants to see

    def fit(self, X: np.ndarray) -> "Tabular":
        """Learn the shape of a row and the scale of each column."""
        X = X.astype(np.float64, copy=False)
        self.shape = X.shape[1:]
        self.mean = X.mean(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            self.scaler.fit(X)
        if self.scaler.scale_ is not None and not np.isfinite(self.scaler.scale_).all():
            raise ValueError(
                f"X has values up to {np.abs(X).max():.4g}, whose variance is too large for a "
                f"float; divide them by a constant."
            )
        return self

    def check(self, X: np.ndarray) -> None:
        """Raise where these rows are not fit for training."""
        _, unit_interval = self.settings
        # The tolerance is for what MinMaxScaler's arithmetic leaves over.
        if unit_interval and (X.min() < -1e-6 or X.max() > 1 + 1e-6):
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood, but its values run from "
                f"{X.min():.4g} to {X.max():.4g}; scale it with MinMaxScaler."
            )

    def tensor(self, X: np.ndarray) -> Tensor:
        """Turn rows into what the network sees."""
        limits = (0, 1) if self.settings[1] else (-_FAR, _FAR)
        z = np.clip(self.scaler.transform(X.astype(np.float64, copy=False)), *limits)
        return torch.from_numpy(z.astype(np.float32))

    def array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        return self.scaler.inverse_transform(z.astype(np.float64)).astype(dtype)

"""Which features make a row unusual: contributions that add up to its anomaly."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch

from sktae._outliers.measures import Ellipsoid
from sktae._outliers.scores import ScoreMixin
from sktae.inputs.columns import is_frame, like
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import result_dtype

# Rows are explained in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**22


class ExplainMixin(ScoreMixin):
    """Explains scores: how far they change if a feature has its expected value given the others."""

    _inputs: Inputs
    _feature_model: Ellipsoid  # mean and covariance of the features of normal rows

    def explain(self, X: Any) -> Any:
        """Compute which features make rows unusual.

        The anomaly of a row is minus its score. Each feature in turn is replaced by its expected
        value given the others, and the anomaly falls. The contribution of the feature is in
        proportion to this fall. If no single feature lowers the anomaly, all contribute alike.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            What each feature adds to the anomaly; a row adds up to minus its score. A number that
            is missing adds 0. A category that is missing may be unusual, as others are.
        """
        raw = self._validated(X)
        shape = raw.shape[1:]
        parts = self._parts(shape)
        chunk = max(1, _CHUNK_NUMBERS // (len(parts) * int(parts.max() + 1)))
        contributions = []
        for start in range(0, len(raw), chunk):
            # Copied, since torch takes no arrays that are read-only or have negative strides.
            rows = np.array(raw[start : start + chunk], result_dtype(raw.dtype), order="C")
            contributions.append(self._contributions(rows, parts))
        names: Any = [f"x{i}" for i in range(shape[0])]
        if len(shape) > 1:
            names = pd.MultiIndex.from_product(map(range, shape), names=self._inputs.axes)
        table = np.concatenate(contributions)
        if is_frame(X) and len(shape) == 1:
            return like(X, table)
        return pd.DataFrame(table, columns=getattr(self, "feature_names_in_", names))

    def _parts(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return, for each number of a row, the number of the part that it belongs to.

        A part is replaced as a whole, and its numbers get equal contributions. By default each
        number is a part of its own.
        """
        return np.arange(math.prod(shape))

    def _contributions(self, rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return the contributions of the numbers of rows, (n, d)."""
        n, d, m = len(rows), len(parts), parts.max() + 1
        expected, falls = self._expected(rows, parts).reshape(n, d), np.empty((n, m))
        counts = np.empty((n, m), int)  # how many numbers of each part are observed
        # Missing values stay missing, and contribute nothing, other than missing categories.
        missing = np.isnan(rows.reshape(n, d))
        missing[:, self._inputs.categorical] = False
        size = _parts_at_once(n, d, m)
        for start in range(0, m, size):
            some = np.arange(start, min(start + size, m))
            replaced = (parts == some[:, np.newaxis]) & ~missing[:, np.newaxis]
            copies = np.empty((n + n * len(some), *rows.shape[1:]), rows.dtype)
            copies[:n], altered = rows, copies[n:].reshape(n, len(some), d)
            altered[:] = rows.reshape(n, 1, d)
            np.copyto(altered, expected[:, np.newaxis], where=replaced)
            # In one call, so that a row and its altered copies are rounded in the same way.
            anomalies = self._anomalies(copies)
            anomaly = anomalies[:n, np.newaxis]
            falls[:, some] = np.maximum(anomaly - anomalies[n:].reshape(n, len(some)), 0)
            counts[:, some] = replaced.sum(axis=2)
        total = falls.sum(axis=1, keepdims=True)
        # A density may exceed 1, and its anomaly is then negative. Contributions are then the falls
        # and, in equal parts, the rest of the anomaly.
        proportional = (anomaly > 0) & (total > 0)
        shares = falls * anomaly / np.where(proportional, total, 1)
        rest = (anomaly - total) / (counts > 0).sum(axis=1, keepdims=True)
        contributions = np.where(proportional, shares, falls + rest)
        equal = contributions[:, parts] / np.maximum(counts[:, parts], 1)
        return np.where(missing, 0.0, equal)

    def _expected(self, rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return the expected value of each number, given the numbers of the other parts."""
        x = self._inputs.to_tensor(torch.from_numpy(rows))
        features, parts = self._inputs.summary(x).numpy(), parts[self._inputs.column_of]
        expected = self._feature_model.expected(features, parts)
        if expected.size == math.prod(x.shape):
            expected = expected.reshape(x.shape)
        return self._inputs.to_array(expected, rows.dtype)


def _parts_at_once(n: int, d: int, m: int) -> int:
    """Return how many of the m parts of n rows of d numbers are altered at once."""
    if n * m * d <= _CHUNK_NUMBERS:
        return m
    # With the row itself, a power of two, so that tiles of rows are full.
    most = max(1, _CHUNK_NUMBERS // (n * d))
    return max(1, (1 << most.bit_length() - 1) - 1)

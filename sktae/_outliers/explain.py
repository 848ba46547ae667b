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

    def explain(self, X):
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
        expected = self._expected(rows, parts).reshape(n, 1, d)
        observed = rows.reshape(n, 1, d)
        # Missing values stay missing, and contribute nothing, other than missing categories.
        missing = np.isnan(rows.reshape(n, d))
        missing[:, self._inputs.categorical] = False
        replaced = (parts == np.arange(m)[:, np.newaxis]) & ~missing[:, np.newaxis]
        altered = np.where(replaced, expected, observed).reshape(n * m, *rows.shape[1:])
        # All in one call, so that a row and its altered copies are rounded in the same way.
        anomalies = self._anomalies(np.concatenate([rows, altered]))
        anomaly, altered_anomaly = anomalies[:n, np.newaxis], anomalies[n:].reshape(n, m)
        falls = np.maximum(anomaly - altered_anomaly, 0)
        total = falls.sum(axis=1, keepdims=True)
        # How many numbers of each part are observed, (n, m).
        counts = replaced.sum(axis=2)
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

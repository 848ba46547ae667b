"""From evidence to scores, once for every estimator."""

import math
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.base import OutlierMixin
from torch import Tensor, nn

from sktae._engine.rows import Rows
from sktae._engine.tiles import in_tiles
from sktae._outliers.model import (
    _MEASURES,
    ErrorModel,
    _sample_size,
)
from sktae._outliers.threshold import threshold
from sktae.inputs.scaling import float_of
from sktae.nn.losses import squared
from sktae.parameters import Contamination

# Thresholds are those of all training rows up to this many, and of as many beyond.
_THRESHOLD_ROWS = 1_000_000


# Features are taken back one by one in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**22


class AnomalyMixin(OutlierMixin):
    """Scores rows by what the network cannot reproduce; scikit-learn's signs and labels.

    The host has `net_`, `_inputs`, `_typical`, `_rows(X)` and the hooks `residual`, `error` and, if
    it likes, `surprise`.
    """

    # The parameter that may change what a score is after the fit.
    _method: ClassVar[str] = "score_method"

    contamination: Literal["auto"] | Contamination
    training_data: str
    score_method: str

    @staticmethod
    def residual(x: Tensor, out: Any) -> Tensor:
        """Return what the network could not reproduce of rows, `(n, ...)`."""
        return x - out.recon

    @staticmethod
    def error(x: Tensor, out: Any) -> Tensor:
        """Return how wrong each element is, `(n, *shape)`."""
        return squared(x, out.recon)

    # surprise(out) says how unlikely the code of each row is, (n,), in the units of `error`.
    surprise: ClassVar[Any] = None

    def score_samples(self, X):
        """Score each row by how well it fits what was learnt.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to score.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The higher, the more normal.
        """
        x = self._rows(X)
        return -self._anomalies(self.net_.module_, self.error_model_, x)

    def decision_function(self, X):
        """Score each row relative to the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to score.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            `score_samples(X) - offset_`: negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Tell outliers from inliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        """Say how often rows like those of training would look as unusual.

        Of new rows that come from where the training rows came from, at most a share of `alpha` has
        a p-value of `alpha` or less, whatever the model has learnt (conformal). Outliers among the
        training rows make p-values larger.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            Between 1 / (n + 1), for n held-out rows, and 1.
        """
        scores = self.score_samples(X)
        if self.calibration_scores_ is None:
            raise ValueError(
                f"p_values needs the scores of rows that the fit has not seen: set "
                f"calibration_fraction of {type(self).__name__}, to 0.2 say, and fit again "
                f"(partial_fit holds out none)."
            )
        method = getattr(self, self._method)
        if method != self._calibrated_for:
            raise ValueError(
                f"{self._method} of {type(self).__name__} is {method!r} now, but p_values compares "
                f"with scores by {self._calibrated_for!r}, as it was in the fit; fit again."
            )
        as_low = np.searchsorted(self.calibration_scores_, scores, side="right")
        return (1 + as_low) / (1 + len(self.calibration_scores_))

    def explain(self, X):
        """Say which features make rows unusual.

        Each feature is set to what the others let one expect of it, and counts in proportion to how
        far the anomaly of the row, minus its score, thereby falls.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            What each feature adds to the anomaly; a row adds up to minus its score.
        """
        raw = self._rows(X).raw
        parts = self._parts(raw.shape[1:])
        chunk = max(1, _CHUNK_NUMBERS // (len(parts) * int(parts.max() + 1)))
        found = []
        for start in range(0, len(raw), chunk):
            # Copied, since torch takes no read-only or reversed rows.
            rows = np.array(raw[start : start + chunk], float_of(raw.dtype), order="C")
            found.append(self._contributions(rows, parts))
        names: Any = [f"x{i}" for i in range(raw.shape[1])]
        if len(raw.shape) > 2:
            sizes = map(range, raw.shape[1:])
            names = pd.MultiIndex.from_product(sizes, names=self._inputs.axes)
        return pd.DataFrame(
            np.concatenate(found),
            index=X.index if isinstance(X, pd.DataFrame) else None,
            columns=getattr(self, "feature_names_in_", names),
        )

    def _parts(self, shape: tuple[int, ...]) -> np.ndarray:
        """Number the part of a row that each of its features belongs to; parts are one reason."""
        return np.arange(math.prod(shape))

    def _contributions(self, rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
        n, d, m = len(rows), len(parts), parts.max() + 1
        expected = self._expected(rows, parts).reshape(n, 1, d)
        # What is missing stays so, and contributes nothing.
        known = rows.reshape(n, 1, d)
        there = (parts == np.arange(m)[:, np.newaxis]) & ~np.isnan(known)
        altered = np.where(there, expected, known).reshape(n * m, *rows.shape[1:])
        anomalies = -self._scores_of(np.concatenate([rows, altered]))
        whole, without = anomalies[:n, np.newaxis], anomalies[n:].reshape(n, m)
        falls = np.maximum(whole - without, 0)
        total = falls.sum(axis=1, keepdims=True)
        # A likelihood may exceed 1, and then there is no anomaly to be shared.
        shared = (whole > 0) & (total > 0)
        shares = falls * whole / np.where(shared, total, 1)
        found = np.where(shared, shares, falls + (whole - total) / m)
        return found[:, parts] / np.bincount(parts)[parts]

    def _expected(self, rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return what the other parts of a row let one expect of each."""
        inputs = self._inputs
        seen = inputs.prepare(torch.from_numpy(rows))
        expected = self._typical.expected(inputs.summary(seen).numpy(), parts)
        return inputs.array(expected.reshape(seen.shape), rows.dtype)

    def _scores_of(self, rows: np.ndarray, seen: bool = False) -> np.ndarray:
        x = Rows(rows, self._inputs.prepare, self.net_.device)
        return -self._anomalies(self.net_.module_, self.error_model_, x, seen)

    def _single(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return how unusual the rows of one tile are, (n,), without regard to training rows."""
        out = network(x)
        error = self.error(x, out).flatten(1)
        return error.mean(1) if self.surprise is None else error.sum(1) + self.surprise(out)

    def _anomalies(
        self, network: nn.Module, model: ErrorModel, x: Rows, seen: bool = False
    ) -> np.ndarray:
        names = _MEASURES.get(self.score_method)
        if names is None:
            self._validate_params()  # the method may be changed after the fit
            (found,) = in_tiles(lambda rows: (self._single(network, rows),), network, x)
            return found.astype(np.float64)

        def measures(rows: Tensor) -> tuple[Tensor]:
            out = network(rows)
            return (model.measures(self.residual(rows, out), out.code, seen),)

        (found,) = in_tiles(measures, network, x)
        return model.anomalies(found, names)

    def _calibration(
        self, network: nn.Module, inputs: Any, x: Rows, held_out: Rows | None, seed: int
    ) -> dict[str, Any]:
        """Learn what scores mean: what errors and codes were in training, and a threshold."""

        def evidence(rows: Tensor) -> tuple[Tensor, ...]:
            out = network(rows)
            return inputs.summary(rows), self.residual(rows, out), out.code

        model = ErrorModel(self.training_data)
        rows, residual, code = in_tiles(evidence, network, x.spread(_sample_size(x)))
        model.fit(rows, residual, code, seed)

        def scores(rows: Rows, seen: bool) -> np.ndarray:
            return np.sort(-self._anomalies(network, model, rows, seen))

        usual = scores(x.spread(_THRESHOLD_ROWS), seen=True)
        calibration = None if held_out is None else scores(held_out, seen=False)
        return {
            "error_model_": model,
            "_typical": model.typical_,
            "calibration_scores_": calibration,
            "_calibrated_for": self.score_method,
            "offset_": threshold(self.contamination, usual, calibration),
            "_score_range": (usual[0], usual[-1]),
        }

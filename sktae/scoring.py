"""From errors to scores, once for every estimator."""

from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from sklearn.base import OutlierMixin
from torch import Tensor, nn
from torch.nn import functional as F

from sktae.declare import Contamination
from sktae.engine.batches import Loaded, Rows, in_tiles
from sktae.nn.losses import squared

# Statistics of errors and codes are learnt from about this many training rows.
_SAMPLE = 10_000
# Thresholds are those of all training rows up to this many, and of as many beyond.
_THRESHOLD_ROWS = 1_000_000


class ErrorModel:
    """What a row's errors and its code amount to.

    The anomaly of a row is the mean of its errors, each element measured by what it was in
    training, plus the distance of its code from the codes of training (Mahalanobis, on the same
    footing: both have mean 1 there). An estimator that has a likelihood states a `surprise` of its
    own, and its errors are added up as they are.
    """

    def fit(self, error: np.ndarray, code: np.ndarray) -> "ErrorModel":
        """Learn from the errors (n, *shape) and codes (n, k) of training rows."""
        usual = error.mean(axis=0, dtype=np.float64)
        # A feature that was always right, a constant column say, must not drown the others.
        self.scale_ = np.maximum(usual, 1e-2 * usual.mean() + 1e-9) * usual.size
        self.location_ = code.mean(axis=0, dtype=np.float64)
        away = code - self.location_
        values, vectors = np.linalg.eigh(away.T @ away / len(away))
        # Shrunk, or directions that the codes never took would outweigh all others.
        whiten = vectors / np.sqrt(values + 1e-2 * values.mean() + 1e-9)
        self.whiten_ = whiten / np.sqrt(((away @ whiten) ** 2).sum(axis=1).mean() + 1e-9)
        return self

    def anomaly(self, error: Tensor, code: Tensor) -> Tensor:
        """Return one number per row, larger for more unusual rows."""
        weights = np.append(1 / self.scale_, np.ones(len(self.location_)))
        weight, offset, whiten = (
            torch.as_tensor(value, dtype=torch.float32, device=code.device)
            for value in (weights[np.newaxis], -self.location_ @ self.whiten_, self.whiten_.T)
        )
        away = F.linear(code, whiten, offset)
        return F.linear(torch.cat([error.flatten(1), away.square()], 1), weight)[:, 0]


class AnomalyMixin(OutlierMixin):
    """Scores rows by what the network cannot reproduce; scikit-learn's signs and labels.

    The host has `net_`, `_rows(X)` and the hooks `error` and, if it likes, `surprise`.
    """

    contamination: Literal["auto"] | Contamination

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

    def _anomaly(self, network: nn.Module, model: ErrorModel | None, x: Tensor) -> Tensor:
        """Return how unusual the rows of one tile are, (n,)."""
        out = network(x)
        error = self.error(x, out)
        if self.surprise is not None:
            return error.flatten(1).sum(1) + self.surprise(out)
        return cast(ErrorModel, model).anomaly(error, out.code)

    @property
    def _scores_by_model(self) -> bool:
        return type(self)._anomaly is AnomalyMixin._anomaly

    def _anomalies(self, network: nn.Module, model: ErrorModel | None, x: Rows) -> np.ndarray:
        (found,) = in_tiles(lambda rows: (self._anomaly(network, model, rows),), network, x)
        return found.astype(np.float64)

    def _calibration(self, network: nn.Module, x: Rows) -> dict[str, Any]:
        """Learn, from the training rows, what scores mean: a model of the errors, a threshold."""

        def evidence(rows: Tensor) -> tuple[Tensor, Tensor]:
            out = network(rows)
            return self.error(rows, out), out.code

        model, seen = None, x.spread(_THRESHOLD_ROWS)
        if self.surprise is None:
            sample = x.spread(_SAMPLE)
            error, code = in_tiles(evidence, network, sample)
            model = ErrorModel().fit(error, code)
        if model is not None and len(sample) == len(seen) and self._scores_by_model:
            known = (Loaded(torch.from_numpy(part)) for part in (error, code))
            (found,) = in_tiles(lambda *rows: (model.anomaly(*rows),), network, *known)
            scores = -found.astype(np.float64)
        else:
            scores = -self._anomalies(network, model, seen)
        share = 0.01 if self.contamination == "auto" else self.contamination
        return {
            "error_model_": model,
            "offset_": float(np.percentile(scores, 100 * share)),
            "_score_range": (scores.min(), scores.max()),
        }

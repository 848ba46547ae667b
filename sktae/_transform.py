"""Encoding, decoding and reconstruction of rows, once for all estimators."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from sktae._engine.net import AutoencoderNet
from sktae._engine.rows import Rows
from sktae._engine.tiles import in_tiles
from sktae._warnings import warn
from sktae.inputs.columns import filled_in, is_frame, like
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import FLOATS, from_tensor, result_dtype
from sktae.inputs.weights import check_weights

# Codes are clipped here before they are decoded: far above those of any row, and low enough that
# their squares, and sums of these, fit float32.
_LARGEST_CODE = 1e15


class TransformMixin(TransformerMixin):
    """Encodes, decodes and reconstructs rows, and measures the errors; a transformer."""

    net_: AutoencoderNet
    _inputs: Inputs
    _n_features_out: int

    @abstractmethod
    def _rows(self, X: Any) -> Rows:
        """Validate rows for a fitted estimator, and return them."""

    @abstractmethod
    def _apply(self, function: Callable[..., Tensor], x: Rows) -> np.ndarray:
        """Apply a function of network and rows, (n, ...) to (n, ...)."""

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to encode.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            Their codes.
        """
        x = self._rows(X)
        return self._apply(self._encode, x).astype(result_dtype(x.raw.dtype))

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as from `transform`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            The decoded rows.
        """
        check_is_fitted(self)
        codes = check_array(from_tensor(X), dtype=FLOATS)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} components, but the codes of this {type(self).__name__} "
                f"have {self._n_features_out}."
            )
        return self._inputs.to_table(self._decode(codes))

    def reconstruct(self, X: Any) -> Any:
        """Encode rows and decode them again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to reconstruct.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            The reconstructions.
        """
        return self._inputs.to_table(self._reconstruct(self._rows(X)), getattr(X, "index", None))

    def impute(self, X: Any) -> Any:
        """Replace missing values by what the model expects there, given the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of which some values are missing.

        Returns
        -------
        X : array or DataFrame of shape (n_samples, n_features)
            The rows, in the container of `X`, with the dtypes of its columns. A column that had no
            value in training keeps its missing values.
        """
        x = self._read_once(X)
        expected, missing = self._reconstruct(x), np.isnan(x.raw)
        unknown = np.isnan(self._inputs.mean).reshape(expected.shape[1:])
        expected[..., unknown] = np.nan
        if (missing & unknown).any():
            names = np.asarray(getattr(self, "feature_names_in_", range(unknown.size)))
            warn(
                f"Columns {names[unknown.ravel()].tolist()} had no values in the fit of "
                f"{type(self).__name__}, so their missing values stay: leave these columns out.",
            )
        filled = np.where(missing, expected, x.raw)
        table = like(X, self._inputs.to_table(filled, getattr(X, "index", None)))
        return filled_in(X, table, missing) if is_frame(X) else table

    def reconstruction_error(self, X: Any, per_feature: bool = False) -> Any:
        """Measure the squared error of the reconstruction, in the units of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to reconstruct.

        per_feature : bool, default=False
            Whether to return the error of each feature instead of their mean.

        Returns
        -------
        error : ndarray of shape (n_samples,)
            Squared errors; the largest float for those that are larger. With `per_feature`, they
            have the shape and the container of `X`.
        """
        x = self._read_once(X)
        with np.errstate(over="ignore"):
            error = self._inputs.errors(x.raw, self._reconstruct(x))
            if not per_feature:
                error = np.nanmean(error.reshape(len(error), -1), axis=1)
        error = np.minimum(error, np.finfo(np.float64).max)
        return like(X, error) if error.ndim == 2 else error

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Compute the share of variance explained. It is comparable across models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to reconstruct.

        y : Ignored
            Here for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows; None for equal weights.

        Returns
        -------
        score : float
            1 minus the residual variance over the variance around the training mean; at most 1.
        """
        x, weights = self._read_weighted(X, sample_weight)
        X, recon = x.raw.astype(np.float64), self._reconstruct(x)
        mean, rounding = (
            v.reshape(X.shape[1:]) for v in (self._inputs.mean, self._inputs.rounding)
        )
        scale = 1.0 if weights is None else weights.reshape(-1, *[1] * (X.ndim - 1))

        def sums(
            X: np.ndarray, recon: np.ndarray, mean: np.ndarray, rounding: np.ndarray
        ) -> tuple[Any, ...]:
            errors, deviations = self._inputs.errors(X, recon), self._inputs.errors(X, mean)
            residual, total = np.nansum(scale * errors), np.nansum(scale * deviations)
            return residual, total, (deviations > rounding**2).any()

        with np.errstate(over="ignore", invalid="ignore"):
            residual, total, varies = sums(X, recon, mean, rounding)
        # Squares that overflow are taken in larger units.
        if not np.isfinite([residual, total]).all():
            unit = max(np.nanmax(abs(X)), np.nanmax(abs(recon)))
            residual, total, varies = sums(X / unit, recon / unit, mean / unit, rounding / unit)
        if not varies:  # constant rows have no variance: 1 if reproduced, else 0
            return float(residual <= 1e-9 * np.nansum(scale * X**2))
        return float(1 - residual / total)

    def _network_rows(self, X: Any) -> np.ndarray:
        """Return rows as the network gets them, (n, d): scaled, coded, 0 where they are missing."""
        x = self._rows(X)
        return x.slice(0, len(x)).flatten(1).nan_to_num().cpu().numpy()

    def _read_once(self, X: Any) -> Rows:
        """Read rows once, since a Dataset may return other rows each time."""
        x = self._rows(X)
        return Rows(np.asarray(x.raw), x.prepare, x.device)

    def _read_weighted(self, X: Any, sample_weight: Any) -> tuple[Rows, np.ndarray | None]:
        """Read rows once, but for those of weight 0; return them and their weights, if any."""
        weights, positive = check_weights(sample_weight, X)
        x = self._read_once(X)
        if positive is not None:
            x = Rows(x.raw[positive], x.prepare, x.device)
        return x, weights

    def _encode(self, network: Any, x: Tensor) -> Tensor:
        """Return the codes of inputs of the network, as `transform` does, (n, k)."""
        return network(x).code

    def _reproduce(self, network: Any, x: Tensor) -> Tensor:
        """Return the reconstructions of inputs of the network, (n, ...)."""
        return network(x).recon

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        z = Rows(codes, lambda z: z.float().clamp(-_LARGEST_CODE, _LARGEST_CODE), self.net_.device)
        network = self.net_.module_
        (rows,) = in_tiles(lambda z: (network.decode(z),), network, z)
        return self._inputs.to_array(rows, codes.dtype)

    def _reconstruct(self, x: Rows) -> np.ndarray:
        recon = self._apply(self._reproduce, x)
        return self._inputs.to_array(recon, result_dtype(x.raw.dtype))

"""What all kinds of inputs share: number types, chunks, numbers of features, scales."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data
from torch import Tensor

from sktae.datasets import TableDataset

# The dtypes of raw rows; anything else is converted to the first.
FLOATS = (np.float64, np.float32)

# Up to so many rows, validation takes longer than to see that none is needed.
_FEW_ROWS = 1000

# Scaled values are clipped here: their squares, and sums of these, still fit float32.
CLIP = 1e6

# The scales of columns are learned from chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20

# A mean is far from 0 if it is so many times larger than the standard deviation. Beyond, the
# rounding of float64 would show in the scaled values, which are float32.
_FAR = 2.0**23

# Values may be this far from a mean that they are equal to, as a share of it.
_ROUNDING = 1e-10

# Numbers are too coarse for a column if they are farther apart than this share of its standard
# deviation.
_COARSE = 0.01


def result_dtype(dtype: np.dtype) -> np.dtype:
    """Return the floating-point dtype of results that are computed from this dtype."""
    return np.result_type(dtype, np.float32)


def check_n_features(estimator: Any, n_features: int, reset: bool) -> None:
    """Set or check the number of features, as `validate_data` does for tables."""
    if reset:
        estimator.n_features_in_ = n_features
        vars(estimator).pop("feature_names_in_", None)
    elif n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def fit_scaler(
    chunks: Iterator[np.ndarray], standardize: bool, weights: np.ndarray | None = None
) -> tuple[StandardScaler, np.ndarray, float]:
    """Learn mean and variance of each number of a row, and a mask of those that may be missing.

    If rows will be scaled by them (`standardize`), raise where a variance is not finite. If not,
    also return the largest number that would be clipped, or 0.
    """
    scaler, largest, n = StandardScaler(), 0.0, 0
    incomplete: Any = False
    shifted, origin = False, np.zeros(1)
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in chunks:
            rows = chunk.reshape(len(chunk), -1).astype(np.float64)
            own = None if weights is None else weights[n : n + len(chunk)]
            scaler.partial_fit(rows - origin if shifted else rows, sample_weight=own)
            if n == 0 and _is_far(scaler).any():  # deviations from there are small and exact
                shifted, origin = True, np.where(_is_far(scaler), scaler.mean_, 0.0)
                scaler = StandardScaler().partial_fit(rows - origin, sample_weight=own)
            if weights is not None:
                incomplete = incomplete | np.isnan(rows).any(axis=0)
            largest = np.fmax(largest, np.fmax.reduce(abs(chunk), axis=None))
            n += len(chunk)
    if shifted:
        scaler.mean_ = scaler.mean_ + origin
    if weights is None:  # then rows are what the scaler has counted
        incomplete = np.asarray(scaler.n_samples_seen_) < n
    observed = np.broadcast_to(np.asarray(scaler.n_samples_seen_) > 0, scaler.scale_.shape)
    if standardize:
        check_scales(scaler.scale_[observed], largest)
    clipped = 0.0 if standardize or largest <= CLIP else float(largest)
    return scaler, np.broadcast_to(incomplete, scaler.mean_.shape), clipped


def check_scales(scales: np.ndarray, largest: float) -> None:
    """Raise where a variance is not finite; `largest` is the largest value."""
    if not np.isfinite(scales).all():
        raise ValueError(
            f"X has values up to {largest:.4g}, whose variance is too large for a float; "
            f"divide them by a constant."
        )


def _is_far(scaler: StandardScaler) -> np.ndarray:
    return abs(scaler.mean_) > _FAR * scaler.scale_


def rounding(scaler: StandardScaler) -> np.ndarray:
    """Return how far values may be from a mean that they are equal to."""
    mean = abs(np.nan_to_num(scaler.mean_))
    # Means that are far from 0 are exact, since they are sums of small deviations.
    with np.errstate(over="ignore"):  # of the largest floats
        return np.where(_is_far(scaler), np.spacing(mean), _ROUNDING * mean)


def scaled(
    x: Tensor, shift: np.ndarray, scale: np.ndarray, low: float = -CLIP, high: float = CLIP
) -> Tensor:
    """Subtract shifts and divide by scales, which broadcast; clip the results."""
    far = abs(shift) > _FAR * scale
    x = x.double()
    if far.any():
        x = x - torch.from_numpy(np.where(far, shift, 0.0))
        shift = np.where(far, 0.0, shift)
    offset, factor = torch.from_numpy(-shift / scale), torch.from_numpy(1 / scale)
    return torch.addcmul(offset, x, factor).float().clamp(low, high)


def unscaled(z: np.ndarray, shift: np.ndarray, scale: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Undo `scaled`; what a dtype cannot hold becomes its largest number."""
    values = z.astype(np.float64) * scale + shift
    if dtype == np.float32:
        limits = np.finfo(dtype)
        values = values.clip(limits.min, limits.max, out=values)
    return values.astype(dtype)


def coarse(scaler: StandardScaler) -> dict[str, tuple[int, float, float]]:
    """Find where numbers are too far apart for the variation of a column.

    Return, by the names of dtypes, the column for which it is worst, its mean and its standard
    deviation.
    """
    deviation = np.sqrt(np.nan_to_num(scaler.var_, posinf=np.inf))
    varies, found = deviation > np.where(_is_far(scaler), 0, rounding(scaler)), {}
    for dtype in FLOATS:
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = np.spacing(abs(np.nan_to_num(scaler.mean_)).astype(dtype)).astype(np.float64)
            share = np.nan_to_num(gaps) / np.where(varies, deviation, np.inf)
        worst = int(share.argmax())
        if share[worst] > _COARSE:
            name = np.dtype(dtype).name
            found[name] = worst, float(scaler.mean_[worst]), float(deviation[worst])
    return found


def pooled_moments(
    scaler: StandardScaler, shape: tuple[int, ...], axis: int, standardize: bool | str = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the numbers of a row along an axis.

    A row is reshaped to `shape` first, such as to channels and their pixels. With "shared", the
    root of the mean variance is given for all. A standard deviation of 0 is given as 1.
    """
    mean, variance = (np.nan_to_num(v).reshape(shape) for v in (scaler.mean_, scaler.var_))
    counts = np.broadcast_to(scaler.n_samples_seen_, scaler.mean_.shape).reshape(shape)
    # Means that are all far from 0 are taken from the first of them on, as deviations.
    far = _is_far(scaler).reshape(shape).all(axis=axis, keepdims=True)
    origin = np.where(far, mean.take([0], axis), 0.0)
    mean = mean - origin
    n = counts.sum(axis=axis)
    share = counts / np.expand_dims(np.where(n > 0, n, 1), axis)
    pooled_mean = (share * mean).sum(axis=axis)
    deviation = mean - np.expand_dims(pooled_mean, axis)
    with np.errstate(over="ignore"):
        pooled_variance = (share * (variance + deviation**2)).sum(axis=axis)
    check_scales(pooled_variance, abs(mean + origin).max())
    # The variance of constant numbers may be a rounding error of these sums.
    rounding = (n * pooled_mean * np.finfo(float).eps) ** 2
    pooled_mean = pooled_mean + origin.squeeze(axis)
    varies = np.where(pooled_variance > rounding, pooled_variance, 0.0)
    if standardize == "shared":
        varies = np.full_like(varies, varies.mean())
    return pooled_mean, np.sqrt(np.where(varies > 0, varies, 1.0))


def chunked(X: Any) -> Iterator[np.ndarray]:
    """Walk through rows in chunks, to bound memory."""
    size = max(1, _CHUNK_NUMBERS // max(1, math.prod(X.shape[1:])))
    for start in range(0, len(X), size):
        yield X[start : start + size]


def holds_missing(rows: Any) -> bool:
    """Return whether values are missing in an array of rows, or in selected rows of one."""
    whole = getattr(rows, "X", rows)
    if hasattr(whole, "stored"):  # of a sparse table, most numbers are 0
        rows = whole = whole.stored
    may_miss = isinstance(whole, np.ndarray) and whole.dtype.kind == "f"
    if isinstance(whole, TableDataset):
        may_miss = whole.has_missing
    return may_miss and any(bool(np.isnan(chunk).any()) for chunk in chunked(rows))


def from_tensor(X: Any) -> Any:
    """Return a torch tensor as an array; anything else as it is."""
    if not isinstance(X, torch.Tensor):
        return X
    if X.device.type != "cpu":
        raise ValueError(f"X is a tensor on the device {X.device}; pass X.cpu() instead.")
    X = X.detach()
    return (X.float() if X.dtype in (torch.bfloat16, torch.float16) else X).numpy()


def validated_floats(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    """Return rows as an array of floats, in which missing values are NaN.

    Few rows for a fitted estimator that are valid as they are need no `validate_data`, which takes
    as long as all else that is done to a single row.
    """
    plain = (
        not reset
        and type(X) is np.ndarray
        and X.dtype in FLOATS
        and X.ndim == 2
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and 0 < len(X) <= _FEW_ROWS
        and not hasattr(estimator, "feature_names_in_")
        and not np.isinf(X).any()
    )
    if plain:
        return X
    return validate_data(estimator, X, dtype=FLOATS, ensure_all_finite="allow-nan", reset=reset)


def check_rows_hold_values(rows: Any) -> None:
    """Raise if all values of a row are missing."""
    if not holds_missing(rows):
        return
    start = 0
    for chunk in chunked(rows):
        empty = np.isnan(chunk).reshape(len(chunk), -1).all(axis=1)
        if empty.any():
            raise ValueError(
                f"Row {start + int(empty.argmax())} of X has no value, all of it is missing: leave "
                f"it out."
            )
        start += len(chunk)

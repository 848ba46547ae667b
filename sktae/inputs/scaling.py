"""What all kinds of input share: number types, chunks, widths, means and scales."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

# What arrays may hold; anything else is converted to the first.
FLOATS = (np.float64, np.float32)


# Beyond a million standard deviations a value says no more, and its square still fits float32.
FAR = 1e6


# The scales of columns are learnt from chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


def float_of(dtype: np.dtype) -> np.dtype:
    """Return the type of what is computed from numbers of this type."""
    return np.result_type(dtype, np.float32)


def check_width(estimator: Any, width: int, reset: bool) -> None:
    """Do for Datasets and panels what `validate_data` does for tables."""
    if reset:
        estimator.n_features_in_ = width
        vars(estimator).pop("feature_names_in_", None)
    elif width != estimator.n_features_in_:
        raise ValueError(
            f"X has {width} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def scaler_of(chunks: Iterator[np.ndarray], scaled: bool) -> StandardScaler:
    """Learn mean and variance of each number of a row."""
    scaler, largest = StandardScaler(), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in chunks:
            scaler.partial_fit(chunk.reshape(len(chunk), -1).astype(np.float64))
            largest = max(largest, np.nanmax(abs(chunk)))
    seen = np.asarray(scaler.n_samples_seen_) > 0
    if scaled and not np.isfinite(scaler.scale_[np.broadcast_to(seen, scaler.scale_.shape)]).all():
        raise ValueError(
            f"X has values up to {largest:.4g}, whose variance is too large for a float; "
            f"divide them by a constant."
        )
    return scaler


def pooled(
    scaler: StandardScaler, shape: tuple[int, ...], axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of numbers that belong together, along an axis of this shape."""
    mean, variance = (np.nan_to_num(v).reshape(shape) for v in (scaler.mean_, scaler.var_))
    seen = np.broadcast_to(scaler.n_samples_seen_, scaler.mean_.shape).reshape(shape)
    n = seen.sum(axis=axis)
    share = seen / np.maximum(np.expand_dims(n, axis), 1)
    whole = (share * mean).sum(axis=axis)
    spread = (share * (variance + (mean - np.expand_dims(whole, axis)) ** 2)).sum(axis=axis)
    # What is left of a constant after so many sums is noise.
    noise = (n * whole * np.finfo(float).eps) ** 2
    return whole, np.where(spread > noise, np.sqrt(spread), 1.0)


def chunks_of(X: Any) -> Iterator[np.ndarray]:
    """Walk through rows without holding many of them."""
    size = max(1, _CHUNK_NUMBERS // math.prod(X.shape[1:]))
    for start in range(0, len(X), size):
        yield X[start : start + size]

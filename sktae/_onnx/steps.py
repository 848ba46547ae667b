"""Steps of a pipeline in front of an autoencoder: scikit-learn's transformers of numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from torch import Tensor


class Step(NamedTuple):
    """What a step does to rows, and how this is undone, (n, d) to (n, k) and back."""

    transform: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]


def step_of(name: str, transformer: Any) -> Step:
    """Return a fitted step of a pipeline as functions of tensors.

    Parameters
    ----------
    name : str
        Its name in the pipeline, for errors.

    transformer : transformer
        The step.
    """
    convert = _STEPS.get(type(transformer))
    if convert is None:
        raise ValueError(
            f"The step {name!r} of the pipeline, {type(transformer).__name__}, has no export to "
            f"ONNX: of the steps before the autoencoder, "
            f"{', '.join(sorted(known.__name__ for known in _STEPS))} and 'passthrough' have. "
            f"Apply {name!r} before the graph, and export the rest of the pipeline."
        )
    return convert(name, transformer)


def _scaled(shift: Any, factor: Any) -> Step:
    """Return the step (rows - shift) * factor; None for a shift of 0, or for a factor of 1."""
    offset = torch.from_numpy(np.asarray(0.0 if shift is None else shift, dtype=np.float64))
    slope = torch.from_numpy(np.asarray(1.0 if factor is None else factor, dtype=np.float64))
    return Step(lambda rows: (rows - offset) * slope, lambda rows: rows / slope + offset)


def _reciprocal(scale: Any) -> Any:
    return None if scale is None else 1 / scale.astype(np.float64)


def _standard(name: str, scaler: StandardScaler) -> Step:
    return _scaled(scaler.mean_ if scaler.with_mean else None, _reciprocal(scaler.scale_))


def _robust(name: str, scaler: RobustScaler) -> Step:
    return _scaled(scaler.center_, _reciprocal(scaler.scale_))


def _max_abs(name: str, scaler: MaxAbsScaler) -> Step:
    return _scaled(None, _reciprocal(scaler.scale_))


def _min_max(name: str, scaler: MinMaxScaler) -> Step:
    scale, (low, high) = scaler.scale_, scaler.feature_range
    transform, inverse = _scaled(-scaler.min_ / scale, scale)
    if not scaler.clip:
        return Step(transform, inverse)
    return Step(lambda rows: transform(rows).clamp(low, high), inverse)


def _pca(name: str, pca: PCA) -> Step:
    scale = np.sqrt(pca.explained_variance_) if pca.whiten else 1.0
    # As scikit-learn, which divides by no less than this.
    scale = np.maximum(scale, np.finfo(np.float64).eps)
    axes = torch.from_numpy(pca.components_.T / scale).double()
    back = torch.from_numpy((pca.components_.T * scale).T.copy()).double()
    mean = torch.from_numpy(pca.mean_).double()
    return Step(lambda rows: (rows - mean) @ axes, lambda rows: rows @ back + mean)


def _imputer(name: str, imputer: SimpleImputer) -> Step:
    values = np.asarray(imputer.statistics_)
    if imputer.add_indicator or values.dtype.kind not in "fiu" or np.isnan(values).any():
        raise ValueError(
            f"The step {name!r} of the pipeline, SimpleImputer, has no export to ONNX with "
            f"add_indicator=True, with strings, or where a column had no value in the fit."
        )
    fill, marker = torch.from_numpy(values.astype(np.float64)), imputer.missing_values
    if isinstance(marker, float) and np.isnan(marker):
        return Step(lambda rows: torch.where(rows.isnan(), fill, rows), lambda rows: rows)
    return Step(lambda rows: torch.where(rows == float(marker), fill, rows), lambda rows: rows)


_STEPS: dict[type, Callable[[str, Any], Step]] = {
    MaxAbsScaler: _max_abs,
    MinMaxScaler: _min_max,
    PCA: _pca,
    RobustScaler: _robust,
    SimpleImputer: _imputer,
    StandardScaler: _standard,
}

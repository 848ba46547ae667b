"""Graphs of detectors: modules that compute codes, reconstructions and anomalies of rows."""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sktae._onnx.arrays import check_categories, raw_rows, reconstructed, tail_heights
from sktae._outliers.model import _LARGEST, parts
from sktae.base import BaseAutoencoder
from sktae.ensemble import AutoencoderEnsemble
from sktae.families.density import DensityAutoencoder
from sktae.nn.missing import Completing

# Codes (n, k), reconstructions in the units of X, (n, ...), and anomalies (n,).
Judged = tuple[Tensor, Tensor, Tensor]


class Applied:
    """A network that has been applied to some rows, and need not be again.

    A graph would hold what is computed twice two times, until it is optimized, which takes long.
    """

    def __init__(self, network: Any, x: Tensor):
        self.network, self.out = network, network(x)

    def __call__(self, x: Tensor) -> Any:
        return self.out

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


class AutoencoderGraph(nn.Module):
    """An autoencoder, from rows to their codes, reconstructions and anomalies.

    Parameters
    ----------
    estimator : BaseAutoencoder
        A fitted estimator.
    """

    def __init__(self, estimator: BaseAutoencoder):
        super().__init__()
        method = estimator.score_method
        if isinstance(estimator, DensityAutoencoder) and method in ("monte_carlo", "importance"):
            raise ValueError(
                f"score_method={method!r} of {type(estimator).__name__} has no export, since it "
                f"draws samples: set it to 'elbo' and fit again."
            )
        self.estimator, self.inputs = estimator, estimator._inputs
        check_categories(self.inputs)
        self.network: Any = copy.deepcopy(estimator.net_.module_).cpu().eval()
        # A graph has no branches: it fills in missing values whether there are any or not.
        self.completes = estimator._fills_missing and not self.network.takes_missing

    def forward(self, X: Tensor) -> Judged:
        estimator, network = self.estimator, self.network
        if self.completes:
            network = Completing(network, estimator._feature_model.completed)
        rows = raw_rows(self.inputs, X)
        x = self.inputs.to_tensor(rows)
        network = Applied(network, x)
        recon = reconstructed(self.inputs, estimator._reproduce(network, x), rows)
        return estimator._encode(network, x), recon, self.anomalies(network, x)

    def anomalies(self, network: Any, x: Tensor) -> Tensor:
        """Return the anomalies of inputs of the network, as `OutlierModel.score` does, (n,)."""
        estimator, model = self.estimator, self.estimator.outlier_model_
        names = model.counted(estimator.score_method)
        if names is None:
            errors = estimator._row_errors(network, x, estimator.score_method).double()
            return errors.nan_to_num(nan=_LARGEST, posinf=_LARGEST)
        measures = model.measures(parts(estimator, network, self.inputs, x), names).unbind(1)
        total = torch.zeros_like(measures[0], dtype=torch.float64)
        for name, values in zip(names, measures, strict=True):
            total = total + model.weights[name] * tail_heights(model.tails[name], values)
        return total


class EnsembleGraph(nn.Module):
    """An ensemble, from rows to their codes, reconstructions and anomalies.

    Parameters
    ----------
    ensemble : AutoencoderEnsemble
        A fitted ensemble.
    """

    def __init__(self, ensemble: AutoencoderEnsemble):
        super().__init__()
        inputs: Any = ensemble._inputs
        if inputs.columns is not None:
            raise ValueError(
                "AutoencoderEnsemble has no export where columns are categories or booleans; a "
                "single autoencoder has."
            )
        self.ensemble = ensemble
        self.members = nn.ModuleList(map(AutoencoderGraph, ensemble.estimators_))

    def forward(self, X: Tensor) -> Judged:
        ensemble = self.ensemble
        total, codes, anomalies = torch.zeros_like(X), [], []
        for member, columns in zip(self.members, ensemble.features_, strict=True):
            code, recon, anomaly = member(self.part(X, columns))
            total = total.index_add(1, torch.from_numpy(columns), recon)
            codes.append(code)
            anomalies.append(anomaly)
        counts = torch.from_numpy(np.bincount(ensemble.features_.ravel()))
        center, scale = torch.from_numpy(ensemble.center_), torch.from_numpy(ensemble.scale_)
        scaled = (torch.stack(anomalies, 1) - center) / scale
        return torch.cat(codes, 1), total / counts, _AGGREGATES[ensemble.aggregation](scaled)

    def part(self, X: Tensor, columns: np.ndarray) -> Tensor:
        """Return what a member gets of rows: columns, with their means where all are missing."""
        part = X[:, torch.from_numpy(columns)]
        means = torch.from_numpy(self.ensemble._inputs.mean[columns])
        return torch.where(part.isnan().all(1, keepdim=True), means, part)


def _median(values: Tensor) -> Tensor:
    """Return the median of each row, (n, m) to (n,); that of NumPy, for even m a mean of two."""
    ascending, m = values.sort(1).values, values.shape[1]
    return (ascending[:, (m - 1) // 2] + ascending[:, m // 2]) / 2


_AGGREGATES = {"mean": lambda v: v.mean(1), "max": lambda v: v.amax(1), "median": _median}

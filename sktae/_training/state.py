"""The fitted state of an estimator: one object, which it takes over when a fit is complete."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from torch import Tensor

from sktae._engine.net import AutoencoderNet
from sktae._outliers.model import OutlierModel
from sktae._training.spec import Spec
from sktae.inputs.protocol import Inputs


class Memory(NamedTuple):
    """A sample of all training rows so far.

    `partial_fit` may get small chunks; scores and thresholds are computed from this sample instead.
    """

    x: Tensor
    n_rows: int


@dataclass(frozen=True)
class Fitted:
    """The fitted state of an estimator, after a fit or at the end of an epoch.

    Attributes
    ----------
    net : AutoencoderNet
        The trained skorch net.

    inputs : Inputs
        How rows become tensors, with the scales of the fit.

    spec : Spec
        What the network was built for.

    seed : int
        The integer that `random_state` was reduced to; later chunks use the same.

    n_steps : int
        Training steps taken so far.

    memory : Memory
        A sample of the training rows, as inputs of the network.

    outlier_model : OutlierModel
        Statistics of normal rows, from which scores are computed.

    offset : float
        Threshold on scores.

    calibration_scores : ndarray or None
        Sorted scores of held-out rows.

    params : dict
        The values of the parameters, of which the network was made.

    scored_by : dict
        The values of the parameters that scores depend on.

    n_features : int
        Number of columns.

    feature_names : ndarray or None
        Names of the columns, if all are strings.
    """

    net: AutoencoderNet
    inputs: Inputs
    spec: Spec
    seed: int
    n_steps: int
    memory: Memory
    outlier_model: OutlierModel
    offset: float
    calibration_scores: np.ndarray | None
    params: dict[str, Any]
    scored_by: dict[str, Any]
    n_features: int
    feature_names: np.ndarray | None


def made_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters by which a network and its net are made again."""
    params = estimator.get_params(deep=False)
    if params.get("net") is not None:
        # Callbacks were for the fit. They may hold rows, or what no file can hold.
        params["net"] = clone(params["net"]).set_params(callbacks=None)
    return {name: params[name] for name in params if name not in ("init_from", "random_state")}

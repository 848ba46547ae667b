"""What a fit leaves: one object, which an estimator takes over when all of it is there."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from sktae._engine.net import AutoencoderNet
from sktae._outliers.model import OutlierModel
from sktae._training.spec import Spec
from sktae.inputs.protocol import Inputs


class Memory(NamedTuple):
    """A sample of all rows so far, for what is learned from chunks that may be small."""

    x: Tensor
    n_rows: int


@dataclass(frozen=True)
class Fitted:
    """What an estimator knows after a fit, or at the end of an epoch.

    Attributes
    ----------
    net : AutoencoderNet
        The trained skorch net.

    inputs : Inputs
        How rows become tensors, with the scales of the fit.

    spec : Spec
        What the network was built for.

    seed : int
        What `random_state` came to; later chunks go on with it.

    n_steps : int
        Training steps taken so far.

    memory : Memory
        A sample of the training rows, as the network sees them.

    outlier_model : OutlierModel
        What normal rows are like.

    offset : float
        Threshold on scores.

    calibration_scores : ndarray or None
        Sorted scores of held-out rows.

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
    scored_by: dict[str, Any]
    n_features: int
    feature_names: np.ndarray | None

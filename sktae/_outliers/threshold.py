"""Where outliers begin."""

from typing import Any

import numpy as np


def threshold(
    contamination: Any, usual: np.ndarray, calibration: np.ndarray | None = None
) -> float:
    """Return the score below which rows are outliers, from sorted scores."""
    share = 0.01 if contamination == "auto" else contamination
    if calibration is None:
        return float(np.percentile(usual, 100 * share))
    n = len(calibration)
    # p-values are multiples of 1 / (n + 1), of which the first can be told from nothing.
    rank = int(share * (n + 1) + 1e-9) - 1
    if rank < 0 and contamination != "auto":
        raise ValueError(
            f"contamination={contamination} asks for false alarms that the {n} rows of "
            f"calibration_fraction cannot assure; hold out more, or allow at least 1 / {n + 1}."
        )
    return float(calibration[max(0, rank)])

"""Metrics of codes: how well they stand for the causes of rows."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import mutual_info_score
from sklearn.utils import check_array, check_consistent_length, check_scalar


def mutual_information_gap(factors: Any, codes: Any, *, n_bins: int = 20) -> float:
    """How well each factor is told by one component of the code, and by no other (MIG).

    For each factor, the mutual information with the component that tells most of it, less that with
    the next one, over the entropy of the factor; and the mean of that over factors.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors)
        What rows were made from. Each distinct value counts as one of its own, so bring continuous
        factors to a few levels before.

    codes : array-like of shape (n_samples, n_components)
        What was learnt, as from `transform`.

    n_bins : int, default=20
        Into how many bins of equal width each component is cut.

    Returns
    -------
    gap : float
        Between 0 and 1.

    References
    ----------
    .. [1] Chen, R. T. Q., Li, X., Grosse, R. and Duvenaud, D. (2018). Isolating Sources of
       Disentanglement in Variational Autoencoders. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import mutual_information_gap
    >>> factors = np.indices((5, 5)).reshape(2, -1).T
    >>> mutual_information_gap(factors, factors[:, ::-1])
    1.0
    >>> turned = np.column_stack([factors.sum(axis=1), np.subtract(*factors.T)])
    >>> mutual_information_gap(factors, turned) < 0.1
    True
    """
    factors, codes = check_array(factors, input_name="factors"), check_array(codes)
    check_consistent_length(factors, codes)
    check_scalar(n_bins, "n_bins", Integral, min_val=2)
    steps = np.stack([_binned(column, n_bins) for column in codes.T])
    gaps = []
    for number, factor in enumerate(factors.T):
        entropy = mutual_info_score(factor, factor)
        if entropy == 0:
            raise ValueError(f"Column {number} of factors is constant, so nothing can tell it.")
        told = np.sort([0.0, *(mutual_info_score(factor, step) for step in steps)])
        gaps.append((told[-1] - told[-2]) / entropy)
    return float(np.clip(np.mean(gaps), 0, 1))


def _binned(values: np.ndarray, n_bins: int) -> np.ndarray:
    edges = np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]
    return np.digitize(values, edges)

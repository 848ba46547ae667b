"""Metrics of codes: how well they represent the factors that rows vary by."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import mutual_info_score
from sklearn.utils import check_array, check_consistent_length, check_scalar


def mutual_information_gap(factors: Any, codes: Any, *, n_bins: int = 20) -> float:
    """Compute the mutual information gap (MIG): whether each factor has a component of its own.

    For each factor, the components of the code are ranked by their mutual information with it. The
    gap is the difference between the first and the second, divided by the entropy of the factor.
    The result is the mean over factors.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors)
        The factors of variation that rows were generated from. Each distinct value is a class, so
        bin continuous factors before.

    codes : array-like of shape (n_samples, n_components)
        The codes, as from `transform`.

    n_bins : int, default=20
        Number of bins of equal width that each component is divided into.

    Returns
    -------
    gap : float
        Between 0 and 1; the higher, the better factors are disentangled.

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
    >>> mixed = np.column_stack([factors.sum(axis=1), np.subtract(*factors.T)])
    >>> mutual_information_gap(factors, mixed) < 0.1
    True
    """
    factors, codes = check_array(factors, input_name="factors"), check_array(codes)
    check_consistent_length(factors, codes)
    check_scalar(n_bins, "n_bins", Integral, min_val=2)
    binned = [_binned(column, n_bins) for column in codes.T]
    gaps = []
    for number, factor in enumerate(factors.T):
        entropy = mutual_info_score(factor, factor)
        if entropy == 0:
            raise ValueError(f"Column {number} of factors is constant; leave it out.")
        information = np.sort([0.0, *(mutual_info_score(factor, bins) for bins in binned)])
        gaps.append((information[-1] - information[-2]) / entropy)
    return float(np.clip(np.mean(gaps), 0, 1))


def _binned(values: np.ndarray, n_bins: int) -> np.ndarray:
    edges = np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]
    return np.digitize(values, edges)

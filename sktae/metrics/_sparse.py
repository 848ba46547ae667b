"""Metrics of sparse codes: how many units are active, and what reconstructions keep."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils import check_array, check_consistent_length, check_scalar
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def l0(codes: Any) -> float:
    """Compute the number of active units in a row, mean over rows.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes, as from `transform`. A unit is active where it is not 0.

    Returns
    -------
    l0 : float
        Between 0 and the number of units.

    Examples
    --------
    >>> from sktae.metrics import l0
    >>> l0([[0.0, 2.0, 0.0], [1.0, 3.0, 0.0]])
    1.5
    """
    return float((check_array(codes, input_name="codes") != 0).sum(axis=1).mean())


def dead_units(codes: Any) -> float:
    """Compute the share of units that are active in no row.

    It falls with the number of rows, since more rows have more of what is rare.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes, as from `transform`. A unit is active where it is not 0.

    Returns
    -------
    share : float
        Between 0, the best value, and 1.

    Examples
    --------
    >>> from sktae.metrics import dead_units
    >>> dead_units([[0.0, 2.0, 0.0, 1.0], [1.0, 3.0, 0.0, 0.0]])
    0.25
    """
    return float((check_array(codes, input_name="codes") == 0).all(axis=0).mean())


def loss_recovered(
    loss: Callable[[np.ndarray], float],
    X: Any,
    reconstruction: Any,
    *,
    ablation: str = "mean",
) -> float:
    """Compute how much of what activations do for a loss is kept by their reconstructions.

    The loss of the network is computed three times: with its activations, with their
    reconstructions, and with activations that say nothing about rows. The result is 1 if
    reconstructions are as good as the activations, and 0 if they are as bad as nothing.

    Parameters
    ----------
    loss : callable
        Takes activations of all rows, an array of shape (n_samples, n_features), and returns the
        loss of the network that goes on from there.

    X : array-like of shape (n_samples, n_features)
        The activations.

    reconstruction : array-like of shape (n_samples, n_features)
        Their reconstructions, as from `reconstruct`.

    ablation : {"mean", "zero"}, default="mean"
        The activations that say nothing: their mean over rows, or 0.

    Returns
    -------
    recovered : float
        At most 1, the best value, unless reconstructions are better for the loss than the
        activations. Below 0 if they are worse than nothing.

    References
    ----------
    .. [1] Bricken, T., Templeton, A., Batson, J. et al. (2023). Towards Monosemanticity:
       Decomposing Language Models With Dictionary Learning. Transformer Circuits Thread.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import loss_recovered
    >>> X = np.array([[-1.0], [1.0], [3.0]])
    >>> loss = lambda activations: ((activations[:, 0] - [-1, 1, 3]) ** 2).mean()
    >>> loss_recovered(loss, X, (X + 1) / 2)
    0.75
    """
    X = check_array(X, input_name="X")
    reconstruction = check_array(reconstruction, input_name="reconstruction")
    if X.shape != reconstruction.shape:
        raise ValueError(
            f"X and reconstruction must have the same shape. Got {X.shape} and "
            f"{reconstruction.shape} instead."
        )
    if ablation not in ("mean", "zero"):
        raise ValueError(f"ablation must be 'mean' or 'zero'. Got {ablation!r} instead.")
    nothing = np.zeros_like(X) if ablation == "zero" else np.zeros_like(X) + X.mean(axis=0)
    exact, kept, none = (float(loss(rows)) for rows in (X, reconstruction, nothing))
    if not np.isfinite([exact, kept, none]).all():
        raise ValueError(
            f"loss must return finite numbers. Got {exact} of X, {kept} of its reconstruction and "
            f"{none} of the ablation instead."
        )
    if none <= exact:
        raise ValueError(
            f"The loss of the activations, {exact:.4g}, is not less than {none:.4g}, that of the "
            f"ablation {ablation!r}, so there is nothing to recover."
        )
    return (none - kept) / (none - exact)


def sparse_probing_accuracy(codes: Any, y: Any, *, n_units: int = 1, cv: int = 5) -> float:
    """Compute how well the few units that differ most between classes predict the class.

    In each fold, units are ranked by the difference of their means between a class and all other
    rows, the largest over classes. A logistic regression on the first `n_units` of them predicts
    the classes of the other folds. If each class has a unit of its own, few units suffice.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes, as from `transform`.

    y : array-like of shape (n_samples,)
        Classes.

    n_units : int, default=1
        Number of units.

    cv : int, default=5
        Number of folds; each class is in all of them.

    Returns
    -------
    accuracy : float
        Between 0 and 1, the best value, mean over folds.

    References
    ----------
    .. [1] Gurnee, W., Nanda, N., Pauly, M., Harvey, K., Troitskii, D. and Bertsimas, D. (2023).
       Finding Neurons in a Haystack: Case Studies with Sparse Probing. TMLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import sparse_probing_accuracy
    >>> y = np.arange(60) % 2
    >>> codes = np.column_stack([np.cos(np.arange(60)), y])
    >>> sparse_probing_accuracy(codes, y)
    1.0
    """
    codes, y = check_array(codes, input_name="codes"), column_or_1d(y)
    check_consistent_length(codes, y)
    check_classification_targets(y)
    check_scalar(n_units, "n_units", Integral, min_val=1, max_val=codes.shape[1])
    check_scalar(cv, "cv", Integral, min_val=2)
    names, counts = np.unique(y, return_counts=True)
    classes = names.tolist()
    if len(classes) < 2:
        raise ValueError(f"y must have at least two classes. Got only {classes[0]!r} instead.")
    if counts.min() < cv:
        raise ValueError(
            f"Class {classes[counts.argmin()]!r} of y has {counts.min()} rows, but there are "
            f"cv={cv} folds: give fewer folds."
        )
    units = SelectKBest(_mean_difference, k=n_units)
    probe = make_pipeline(units, MaxAbsScaler(), LogisticRegression(max_iter=1000))
    return float(cross_val_score(probe, codes, y, cv=cv).mean())


def _mean_difference(codes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return for each unit the largest difference of its means in and outside of a class."""
    apart = [codes[y == c].mean(axis=0) - codes[y != c].mean(axis=0) for c in np.unique(y)]
    return np.abs(apart).max(axis=0)

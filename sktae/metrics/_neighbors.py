"""Metrics of maps: do codes keep which rows are near, and how far others are?"""

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_consistent_length, check_random_state, check_scalar
from sklearn.utils.validation import column_or_1d

# Rows are compared with all others in chunks, of about so many numbers at a time.
_NUMBERS = 2**25


def trustworthiness(X: Any, codes: Any, *, n_neighbors: int = 10) -> float:
    """Compute how far the neighbors in a code are neighbors of the rows.

    It falls with each row that is among the nearest in the code but not in `X`, the more the
    farther away it is in `X`. The result is that of `sklearn.manifold.trustworthiness`, with memory
    for some rows at a time.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows, with columns scaled as for their distances.

    codes : array-like of shape (n_samples, n_components)
        Their codes, as from `transform`.

    n_neighbors : int, default=10
        Number of neighbors, less than half of the rows.

    Returns
    -------
    trustworthiness : float
        Between 0 and 1, the best value; about 0.5 for codes at random.

    References
    ----------
    .. [1] Venna, J. and Kaski, S. (2001). Neighborhood Preservation in Nonlinear Projection
       Methods: An Experimental Study. ICANN.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import trustworthiness
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> trustworthiness(X, 3 * X[:, ::-1])
    1.0
    """
    X, codes = _both(X, codes)
    n = len(X)
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    if n_neighbors >= n / 2:
        raise ValueError(f"n_neighbors={n_neighbors} must be less than half of the {n} rows.")
    near = NearestNeighbors(n_neighbors=n_neighbors).fit(codes).kneighbors(return_distance=False)

    def excess(distances: np.ndarray, start: int) -> np.ndarray:
        some = near[start : start + len(distances)]
        distances[np.arange(len(some)), np.arange(start, start + len(some))] = -1  # themselves
        own = np.take_along_axis(distances, some, axis=1)
        ranks = np.array([(distances < own[:, [j]]).sum(axis=1) for j in range(n_neighbors)])
        return np.maximum(ranks - n_neighbors, 0).sum(axis=0)

    memory = _NUMBERS * 8 / 2**20
    chunks = pairwise_distances_chunked(X, reduce_func=excess, working_memory=memory)
    worst = n * n_neighbors * (2 * n - 3 * n_neighbors - 1) / 2
    return float(1 - sum(chunk.sum() for chunk in chunks) / worst)


def continuity(X: Any, codes: Any, *, n_neighbors: int = 10) -> float:
    """Compute how far the neighbors of rows are neighbors in their code.

    It falls with each row that is among the nearest in `X` but not in the code: the trustworthiness
    of `X` as a map of the codes.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows, with columns scaled as for their distances.

    codes : array-like of shape (n_samples, n_components)
        Their codes, as from `transform`.

    n_neighbors : int, default=10
        Number of neighbors, less than half of the rows.

    Returns
    -------
    continuity : float
        Between 0 and 1, the best value; about 0.5 for codes at random.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import continuity, trustworthiness
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> continuity(X, X[:, :1]) > trustworthiness(X, X[:, :1])
    True
    """
    return trustworthiness(codes, X, n_neighbors=n_neighbors)


def neighborhood_hit(codes: Any, y: Any, *, n_neighbors: int = 5) -> float:
    """Compute the share of neighbors in a code that have the same label, mean over rows.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Codes, as from `transform`.

    y : array-like of shape (n_samples,)
        Labels.

    n_neighbors : int, default=5
        Number of neighbors.

    Returns
    -------
    hit : float
        Between 0 and 1, the best value.

    References
    ----------
    .. [1] Paulovich, F. V., Nonato, L. G., Minghim, R. and Levkowitz, H. (2008). Least Square
       Projection. IEEE TVCG 14(3).

    Examples
    --------
    >>> from sktae.metrics import neighborhood_hit
    >>> neighborhood_hit([[0.0], [1.0], [10.0], [11.0]], ["a", "a", "b", "b"], n_neighbors=1)
    1.0
    """
    codes, y = check_array(codes), column_or_1d(y)
    check_consistent_length(codes, y)
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1, max_val=len(codes) - 1)
    near = NearestNeighbors(n_neighbors=n_neighbors).fit(codes).kneighbors(return_distance=False)
    return float((y[near] == y[:, np.newaxis]).mean())


def triplet_accuracy(
    X: Any, codes: Any, *, n_triplets: int = 100_000, random_state: Any = 0
) -> float:
    """Compute how often a code says which of two rows is nearer to a third one.

    Unlike the metrics of neighbors, it judges the shape of the whole.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows, with columns scaled as for their distances.

    codes : array-like of shape (n_samples, n_components)
        Their codes, as from `transform`.

    n_triplets : int, default=100000
        Number of triplets, which are drawn at random.

    random_state : int, RandomState instance or None, default=0
        Seed of the draw.

    Returns
    -------
    accuracy : float
        Between 0 and 1, the best value; about 0.5 for codes at random.

    References
    ----------
    .. [1] Wang, Y., Huang, H., Rudin, C. and Shaposhnik, Y. (2021). Understanding How Dimension
       Reduction Tools Work. JMLR 22.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae.metrics import triplet_accuracy
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> triplet_accuracy(X, -X)
    1.0
    """
    X, codes = _both(X, codes)
    check_scalar(n_triplets, "n_triplets", Integral, min_val=1)
    if len(X) < 3:
        raise ValueError(f"Triplets need three rows, but X has {len(X)}.")
    rng, n = check_random_state(random_state), len(X)
    first = rng.randint(n, size=n_triplets)
    # Different rows: shifts by 1 to n - 1, of which the second leaves out the first.
    one = rng.randint(1, n, size=n_triplets)
    two = rng.randint(1, n - 1, size=n_triplets)
    two += two >= one
    agree, size = 0, max(1, _NUMBERS // X.shape[1])
    for start in range(0, n_triplets, size):
        part = slice(start, start + size)
        nearer = []
        for rows in (X, codes):
            a, b, c = (rows[(first[part] + shift) % n] for shift in (0, one[part], two[part]))
            nearer.append(np.square(a - b).sum(axis=1) < np.square(a - c).sum(axis=1))
        agree += int((nearer[0] == nearer[1]).sum())
    return agree / n_triplets


def map_scorer(metric: Any = trustworthiness, **settings: Any) -> partial[float]:
    """Make a scorer of reducers for searches: `scoring=map_scorer(metric=trustworthiness)`.

    Rows are compared with their codes. They count as the reducer sees them: after the steps of a
    pipeline before it, and for an estimator of sktae as its network gets them, with columns scaled
    and categories coded. With `neighborhood_hit`, labels are compared with the codes.

    A scorer can also be called by itself: `map_scorer()(reducer, X)`.

    Parameters
    ----------
    metric : callable, default=trustworthiness
        `trustworthiness`, `continuity`, `triplet_accuracy` or `neighborhood_hit`.

    **settings : dict
        Its further arguments.

    Returns
    -------
    scorer : callable
        Takes a fitted reducer, or a pipeline that ends with one, rows and their labels, if any.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sktae.metrics import map_scorer
    >>> search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=map_scorer())
    >>> search.fit(load_iris().data).best_params_
    {'n_components': 2}
    """
    return partial(_score, metric=metric, **settings)


def _score(estimator: Any, X: Any, y: Any = None, *, metric: Any, **settings: Any) -> float:
    codes = estimator.transform(X)
    if metric is neighborhood_hit:
        if y is None:
            raise ValueError("map_scorer(neighborhood_hit) needs labels: give y to the search.")
        return metric(codes, y, **settings)
    return metric(_seen(estimator, X), codes, **settings)


def _seen(estimator: Any, X: Any) -> Any:
    """Return rows as a reducer sees them."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    while isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    return estimator._network_rows(X) if hasattr(estimator, "_network_rows") else X


def _both(X: Any, codes: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        X = check_array(X, input_name="X")
    except ValueError as error:
        raise ValueError(
            f"Rows and codes cannot be compared. {error} For rows with categories or missing "
            f"values, take map_scorer(metric)(mapper, X), which compares them as the mapper sees "
            f"them."
        ) from error
    codes = check_array(codes, input_name="codes")
    check_consistent_length(X, codes)
    return X, codes

"""The nearest rows of each row, with weights, from which neighbors are drawn in training."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from sktae.randomness import Neighbor

# Up to this many rows, all pairs are compared; the search in larger tables is approximate.
_MOST_COMPARED = 100_000
# The widths of neighborhoods are halved or doubled so often: enough for float32.
_BISECTIONS = 40


class NeighborGraph:
    """The nearest rows of each row, and how often each is drawn.

    Weights are those of UMAP: 1 for the nearest row, and less with the distance beyond, on a scale
    for each row on which all its weights add up to the base-2 logarithm of their number.

    Parameters
    ----------
    x : Tensor of shape (n, ...)
        Rows. Missing values count as 0, the mean.

    draw : Neighbor
        How many rows are near, and by which metric.

    seed : int
        Seed of the approximate search.

    labels : Tensor of shape (n,) or None, default=None
        The labels of rows, -1 for none, of which neighbors may have others.
    """

    def __init__(self, x: Tensor, draw: Neighbor, seed: int, labels: Tensor | None = None):
        rows = x.flatten(1).nan_to_num().cpu().numpy()
        distances, nearest = _nearest(rows, min(draw.n_neighbors, len(rows) - 1), draw, seed)
        self.nearest = torch.from_numpy(nearest)
        weights = torch.from_numpy(_weights(distances))
        if labels is not None and draw.target_weight > 0:
            own, others = labels[:, None], labels[self.nearest]
            differ = (own != others) & (own >= 0) & (others >= 0)
            weights = torch.where(differ, 1 - draw.target_weight, 1.0) * weights
        self.ends = weights.cumsum(1).float()

    def drawn(self, numbers: Tensor, rows: Tensor) -> Tensor:
        """Turn numbers between 0 and 1 into one near row for each of these rows."""
        ends = self.ends[rows]
        places = (ends <= numbers[:, None] * ends[:, -1:]).sum(1)
        return self.nearest[rows, places.clamp(max=ends.shape[1] - 1)]


def _nearest(rows: np.ndarray, k: int, draw: Neighbor, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances and numbers of the k nearest other rows, (n, k) each."""
    if k == 0:  # one row, which is its own neighbor
        return np.zeros((1, 1)), np.zeros((1, 1), dtype=np.int64)
    if len(rows) <= _MOST_COMPARED:
        distances, nearest = (
            NearestNeighbors(n_neighbors=k, metric=draw.metric).fit(rows).kneighbors()
        )
        return distances, nearest
    try:
        from pynndescent import NNDescent
    except ImportError as error:
        raise ImportError(
            f"Neighbors among more than {_MOST_COMPARED} rows need pynndescent; install it: "
            f'pip install "sktae[neighbors]"'
        ) from error
    search = NNDescent(rows, metric=draw.metric, n_neighbors=k + 1, random_state=seed % 2**32)
    nearest, distances = search.neighbor_graph
    # The first is the row itself, unless others are equal to it.
    others = nearest != np.arange(len(rows))[:, np.newaxis]
    others[others.all(axis=1), -1] = False
    shape = len(rows), k
    return distances[others].reshape(shape), nearest[others].reshape(shape).astype(np.int64)


def _weights(distances: np.ndarray) -> np.ndarray:
    """Return the weights of neighbors at these distances, (n, k)."""
    beyond = (distances - distances[:, :1]).astype(np.float32)
    target = np.log2(max(2, distances.shape[1]))
    low, high = np.zeros((len(beyond), 1)), np.full((len(beyond), 1), np.inf)
    width = np.maximum(beyond.mean(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    for _ in range(_BISECTIONS):
        wide = np.exp(-beyond / width).sum(axis=1, keepdims=True) > target
        low, high = np.where(wide, low, width), np.where(wide, width, high)
        width = np.where(np.isinf(high), 2 * width, (low + high) / 2).astype(np.float32)
        width = np.maximum(width, np.finfo(np.float32).tiny)
    return np.exp(-beyond / width)

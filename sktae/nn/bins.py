"""Columns cut into bins: what networks get of their values, and which values they predict."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Edges beside a value are this share of the range of its column, or of the value, away from it.
_MARGIN = 1e-6
# That of a place which is constant; other values of it are far off.
_PLACE_MARGIN = 1e-3
# An edge that no value reaches, where a column has fewer bins than others.
_NEVER = 1e30
# Bins that are narrower than this are none, by the rounding of float32.
_SMALLEST = 1e-30
# Bins count as if they held so many rows more, so that none is impossible.
_PRIOR = 0.5


class Bins(nn.Module):
    """Cuts each column at quantiles of its values, or between them if there are few.

    There are two more bins, for values below and above these. The smallest and the largest value of
    training are in them, so that they are as rare among the training rows as among new ones. A
    column without variation has one bin only, if it is not the place of a category.

    Parameters
    ----------
    n_columns : int
        Number of columns.

    n_bins : int
        Largest number of bins of a column, without the first and the last.

    Attributes
    ----------
    edges : Tensor of shape (n_columns, n_bins + 1)
        The edges of bins, in ascending order.

    means : Tensor of shape (n_columns, n_bins + 2)
        Mean values of the bins.
    """

    edges: Tensor
    slopes: Tensor
    means: Tensor

    def __init__(self, n_columns: int, n_bins: int):
        super().__init__()
        self.register_buffer("edges", torch.full((n_columns, n_bins + 1), _NEVER))
        self.register_buffer("slopes", torch.zeros(n_columns, n_bins))
        self.register_buffer("means", torch.zeros(n_columns, n_bins + 2))

    def learn(self, x: Tensor, is_place: Tensor | None = None) -> Tensor:
        """Learn the bins of rows, (n, d), of which values may be missing.

        Columns may be places in the vector of a category, (d,). That of a category which no row has
        is constant; another value there is as rare as none in all rows.

        Return the logarithm of the share of values in each bin, (d, n_bins + 2).
        """
        columns, (_, n) = x.cpu().double().numpy().T, self.means.shape
        edges = np.full(self.edges.shape, _NEVER)
        means, counts = np.zeros(self.means.shape), np.zeros(self.means.shape)
        for i, column in enumerate(columns):
            values = np.sort(column[~np.isnan(column)])
            is_constant = not len(values) or values[0] == values[-1]
            if is_constant and len(values) and is_place is not None and is_place[i]:
                margin = _PLACE_MARGIN * (1 + abs(values[0]))
                edges[i, :2] = values[0] - margin, values[0] + margin
                means[i], counts[i, 1] = values[0], len(values)
                continue
            if is_constant:
                # One bin for all values: no row tells how far from a constant is unlikely.
                means[i], counts[i, 0] = values[0] if len(values) else 0.0, len(values)
                continue
            own = _edges(values, n - 2)
            edges[i, : len(own)] = own
            places = own.searchsorted(values, "right")
            counts[i] = np.bincount(places, minlength=n)
            sums = np.bincount(places, values, n)
            # Where a bin is empty, its lower edge stands for the mean.
            lower = np.concatenate([[own[0]], own, np.full(n, own[-1])])[:n]
            means[i] = np.where(counts[i] > 0, sums / np.maximum(counts[i], 1), lower)
        self.edges.copy_(torch.from_numpy(edges))
        self.means.copy_(torch.from_numpy(means))
        widths = self.edges.diff(dim=1)
        inside = (widths > _SMALLEST) & (widths < _NEVER / 2)
        self.slopes.copy_(torch.where(inside, 1 / widths.clamp(min=_SMALLEST), 0.0))
        shares = (counts + _PRIOR) / (counts + _PRIOR).sum(axis=1, keepdims=True)
        return torch.from_numpy(np.log(shares)).to(x)

    def levels(self, x: Tensor) -> Tensor:
        """Return how far values reach into each bin, from -1 to 1, (n, d) to (n, d, n_bins)."""
        return ((x[..., None] - self.edges[:, :-1]) * self.slopes).clamp(0, 1) * 2 - 1

    def mean(self, logits: Tensor) -> Tensor:
        """Return the mean value of each column, given logits of its bins, (n, d)."""
        return (logits.softmax(-1) * self.means).sum(-1)

    def nll(self, logits: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-probability of the bin of each value, (n, d)."""
        places = (x[..., None] >= self.edges).sum(-1, keepdim=True)
        return logits.logsumexp(-1) - logits.gather(-1, places)[..., 0]


class LevelEmbedding(nn.Module):
    """A linear layer of the levels of columns, of which some are masked.

    Parameters
    ----------
    n_columns, n_bins : int
        Number of columns, and of levels of each.

    width : int
        Number of outputs.
    """

    def __init__(self, n_columns: int, n_bins: int, width: int):
        super().__init__()
        self.visible = nn.Linear(n_columns * n_bins, width)
        self.masked = nn.Linear(n_columns, width, bias=False)

    def forward(self, levels: Tensor, masked: Tensor) -> Tensor:
        """Return the outputs for levels, (n, d, b), and masks, (n, d)."""
        visible = torch.where(masked[..., None], 0.0, levels).flatten(1)
        return self.visible(visible) + self.masked(masked.to(levels.dtype))

    def change(self, levels: Tensor, masked: Tensor, columns: list[int]) -> Tensor:
        """Return how the outputs change if some more columns are masked."""
        levels, masked = levels[:, columns], masked[:, columns]
        weight = self.visible.weight.unflatten(1, (self.masked.in_features, -1))
        visible = torch.where(masked[..., None], 0.0, levels).flatten(1)
        added = F.linear((~masked).to(levels.dtype), self.masked.weight[:, columns])
        return added - F.linear(visible, weight[:, columns].flatten(1))


def _edges(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Return at most n_bins + 1 edges of bins for values in ascending order."""
    inside = values[1:-1] if len(values) > 2 else values
    distinct = np.unique(inside)
    if len(distinct) <= n_bins:
        inner = (distinct[1:] + distinct[:-1]) / 2
    else:
        inner = np.unique(np.quantile(inside, np.linspace(0, 1, n_bins + 1)[1:-1]))
    low, high = distinct[[0, -1]]
    margin = _MARGIN * (high - low + max(abs(low), abs(high))) + 1e-9
    return np.concatenate([[low - margin], inner, [high + margin]])

"""Neighbor autoencoder: parametric UMAP with a decoder (Sainburg et al. 2021)."""

import math
from functools import lru_cache, partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.optimize import curve_fit
from torch import Tensor
from torch.nn.functional import softplus

from sktae.base import Auto, BaseAutoencoder
from sktae.families.noise import NoiseMixin, for_width
from sktae.families.parts import numbered
from sktae.nn.corruption import Noise
from sktae.nn.layers import EncoderDecoder
from sktae.nn.losses import squared
from sktae.parameters import Count, NonNegative, Rate
from sktae.randomness import Neighbor

# Codes of up to so many numbers are maps to look at, where neighbors count most. Larger ones have
# room for neighbors and for the rows: a small weight keeps both, and rows need less noise. See the
# rows of digits with 2, 4, 8 and 16 components in benchmarks/results/quality/maps.csv.
_MAP, _ALPHAS = 3, (0.5, 0.02)
_LEVELS = ((_MAP, 0.7), (8, 0.5), (math.inf, 0.3))
# Squared distances below this one are no nearer, as in UMAP.
_NEAREST = 1e-3


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k)
    near: Tensor | None  # (n, k), the code of a neighbor; only in training


class Network(EncoderDecoder):
    def __init__(self, *sizes, neighbor):
        super().__init__(*sizes)
        self.noise = (neighbor,)

    def forward(self, x, neighbor=None):
        if neighbor is None:
            return Output(*super().forward(x)[:2], None)
        code, near = self.encode(torch.cat([x, neighbor])).chunk(2)
        return Output(self.decode(code), code, near)


@lru_cache
def curve(min_dist):
    """Return a and b of 1 / (1 + a d^2b), which is about 1 up to `min_dist`, then falls as e^-d."""
    d = np.linspace(0, 3, 300)
    target = np.exp(-np.maximum(d - min_dist, 0))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), d, target)
    return float(a), float(b)


def log_odds(squares, a, b):
    """The log of the odds that codes at these squared distances are no neighbors."""
    return math.log(a) + b * (squares + _NEAREST).log()


def attraction(code, near, a, b):
    """-log q of each row and its neighbor, (n,)."""
    return softplus(log_odds((code - near).square().sum(-1), a, b))


def squared_distances(x):
    """Squared distances of all rows, (n, d) -> (n, n); differences would take far more time."""
    lengths = x.square().sum(-1)
    return (lengths[:, None] + lengths - 2 * x @ x.T).clamp(min=0)


def repulsion(squares, a, b):
    """-log(1 - q) of each row and another one, mean over the others of the batch, (n,)."""
    n = len(squares)
    apart = softplus(-log_odds(squares, a, b))
    return (apart * (1 - torch.eye(n).to(squares))).sum(1) / max(1, n - 1)


def distortion(squares, others):
    """1 - r, for the correlation r of the distances of all pairs with others, ()."""
    pairs = torch.stack([squares, others]).flatten(1).add(_NEAREST).sqrt()
    centered = pairs - pairs.mean(1, keepdim=True)
    lengths = centered.square().sum(1).add(_NEAREST).sqrt()
    # No `prod`, whose gradient takes another way while it is recorded.
    return 1 - (centered[0] * centered[1]).sum() / (lengths[0] * lengths[1])


def loss(min_dist, shape_weight, x, out, *, alpha, negative_sample_rate):
    (a, b), n = curve(min_dist), len(x)
    if isinstance(alpha, str):
        alpha = _ALPHAS[out.code.shape[1] > _MAP]
    alpha, squares = alpha * x[0].numel(), squared_distances(out.code)
    shape = {}
    if shape_weight > 0:
        distorted = distortion(squares, squared_distances(x.detach()))
        shape["shape"] = (alpha * shape_weight * distorted).expand(n)
    return {
        "reconstruction": squared(x, out.recon),
        "attraction": alpha * attraction(out.code, out.near, a, b),
        "repulsion": alpha * negative_sample_rate * repulsion(squares, a, b),
        **shape,
    }


class NeighborAutoencoder(NoiseMixin, BaseAutoencoder):
    """Neighbor autoencoder: a map of rows that keeps neighbors together and can be inverted.

    It is UMAP and an autoencoder in one. A code is near those of the row's neighbors and far from
    all others, and the decoder makes a row of it. New rows are mapped by the encoder, in no time.
    The first step of a fit is to search for the nearest rows of each row. Missing values count as
    the mean there.

    Minimizes :math:`\\|x - g(f(\\tilde x))\\|^2 + \\alpha d \\, (-\\log q(x, x') - m \\,
    E_{y} \\log(1 - q(x, y)) - \\gamma r)`, for rows of :math:`d` columns, a neighbor :math:`x'`,
    which is drawn by the weights of UMAP, the other rows :math:`y` of the batch, :math:`q(x, y) = 1
    / (1 + a \\|f(x) - f(y)\\|^{2b})` and the correlation :math:`r` of :math:`\\|x - y\\|` and
    :math:`\\|f(x) - f(y)\\|`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 2.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder has them in reverse order. "auto" is
        (128, 128, 128).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer; "auto" is 0.01.

    max_steps : int, "auto" or None, default="auto"
        Number of training steps; "auto" is 2000. Tables with fewer rows than columns begin as a PCA
        and stop early, as in `Autoencoder`.

    alpha : float or "auto", default="auto"
        Weight of neighbors. With 0, this is the denoising autoencoder. "auto" is 0.5 for codes of
        up to three components, and 0.02 for larger ones, which keep neighbors more easily.

    shape_weight : float, default=0.3
        Weight :math:`\\gamma` of the shape of the whole, relative to that of neighbors: distances
        between all rows of a batch, and those between their codes, are to correlate. With 0, only
        neighbors have a place by their distance.

    n_neighbors : int, default=15
        How many rows are neighbors of a row; if there are fewer others, all of them. The more, the
        more the map shows of the shape of the whole, and the less of details.

    min_dist : float, default=0.1
        Up to this distance, neighbors do not attract each other.

    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        Distance by which rows are near, after `standardize`.

    target_weight : float, default=0.0
        How much labels decide on neighbors. `y` of `fit` then has the label of each row, -1 or NaN
        if it is unknown, and the weights of neighbors with another label are multiplied by 1 -
        `target_weight`. With 0, `y` is ignored; else it is required.

    negative_sample_rate : float, default=2.0
        Weight :math:`m` of the other rows, which are pushed away.

    noise : {"gaussian", "masking", "swap"} or None, default="gaussian"
        How rows are corrupted in training. "gaussian" adds normal noise. "masking" replaces entries
        by the mean of their column (by 0 without `standardize`). "swap" replaces entries by those
        of another row. None for no corruption.

    noise_level : float or "auto", default="auto"
        Standard deviation of the normal noise, for columns of variance 1, or the share of entries
        that are replaced. "auto" is 0.7 for codes of up to three components, 0.5 for up to eight,
        and 0.3 for more. Normal noise is less for rows of fewer than 64 columns: half of that for
        16.

    See Also
    --------
    Autoencoder
    VariationalAutoencoder

    References
    ----------
    .. [1] Sainburg, T., McInnes, L. and Gentner, T. Q. (2021). Parametric UMAP Embeddings for
       Representation and Semisupervised Learning. Neural Computation 33(11).
    .. [2] McInnes, L., Healy, J. and Melville, J. (2018). UMAP: Uniform Manifold Approximation and
       Projection for Dimension Reduction. arXiv:1802.03426.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import NeighborAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> reducer = NeighborAutoencoder(standardize="shared", max_steps=100, random_state=0).fit(X)
    >>> reducer.transform(X).shape
    (1797, 2)
    >>> reducer.inverse_transform([[0.0, 0.0]]).shape
    (1, 64)
    """

    alpha: Literal["auto"] | NonNegative = "auto"
    shape_weight: NonNegative = 0.3
    n_neighbors: Count = 15
    min_dist: NonNegative = 0.1
    metric: Literal["euclidean", "manhattan", "cosine"] = "euclidean"
    target_weight: Rate = 0.0
    negative_sample_rate: NonNegative = 2.0
    noise: Noise | None = "gaussian"
    noise_level: Literal["auto"] | NonNegative = "auto"  # type: ignore[assignment]

    def network(self, spec):
        sizes = *spec.shape, spec.n_components, spec.widths, self.activation
        neighbor = Neighbor(int(self.n_neighbors), self.metric, float(self.target_weight))
        return Network(*sizes, neighbor=neighbor)

    @property
    def objective(self):
        return partial(loss, self.min_dist, self.shape_weight)

    def _auto(self, shape):
        # Chosen on digits: see benchmarks/results/quality/maps.csv.
        widths = (128, 128, 128)
        endless = (math.inf, math.inf)
        return Auto(2, (widths, widths), (1e-2, 1e-2), steps=(2000, 2000), passes=endless)

    def _groups(self, y, n):
        if self.target_weight == 0:
            return None
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, since target_weight="
                f"{self.target_weight}, but the target y is None: pass the labels of rows, or set "
                f"target_weight to 0."
            )
        return numbered(y, n)

    def _level(self, spec):
        if self.noise_level != "auto":
            return self.noise_level
        level = next(level for most, level in _LEVELS if spec.n_components <= most)
        return for_width(level, spec.shape) if self.noise == "gaussian" else level

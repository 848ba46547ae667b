"""Vector-quantised autoencoder (van den Oord et al. 2017)."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sktae._engine.rows import Loaded
from sktae.base import BaseAutoencoder
from sktae.families.sampling import SamplingMixin, chain
from sktae.nn.codes import nearest, one_hot, straight_through, usage
from sktae.nn.layers import mlp
from sktae.nn.losses import squared
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count, NonNegative

# "auto" slots have at least so many components.
_SLOT_SIZE = 8


class Quantized(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), rows of the codebook, side by side
    drive: Tensor  # (n, slots, k / slots), what they stand in for
    chosen: Tensor  # (n, slots, k / slots), the same rows
    numbers: Tensor  # (n, slots), theirs in the codebook


class Network(AutoencoderModule):
    def __init__(self, sizes, activation, n_codes, n_slots):
        super().__init__()
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        self.n_slots = n_slots
        self.codebook = nn.Parameter(torch.randn(n_codes, sizes[-1] // n_slots))

    def forward(self, x):
        drive = self.encoder(x).unflatten(1, (self.n_slots, -1))
        numbers = nearest(drive, self.codebook)
        chosen = self.codebook[numbers]
        recon = self.decode(straight_through(drive, chosen).flatten(1))
        return Quantized(recon, chosen.flatten(1), drive, chosen, numbers)

    def diagnose(self, out):
        return usage(out.numbers, len(self.codebook))

    def revive(self, out):
        """Move codes that are not used to what is farthest from the code it chose."""
        codebook = self.codebook
        dead = one_hot(out.numbers, len(codebook)).flatten(0, -2).sum(0) == 0
        drive, chosen = out.drive.flatten(0, 1), out.chosen.flatten(0, 1)
        far = squared(drive, chosen).sum(1).argsort(descending=True, stable=True)
        rank = (dead.cumsum(0) - 1).clamp(0, len(far) - 1)
        # Each a little less far than the last one: of two that are equal, chance would take one.
        place = torch.lerp(drive[far[rank]], chosen[far[rank]], rank[:, None] / (2 * len(codebook)))
        codebook.copy_(torch.where(dead[:, None], place, codebook))


class VectorQuantizedAutoencoder(SamplingMixin, BaseAutoencoder):
    """Vector-quantised autoencoder: a code of words, out of a vocabulary that is learnt.

    Each slot of the code holds a row of one codebook, the one that is nearest to what the encoder
    says. Gradients pass through that choice as if it were none. Codes that no row chooses are moved
    to where the choice is worst; how many are used is in `history_`.

    Minimises :math:`\\|x - g(e)\\|^2 + \\|sg[f(x)] - e\\|^2 + \\alpha \\|f(x) - sg[e]\\|^2`, with
    the chosen rows :math:`e` and the stop of gradients :math:`sg`.

    Parameters
    ----------
    n_codes : int, default=64
        Rows of the codebook.

    n_slots : int or "auto", default="auto"
        How many of them make a code; they share its components evenly. "auto" is as many slots of 8
        components or more as `n_components` can be divided into.

    commitment : float, default=0.25
        Weight :math:`\\alpha` of what keeps the encoder near the code it chose.

    codes : {"vectors", "indices"}, default="vectors"
        What `transform` gives and `inverse_transform` takes: the chosen rows, or their numbers, one
        for each slot.

    References
    ----------
    .. [1] van den Oord, A., Vinyals, O. and Kavukcuoglu, K. (2017). Neural Discrete Representation
       Learning. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import VectorQuantizedAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = VectorQuantizedAutoencoder(32, n_slots=4, codes="indices", max_steps=100)
    >>> model.fit_transform(X).shape
    (1797, 4)
    """

    n_codes: Count = 64
    n_slots: Count | Literal["auto"] = "auto"
    commitment: NonNegative = 0.25
    codes: Literal["vectors", "indices"] = "vectors"

    def network(self, spec):
        return Network(spec.sizes, self.activation, self.n_codes, self._n_slots(spec.n_components))

    def _n_slots(self, size):
        n = self.n_slots
        if n == "auto":
            return max(n for n in range(1, max(1, size // _SLOT_SIZE) + 1) if size % n == 0)
        if size % n:
            raise ValueError(
                f"n_slots={n} of VectorQuantizedAutoencoder must divide n_components={size}."
            )
        return n

    @staticmethod
    def objective(x, out, *, commitment):
        return {
            "reconstruction": squared(x, out.recon),
            "codebook": squared(out.drive.detach(), out.chosen),
            "commitment": commitment * squared(out.drive, out.chosen.detach()),
        }

    @property
    def _n_features_out(self):
        return self.n_components_ if self.codes == "vectors" else self.net_.module_.n_slots

    def transform(self, X):
        x = self._rows(X)
        if self.codes == "vectors":
            return super().transform(X)
        return self._numbers(x).astype(x.raw.dtype)

    def _prior(self, n_samples, rng):
        """Draw codes slot by slot, each as often as it came after the last one in the fit."""
        seen = self._numbers(Loaded(self._fitted.memory.x.to(self.net_.device)))
        rng = np.random.default_rng(rng.initial_seed())
        return self._vectors(chain(seen, n_samples, rng))

    def _draw(self, network, code, u):
        return network.decode(code)

    def _numbers(self, x):
        return self._apply(lambda network, x: network(x).numbers, x)

    def _vectors(self, numbers):
        codebook = self.net_.module_.codebook.detach().cpu()
        rows = torch.from_numpy(numbers).long().clamp(0, len(codebook) - 1)
        return codebook[rows].flatten(1)

    def _decode(self, codes):
        vectors = codes if self.codes == "vectors" else self._vectors(codes).numpy()
        return super()._decode(vectors).astype(codes.dtype)

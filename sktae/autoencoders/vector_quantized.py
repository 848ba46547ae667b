"""Vector-quantized autoencoder (van den Oord et al. 2017)."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sktae._engine.rows import Loaded
from sktae.base import BaseAutoencoder
from sktae.families.sampling import SamplingMixin, sample_markov_chain
from sktae.nn.codes import nearest, one_hot, straight_through, usage
from sktae.nn.layers import mlp
from sktae.nn.losses import squared
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count, NonNegative

# Slots have at least so many components with "auto".
_MIN_SLOT_SIZE = 8


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), `quantized` with its slots side by side
    encoded: Tensor  # (n, slots, k / slots), the encoder's output
    quantized: Tensor  # (n, slots, k / slots), the nearest rows of the codebook
    indices: Tensor  # (n, slots), of these rows


class Network(AutoencoderModule):
    def __init__(self, sizes, activation, n_codes, n_slots):
        super().__init__()
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        self.n_slots = n_slots
        self.codebook = nn.Parameter(torch.randn(n_codes, sizes[-1] // n_slots))

    def forward(self, x):
        encoded = self.encoder(x).unflatten(1, (self.n_slots, -1))
        indices = nearest(encoded, self.codebook)
        quantized = self.codebook[indices]
        recon = self.decode(straight_through(encoded, quantized).flatten(1))
        return Output(recon, quantized.flatten(1), encoded, quantized, indices)

    def diagnose(self, x, out):
        return usage(out.indices, len(self.codebook))

    def revive(self, out):
        """Move dead codes to the outputs of the encoder with the largest quantization errors."""
        codebook = self.codebook
        dead = one_hot(out.indices, len(codebook)).flatten(0, -2).sum(0) == 0
        encoded, quantized = out.encoded.flatten(0, 1), out.quantized.flatten(0, 1)
        worst = squared(encoded, quantized).sum(1).argsort(descending=True, stable=True)
        # The i-th dead code goes to the i-th worst output, and a little back towards the code used
        # there, the more the larger i is. Equal outputs thus get different codes.
        rank = (dead.cumsum(0) - 1).clamp(0, len(worst) - 1)
        back = rank[:, None].float() / (2 * len(codebook))
        moved = torch.lerp(encoded[worst[rank]], quantized[worst[rank]], back)
        codebook.copy_(torch.where(dead[:, None], moved, codebook))


class VectorQuantizedAutoencoder(SamplingMixin, BaseAutoencoder):
    """Vector-quantized autoencoder: encodes rows with vectors from a learned codebook.

    Each slot of the code is the row of the codebook that is nearest to the encoder's output there.
    Gradients pass from the quantized code to the encoder unchanged (straight-through). Dead codes,
    which no row uses, are moved to where quantization errors are largest; `history_` counts the
    codes in use.

    Minimizes :math:`\\|x - g(e)\\|^2 + \\|sg[f(x)] - e\\|^2 + \\alpha \\|f(x) - sg[e]\\|^2`, with
    the nearest rows :math:`e` of the codebook and the stop-gradient :math:`sg`.

    Parameters
    ----------
    n_codes : int, default=64
        Number of rows of the codebook.

    n_slots : int or "auto", default="auto"
        Number of slots of a code, into which its components are divided evenly. "auto" is the
        largest number that leaves at least 8 components for each.

    commitment : float, default=0.25
        Weight :math:`\\alpha` of the commitment loss, which keeps the encoder's output near the
        codebook.

    codes : {"vectors", "indices"}, default="vectors"
        What `transform` returns and `inverse_transform` takes: rows of the codebook, or their
        indices, one for each slot.

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
            return max(n for n in range(1, max(1, size // _MIN_SLOT_SIZE) + 1) if size % n == 0)
        if size % n:
            raise ValueError(
                f"n_slots={n} of VectorQuantizedAutoencoder must divide n_components={size}."
            )
        return n

    @staticmethod
    def objective(x, out, *, commitment):
        return {
            "reconstruction": squared(x, out.recon),
            "codebook": squared(out.encoded.detach(), out.quantized),
            "commitment": commitment * squared(out.encoded, out.quantized.detach()),
        }

    @property
    def _n_features_out(self):
        return self.n_components_ if self.codes == "vectors" else self.net_.module_.n_slots

    def _encode(self, network, x):
        out = network(x)
        return out.code if self.codes == "vectors" else out.indices

    def _prior(self, n_samples, rng):
        """Sample codes slot by slot, from the Markov chain of the indices of training rows."""
        rows = Loaded(self._fitted.memory.x.to(self.net_.device))
        indices = self._apply(lambda network, x: network(x).indices, rows)
        rng = np.random.default_rng(rng.initial_seed())
        return self._vectors(sample_markov_chain(indices, n_samples, rng))

    def _draw(self, network, code, u):
        return network.decode(code)

    def _vectors(self, indices):
        codebook = self.net_.module_.codebook.detach().cpu()
        rows = torch.from_numpy(indices).long().clamp(0, len(codebook) - 1)
        return codebook[rows].flatten(1)

    def _decode(self, codes):
        vectors = codes if self.codes == "vectors" else self._vectors(codes).numpy()
        return super()._decode(vectors).astype(codes.dtype)

"""Autoencoders whose code consists of rows of a codebook."""

from functools import partial
from typing import Literal

import numpy as np
import torch

from sktae._engine.rows import Loaded
from sktae.base import BaseAutoencoder
from sktae.families.sampling import SamplingMixin, sample_markov_chain
from sktae.nn.losses import reconstruction_loss, squared
from sktae.parameters import Count, NonNegative

# Slots have at least so many components with "auto".
_MIN_SLOT_SIZE = 8


def quantized_objective(loss, x, out, *, commitment):
    return {
        "reconstruction": reconstruction_loss(loss, x, out),
        "codebook": squared(out.encoded.detach(), out.quantized),
        "commitment": commitment * squared(out.encoded, out.quantized.detach()),
    }


class QuantizedAutoencoder(SamplingMixin, BaseAutoencoder):
    """Base of autoencoders whose code consists of rows of a learned codebook, one for each slot.

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
    """

    n_codes: Count = 64
    n_slots: Count | Literal["auto"] = "auto"
    commitment: NonNegative = 0.25
    codes: Literal["vectors", "indices"] = "vectors"

    @property
    def objective(self):
        return partial(quantized_objective, "squared")

    def _n_slots(self, size):
        n = self.n_slots
        if n == "auto":
            return max(n for n in range(1, max(1, size // _MIN_SLOT_SIZE) + 1) if size % n == 0)
        if size % n:
            raise ValueError(
                f"n_slots={n} of {type(self).__name__} must divide n_components={size}."
            )
        return n

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
        network = self.net_.module_
        codebook = network.codebook.detach().cpu()
        rows = torch.from_numpy(indices).long().clamp(0, len(codebook) - 1)
        return network.joined(codebook[rows])

    def _decode(self, codes):
        vectors = codes if self.codes == "vectors" else self._vectors(codes).numpy()
        return super()._decode(vectors).astype(codes.dtype)

"""Networks whose code consists of rows of a codebook."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sktae.nn.codes import nearest, one_hot, straight_through, usage
from sktae.nn.losses import squared
from sktae.nn.module import AutoencoderModule


class Quantized(NamedTuple):
    """What networks return whose code consists of rows of a codebook."""

    recon: Tensor  # (n, ...)
    code: Tensor  # (n, k), `quantized` with its slots side by side
    encoded: Tensor  # (n, slots, k / slots), the encoder's output
    quantized: Tensor  # (n, slots, k / slots), the nearest rows of the codebook
    indices: Tensor  # (n, slots), of these rows
    logits: Tensor  # (n, ...), the reconstruction before the sigmoid, if there is one


class QuantizedCode(AutoencoderModule):
    """Encoder and decoder of any kind; each slot of the code is a row of a codebook.

    Parameters
    ----------
    encoder, decoder : nn.Module
        From rows to codes, (n, k), and back.

    n_codes, n_slots, slot_size : int
        Rows of the codebook, slots of a code, and numbers of a slot.

    is_map : bool, default=False
        Whether codes are maps, (n, slot_size * n_slots), in which slots are places.

    sigmoid_output : bool, default=False
        Whether reconstructions pass through a sigmoid.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        n_codes: int,
        n_slots: int,
        slot_size: int,
        is_map: bool = False,
        sigmoid_output: bool = False,
    ):
        super().__init__()
        self.encoder, self.decoder, self.n_slots, self.is_map = encoder, decoder, n_slots, is_map
        self.codebook = nn.Parameter(torch.randn(n_codes, slot_size))
        self.output_activation = nn.Sigmoid() if sigmoid_output else nn.Identity()

    def forward(self, x: Tensor) -> Quantized:  # type: ignore[override]  # no noise
        encoded = self.slots(self.encoder(x))
        indices = nearest(encoded, self.codebook)
        quantized = self.codebook[indices]
        logits = self.decoder(self.joined(straight_through(encoded, quantized)))
        recon = self.output_activation(logits)
        return Quantized(recon, self.joined(quantized), encoded, quantized, indices, logits)

    def decode(self, code: Tensor) -> Tensor:
        return self.output_activation(self.decoder(code))

    def slots(self, code: Tensor) -> Tensor:
        """Return the slots of codes, (n, k) to (n, slots, k / slots)."""
        if self.is_map:
            return code.unflatten(1, (-1, self.n_slots)).mT.contiguous()
        return code.unflatten(1, (self.n_slots, -1))

    def joined(self, slots: Tensor) -> Tensor:
        """Return codes that have these slots, (n, slots, k / slots) to (n, k)."""
        return (slots.mT if self.is_map else slots).flatten(1)

    def diagnose(self, x: Tensor, out: Any) -> dict[str, Tensor]:
        return usage(out.indices, len(self.codebook))

    def revive(self, out: Any) -> None:
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

"""Networks whose code is a normal distribution."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal, masked_squared
from sktae.nn.module import AutoencoderModule
from sktae.randomness import Label, Normal


class Posterior(NamedTuple):
    """What networks return whose code is a normal distribution."""

    recon: Tensor  # (n, ...)
    code: Tensor  # (n, k), the mean of the code
    logvar: Tensor  # (n, k), its log variance
    z: Tensor  # (n, k), a sample of the code in training, later its mean
    decoded: Tensor  # (n, ...), the decoder's output: means, or logits
    log_scale: Tensor  # broadcasts to a row, of the distribution of rows around the means


class GroupedPosterior(NamedTuple):
    """The same, where components of the code may be shared by groups of rows."""

    recon: Tensor
    code: Tensor
    logvar: Tensor
    z: Tensor
    decoded: Tensor
    log_scale: Tensor
    weight: Tensor  # (n, k), of the row's divergence: 1 / group size where it is shared, else 1


class NormalCode(AutoencoderModule):
    """Encoder and decoder of any kind; the code is a normal distribution.

    The encoder returns the means and the log variances of the code side by side, (n, 2 * k).
    `noise_scale` is the scale of rows around their reconstructions, or "learned", an array of this
    shape, or "shared", one learned number.
    """

    fixed_log_scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        shape: tuple[int, ...],
        n_components: int,
        likelihood: str,
        noise_scale: Any,
    ):
        super().__init__()
        self.noise = (Normal((n_components,)),)
        self.encoder, self.decoder = encoder, decoder
        self.learns_scale = noise_scale in ("learned", "shared")
        if self.learns_scale:
            shape = (1,) * len(shape) if noise_scale == "shared" else shape
            self.tenth_log_scale = nn.Parameter(torch.zeros(shape))
        else:
            fixed = torch.full(shape, math.log(noise_scale))
            self.register_buffer("fixed_log_scale", fixed, persistent=False)
        self.likelihood: Any = LIKELIHOODS[likelihood]()

    def log_scale(self) -> Tensor:
        if not self.learns_scale:
            return self.fixed_log_scale
        # Ten times a parameter, since Adam moves each parameter equally fast, and a scale must keep
        # up with sums of weights. The softplus keeps the result above -4.
        return nn.functional.softplus(20 * self.tenth_log_scale + 8) / 2 - 4

    def moments(self, x: Tensor) -> Tensor:
        """Return the means and the log variances of codes side by side, (n, 2 * k)."""
        return self.encoder(x)

    def decoded(self, code: Tensor) -> Tensor:
        """Return the means, or logits, of the distributions of rows, (n, k) to (n, ...)."""
        return self.decoder(code)

    def decode(self, code: Tensor) -> Tensor:
        return self.likelihood.mean(self.decoded(code))

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Posterior:  # type: ignore[override]
        mean, logvar = self.moments(x).chunk(2, -1)
        return self.posterior(mean, logvar, eps)

    def posterior(self, mean: Tensor, logvar: Tensor, eps: Tensor | None = None) -> Posterior:
        z = mean if eps is None else mean + eps * (logvar / 2).exp()
        decoded = self.decoded(z)
        recon = self.likelihood.mean(decoded)
        return Posterior(recon, mean, logvar, z, decoded, self.log_scale())

    def diagnose(self, x: Tensor, out: Any) -> dict[str, Tensor]:
        return {
            "active_units": (out.code.var(0, correction=0) > 0.01).sum(),
            "squared_error": masked_squared(x, out.recon).mean(),
            "divergence": kl_to_normal(out.code, out.logvar).sum() / x.numel(),
        }


class GroupedCode(NormalCode):
    """Normal code whose first components, the content, are shared by the rows of a group.

    In training, the content of a row is the mean over the rows of its group in the batch. Later it
    is computed from the row alone. With `n_content=0`, there are no groups.
    """

    def __init__(self, *parts: Any, n_content: int):
        super().__init__(*parts)
        self.n_content = n_content
        if n_content:
            self.noise += (Label(),)

    def forward(  # type: ignore[override]
        self, x: Tensor, eps: Tensor | None = None, group: Tensor | None = None
    ) -> GroupedPosterior:
        mean, logvar = self.moments(x).chunk(2, -1)
        weight = torch.ones_like(mean)
        if group is not None:
            mean, weight = self._shared(mean, group)
        return GroupedPosterior(*self.posterior(mean, logvar, eps), weight)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()} n_content={self.n_content}"

    def _shared(self, mean: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """Return means whose content is that of groups, (n, k), and weights of divergences."""
        # (n, n), 1 where two rows belong to one group; rows of unknown group, -1, are alone
        same = (group[:, None] == group) & (group[:, None] >= 0)
        same = (same | torch.eye(len(mean), dtype=torch.bool, device=mean.device)).to(mean.dtype)
        weight = 1 / same.sum(1, keepdim=True)
        content, style = mean[:, : self.n_content], mean[:, self.n_content :]
        mean = torch.cat([weight * (same @ content), style], 1)
        return mean, torch.cat([weight.expand_as(content), torch.ones_like(style)], 1)

"""What all autoencoders share whose code is a distribution."""

import math
from typing import Literal

import torch

from sktae._training.spec import Auto
from sktae.base import BaseAutoencoder
from sktae.families.sampling import SamplingMixin
from sktae.inputs.tabular import Tabular
from sktae.nn.layers import mlp
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal, normal_log_ratio
from sktae.nn.posteriors import NormalCode
from sktae.parameters import Count
from sktae.randomness import generator

Scoring = Literal["combined", "residual", "neighbors", "elbo", "monte_carlo", "importance"]


class DensityAutoencoder(SamplingMixin, BaseAutoencoder):
    """Base of the autoencoders whose code is a normal distribution, hence a density for rows.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 16. Components that are not needed fall back to the prior.

    likelihood : {"gaussian", "laplace", "bernoulli"}, default="gaussian"
        How rows scatter around their reconstruction; the scale of each column's noise is learnt.
        "bernoulli" is for values from 0 to 1 and ignores `standardize`; later rows are cut off.

    score_method : {"combined", "residual", "neighbors", "elbo", "monte_carlo", "importance"}, \
default="combined"
        What scores measure: as elsewhere or, in nats, the bound at the mean of the code, its mean
        over draws, the same for every row and call, or the bound weighted by importance.

    n_draws : int, default=16
        Number of draws for "monte_carlo" and "importance".
    """

    likelihood: Literal["gaussian", "laplace", "bernoulli"] = "gaussian"
    score_method: Scoring = "combined"  # type: ignore[assignment]  # more than others have
    n_draws: Count = 16

    def inputs(self):
        unit = self.likelihood == "bernoulli"
        return Tabular(self.standardize and not unit, unit)

    def _auto(self, shape):
        # Each component that is drawn adds noise until the network has learnt to ignore it.
        return Auto(components=16)

    def network(self, spec):
        return NormalCode(*self._parts_of(spec))

    def _parts_of(self, spec):
        """Return what a network with a normal code is made of."""
        sizes = spec.sizes
        encoder = mlp(*sizes[:-1], 2 * sizes[-1], activation=self.activation)
        decoder = mlp(*sizes[::-1], activation=self.activation)
        return encoder, decoder, spec.shape, spec.n_components, self.likelihood

    def error(self, x, out):
        return LIKELIHOODS[self.likelihood].nll(x, out.natural, out.log_scale)

    @staticmethod
    def surprise(out):
        return kl_to_normal(out.code, out.logvar).sum(1)

    def _draw(self, network, code, u):
        natural = network.decoder(code)
        u = u.view_as(natural)
        return LIKELIHOODS[self.likelihood].quantile(u, natural, network.log_scale())

    def _complaint(self, last, spec):
        if last["active_units"] == 0 and last["step"] >= 100:
            return (
                f"The posterior of {type(self).__name__} collapsed: no component of the code "
                f"depends on the row. Lower beta, or train longer (max_steps)."
            )

    def _row_errors(self, network, x, method):
        if method == "elbo":
            return super()._row_errors(network, x, method)
        size = network.noise[0].shape
        eps = torch.randn((int(self.n_draws), *size), generator=generator(0, "score"))
        outs = [(e, network(x, e.expand(len(x), -1))) for e in eps.to(x.device)]
        nll = torch.stack([self.error(x, out).flatten(1).sum(1) for _, out in outs])
        if method == "monte_carlo":
            return nll.mean(0) + self.surprise(outs[0][1])
        ratio = torch.stack([normal_log_ratio(out.code, out.logvar, e).sum(1) for e, out in outs])
        return math.log(self.n_draws) - (ratio - nll).logsumexp(0)

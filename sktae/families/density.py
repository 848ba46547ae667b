"""Autoencoders whose code is a normal distribution."""

import math
from typing import Any, Literal

import numpy as np
import torch

from sktae._training.spec import Auto
from sktae.base import BaseAutoencoder
from sktae.families.sampling import SamplingMixin
from sktae.nn.layers import mlp
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal, normal_log_ratio
from sktae.nn.missing import on_observed
from sktae.nn.posteriors import NormalCode
from sktae.parameters import Count, Positive
from sktae.randomness import generator

Scoring = Literal["combined", "residual", "distance", "elbo", "monte_carlo", "importance"]


class DensityAutoencoder(SamplingMixin, BaseAutoencoder):
    """Base of autoencoders whose code is a normal distribution, so that rows have a likelihood.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 16. The posterior of components that are not needed equals the
        prior.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. "auto" is (128,), or (128,
        64) where the code has fewer components than a row has columns.

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.01 where the code has fewer
        components than a row has columns.

    likelihood : {"gaussian", "laplace", "bernoulli"}, default="gaussian"
        Distribution of a row, given its code. The network learns the scale of each column.
        "bernoulli" is for values between 0 and 1: it ignores `standardize` and clips new rows to
        this range.

    noise_scale : float, "learned" or "shared", default="learned"
        Scale of that distribution, in the units of the network: standard deviations, with
        `standardize`. "learned" learns one for each column, so the model may give up columns that
        are hard to reproduce; "shared" learns one for all, so it does not. With 0.7071, the
        reconstruction term of "gaussian" is the sum of squared errors plus a constant. "bernoulli"
        has no scale.

    score_method : {"combined", "residual", "distance", "elbo", "monte_carlo", "importance"}, \
default="combined"
        What scores measure. "combined", "residual" and "distance" are those of all autoencoders.
        The others are estimates of the log-likelihood, in nats: "elbo" is the evidence lower bound
        at the mean of the code, "monte_carlo" the mean of the bound over samples of the code, and
        "importance" the importance-weighted bound, which is tighter. The noise of the samples is
        the same for every row and call.

    n_draws : int, default=16
        Number of samples of the code for "monte_carlo" and "importance".
    """

    likelihood: Literal["gaussian", "laplace", "bernoulli"] = "gaussian"
    noise_scale: Literal["learned", "shared"] | Positive = "learned"
    score_method: Scoring = "combined"  # type: ignore[assignment]  # more than others have
    n_draws: Count = 16

    def inputs(self):
        return self._table(unit_interval=self.likelihood == "bernoulli")

    def _auto(self, shape):
        # A sampled component adds noise until the network has learned to ignore it: few are better.
        return Auto(components=16)

    def network(self, spec):
        return NormalCode(*self._network_arguments(spec))

    def _network_arguments(self, spec):
        """Return the arguments of `NormalCode`."""
        sizes = spec.sizes
        encoder = mlp(*sizes[:-1], 2 * sizes[-1], activation=self.activation)
        decoder = mlp(*sizes[::-1], activation=self.activation)
        return encoder, decoder, spec.shape, spec.n_components, self.likelihood, self.noise_scale

    def code_distribution(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Compute the normal distributions of the codes of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            What `transform` returns.

        std : ndarray of shape (n_samples, n_components)
            Standard deviations: `rng.normal(mean, std)` is a draw of the codes.
        """

        def moments(network, x):
            out = network(x)
            return torch.cat([out.code, (out.logvar / 2).exp()], 1)

        mean, std = np.hsplit(self._apply(moments, self._rows(X)), 2)
        return mean, std

    def error(self, x, out):
        return LIKELIHOODS[self.likelihood].nll(x, out.decoded, out.log_scale)

    @staticmethod
    def surprise(out):
        return kl_to_normal(out.code, out.logvar).sum(1)

    def _draw(self, network, code, u):
        decoded = network.decoded(code)
        u = u.view_as(decoded)
        return LIKELIHOODS[self.likelihood].quantile(u, decoded, network.log_scale())

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
        errors = [on_observed(self.error, network, x, out) for _, out in outs]
        nll = torch.stack([error.flatten(1).sum(1) for error in errors])
        if method == "monte_carlo":
            return nll.mean(0) + self.surprise(outs[0][1])
        # log p(z) - log q(z|x): with it, the mean of p(x|z) over samples estimates p(x).
        ratio = torch.stack([normal_log_ratio(out.code, out.logvar, e).sum(1) for e, out in outs])
        return math.log(self.n_draws) - (ratio - nll).logsumexp(0)

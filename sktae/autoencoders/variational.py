"""Variational autoencoder (Kingma & Welling 2014; beta from Higgins et al. 2017)."""

import math
import warnings
from functools import partial
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from scipy.stats import laplace, norm
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sktae.base import BaseAutoencoder
from sktae.declare import Count, NonNegative
from sktae.inputs import Tabular
from sktae.nn.layers import mlp
from sktae.nn.losses import bernoulli_nll, gaussian_nll, kl_to_normal, laplace_nll
from sktae.randomness import Normal, generator, seed_of


class Posterior(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), the mean of the code
    logvar: Tensor  # (n, k), its log variance
    natural: Tensor  # (n, d), the decoder's output: means, or logits
    log_scale: Tensor  # (d,), of the noise around the means


class Network(nn.Module):
    def __init__(self, n_features, n_components, hidden_layer_sizes, activation, likelihood):
        super().__init__()
        sizes = (n_components, *hidden_layer_sizes[::-1], n_features)
        self.noise = (Normal((n_components,)),)
        self.encoder = mlp(*sizes[:0:-1], 2 * n_components, activation=activation)
        self.decoder = mlp(*sizes, activation=activation)
        self.tenth_log_scale = nn.Parameter(torch.zeros(n_features))
        self.mean = nn.Sigmoid() if likelihood == "bernoulli" else nn.Identity()

    def decode(self, code):
        return self.mean(self.decoder(code))

    def forward(self, x, eps=None):
        mean, logvar = self.encoder(x).chunk(2, -1)
        z = mean if eps is None else mean + eps * (logvar / 2).exp()
        natural = self.decoder(z)
        return Posterior(self.mean(natural), mean, logvar, natural, self.log_scale())

    def log_scale(self):
        # Ten times a weight, so that it moves as fast as the sums of weights around it; never
        # below e^-4 of a column's deviation, where a constant column would have no floor.
        return 10 * self.tenth_log_scale.clamp(min=-0.4)


def nll(likelihood, x, out):
    if likelihood == "bernoulli":
        return bernoulli_nll(x, out.natural)
    density = gaussian_nll if likelihood == "gaussian" else laplace_nll
    return density(x, out.natural, out.log_scale)


def negative_elbo(likelihood, x, out, *, beta, free_bits):
    kl = kl_to_normal(out.code, out.logvar)
    kl = torch.where(kl.mean(0) > free_bits, kl, free_bits)
    return {"reconstruction": nll(likelihood, x, out), "divergence": beta * kl}


class VariationalAutoencoder(BaseAutoencoder):
    """Variational autoencoder: a code that is a distribution, hence a density for rows.

    Scores are evidence lower bounds, in nats: how likely a row is under the model. `transform`
    gives the mean of the code.

    Minimises :math:`-E_{q(z|x)} \\log p(x|z) + \\beta KL(q(z|x) \\| N(0, 1))`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 16. Components that are not needed fall back to the prior.

    beta : float, default=1.0
        Weight of the divergence from the prior. Above 1, codes tend to disentangle.

    likelihood : {"gaussian", "laplace", "bernoulli"}, default="gaussian"
        How rows scatter around their reconstruction; the scale of each column's noise is learnt.
        "bernoulli" is for values from 0 to 1 and ignores `standardize`.

    free_bits : float, default=0.0
        Divergence, in nats for each component, that costs no more than none: against codes that
        collapse to the prior.

    score_method : {"mean", "monte-carlo", "importance"}, default="mean"
        Where a score evaluates the model: at the mean of the code, averaged over draws from the
        code, or as the importance-weighted bound, the tightest. The draws are the same for every
        row and every call.

    n_draws : int, default=16
        Number of draws for "monte-carlo" and "importance".

    References
    ----------
    .. [1] Kingma, D. P. and Welling, M. (2014). Auto-Encoding Variational Bayes. ICLR.
    .. [2] Higgins, I., Matthey, L., Pal, A., Burgess, C., Glorot, X., Botvinick, M., Mohamed, S.
       and Lerchner, A. (2017). beta-VAE: Learning Basic Visual Concepts with a Constrained
       Variational Framework. ICLR.
    .. [3] Burda, Y., Grosse, R. and Salakhutdinov, R. (2016). Importance Weighted Autoencoders.
       ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import VariationalAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = VariationalAutoencoder(2, random_state=0).fit(X)
    >>> model.sample(5).shape
    (5, 4)
    """

    # Each component that is drawn adds noise until the network has learnt to ignore it.
    auto_components: ClassVar[int] = 16

    beta: NonNegative = 1.0
    likelihood: Literal["gaussian", "laplace", "bernoulli"] = "gaussian"
    free_bits: NonNegative = 0.0
    score_method: Literal["mean", "monte-carlo", "importance"] = "mean"
    n_draws: Count = 16

    def inputs(self):
        unit = self.likelihood == "bernoulli"
        return Tabular(self.standardize and not unit, unit_interval=unit)

    def network(self, shape):
        return Network(
            *shape, self.n_components_, self.hidden_layer_sizes, self.activation, self.likelihood
        )

    @property
    def objective(self):
        return partial(negative_elbo, self.likelihood)

    def error(self, x, out):
        return nll(self.likelihood, x, out)

    @staticmethod
    def surprise(out):
        return kl_to_normal(out.code, out.logvar).sum(1)

    def sample(self, n_samples=1):
        """Draw new rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows; with a fixed `random_state` the same at each call.
        """
        check_is_fitted(self)
        rng = generator(seed_of(self.random_state), "sample")
        z = torch.randn((n_samples, self.n_components_), generator=rng)
        mean = self._apply(lambda network, z: network.decode(z), z)
        uniform = torch.rand(mean.shape, generator=rng, dtype=torch.float64).numpy()
        if self.likelihood == "bernoulli":
            return (uniform < mean).astype(np.float64)
        noise = norm if self.likelihood == "gaussian" else laplace
        scale = np.exp(self.net_.module_.log_scale().detach().cpu().numpy())
        return self._inputs.array(mean + scale * noise.ppf(uniform), np.float64)

    @staticmethod
    def diagnose(out):
        return {"active_units": (out.code.var(0, correction=0) > 0.01).sum()}

    def warn(self):
        if self.history_["active_units"].iloc[-1] == 0 and self.n_iter_ >= 100:
            warnings.warn(
                "The posterior of VariationalAutoencoder collapsed: no component of the code "
                "depends on the row. Lower beta, set free_bits, or train longer (max_steps).",
                UserWarning,
                stacklevel=4,
            )

    def _anomaly(self, network, model, x):
        if self.score_method == "mean":
            return super()._anomaly(network, model, x)
        rng = generator(0, "score")
        draws = torch.randn((self.n_draws, self.n_components_), generator=rng).to(x.device)
        outs = [network(x, eps.expand(len(x), -1)) for eps in draws]
        errors = torch.stack([self.error(x, out).sum(1) for out in outs])
        if self.score_method == "monte-carlo":
            return errors.mean(0) + self.surprise(outs[0])
        # log p(x|z) + log p(z) - log q(z|x), at z = mean + deviation * eps
        weights = [
            0.5 * (eps**2 + out.logvar - (out.code + eps * (out.logvar / 2).exp()) ** 2).sum(1)
            for eps, out in zip(draws, outs, strict=True)
        ]
        return math.log(self.n_draws) - (torch.stack(weights) - errors).logsumexp(0)

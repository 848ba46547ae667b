"""Variational autoencoder (Kingma & Welling 2014; beta from Higgins et al. 2017)."""

import math
from functools import partial
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sktae.base import BaseAutoencoder
from sktae.declare import Count, NonNegative
from sktae.inputs import Tabular
from sktae.nn.layers import mlp
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal, normal_log_ratio
from sktae.randomness import Normal, generator
from sktae.sampling import SamplingMixin

Scoring = Literal["combined", "residual", "neighbours", "elbo", "monte-carlo", "importance"]


class Posterior(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), the mean of the code
    logvar: Tensor  # (n, k), its log variance
    natural: Tensor  # (n, d), the decoder's output: means, or logits
    log_scale: Tensor  # (d,), of the noise around the means


class Network(nn.Module):
    def __init__(self, sizes, activation, likelihood):
        super().__init__()
        self.noise = (Normal(sizes[-1:]),)
        self.encoder = mlp(*sizes[:-1], 2 * sizes[-1], activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        self.tenth_log_scale = nn.Parameter(torch.zeros(sizes[0]))
        self.likelihood = LIKELIHOODS[likelihood]()

    def log_scale(self):
        # Ten times a weight, to move as fast as sums of weights do; softly kept above -4.
        return nn.functional.softplus(20 * self.tenth_log_scale + 8) / 2 - 4

    def decode(self, code):
        return self.likelihood.mean(self.decoder(code))

    def forward(self, x, eps=None):
        mean, logvar = self.encoder(x).chunk(2, -1)
        z = mean if eps is None else mean + eps * (logvar / 2).exp()
        natural = self.decoder(z)
        return Posterior(self.likelihood.mean(natural), mean, logvar, natural, self.log_scale())


def negative_elbo(likelihood, x, out, *, beta, free_bits):
    kl = kl_to_normal(out.code, out.logvar)
    kl = torch.where(kl.mean(0) > free_bits, kl, free_bits)
    nll = LIKELIHOODS[likelihood].nll(x, out.natural, out.log_scale)
    return {"reconstruction": nll, "divergence": beta * kl}


class VariationalAutoencoder(SamplingMixin, BaseAutoencoder):
    """Variational autoencoder: a code that is a distribution, hence a density for rows.

    Minimises :math:`-E_{q(z|x)} \\log p(x|z) + \\beta KL(q(z|x) \\| N(0, 1))`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 16. Components that are not needed fall back to the prior.

    beta : float, default=1.0
        Weight of the divergence from the prior. Above 1, codes tend to disentangle.

    likelihood : {"gaussian", "laplace", "bernoulli"}, default="gaussian"
        How rows scatter around their reconstruction; the scale of each column's noise is learnt.
        "bernoulli" is for values from 0 to 1 and ignores `standardize`; later rows are cut off.

    free_bits : float, default=0.0
        Divergence below this, averaged over the batch and in nats for each component, is not
        penalised: against codes that collapse to the prior.

    score_method : {"combined", "residual", "neighbours", "elbo", "monte-carlo", "importance"}, \
default="combined"
        What scores measure: as elsewhere or, in nats, the bound at the mean of the code, its mean
        over draws, the same for every row and call, or the bound weighted by importance.

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
    >>> X = load_iris().data
    >>> VariationalAutoencoder(2, random_state=0).fit(X).sample(5).shape
    (5, 4)
    """

    # Each component that is drawn adds noise until the network has learnt to ignore it.
    auto_components: ClassVar[int] = 16

    beta: NonNegative = 1.0
    likelihood: Literal["gaussian", "laplace", "bernoulli"] = "gaussian"
    free_bits: NonNegative = 0.0
    score_method: Scoring = "combined"  # type: ignore[assignment]  # more than others have
    n_draws: Count = 16

    def inputs(self):
        unit = self.likelihood == "bernoulli"
        return Tabular(self.standardize and not unit, unit)

    def network(self, shape):
        sizes = (*shape, *self.hidden_layer_sizes_, self.n_components_)
        return Network(sizes, self.activation, self.likelihood)

    @property
    def objective(self):
        return partial(negative_elbo, self.likelihood)

    def error(self, x, out):
        return LIKELIHOODS[self.likelihood].nll(x, out.natural, out.log_scale)

    @staticmethod
    def surprise(out):
        return kl_to_normal(out.code, out.logvar).sum(1)

    def draw(self, network, code, u):
        return LIKELIHOODS[self.likelihood].quantile(u, network.decoder(code), network.log_scale())

    @staticmethod
    def diagnose(out):
        return {"active_units": (out.code.var(0, correction=0) > 0.01).sum()}

    def complaint(self, last):
        if last["active_units"] == 0 and last["step"] >= 100:
            return (
                "The posterior of VariationalAutoencoder collapsed: no component of the code "
                "depends on the row. Lower beta, set free_bits, or train longer (max_steps)."
            )

    def _single(self, network, x):
        if self.score_method == "elbo":
            return super()._single(network, x)
        eps = torch.randn((self.n_draws, self.n_components_), generator=generator(0, "score"))
        outs = [(e, network(x, e.expand(len(x), -1))) for e in eps.to(x.device)]
        nll = torch.stack([self.error(x, out).sum(1) for _, out in outs])
        if self.score_method == "monte-carlo":
            return nll.mean(0) + self.surprise(outs[0][1])
        ratio = torch.stack([normal_log_ratio(out.code, out.logvar, e).sum(1) for e, out in outs])
        return math.log(self.n_draws) - (ratio - nll).logsumexp(0)

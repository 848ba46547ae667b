"""Variational autoencoder (Kingma & Welling 2014; beta from Higgins et al. 2017)."""

from functools import partial

import torch

from sktae.families.density import DensityAutoencoder
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal
from sktae.parameters import NonNegative


def negative_elbo(likelihood, x, out, *, beta, free_bits):
    kl = kl_to_normal(out.code, out.logvar)
    kl = torch.where(kl.mean(0) > free_bits, kl, free_bits)
    nll = LIKELIHOODS[likelihood].nll(x, out.decoded, out.log_scale)
    return {"reconstruction": nll, "divergence": beta * kl}


class VariationalAutoencoder(DensityAutoencoder):
    """Variational autoencoder: encodes rows as normal distributions and models their density.

    Minimizes :math:`-E_{q(z|x)} \\log p(x|z) + \\beta KL(q(z|x) \\| N(0, 1))`.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the divergence from the prior. Above 1, components tend to be disentangled.

    free_bits : float, default=0.0
        Divergence of each component, in nats and averaged over the batch, up to which it is not
        penalized. This keeps the code from collapsing to the prior.

    See Also
    --------
    DisentangledAutoencoder
    ConvolutionalVariationalAutoencoder
    ConvolutionalSequenceVariationalAutoencoder

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

    beta: NonNegative = 1.0
    free_bits: NonNegative = 0.0

    @property
    def objective(self):
        return partial(negative_elbo, self.likelihood)

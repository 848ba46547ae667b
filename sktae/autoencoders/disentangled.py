"""Disentangled variational autoencoder (beta-TCVAE, Chen et al. 2018)."""

from functools import partial

from sktae.families.density import DensityAutoencoder
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal, total_correlation
from sktae.parameters import NonNegative


def penalized_negative_elbo(likelihood, x, out, *, beta):
    dependence = total_correlation(out.z, out.code, out.logvar)
    return {
        "reconstruction": LIKELIHOODS[likelihood].nll(x, out.decoded, out.log_scale),
        "divergence": kl_to_normal(out.code, out.logvar),
        "dependence": (beta - 1) * dependence,
    }


class DisentangledAutoencoder(DensityAutoencoder):
    """Disentangled autoencoder: learns a code with independent components.

    If rows come from a few independent causes, each component tends to represent one of them. A
    variational autoencoder with a large `beta` has the same aim, but penalizes all information that
    the code has about rows. This model penalizes only the part of the divergence that measures
    dependence: the total correlation.

    Minimizes :math:`-E_{q(z|x)} \\log p(x|z) + KL(q(z|x) \\| N(0, 1)) + (\\beta - 1) KL(q(z) \\|
    \\prod_j q(z_j))`, where :math:`q(z)` is the mean of the :math:`q(z|x)` of a batch.

    Parameters
    ----------
    beta : float, default=4.0
        Weight of the total correlation. With 1, this is the variational autoencoder.

    See Also
    --------
    VariationalAutoencoder
    ContentStyleAutoencoder

    References
    ----------
    .. [1] Chen, R. T. Q., Li, X., Grosse, R. and Duvenaud, D. (2018). Isolating Sources of
       Disentanglement in Variational Autoencoders. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import DisentangledAutoencoder
    >>> causes = np.random.default_rng(0).uniform(size=(500, 2))
    >>> X = np.column_stack([np.sin(3 * causes), np.cos(3 * causes), causes.sum(axis=1)])
    >>> DisentangledAutoencoder(2, random_state=0).fit_transform(X).shape
    (500, 2)
    """

    beta: NonNegative = 4.0

    @property
    def objective(self):
        return partial(penalized_negative_elbo, self.likelihood)

"""Convolutional variational autoencoder (Kingma & Welling 2014; maps: Rombach et al. 2022)."""

from functools import partial

from sktae.families.convolution import ConvolutionalMixin
from sktae.families.density import DensityAutoencoder
from sktae.nn.images import ImageModule
from sktae.nn.likelihoods import LIKELIHOODS
from sktae.nn.losses import kl_to_normal
from sktae.nn.posteriors import NormalCode
from sktae.parameters import NonNegative


class Network(ImageModule, NormalCode):
    """The code of an image is a normal distribution."""


def negative_elbo(likelihood, x, out, *, beta):
    return {
        "reconstruction": LIKELIHOODS[likelihood].nll(x, out.decoded, out.log_scale),
        "divergence": beta * kl_to_normal(out.code, out.logvar),
    }


class ConvolutionalVariationalAutoencoder(ConvolutionalMixin, DensityAutoencoder):
    """Convolutional variational autoencoder: encodes images as normal distributions.

    Likelihoods of images can be computed, and new images sampled.

    Minimizes :math:`-E_{q(z|x)} \\log p(x|z) + \\beta KL(q(z|x) \\| N(0, 1))`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code. "auto" is 16 or, with `code_channels`, the size of the map.

    beta : float, default=1.0
        Weight :math:`\\beta` of the divergence from the prior. To compress images to a map for
        another model, take a very small one.

    References
    ----------
    .. [1] Kingma, D. P. and Welling, M. (2014). Auto-Encoding Variational Bayes. ICLR.
    .. [2] Rombach, R., Blattmann, A., Lorenz, D., Esser, P. and Ommer, B. (2022). High-Resolution
       Image Synthesis with Latent Diffusion Models. CVPR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ConvolutionalVariationalAutoencoder
    >>> X = load_digits().images
    >>> model = ConvolutionalVariationalAutoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> model.sample(5).shape
    (5, 8, 8)
    """

    beta: NonNegative = 1.0

    def network(self, spec):
        return Network(*self._network_arguments(spec))

    def inputs(self):
        return self._images(unit_interval=self.likelihood == "bernoulli")

    def _network_arguments(self, spec):
        # One scale for each channel. With a scale for each pixel, the network raises the scale of
        # pixels that are hard to reconstruct instead of learning them.
        scale_shape = (spec.shape[0], 1, 1)
        coders = self._encoder_and_decoder(spec, outputs_per_component=2)
        return *coders, scale_shape, spec.n_components, self.likelihood, self.noise_scale

    @property
    def objective(self):
        return partial(negative_elbo, self.likelihood)

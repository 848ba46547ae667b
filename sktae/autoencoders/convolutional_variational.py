"""Convolutional variational autoencoder (Kingma & Welling 2014; maps: Rombach et al. 2022)."""

from sktae.families.convolution import ConvolutionalMixin
from sktae.families.density import DensityAutoencoder
from sktae.families.parts import CodePartsMixin
from sktae.nn.images import ImageModule
from sktae.nn.posteriors import GroupedCode


class Network(ImageModule, GroupedCode):
    """The code of an image is a normal distribution."""


class ConvolutionalVariationalAutoencoder(ConvolutionalMixin, CodePartsMixin, DensityAutoencoder):
    """Convolutional variational autoencoder: encodes images as normal distributions.

    Likelihoods of images can be computed, and new images sampled. With `gamma`, the components of
    the code become independent. With `n_content` and groups of images as `y` of `fit`, the code is
    divided into what the images of a group share and how each one differs.

    Minimizes :math:`-E_{q(z|x)} \\log p(x|z) + \\beta KL(q(z|x) \\| N(0, 1)) + \\gamma KL(q(z) \\|
    \\prod_j q(z_j))`. The divergence of the content of a group counts once for the group.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code. "auto" is 16 or, with `code_channels`, the size of the map.

    beta : float, default=1.0
        Weight :math:`\\beta` of the divergence from the prior. To compress images to a map for
        another model, take a very small one.

    See Also
    --------
    ConvolutionalAutoencoder
    VariationalAutoencoder
    ConvolutionalVectorQuantizedAutoencoder

    References
    ----------
    .. [1] Kingma, D. P. and Welling, M. (2014). Auto-Encoding Variational Bayes. ICLR.
    .. [2] Rombach, R., Blattmann, A., Lorenz, D., Esser, P. and Ommer, B. (2022). High-Resolution
       Image Synthesis with Latent Diffusion Models. CVPR.
    .. [3] Chen, R. T. Q., Li, X., Grosse, R. and Duvenaud, D. (2018). Isolating Sources of
       Disentanglement in Variational Autoencoders. NeurIPS.
    .. [4] Hosoya, H. (2019). Group-based Learning of Disentangled Representations with
       Generalizability for Novel Contents. IJCAI.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ConvolutionalVariationalAutoencoder
    >>> X = load_digits().images
    >>> model = ConvolutionalVariationalAutoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> model.sample(5).shape
    (5, 8, 8)
    """

    def network(self, spec):
        n_content = self._content_size(spec.n_components)
        return Network(*self._network_arguments(spec), n_content=n_content)

    def inputs(self):
        return self._images(unit_interval=self.likelihood == "bernoulli")

    def _network_arguments(self, spec):
        # One scale for each channel. With a scale for each pixel, the network raises the scale of
        # pixels that are hard to reconstruct instead of learning them.
        scale_shape = (spec.shape[0], 1, 1)
        coders = self._encoder_and_decoder(spec, outputs_per_component=2)
        return *coders, scale_shape, spec.n_components, self.likelihood, self.noise_scale

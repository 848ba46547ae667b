"""Variational autoencoder of sequences (Kingma & Welling 2014; Hsu et al. 2017)."""

from typing import ClassVar, Literal

from sktae.base import Auto
from sktae.families.density import DensityAutoencoder
from sktae.families.parts import CodePartsMixin
from sktae.families.sequence import SequenceMixin
from sktae.nn.convolution import SequenceDecoder, SequenceEncoder
from sktae.nn.posteriors import GroupedCode
from sktae.nn.sequences import observed
from sktae.parameters import Count, SomeWidths


class Network(GroupedCode):
    """The code of a sequence is a normal distribution."""

    takes_missing = True  # patches without a value are left out

    def __init__(self, embedding, *parts, n_content):
        super().__init__(*parts, n_content=n_content)
        self.embedding = embedding

    def moments(self, x):
        patches = self.embedding.to_patches(x)
        return self.encoder(self.embedding.embed(patches), observed(patches))

    def decoded(self, code):
        return self.embedding.from_patches(self.embedding.read_out(self.decoder(code)))


class ConvolutionalSequenceVariationalAutoencoder(
    SequenceMixin, CodePartsMixin, DensityAutoencoder
):
    """Temporal convolutional variational autoencoder: encodes sequences as normal distributions.

    Likelihoods of sequences of numbers can be computed, and new sequences sampled. With `gamma`,
    the components of the code become independent. With `n_content` and groups of sequences as `y`
    of `fit`, the code is divided into what the sequences of a group share and how each one differs:
    recordings of one word by several speakers share the word.

    Minimizes :math:`-E_{q(z|x)} \\log p(x|z) + \\beta KL(q(z|x) \\| N(0, 1)) + \\gamma KL(q(z) \\|
    \\prod_j q(z_j))`. The divergence of the content of a group counts once for the group.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Channels of the encoder's dilated convolutions; the decoder mirrors them. "auto" is (32, 32,
        32, 32).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.005 where the code has fewer
        components than a sequence has values.

    likelihood : {"gaussian", "laplace"}, default="gaussian"
        Distribution of a sequence, given its code. The network learns the scale of each channel.

    kernel_size : int, default=3
        Number of steps, or patches, that a convolution combines.

    See Also
    --------
    ConvolutionalSequenceAutoencoder
    VariationalAutoencoder

    References
    ----------
    .. [1] Kingma, D. P. and Welling, M. (2014). Auto-Encoding Variational Bayes. ICLR.
    .. [2] Hsu, W.-N., Zhang, Y. and Glass, J. (2017). Learning Latent Representations for Speech
       Generation and Transformation. Interspeech.
    .. [3] Chen, R. T. Q., Li, X., Grosse, R. and Duvenaud, D. (2018). Isolating Sources of
       Disentanglement in Variational Autoencoders. NeurIPS.
    .. [4] Hosoya, H. (2019). Group-based Learning of Disentangled Representations with
       Generalizability for Novel Contents. IJCAI.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import ConvolutionalSequenceVariationalAutoencoder
    >>> phase = np.random.default_rng(0).uniform(0, 6, (200, 1))
    >>> X = np.sin(phase + np.arange(32) / 3)
    >>> model = ConvolutionalSequenceVariationalAutoencoder(2, max_steps=20, random_state=0).fit(X)
    >>> model.sample(5).shape
    (5, 32)
    """

    _fills_missing: ClassVar[bool] = True  # what is missing is masked in likelihoods

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    likelihood: Literal["gaussian", "laplace"] = "gaussian"
    kernel_size: Count = 3

    def _auto(self, shape):
        return Auto(16, widths=((32,) * 4, (32,) * 4), rates=(2e-3, 5e-3))

    def network(self, spec):
        widths, n = spec.widths, spec.n_components
        embedding = self._embedding(spec, widths[0], widths[0])
        settings = {"kernel_size": self.kernel_size, "activation": self.activation}
        encoder = SequenceEncoder(embedding.n_patches, widths, 2 * n, **settings)
        decoder = SequenceDecoder(embedding.n_patches, widths[::-1], n, **settings)
        # One scale for each channel, as for images.
        density = (1, spec.shape[1]), n, self.likelihood, self.noise_scale
        n_content = self._content_size(n)
        return Network(embedding, encoder, decoder, *density, n_content=n_content)

"""Temporal convolutional autoencoder (Thill et al. 2021; dilations: Bai et al. 2018)."""

from typing import Literal

from sktae.base import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.convolution import SequenceDecoder, SequenceEncoder
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import observed
from sktae.parameters import Count, SomeWidths


class Network(AutoencoderModule):
    def __init__(self, embedding, widths, n_components, **settings):
        super().__init__()
        self.embedding = embedding
        self.encoder = SequenceEncoder(embedding.n_patches, widths, n_components, **settings)
        self.decoder = SequenceDecoder(embedding.n_patches, widths[::-1], n_components, **settings)

    def forward(self, x):
        patches = self.embedding.to_patches(x)
        code = self.encoder(self.embedding.embed(patches), observed(patches))
        return self.embedding.output(code, self.decoder(code))

    def decode(self, code):
        patches = self.embedding.read_out(self.decoder(code))
        return self.embedding.from_patches(patches)


class ConvolutionalSequenceAutoencoder(SequenceAutoencoder):
    """Temporal convolutional autoencoder: encodes sequences with dilated convolutions.

    The dilation doubles from layer to layer, so that later layers combine more distant steps.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 128.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Channels of the encoder's convolutions; the decoder mirrors them. "auto" is (32, 32, 32,
        32).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.005 where the code has fewer
        components than a sequence has values.

    kernel_size : int, default=3
        Number of steps, or patches, that a convolution combines.

    See Also
    --------
    ConvolutionalSequenceVariationalAutoencoder
    RecurrentAutoencoder
    TransformerAutoencoder

    References
    ----------
    .. [1] Thill, M., Konen, W., Wang, H. and Baeck, T. (2021). Temporal Convolutional Autoencoder
       for Unsupervised Anomaly Detection in Time Series. Applied Soft Computing 112.
    .. [2] Bai, S., Kolter, J. Z. and Koltun, V. (2018). An Empirical Evaluation of Generic
       Convolutional and Recurrent Networks for Sequence Modeling. arXiv:1803.01271.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import ConvolutionalSequenceAutoencoder
    >>> phase = np.random.default_rng(0).uniform(0, 6, (200, 1))
    >>> X = np.sin(phase + np.arange(32) / 3)
    >>> ConvolutionalSequenceAutoencoder(2, max_steps=20).fit_transform(X).shape
    (200, 2)
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    kernel_size: Count = 3

    def _auto(self, shape):
        return Auto(widths=((32,) * 4, (32,) * 4), rates=(2e-3, 5e-3))

    def network(self, spec):
        widths = spec.widths
        return Network(
            self._embedding(spec, widths[0], widths[0]),
            widths,
            spec.n_components,
            kernel_size=self.kernel_size,
            activation=self.activation,
        )

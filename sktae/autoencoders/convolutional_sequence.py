"""Temporal convolutional autoencoder (Thill et al. 2021; dilations after Bai et al. 2018)."""

from typing import Literal

from torch import nn

from sktae._training.spec import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.convolution import Dilated
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import known
from sktae.parameters import Count, SomeWidths


class Network(AutoencoderModule):
    def __init__(self, alphabet, widths, n_components, **settings):
        super().__init__()
        steps = alphabet.n_patches
        self.alphabet = alphabet
        self.layer_size = steps * max(widths)
        self.encoder = Dilated(widths, **settings)
        self.squeeze = nn.Linear(steps * widths[-1], n_components)
        self.widen = nn.Linear(n_components, steps * widths[-1])
        self.decoder = Dilated(widths[::-1], **settings)

    def forward(self, x):
        patches = self.alphabet.split(x)
        there = known(patches)[..., None]
        h = self.encoder(self.alphabet.embed(patches) * there) * there
        code = self.squeeze(h.flatten(1))
        return self.alphabet.recoded(code, self.tell(code))

    def tell(self, code):
        h = self.widen(code).unflatten(1, (self.alphabet.n_patches, -1))
        return self.decoder(h)

    def decode(self, code):
        return self.alphabet.decoded(self.tell(code))


class ConvolutionalSequenceAutoencoder(SequenceAutoencoder):
    """Temporal convolutional autoencoder: sequences seen through filters of growing reach.

    Minimises the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Channels of the encoder's convolutions, each of which reaches twice as far as the one before
        it; the decoder mirrors them. "auto" is (32, 32, 32, 32).

    kernel_size : int, default=3
        How many steps a filter takes in.

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
            self._alphabet(spec, widths[0], widths[0]),
            widths,
            spec.n_components,
            kernel_size=self.kernel_size,
            activation=self.activation,
        )

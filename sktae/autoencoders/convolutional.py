"""Convolutional autoencoder (Masci et al. 2011; residual blocks: He et al. 2016)."""

from sktae.base import BaseAutoencoder
from sktae.families.convolution import ConvolutionalMixin
from sktae.nn.images import ImageModule
from sktae.nn.layers import Coded
from sktae.nn.losses import squared


class Network(ImageModule):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x):
        code = self.encoder(x)
        return Coded(self.decode(code), code)


class ConvolutionalAutoencoder(ConvolutionalMixin, BaseAutoencoder):
    """Convolutional autoencoder: compresses images to a code and reconstructs them.

    Each stage of the encoder halves height and width with a convolution of stride 2; the decoder
    mirrors it with transposed convolutions.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code. "auto" is 128 or, with `code_channels`, the size of the map.

    See Also
    --------
    ConvolutionalVariationalAutoencoder
    VisionTransformerAutoencoder

    References
    ----------
    .. [1] Masci, J., Meier, U., Ciresan, D. and Schmidhuber, J. (2011). Stacked Convolutional
       Auto-Encoders for Hierarchical Feature Extraction. ICANN.
    .. [2] He, K., Zhang, X., Ren, S. and Sun, J. (2016). Identity Mappings in Deep Residual
       Networks. ECCV.
    .. [3] Wu, Y. and He, K. (2018). Group Normalization. ECCV.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ConvolutionalAutoencoder
    >>> X = load_digits().images
    >>> model = ConvolutionalAutoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> model.transform(X).shape
    (1797, 8)
    >>> model.reconstruct(X).shape
    (1797, 8, 8)
    """

    def network(self, spec):
        return Network(*self._encoder_and_decoder(spec))

    @staticmethod
    def objective(x, out):
        return squared(x, out.recon)

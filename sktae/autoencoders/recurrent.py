"""Recurrent autoencoder (Srivastava et al. 2015; for anomalies, Malhotra et al. 2016)."""

from typing import ClassVar

from torch import nn

from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.recurrent import Cell, Recurrent
from sktae.nn.sequences import known


class Network(nn.Module):
    noise = ()

    def __init__(self, alphabet, widths, n_components, cell):
        super().__init__()
        self.alphabet = alphabet
        self.layer_size = alphabet.n_patches * max(widths)
        self.encoder = Recurrent(widths[0], widths, cell)
        self.squeeze = nn.Linear(widths[-1], n_components)
        self.decoder = Recurrent(n_components, widths[::-1], cell)

    def forward(self, x):
        patches = self.alphabet.split(x)
        h = self.encoder(self.alphabet.embed(patches), known(patches))
        code = self.squeeze(h[:, -1])
        return self.alphabet.recoded(code, self.tell(code))

    def tell(self, code):
        # The code is told at every step; what else is to be known of the past, the state keeps.
        told = code[:, None].expand(-1, self.alphabet.n_patches, -1)
        return self.decoder(told)

    def decode(self, code):
        return self.alphabet.decoded(self.tell(code))


class RecurrentAutoencoder(SequenceAutoencoder):
    """Recurrent autoencoder: a sequence read step by step into a state, and told again from it.

    Minimises the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's recurrent layers; the decoder mirrors them. "auto" is (64,).

    cell : {"gru", "lstm"}, default="gru"
        What a recurrent layer is made of.

    References
    ----------
    .. [1] Srivastava, N., Mansimov, E. and Salakhutdinov, R. (2015). Unsupervised Learning of Video
       Representations using LSTMs. ICML.
    .. [2] Malhotra, P., Ramakrishnan, A., Anand, G., Vig, L., Agarwal, P. and Shroff, G. (2016).
       LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection. ICML Anomaly Detection
       Workshop.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import RecurrentAutoencoder
    >>> phase = np.random.default_rng(0).uniform(0, 6, (200, 1))
    >>> X = np.sin(phase + np.arange(32) / 3)
    >>> RecurrentAutoencoder(2, max_steps=20, random_state=0).fit_transform(X).shape
    (200, 2)
    """

    auto_components: ClassVar[int] = 64
    auto_widths: ClassVar = ((64,), (64,))
    auto_rates: ClassVar = (1e-2, 1e-2)

    cell: Cell = "gru"

    def network(self, shape):
        widths = self.widths
        alphabet = self.alphabet(shape, widths[0], widths[0])
        return Network(alphabet, widths, self.n_components_, self.cell)

"""Recurrent autoencoder (Srivastava et al. 2015; for anomalies, Malhotra et al. 2016)."""

from typing import Literal

from torch import nn

from sktae._training.spec import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.module import AutoencoderModule
from sktae.nn.recurrent import Cell, Recurrent
from sktae.nn.sequences import known
from sktae.parameters import SomeWidths


class Network(AutoencoderModule):
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

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    cell: Cell = "gru"

    def _auto(self, shape):
        return Auto(components=64, widths=((64,), (64,)), rates=(1e-2, 1e-2))

    def network(self, spec):
        widths = spec.widths
        alphabet = self._alphabet(spec, widths[0], widths[0])
        return Network(alphabet, widths, spec.n_components, self.cell)

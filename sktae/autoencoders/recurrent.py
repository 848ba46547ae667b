"""Recurrent autoencoder (Srivastava et al. 2015; for anomalies: Malhotra et al. 2016)."""

from typing import Literal

from torch import nn

from sktae.base import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.module import AutoencoderModule
from sktae.nn.recurrent import Cell, Recurrent
from sktae.nn.sequences import observed
from sktae.parameters import SomeWidths


class Network(AutoencoderModule):
    def __init__(self, embedding, widths, n_components, cell, bidirectional):
        super().__init__()
        self.embedding = embedding
        self.layer_size = embedding.n_patches * max(widths)
        self.encoder = Recurrent(widths[0], widths, cell, bidirectional)
        self.to_code = nn.Linear((1 + bidirectional) * widths[-1], n_components)
        self.decoder = Recurrent(n_components, widths[::-1], cell)

    def forward(self, x):
        patches = self.embedding.to_patches(x)
        h = self.encoder(self.embedding.embed(patches), observed(patches))  # (n, p, width)
        code = self.to_code(self.encoder.last(h))
        return self.embedding.output(code, self.decode_vectors(code))

    def decode_vectors(self, code):
        """Decode codes to vectors, (n, k) -> (n, p, width): the code is the input of each step."""
        return self.decoder(code[:, None], n_steps=self.embedding.n_patches)

    def decode(self, code):
        patches = self.embedding.read_out(self.decode_vectors(code))
        return self.embedding.from_patches(patches)


class RecurrentAutoencoder(SequenceAutoencoder):
    """Recurrent autoencoder: encodes sequences step by step with GRU or LSTM layers.

    The code is a linear map of the last state. The decoder is recurrent, too, and gets the code as
    the input of each step.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(x))\\|^2`, or the negative
    log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 64.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's recurrent layers; the decoder mirrors them. "auto" is (64,).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer; "auto" is 0.01.

    cell : {"gru", "lstm"}, default="gru"
        Kind of the recurrent layers.

    bidirectional : bool, default=False
        Whether each layer of the encoder has a second one that begins at the end of sequences. The
        code is a linear map of the last states of both.

    See Also
    --------
    TransformerAutoencoder
    ConvolutionalSequenceAutoencoder
    AutoregressiveAutoencoder

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
    bidirectional: bool = False

    def _auto(self, shape):
        return Auto(components=64, widths=((64,), (64,)), rates=(1e-2, 1e-2))

    def network(self, spec):
        widths = spec.widths
        embedding = self._embedding(spec, widths[0], widths[0])
        return Network(embedding, widths, spec.n_components, self.cell, self.bidirectional)

"""Autoregressive autoencoder (autoregression: Yule 1927), conditional on a code."""

from typing import ClassVar, Literal

import torch
from torch import nn

from sktae.base import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.layers import mlp
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import IdentityEmbedding
from sktae.parameters import Count

# Width of the vectors of tokens.
_TOKEN_WIDTH = 16


class Network(AutoencoderModule):
    def __init__(self, embedding, width, hidden, n_components, order, neural, activation):
        super().__init__()
        self.embedding, self.order = embedding, order
        n_values, n_inputs = embedding.n_patches * width, order * width + n_components
        self.layer_size = embedding.n_patches * max(n_inputs, *hidden, width)
        self.encoder = mlp(n_values, *hidden, n_components, activation=activation)
        self.initial = nn.Linear(n_components, order * width)
        self.recursion = mlp(n_inputs, *hidden[::-1] * neural, width, activation=activation)

    def forward(self, x):
        values = self.embedding.embed(self.embedding.to_patches(x))  # (n, n_patches, width)
        code = self.encoder(values.flatten(1))
        h = self.predict_first(code)
        if self.order < values.shape[1]:
            h = torch.cat([h, self.predict_next(values[:, :-1], code)], 1)
        return self.embedding.output(code, h)

    def predict_first(self, code):
        """Predict the first `order` values from the code alone, (n, order, width)."""
        return self.initial(code).unflatten(1, (self.order, -1))

    def predict_next(self, values, code):
        """Predict the value after each `order` consecutive ones, (n, t, width) -> (n, s, width)."""
        past = values.unfold(1, self.order, 1).transpose(2, 3).flatten(2)
        return self.recursion(torch.cat([past, code[:, None].expand(-1, past.shape[1], -1)], 2))

    def decode(self, code, noise=None):
        h = self.predict_first(code)
        patches, past = [], h[:, :0]
        for end in range(self.order, self.embedding.n_patches + 1):
            h = self.predict_next(past, code) if patches else h
            step_noise = None if noise is None else noise[:, end - h.shape[1] : end]
            patches.append(self.embedding.read_out(h, step_noise))
            past = torch.cat([past, self.embedding.embed(patches[-1])], 1)[:, -self.order :]
        return self.embedding.from_patches(torch.cat(patches, 1))


class AutoregressiveAutoencoder(SequenceAutoencoder):
    """Autoregressive autoencoder: predicts each value from the code and the values before it.

    The decoder is an AR(p) model with the code as a further input, :math:`x_t = A_1 x_{t-1} +
    \\ldots + A_p x_{t-p} + B z + b`, or a perceptron with the same inputs. In training and in
    scores, the earlier values are the true ones. When it decodes a code, they are its own
    predictions.

    Minimizes the squared error of the predictions, or the negative log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 8.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; a "neural" decoder mirrors them. "auto" is (128,), or
        (128, 64) where the code has fewer components than a sequence has values.

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer; "auto" is 0.01.

    patch_size : int or "auto", default=1
        Number of steps that are predicted at once; "auto" makes at most 16 patches of a sequence.
        For tokens, it is always 1.

    order : int, default=8
        Number p of earlier values, or patches, in a prediction. The first p are predicted from the
        code alone.

    decoder : {"linear", "neural"}, default="linear"
        What predicts the next value: a linear map, or a perceptron with the encoder's hidden
        layers.

    References
    ----------
    .. [1] Yule, G. U. (1927). On a Method of Investigating Periodicities in Disturbed Series.
       Philosophical Transactions of the Royal Society A 226.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import AutoregressiveAutoencoder
    >>> phase = np.random.default_rng(0).uniform(0, 6, (200, 1))
    >>> X = np.sin(phase + np.arange(32) / 3)
    >>> AutoregressiveAutoencoder(2, max_steps=20, random_state=0).fit_transform(X).shape
    (200, 2)
    """

    patch_size: Count | Literal["auto"] = 1
    order: Count = 8
    decoder: Literal["linear", "neural"] = "linear"

    _autoregressive: ClassVar[bool] = True

    def _auto(self, shape):
        return Auto(components=8, rates=(1e-2, 1e-2))

    def network(self, spec):
        if self.n_tokens is None:
            embedding = IdentityEmbedding(*spec.shape, self._patch(spec.shape[0]))
            width = embedding.patch * spec.shape[1]
        else:
            width = _TOKEN_WIDTH
            embedding = self._embedding(spec, width, width)
        order = min(self.order, embedding.n_patches)
        neural = self.decoder == "neural"
        sizes = width, spec.widths, spec.n_components
        return Network(embedding, *sizes, order, neural, self.activation)

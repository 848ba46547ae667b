"""Autoregressive autoencoder (autoregression: Yule 1927), conditional on a code."""

from typing import ClassVar, Literal

import torch
from torch import nn

from sktae.base import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.layers import mlp
from sktae.nn.losses import masked_squared
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import IdentityEmbedding
from sktae.parameters import Count

# Width of the vectors of tokens.
_TOKEN_WIDTH = 16
# Decoded numbers are clipped here, where errors grow so much that their squares leave float32.
_LARGEST = 1e15
# In a diagnosis, so many sequences are decoded. A smaller variance than this is taken for rounding.
_DECODED, _LEAST_VARIANCE = 256, 1e-3


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
            patch = self.embedding.read_out(h, step_noise).clamp(-_LARGEST, _LARGEST)
            patches.append(patch)
            past = torch.cat([past, self.embedding.embed(patch)], 1)[:, -self.order :]
        return self.embedding.from_patches(torch.cat(patches, 1))

    def diagnose(self, x, out):
        if not isinstance(self.embedding, IdentityEmbedding):  # tokens have no variance
            return {}
        x = x[:_DECODED]
        error = masked_squared(x, self.decode(out.code[:_DECODED])).mean()
        variance = masked_squared(x, x.nanmean(0).nan_to_num().expand_as(x)).mean()
        return {"decoded_variance": 1 - error / variance.clamp(min=_LEAST_VARIANCE)}


class AutoregressiveAutoencoder(SequenceAutoencoder):
    """Autoregressive autoencoder: predicts each value from the code and the values before it.

    The decoder is an AR(p) model with the code as a further input, :math:`x_t = A_1 x_{t-1} +
    \\ldots + A_p x_{t-p} + B z + b`, or a perceptron with the same inputs; :math:`x_t` is a patch.
    In training and in scores, the earlier values are the true ones. When it decodes a code, they
    are its own predictions, whose errors may grow. `decoded_variance` in `history_` is the share of
    the variance of numbers that is explained then.

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

    order : int, default=8
        Number p of earlier patches in a prediction, or of steps with `patch_size=1`. The first p
        are predicted from the code alone.

    decoder : {"linear", "neural"}, default="linear"
        What predicts the next value: a linear map, or a perceptron with the encoder's hidden
        layers.

    See Also
    --------
    RecurrentAutoencoder
    TransformerAutoencoder
    Vocabulary

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

    def _complaint(self, last, spec):
        explained = last.get("decoded_variance", 1.0)
        if explained < 0 and last["step"] >= 100:
            return (
                f"AutoregressiveAutoencoder decodes training sequences worse than their mean would "
                f"do: the share of variance explained is {explained:.3g}, since errors grow from "
                f"step to step. Raise order or patch_size, so that fewer steps are predicted from "
                f"decoded ones. Anomaly scores are not affected; they use true earlier steps."
            )

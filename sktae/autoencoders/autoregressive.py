"""Autoregressive autoencoder: a code and the last values tell the next one (Yule 1927, learnt)."""

from typing import ClassVar, Literal

import torch
from torch import nn

from sktae._training.spec import Auto
from sktae.families.sequence import SequenceAutoencoder
from sktae.nn.layers import mlp
from sktae.nn.module import AutoencoderModule
from sktae.nn.sequences import Values
from sktae.parameters import Count

# Numbers that stand for a token.
_WIDTH = 16


class Network(AutoencoderModule):
    def __init__(self, alphabet, width, hidden, n_components, order, neural, activation):
        super().__init__()
        self.alphabet, self.order = alphabet, order
        seen = alphabet.n_patches * width, order * width + n_components
        self.layer_size = alphabet.n_patches * max(seen[1], *hidden, width)
        self.encoder = mlp(seen[0], *hidden, n_components, activation=activation)
        self.beginning = nn.Linear(n_components, order * width)
        self.recursion = mlp(seen[1], *hidden[::-1] * neural, width, activation=activation)

    def forward(self, x):
        patches = self.alphabet.split(x)
        values = self.alphabet.embed(patches)
        code = self.encoder(values.flatten(1))
        after = [self.next(values[:, :-1], code)] if self.order < values.shape[1] else []
        return self.alphabet.recoded(code, torch.cat([self.first(code), *after], 1))

    def first(self, code):
        """Tell the first values from the code alone."""
        return self.beginning(code).unflatten(1, (self.order, -1))

    def next(self, values, code):
        """Tell what follows each run of `order` values: the recursion."""
        runs = values.unfold(1, self.order, 1).transpose(2, 3).flatten(2)
        return self.recursion(torch.cat([runs, code[:, None].expand(-1, runs.shape[1], -1)], 2))

    def decode(self, code, chance=None):
        h, told = self.first(code), []
        last = h[:, :0]
        for end in range(self.order, self.alphabet.n_patches + 1):
            h = self.next(last, code) if told else h
            part = None if chance is None else chance[:, end - h.shape[1] : end]
            told.append(self.alphabet.tell(h, part))
            last = torch.cat([last, self.alphabet.embed(told[-1])], 1)[:, -self.order :]
        return self.alphabet.join(torch.cat(told, 1))


class AutoregressiveAutoencoder(SequenceAutoencoder):
    """Autoregressive autoencoder: a code and the last values tell the next one.

    The decoder is a model AR(p) that is steered by the code,
    :math:`x_t = A_1 x_{t-1} + \\ldots + A_p x_{t-p} + B z + b`, or a perceptron in its place. In
    training and in scores, the last values are the true ones; what is decoded from a code alone
    goes on from itself.

    Minimises the squared error of the prediction, or the negative log-likelihood of tokens.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code; "auto" is 8.

    patch_size : int or "auto", default=1
        How many steps are told at once; "auto" makes at most 16 patches of a sequence.

    order : int, default=8
        How many values are looked back on. So many first ones are told by the code alone.

    decoder : {"linear", "neural"}, default="linear"
        What tells the next value: a linear map, or a perceptron with the encoder's hidden layers.

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

    _stepwise: ClassVar[bool] = True

    def _auto(self, shape):
        return Auto(components=8, rates=(1e-2, 1e-2))

    def network(self, spec):
        if self.n_tokens is None:
            alphabet = Values(*spec.shape, self._patch(spec.shape[0]))
            width = alphabet.patch * spec.shape[1]
        else:
            width, alphabet = _WIDTH, self._alphabet(spec, _WIDTH, _WIDTH)
        order = min(self.order, alphabet.n_patches)
        neural = self.decoder == "neural"
        sizes = width, spec.widths, spec.n_components
        return Network(alphabet, *sizes, order, neural, self.activation)

"""Denoising autoencoder (Vincent et al. 2008, 2010)."""

from functools import partial
from typing import Literal

import torch

from sktae.base import BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.nn.layers import EncoderDecoder
from sktae.nn.losses import reconstruction_loss
from sktae.parameters import NonNegative
from sktae.randomness import Mask, Normal, Partner


class Network(EncoderDecoder):
    """Corrupts rows in training only."""

    def __init__(self, n_features, *sizes, kind, level, sigmoid_output):
        super().__init__(n_features, *sizes, sigmoid_output=sigmoid_output)
        self.kind, self.level = kind, level
        if kind == "gaussian":
            self.noise = (Normal((n_features,)),)
        else:
            self.noise = (Mask((n_features,), level),)
        if kind == "swap":
            self.noise += (Partner(),)

    def forward(self, x, *noise):
        return super().forward(self.corrupt(x, *noise) if noise else x)

    def corrupt(self, x, noise, partner=None):
        if self.kind == "gaussian":
            return x + self.level * noise
        return torch.where(noise > 0, torch.zeros_like(x) if partner is None else partner, x)


class DenoisingAutoencoder(LossMixin, BaseAutoencoder):
    """Denoising autoencoder: reconstructs clean rows from corrupted ones.

    To remove the noise, the network must learn how columns depend on each other: it maps unlikely
    rows to more likely ones.

    Minimizes :math:`\\|x - g(f(\\tilde x))\\|^2`, or the cross-entropy, over corruptions
    :math:`\\tilde x` of :math:`x`.

    Parameters
    ----------
    noise : {"gaussian", "masking", "swap"}, default="gaussian"
        How rows are corrupted in training. "gaussian" adds normal noise. "masking" replaces entries
        by the mean of their column (by 0 without `standardize`). "swap" replaces entries by those
        of another row.

    noise_level : float, default=0.3
        Standard deviation of the normal noise, for columns of variance 1, or the share of entries
        that are replaced.

    References
    ----------
    .. [1] Vincent, P., Larochelle, H., Bengio, Y. and Manzagol, P.-A. (2008). Extracting and
       Composing Robust Features with Denoising Autoencoders. ICML.
    .. [2] Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y. and Manzagol, P.-A. (2010). Stacked
       Denoising Autoencoders: Learning Useful Representations in a Deep Network with a Local
       Denoising Criterion. JMLR 11.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.metrics import roc_auc_score
    >>> from sktae import DenoisingAutoencoder
    >>> X, benign = load_breast_cancer(return_X_y=True)
    >>> model = DenoisingAutoencoder(random_state=0).fit(X[benign == 1][:250])
    >>> bool(roc_auc_score(benign, model.score_samples(X)) > 0.9)
    True
    """

    noise: Literal["gaussian", "masking", "swap"] = "gaussian"
    noise_level: NonNegative = 0.3

    def network(self, spec):
        if self.noise != "gaussian" and self.noise_level > 1:
            raise ValueError(
                f"The 'noise_level' parameter of DenoisingAutoencoder must be at most 1 with "
                f"noise={self.noise!r}, a share of entries. Got {self.noise_level} instead."
            )
        return Network(
            *spec.shape,
            spec.n_components,
            spec.widths,
            self.activation,
            kind=self.noise,
            level=self.noise_level,
            sigmoid_output=self._cross_entropy,
        )

    @property
    def objective(self):
        return partial(reconstruction_loss, self.loss)

"""Denoising autoencoder (Vincent et al. 2008, 2010)."""

import math
from functools import partial
from typing import Literal

from sktae.base import Auto, BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.families.noise import NoiseMixin, for_width
from sktae.families.ordered import OrderedMixin
from sktae.nn.corruption import Noise
from sktae.nn.layers import EncoderDecoder
from sktae.nn.losses import reconstruction_loss
from sktae.parameters import NonNegative

# Codes of so few numbers learn longer, by wider layers, and with more noise, which keeps them from
# memorizing rows. On digits, codes of 16 gain nothing by that, or lose.
_SMALL = 8


class DenoisingAutoencoder(OrderedMixin, NoiseMixin, LossMixin, BaseAutoencoder):
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

    noise_level : float or "auto", default="auto"
        Standard deviation of the normal noise, for columns of variance 1, or the share of entries
        that are replaced. "auto" is 0.3. For normal noise where the code has eight components or
        fewer, and a row more, it is 0.5, or less for rows of fewer than 64 columns: half of that
        for 16.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder has them in reverse order. "auto" is
        (128,), and (128, 64) where the code has fewer numbers than a row, or (128, 128, 128) where
        these are eight or fewer.

    max_steps : int, "auto" or None, default="auto"
        Number of training steps. "auto" is as in other autoencoders, but where the code has eight
        components or fewer, and a row more, it is 1000, or 250 passes over the rows if that is
        less.

    See Also
    --------
    MaskedAutoencoder
    Autoencoder
    AutoencoderEnsemble

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

    noise: Noise = "gaussian"
    noise_level: Literal["auto"] | NonNegative = "auto"  # type: ignore[assignment]

    def network(self, spec):
        sizes = *spec.shape, spec.n_components, spec.widths
        options = {"sigmoid_output": self._cross_entropy, "ordered": self.ordered_components}
        return EncoderDecoder(*sizes, self.activation, **options)

    def _auto(self, shape):
        if not self._is_small:
            return super()._auto(shape)
        widths = (128,), (128, 128, 128)
        return Auto(widths=widths, steps=(500, 1000), passes=(math.inf, 250))

    @property
    def _is_small(self):
        return self.n_components != "auto" and self.n_components <= _SMALL

    def _level(self, spec):
        if self.noise_level != "auto":
            return self.noise_level
        is_map = spec.narrow and self._is_small
        return for_width(0.5, spec.shape) if is_map and self.noise == "gaussian" else 0.3

    @property
    def objective(self):
        return partial(reconstruction_loss, self.loss)

"""Denoising autoencoder (Vincent et al. 2008, 2010)."""

from functools import partial

from sktae.base import BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.families.noise import NoiseMixin
from sktae.nn.corruption import Noise
from sktae.nn.layers import EncoderDecoder
from sktae.nn.losses import reconstruction_loss


class DenoisingAutoencoder(NoiseMixin, LossMixin, BaseAutoencoder):
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

    def network(self, spec):
        sizes = *spec.shape, spec.n_components, spec.widths
        return EncoderDecoder(*sizes, self.activation, sigmoid_output=self._cross_entropy)

    @property
    def objective(self):
        return partial(reconstruction_loss, self.loss)

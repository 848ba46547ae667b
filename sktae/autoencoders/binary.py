"""Binary autoencoder (straight-through after Bengio et al. 2013; relaxed as in Maddison 2017)."""

from typing import Literal, NamedTuple

from torch import Tensor

from sktae.base import BaseAutoencoder
from sktae.nn.codes import logistic, straight_through
from sktae.nn.layers import mlp
from sktae.nn.losses import kl_of_rates, squared
from sktae.nn.module import AutoencoderModule
from sktae.parameters import NonNegative, Positive
from sktae.randomness import Uniform


class Bits(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), zeros and ones
    rate: Tensor  # (n, k), how likely a one is


class Network(AutoencoderModule):
    def __init__(self, sizes, activation, gradient, temperature):
        super().__init__()
        self.noise = (Uniform(sizes[-1:]),)
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        self.gradient, self.temperature = gradient, temperature

    def forward(self, x, u=None):
        logits = self.encoder(x)
        drive = logits if u is None else logits + logistic(u)
        code = (drive > 0).to(x.dtype)
        rate = logits.sigmoid()
        soft = rate if self.gradient == "straight_through" else (drive / self.temperature).sigmoid()
        return Bits(self.decode(straight_through(soft, code)), code, rate)

    def diagnose(self, out):
        mean = out.code.mean(0)
        return {"constant_bits": ((mean == 0) | (mean == 1)).sum()}


class BinaryAutoencoder(BaseAutoencoder):
    """Binary autoencoder: a code of yes and no.

    Each bit is a question that the network puts to rows. Rows with similar answers are similar, so
    codes serve as hashes: neighbours are found by counting bits that differ.

    In training, bits are drawn at random: a bit that hardly knows hardly helps, so that bits come
    to be sure of themselves.

    Minimises :math:`E_{b \\sim p(b|x)} \\|x - g(b)\\|^2 + \\alpha \\sum_j KL(1/2 \\| \\bar p_j)`,
    with the mean rates :math:`\\bar p_j` of ones.

    Parameters
    ----------
    gradient : {"straight_through", "gumbel"}, default="straight_through"
        How the encoder learns from bits, which have no slope: by that of their probability, or of a
        smooth stand-in with the same noise.

    temperature : float, default=0.5
        How smooth the stand-in of "gumbel" is.

    balance : float, default=1.0
        Weight :math:`\\alpha` of what makes each bit a one for half of the rows.

    References
    ----------
    .. [1] Bengio, Y., Leonard, N. and Courville, A. (2013). Estimating or Propagating Gradients
       Through Stochastic Neurons for Conditional Computation. arXiv:1308.3432.
    .. [2] Maddison, C. J., Mnih, A. and Teh, Y. W. (2017). The Concrete Distribution: A Continuous
       Relaxation of Discrete Random Variables. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import BinaryAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> codes = BinaryAutoencoder(32, max_steps=100).fit_transform(X)
    >>> sorted(set(codes.ravel().tolist()))
    [0.0, 1.0]
    """

    gradient: Literal["straight_through", "gumbel"] = "straight_through"
    temperature: Positive = 0.5
    balance: NonNegative = 1.0

    def network(self, spec):
        return Network(spec.sizes, self.activation, self.gradient, self.temperature)

    @staticmethod
    def objective(x, out, *, balance):
        uneven = kl_of_rates(0.5, out.rate.mean(0)).expand_as(out.rate)
        return {"reconstruction": squared(x, out.recon), "balance": balance * uneven}

"""Binary autoencoder (Bengio et al. 2013; relaxation: Maddison et al. 2017)."""

from typing import Literal, NamedTuple

from torch import Tensor

from sktae.base import BaseAutoencoder
from sktae.nn.codes import logistic, straight_through
from sktae.nn.layers import mlp
from sktae.nn.losses import kl_of_rates, squared
from sktae.nn.module import AutoencoderModule
from sktae.parameters import NonNegative, Positive
from sktae.randomness import Uniform


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), zeros and ones
    probability: Tensor  # (n, k), of a one


class Network(AutoencoderModule):
    def __init__(self, sizes, activation, gradient, temperature):
        super().__init__()
        self.noise = (Uniform(sizes[-1:]),)
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        self.gradient, self.temperature = gradient, temperature

    def forward(self, x, u=None):
        logits = self.encoder(x)
        noisy_logits = logits if u is None else logits + logistic(u)
        code = (noisy_logits > 0).to(x.dtype)
        probability = logits.sigmoid()
        if self.gradient == "straight_through":
            soft = probability
        else:
            soft = (noisy_logits / self.temperature).sigmoid()
        return Output(self.decode(straight_through(soft, code)), code, probability)

    def diagnose(self, x, out):
        mean = out.code.mean(0)
        return {"constant_bits": ((mean == 0) | (mean == 1)).sum()}


class BinaryAutoencoder(BaseAutoencoder):
    """Binary autoencoder: encodes rows as bits.

    Similar rows get similar bits, so codes serve as hashes: the number of bits that differ (the
    Hamming distance) finds neighbors. In training, bits are sampled with the probabilities that the
    encoder computes. Random bits make reconstructions worse, so probabilities move towards 0 and 1.
    After the fit, a bit is 1 where its probability exceeds 1/2.

    Minimizes :math:`E_{b \\sim p(b|x)} \\|x - g(b)\\|^2 + \\alpha \\sum_j KL(1/2 \\| \\bar p_j)`,
    with the mean probability :math:`\\bar p_j`
    of a one.

    Parameters
    ----------
    gradient : {"straight_through", "gumbel"}, default="straight_through"
        How gradients pass through bits, whose own derivative is 0: as those of the probability, or
        as those of a smooth relaxation with the same noise.

    temperature : float, default=0.5
        Temperature of the relaxation "gumbel": the higher, the smoother.

    balance : float, default=1.0
        Weight :math:`\\alpha` of the second term, which makes each bit a one for half of the rows.

    See Also
    --------
    CategoricalAutoencoder
    VectorQuantizedAutoencoder

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
        divergence = kl_of_rates(0.5, out.probability.mean(0)).expand_as(out.probability)
        return {"reconstruction": squared(x, out.recon), "balance": balance * divergence}

"""Sparse autoencoders (Ng 2011; Makhzani & Frey 2014; Bussmann et al. 2024)."""

import math
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sktae.base import BaseAutoencoder
from sktae.families.loss import LossMixin
from sktae.families.noise import NoiseMixin
from sktae.families.ordered import OrderedMixin
from sktae.nn.codes import batch_top_k, gate, top_k
from sktae.nn.layers import mlp
from sktae.nn.losses import kl_of_rates, reconstruction_loss
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count, Fraction, NonNegative, Widths
from sktae.randomness import Prefix


class Output(NamedTuple):
    recon: Tensor  # (n, d)
    code: Tensor  # (n, k), sparse
    pre_activation: Tensor  # (n, k), the code before it was made sparse
    weighted: Tensor  # (n, k), the code times the norms |w_j| of the decoder's weights
    active: Tensor  # (n, k), 1 where a unit is active; its gradient moves learned thresholds
    logits: Tensor  # (n, d), the reconstruction before the sigmoid, if there is one
    weight_norm: Tensor  # (n,), the sum of the absolute weights of all layers, if it is penalized


class Network(AutoencoderModule):
    def __init__(
        self, sizes, activation, penalty, n_active, target, sigmoid_output, shrinks_weights, ordered
    ):
        super().__init__()
        self.ordered = ordered
        self.noise = (Prefix((sizes[-1],)),) if ordered else ()
        self.penalty, self.n_active, self.shrinks_weights = penalty, n_active, shrinks_weights
        self.output_activation = nn.Sigmoid() if sigmoid_output else nn.Identity()
        self.encoder = mlp(*sizes, activation=activation)
        self.decoder = mlp(*sizes[::-1], activation=activation)
        if penalty == "kl":  # activation rates begin at their target
            nn.init.constant_(self.encoder[-1].bias, math.log(target / (1 - target)))
        if penalty == "jump_relu":  # thresholds begin at 1
            self.log_threshold = nn.Parameter(torch.zeros(sizes[-1]))
        self.register_buffer("threshold", torch.zeros(()))

    def sparsify(self, pre_activation):
        if self.penalty == "kl":
            return pre_activation.sigmoid()
        if self.penalty == "topk":
            return top_k(pre_activation, self.n_active)
        if self.penalty in ("l1", "l2"):
            return pre_activation.relu()
        if self.training:
            return batch_top_k(pre_activation.relu(), self.n_active)
        return torch.where(pre_activation > self.threshold, pre_activation.relu(), 0.0)

    def forward(self, x, kept=None):
        pre_activation = self.encoder(x)
        if self.penalty == "jump_relu":
            active = gate(pre_activation, self.log_threshold.exp())
            code = pre_activation.relu() * active
        else:
            code = self.sparsify(pre_activation)
            active = (code != 0).to(code.dtype)
        weighted = code * self.decoder[0].weight.norm(dim=0)
        logits = self.decoder(code if kept is None else code * kept)
        recon, norm = self.output_activation(logits), self.weight_norm().expand(len(x))
        return Output(recon, code, pre_activation, weighted, active, logits, norm)

    def decode(self, code):
        return self.output_activation(self.decoder(code))

    def weight_norm(self):
        if not self.shrinks_weights:
            return torch.zeros(())
        return sum(p.abs().sum() for p in self.parameters() if p.ndim > 1)

    def extra_repr(self):
        return f"{super().extra_repr()} shrinks_weights={self.shrinks_weights}"

    def diagnose(self, x, out):
        return {"dead_units": (out.code == 0).all(0).sum()}

    def revive(self, out):
        """Raise the bias of each dead unit until it is active in one of a hundred rows."""
        dead = (out.code == 0).all(0)
        if self.penalty == "jump_relu":
            needed = self.log_threshold.exp()
        else:  # to be as large as the smallest active unit of a row
            smallest = torch.where(out.code != 0, out.pre_activation, torch.inf).amin(1, True)
            needed = torch.where(smallest.isinf(), 0.0, smallest)
        gap = needed - out.pre_activation  # (n, k), what a unit lacks in each row
        increase = gap.kthvalue(1 + len(gap) // 100, dim=0).values
        self.encoder[-1].bias += torch.where(dead, increase, 0.0)

    def calibrate(self, x):
        """Set the threshold to the smallest activation that is kept, with x as one batch."""
        if self.penalty == "batch_topk":
            with torch.no_grad():
                kept = batch_top_k(self.encoder(x).relu(), self.n_active)
            self.threshold.fill_(kept[kept > 0].min() * (1 - 1e-6) if kept.any() else 0.0)


def objective(loss, penalty, shrinks_weights, x, out, *, alpha, target, l1_weights):
    terms = {"reconstruction": reconstruction_loss(loss, x, out)}
    if penalty == "l1":
        terms["sparsity"] = alpha * out.weighted
    if penalty == "l2":
        terms["sparsity"] = alpha * out.code.square()
    if penalty == "jump_relu":
        terms["sparsity"] = alpha * out.active
    if penalty == "kl":
        terms["sparsity"] = alpha * kl_of_rates(target, out.code.mean(0)).expand_as(out.code)
    if shrinks_weights:
        terms["weights"] = l1_weights * out.weight_norm
    return terms


class SparseAutoencoder(OrderedMixin, NoiseMixin, LossMixin, BaseAutoencoder):
    """Sparse autoencoder: learns a code of many units, few of which are active in any row.

    Units tend to represent parts that rows are made of. Such codes are also used to interpret the
    activations of other networks. Dead units, which are active in no row, are counted in `history_`
    and revived.

    Minimizes :math:`\\|x - g(z)\\|^2` plus :math:`\\alpha \\sum_j |z_j| \\|w_j\\|` ("l1", with the
    decoder's weights :math:`w_j`), plus :math:`\\alpha \\sum_j z_j^2` ("l2"), plus :math:`\\alpha
    \\sum_j KL(\\rho \\| \\bar z_j)` ("kl"), plus :math:`\\alpha` for each active unit
    ("jump_relu"), or with all but the largest activations set to 0, in each row ("topk") or batch
    ("batch_topk"). `l1_weights` adds the sum of absolute weights.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=()
        Widths of the encoder's hidden layers; the decoder mirrors them.

    penalty : {"l1", "l2", "kl", "jump_relu", "topk", "batch_topk"}, default="topk"
        How the code is made sparse. "l2" makes activations small, and hardly any of them 0.
        "jump_relu" learns a threshold for each unit, with a penalty on the number of active units.

    alpha : float, default=1.0
        Weight of the penalty "l1", "l2", "kl" or "jump_relu". For "jump_relu" it is by how much a
        unit must lower the squared error of a row to be worth its activity.

    l1_weights : float, default=0.0
        Weight of the sum of the absolute weights of all layers, which makes most of them nearly 0;
        begin with 0.01.

    target : float, default=0.05
        Target :math:`\\rho` of the mean activation of a unit, for the penalty "kl".

    n_active : int, default=16
        Number of active units in each row for "topk", or on average for "batch_topk". Activations
        may be negative for "topk", and are not for "batch_topk". `n_components_` or more keeps
        all activations, or all positive ones.

    See Also
    --------
    Autoencoder
    BinaryAutoencoder

    References
    ----------
    .. [1] Ng, A. (2011). Sparse Autoencoder. CS294A Lecture Notes, Stanford University.
    .. [2] Makhzani, A. and Frey, B. (2014). k-Sparse Autoencoders. ICLR.
    .. [3] Bussmann, B., Leask, P. and Nanda, N. (2024). BatchTopK Sparse Autoencoders. NeurIPS
       Workshop on Scientific Methods for Understanding Deep Learning.
    .. [4] Rajamanoharan, S., Lieberum, T., Sonnerat, N. et al. (2024). Jumping Ahead: Improving
       Reconstruction Fidelity with JumpReLU Sparse Autoencoders. arXiv:2407.14435.
    .. [5] Bussmann, B., Nabeshima, N., Karvonen, A. and Nanda, N. (2025). Learning Multi-Level
       Features with Matryoshka Sparse Autoencoders. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import SparseAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> codes = SparseAutoencoder(64, n_active=8, random_state=0).fit_transform(X)
    >>> int((codes != 0).sum(axis=1).max())
    8
    """

    hidden_layer_sizes: Widths = ()
    penalty: Literal["l1", "l2", "kl", "jump_relu", "topk", "batch_topk"] = "topk"
    alpha: NonNegative = 1.0
    l1_weights: NonNegative = 0.0
    target: Fraction = 0.05
    n_active: Count = 16

    def network(self, spec):
        code = self.penalty, self.n_active, self.target
        options = self._cross_entropy, self.l1_weights > 0, self.ordered_components
        return Network(spec.sizes, self.activation, *code, *options)

    @property
    def objective(self):
        return partial(objective, self.loss, self.penalty, self.l1_weights > 0)

    def _complaint(self, last, spec):
        dead = last["dead_units"]
        if dead > spec.n_components / 10 and last["step"] >= 100:
            return (
                f"{dead:.0f} of {spec.n_components} units of SparseAutoencoder never fire. Lower "
                f"alpha or n_components, raise n_active, or train longer (max_steps)."
            )

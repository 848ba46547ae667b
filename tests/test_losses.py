"""The equations against closed forms and finite differences."""

import pytest
import torch
from torch.distributions import Bernoulli, Laplace, Normal, kl_divergence

from sktae.nn import losses

x, mean, log_scale = torch.randn(3, 4, 5, dtype=torch.float64).unbind()
rate = torch.rand(4, 5, dtype=torch.float64)

CASES = [
    (losses.squared, (x, mean), (x - mean).square()),
    (losses.gaussian_nll, (x, mean, log_scale), -Normal(mean, log_scale.exp()).log_prob(x)),
    (losses.laplace_nll, (x, mean, log_scale), -Laplace(mean, log_scale.exp()).log_prob(x)),
    (losses.bernoulli_nll, (rate.round(), mean), -Bernoulli(logits=mean).log_prob(rate.round())),
    (
        losses.kl_to_normal,
        (mean, log_scale),
        kl_divergence(Normal(mean, (log_scale / 2).exp()), Normal(0.0, 1.0)),
    ),
    (
        losses.kl_of_rates,
        (0.05, rate),
        kl_divergence(Bernoulli(torch.full_like(rate, 0.05)), Bernoulli(rate)),
    ),
]


@pytest.mark.parametrize(("loss", "inputs", "expected"), CASES)
def test_closed_form(loss, inputs, expected):
    """Each loss is what the distribution says."""
    torch.testing.assert_close(loss(*inputs), expected)


@pytest.mark.parametrize(("loss", "inputs"), [case[:2] for case in CASES])
def test_gradient(loss, inputs):
    """Each gradient is right to numerical precision."""
    tracked = [i.clone().requires_grad_() if torch.is_tensor(i) else i for i in inputs]
    assert torch.autograd.gradcheck(loss, tracked)

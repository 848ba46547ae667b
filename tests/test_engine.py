"""Randomness by address, batches, tiles."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from sktae.engine.batches import TILE, TrainingSteps, in_tiles
from sktae.randomness import (
    Mask,
    Normal,
    Partner,
    Plan,
    generator,
    seed_of,
    seeded_initialisation,
)


def test_a_pass_visits_every_row():
    """A pass is full batches of a permutation; the last wraps around."""
    plan = Plan(seed=0, n_rows=10, batch_size=4)
    order = plan.order(0)
    assert order.shape == (3, 4)
    assert sorted(order.flatten()[:10].tolist()) == list(range(10))
    assert torch.equal(order.flatten()[10:], order.flatten()[:2])
    assert not torch.equal(order, plan.order(1))
    assert torch.equal(order, Plan(seed=0, n_rows=10, batch_size=4).order(0))


def test_blocks_are_one_sequence():
    """However a budget is cut into blocks, the steps are the same, noise included."""
    x = torch.arange(20.0).view(10, 2)
    plan = Plan(0, 10, 4, (Normal((2,)), Mask((2,), 0.5), Partner()))

    def sequence(block):
        steps = TrainingSteps(x, plan, first=5, budget=11, block=block)
        found = [batch for _ in range(steps.n_blocks) for batch in steps]
        assert steps.step == 16
        assert steps.progress == 1
        return found

    for (one, _), (other, _) in zip(sequence(3), sequence(11), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_draws_are_what_they_say():
    """Normal numbers, masks of a rate, partners that are other rows."""
    x = torch.arange(50.0).view(-1, 1).expand(50, 400)
    plan = Plan(3, 50, 50, (Normal((400,)), Mask((400,), 0.2), Partner()))
    rows = torch.arange(50)
    normal, mask, partner = plan.draws("noise", 0, rows, x)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert set(mask.unique().tolist()) == {0, 1}
    assert abs(mask.mean() - 0.2) < 0.02
    assert (partner[:, 0] != x[:, 0]).all()
    assert not torch.equal(normal, plan.draws("noise", 1, rows, x)[0])
    assert not torch.equal(normal, plan.draws("validate", 0, rows, x)[0])
    alone = Plan(0, 1, 1, (Partner(),)).draws("noise", 0, torch.tensor([0]), x[:1])
    assert torch.equal(alone[0], x[:1])


def test_addresses_do_not_collide():
    """Neighbouring seeds, purposes and numbers start different sequences."""
    seeds = {
        generator(seed, purpose, number).initial_seed()
        for seed in range(20)
        for purpose in ("order", "noise", "validate")
        for number in range(20)
    }
    assert len(seeds) == 20 * 3 * 20


def test_seed_of():
    """Integers are themselves; a RandomState moves on; None is fresh each time."""
    assert seed_of(7) == 7
    state = np.random.RandomState(0)
    assert seed_of(state) != seed_of(state)
    assert seed_of(None) != seed_of(None)


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Linear(3, 4),
        lambda: nn.LSTM(3, 4),
        lambda: nn.MultiheadAttention(4, 2),
        lambda: nn.Embedding(3, 4),
        lambda: nn.Conv1d(3, 4, 2),
        lambda: nn.ParameterList([torch.randn(3), torch.rand_like(torch.zeros(3))]),
        lambda: nn.ParameterList([nn.init.orthogonal_(torch.empty(4, 4))]),
    ],
)
def test_seeded_initialisation(build):
    """Layers of all kinds start from the seed alone, in any thread."""

    def values(seed):
        with seeded_initialisation(seed):
            return [p.tolist() for p in build().parameters()]

    before = torch.get_rng_state()
    expected = values(1)
    found = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: values(1)})) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(value == expected for value in found.values())
    assert values(2) != expected
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n_rows", [1, TILE - 1, TILE, TILE + 1])
def test_tiles(n_rows):
    """Tiles change nothing but the size of the batch, which is always the same."""
    network = nn.Linear(5, 3)
    x = torch.randn(n_rows, 5)
    sizes = set()

    def function(rows):
        sizes.add(len(rows))
        return network(rows), rows.sum(1)

    mapped, total = in_tiles(function, x, network)
    assert sizes == {TILE}
    np.testing.assert_allclose(mapped, network(x).detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, x.sum(1), rtol=1e-5, atol=1e-6)

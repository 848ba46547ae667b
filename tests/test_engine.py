"""Randomness by address, batches, tiles."""

import math
import threading

import numpy as np
import pytest
import torch
from shared import correlated_table, every, quick
from torch import nn
from torch.utils.data import ChainDataset, TensorDataset

from sktae import DenoisingAutoencoder
from sktae._engine.batches import TrainingSteps
from sktae._engine.flat import clip
from sktae._engine.rows import Loaded
from sktae._engine.tiles import FEW_CALLS, TILE, Trial, in_tiles
from sktae._training.prepare import Prepared
from sktae.randomness import (
    Mask,
    Normal,
    Partner,
    Plan,
    SeededInitialization,
    _shuffle,
    generator,
    seed_of,
)


def test_a_pass_visits_every_row():
    """A pass is full batches of a permutation; the last wraps around."""
    plan = Plan(seed=0, n_rows=10, batch_size=4)
    steps = TrainingSteps(Loaded(torch.arange(10.0).view(10, 1)), plan, 0, 6, 6)
    seen = torch.stack([x for _, x in steps])
    assert seen.shape == (6, 4, 1)
    one, other = seen.view(2, 12)
    assert sorted(one[:10].tolist()) == sorted(other[:10].tolist()) == list(range(10))
    assert torch.equal(one[10:], one[:2])
    assert not torch.equal(one, other)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 17, 1000, 2**16 + 1])
def test_long_tables_are_shuffled_place_by_place(n_rows):
    """The order that is computed as it is needed is one-to-one, and looks like no order."""
    places = torch.arange(n_rows)
    rows = _shuffle(n_rows, generator(0, "order"))(places)
    assert torch.equal(rows.sort().values, places)
    if n_rows >= 1000:
        assert not torch.equal(rows, _shuffle(n_rows, generator(1, "order"))(places))
        neighbours = torch.stack([rows[1:], rows[:-1], places[1:]]).double()
        assert (torch.corrcoef(neighbours) - torch.eye(3)).abs().max() < 0.1


def test_rows_that_stay_where_they_are(tmp_path, monkeypatch):
    """Rows that are read batch by batch give the same fit as rows in memory."""
    X = correlated_table()
    np.save(tmp_path / "rows.npy", X)
    held = quick(DenoisingAutoencoder, noise="swap", early_stopping=True)
    scores = held.fit(X).score_samples(X)
    monkeypatch.setattr("sktae._training.prepare._LOADED_NUMBERS", 0)
    for rows in (X, np.load(tmp_path / "rows.npy", mmap_mode="r"), TensorDataset(torch.tensor(X))):
        other = quick(DenoisingAutoencoder, noise="swap", early_stopping=True).fit(rows)
        np.testing.assert_array_equal(other.score_samples(X), scores)


def test_datasets_are_rows(X):
    """A Dataset serves wherever an array does, and is checked as it is read."""
    rows = TensorDataset(torch.tensor(X), torch.zeros(len(X)))
    model = quick().fit(rows)
    np.testing.assert_array_equal(model.score_samples(rows), model.score_samples(X))
    np.testing.assert_array_equal(model.transform(rows), model.transform(X))
    assert model.score(rows) == model.score(X)
    with pytest.raises(ValueError, match="X has 3 features, but Autoencoder is expecting 8"):
        model.predict(TensorDataset(torch.zeros(2, 3)))
    with pytest.raises(ValueError, match="must have rows of numbers"):
        quick().fit(TensorDataset(torch.zeros(9, 4, 5)))
    with pytest.raises(ValueError, match="give a Dataset with __len__"):
        quick().fit(ChainDataset([]))
    with pytest.raises(ValueError, match="contains NaN or infinity"):
        quick().fit(TensorDataset(torch.full((9, 2), torch.nan)))


@every
def test_datasets_are_read_few_times(E, X):
    """Beside training, for scales, for the range, for a diagnosis, and for all scores at once."""

    class Counted(torch.utils.data.Dataset):
        n_read = 0

        def __len__(self):
            return len(X)

        def __getitem__(self, row):
            self.n_read += 1
            return X[row]

    rows, params = Counted(), {"max_steps": 1, "batch_size": 1}
    model = quick(E, **params).fit(rows)
    assert rows.n_read <= 4 * len(X) + 10
    np.testing.assert_array_equal(
        model.score_samples(X), quick(E, **params).fit(X).score_samples(X)
    )


def test_blocks_are_one_sequence():
    """However a budget is cut into blocks, the steps are the same, noise included."""
    x = Loaded(torch.arange(20.0).view(10, 2))
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
    x = Loaded(torch.arange(50.0).view(-1, 1).expand(50, 400))
    plan = Plan(3, 50, 50, (Normal((400,)), Mask((400,), 0.2), Partner()))
    rows = torch.arange(50)
    normal, mask, partner = plan.draws("noise", 0, rows, x)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert set(mask.unique().tolist()) == {0, 1}
    assert abs(mask.mean() - 0.2) < 0.02
    assert (partner[:, 0] != x.x[:, 0]).all()
    assert partner[:, 0].unique().numel() > 20
    assert not torch.equal(normal, plan.draws("noise", 1, rows, x)[0])
    assert not torch.equal(normal, plan.draws("validate", 0, rows, x)[0])
    one = Loaded(x.x[:1])
    alone = Plan(0, 1, 1, (Partner(),)).draws("noise", 0, torch.tensor([0]), one)
    assert torch.equal(alone[0], one.x)


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
def test_SeededInitialization(build):
    """Layers of all kinds start from the seed alone, in any thread."""

    def values(seed):
        with SeededInitialization(seed):
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

    mapped, total = in_tiles(function, network, Loaded(x))
    assert sizes == {TILE}
    np.testing.assert_allclose(mapped, network(x).detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, x.sum(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("agrees", [True, False])
def test_few_rows_are_computed_in_small_tiles(agrees):
    """So they are after some calls, if a sample is the same in them; it is tried once."""
    network, sizes = nn.Linear(5, 3), []
    x = torch.randn(300, 5)

    def function(rows):
        sizes.append(len(rows))
        return (network(rows) if agrees else network(rows) + len(rows),)

    (whole,) = in_tiles(function, network, Loaded(x))
    trial = Trial(network, ("f",), x)
    for _ in range(FEW_CALLS):
        (few,) = in_tiles(function, network, Loaded(x[:1]), trial=trial)
        np.testing.assert_array_equal(few, whole[:1])
    assert sizes == [TILE] * (len(x) // TILE + 1 + FEW_CALLS)
    for n_rows in (1, 32, 33, 128, 129):
        (few,) = in_tiles(function, network, Loaded(x[:n_rows]), trial=trial)
        np.testing.assert_array_equal(few, whole[:n_rows])
        sizes.clear() if n_rows == 1 else None
    assert sizes == ([32, 32, 32, *[32] * 4, TILE] if agrees else [TILE] * 4)


def test_each_device_has_rows_of_its_own(X):
    """Fits on two devices may share what was prepared, and find their rows on their device."""
    prepared = Prepared(quick(), X, None, seed=0)
    for device in ("cpu", "meta", "cpu"):
        assert prepared.rows(device).slice(0, 5).device.type == device


@pytest.mark.parametrize("length", [0.0, 0.5, 0.989, 0.991, 1.0, 2.0, math.inf, math.nan])
def test_gradients_are_clipped_as_by_torch(length):
    """To the bit, also where nothing is done."""
    ours, theirs = torch.full((64,), length / 8), nn.Parameter(torch.zeros(64))
    theirs.grad = ours.clone()
    clip(ours, 1.0)
    nn.utils.clip_grad_norm_([theirs], 1.0, foreach=False)
    assert torch.equal(ours.nan_to_num(), theirs.grad.nan_to_num())

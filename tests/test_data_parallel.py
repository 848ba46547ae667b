"""One fit by several processes is the fit of one."""

import os
import queue
import time
from contextlib import suppress
from multiprocessing import get_context

import numpy as np
import pytest
import torch
import torch.distributed as dist
from shared import correlated_table, quick
from test_stack import make_run

from sktae import (
    Autoencoder,
    AutoencoderNet,
    DataParallelNet,
    DisentangledAutoencoder,
    MaskedAutoencoder,
    NeighborAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    fit_many,
)
from sktae._engine import net as engine

N_PROCESSES = 2
pytestmark = pytest.mark.slow  # the processes import torch


def curve(E, Net, many_steps, patience=0):
    """Train in double precision; return losses, weights, and how steps were executed."""
    engine.MANY_STEPS = many_steps
    table = torch.from_numpy(correlated_table(150, 6))
    net = make_run(E(hidden_layer_sizes=(5,)), table, 3, 0.01, 70, patience, Net)
    net.net.partial_fit(net.steps, net.valid, epochs=net.steps.n_blocks)
    losses = [epoch["train_loss"] for epoch in net.net.history]
    weights = torch.cat([p.detach().flatten() for p in net.net.module_.parameters()])
    return losses, weights.numpy(), net.net.training_path_


CURVES = [
    (Autoencoder, 0),
    (Autoencoder, 10**9),
    (VariationalAutoencoder, 0),
    (MaskedAutoencoder, 0),
    (Autoencoder, 0, 2),
]

REFUSED = {
    "random_state": (Autoencoder, {"random_state": None}),
    "batch_size": (Autoencoder, {"batch_size": 33}),
    "trainable='all'": (Autoencoder, {"net": DataParallelNet(optimizer=torch.optim.SGD)}),
    "other rows of its batch": (NeighborAutoencoder, {}),
    "rows of its batch": (DisentangledAutoencoder, {}),
    "trained apart": (SparseAutoencoder, {"penalty": "batch_topk", "n_active": 3}),
}


def refusal(E, X, **params):
    try:
        quick(E, **{"net": DataParallelNet(), **params}).fit(X)
    except ValueError as error:
        return str(error)


def train(rank, folder, results):
    """What each process does, in one life, since it takes seconds to begin."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", N_PROCESSES)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=N_PROCESSES)
    X = correlated_table()
    found = {"curves": [curve(case[0], DataParallelNet, *case[1:]) for case in CURVES]}
    engine.MANY_STEPS = 64
    model = quick(net=DataParallelNet()).fit(X)
    found["scores"], found["path"] = model.score_samples(X), model.training_path_
    found["many"] = fit_many([quick(net=DataParallelNet())], [X])[0].score_samples(X)
    found["refused"] = [refusal(E, X, **params) for E, params in REFUSED.values()]
    found["refused"].append(refusal(Autoencoder, np.roll(X, rank, axis=0)))
    results.put((rank, found))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what each process has found, by its rank."""
    context = get_context("spawn")
    results = context.Queue()
    arguments = str(tmp_path_factory.mktemp("group")), results
    processes = [context.Process(target=train, args=(n, *arguments)) for n in range(N_PROCESSES)]
    for process in processes:
        process.start()
    found, deadline = {}, time.monotonic() + 600
    try:
        while len(found) < N_PROCESSES:
            with suppress(queue.Empty):
                found.update([results.get(timeout=1)])
            assert time.monotonic() < deadline, "The processes did not come to an end."
            assert not any(process.exitcode for process in processes), "A process failed."
        yield found
    finally:
        for process in processes:
            process.kill()
            process.join()


@pytest.mark.parametrize("number", range(len(CURVES)))
def test_losses_and_weights_are_those_of_one_process(number, found):
    """Recorded or not, with noise, with early stopping: equal to 1e-9 in float64."""
    E, *how = CURVES[number]
    before = engine.MANY_STEPS
    try:
        losses, weights, path = curve(E, AutoencoderNet, *how)
    finally:
        engine.MANY_STEPS = before
    for part in found.values():
        np.testing.assert_allclose(part["curves"][number][0], losses, rtol=1e-9)
        np.testing.assert_allclose(part["curves"][number][1], weights, rtol=1e-6, atol=1e-9)
        assert part["curves"][number][2] == path


def test_all_processes_have_one_model(found):
    """Scores of an estimator are the same bits in all processes, also from `fit_many`."""
    X = correlated_table()
    alone = quick().fit(X)
    for part in found.values():
        assert part["path"] == alone.training_path_
        np.testing.assert_array_equal(part["scores"], found[0]["scores"])
        np.testing.assert_array_equal(part["many"], part["scores"])
        np.testing.assert_allclose(part["scores"], alone.score_samples(X), rtol=0.01, atol=0.01)


def test_what_cannot_be_shared_is_refused(found):
    """All processes raise, so that none waits for the others."""
    for part in found.values():
        expected = [*REFUSED, "same table"]
        pairs = zip(expected, part["refused"], strict=True)
        assert [why for why, message in pairs if why not in str(message)] == []


def test_without_a_group_there_is_an_error(X):
    with pytest.raises(RuntimeError, match="init_process_group before fit"):
        quick(net=DataParallelNet()).fit(X)

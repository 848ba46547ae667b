"""Several threads, or processes: for one fit, and for the fits of a search."""

import tempfile
import time
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context

import joblib
import torch.distributed as dist
from sklearn.model_selection import GridSearchCV

from benchmarks._lib.cases import case, compare, table
from benchmarks._lib.measure import Lap, lap, use_threads
from sktae import Autoencoder, DataParallelNet, StackedGridSearchCV


def wide_fit(X, hidden, batch_size, steps, net):
    settings = {"calibration": None, "device": "cpu", "random_state": 0, "net": net}
    return Autoencoder(
        16, hidden_layer_sizes=hidden, batch_size=batch_size, max_steps=steps, **settings
    ).fit(X)


def default_fit(X, steps):
    return Autoencoder(max_steps=steps, device="cpu", random_state=0).fit(X)


def stacked_search(X, steps):
    grid = {"learning_rate": [0.001, 0.003, 0.01, 0.03]}
    model = Autoencoder(8, max_steps=steps, device="cpu", random_state=0)
    return StackedGridSearchCV(model, grid, cv=4).fit(X)


def largest_fit(X, steps):
    return wide_fit(X, (1024, 512), 2048, steps, None)


WORK = {
    "default fit": default_fit,
    "stacked search of 16 fits": stacked_search,
    "1024-512, batch 2048": largest_fit,
}


def with_threads(n_threads, run):
    use_threads(n_threads)
    try:
        return run()
    finally:
        use_threads(1)


@case(
    "Threads",
    full=[
        ("default fit", 10_000, 500),
        ("stacked search of 16 fits", 2000, 200),
        ("1024-512, batch 2048", 20_000, 35),
    ],
    tiny=[("default fit", 200, 2)],
)
def threads(args, work, n_rows, steps):
    """What do two threads of torch save?

    The kernels of small networks are too short to be shared. Of processor time, two threads may
    take twice as much, since they wait for each other busily.
    """
    run = partial(WORK[work], table(n_rows, 30), steps)
    runs = {"1 thread": run, "2 threads": partial(with_threads, 2, run)}
    return compare(args, f"{work}, {n_rows:,} x 30, {steps} steps", runs, "1 thread")


def share(rank, n_processes, folder, shape, *task):
    """Make the part of one process in a fit, and time it."""
    use_threads(1)
    store = dist.FileStore(f"{folder}/store", n_processes)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=n_processes)
    try:
        return lap(partial(wide_fit, table(*shape), *task, DataParallelNet()))
    finally:
        dist.destroy_process_group()


def shared_fit(n_processes, *task):
    """Time a fit by several processes: the slowest counts."""
    with tempfile.TemporaryDirectory() as folder:
        ranks = [(rank, n_processes, folder, *task) for rank in range(n_processes)]
        if n_processes == 1:
            return share(*ranks[0])
        with get_context("spawn").Pool(n_processes) as pool:
            laps = pool.starmap(share, ranks, chunksize=1)
    slowest = (max(each[clock] for each in laps) for clock in range(2))
    return Lap(*slowest, laps[0].training_path)


@case(
    "One fit by several processes",
    full=[(2, (20_000, 30), (1024, 512), 2048, 70)],
    tiny=[(1, (200, 5), (8,), 64, 2)],
)
def data_parallel(args, n_processes, shape, hidden, batch_size, steps):
    """How much faster is the fit of a large network by two processes, each with one thread?

    `DataParallelNet` in a group of gloo on one machine, against the usual net in one process. Time
    is that of `fit` in the slowest process, for processor time as well, where a process that waits
    for others uses none.
    """
    task = shape, hidden, batch_size, steps
    runs = {
        "one process": partial(wide_fit, table(*shape), *task[1:], None),
        f"{n_processes} processes": partial(shared_fit, n_processes, *task),
    }
    layers = "-".join(map(str, hidden))
    setting = f"{shape[0]:,} x {shape[1]}, {layers}, batch {batch_size}, {steps} steps"
    return compare(args, setting, runs, "one process")


def grid_search(X, n_candidates, folds, steps, n_jobs=None):
    grid = {"learning_rate": [0.001 * (n + 1) for n in range(n_candidates)]}
    model = Autoencoder(8, calibration=None, max_steps=steps, device="cpu", random_state=0)
    return GridSearchCV(model, grid, cv=folds, n_jobs=n_jobs, refit=False).fit(X)


def on_cluster(client, X, *task):
    """Time a search on a cluster; its processor time is that of the worker with the most."""
    before, start = client.run(time.process_time), time.perf_counter()
    with joblib.parallel_config("dask", scatter=[X]):
        grid_search(X, *task, n_jobs=-1)
    wall, after = time.perf_counter() - start, client.run(time.process_time)
    return Lap(wall, max(after[worker] - before[worker] for worker in after))


@case(
    "A search on a cluster of Dask",
    full=[(2, 5000, 30, 16, 4, 200)],
    tiny=[(1, 200, 5, 1, 2, 2)],
)
def cluster(args, n_workers, n_rows, n_features, n_candidates, folds, steps):
    """How much faster is a search of 64 fits on a cluster of two workers, each with one thread?

    A search of scikit-learn on a `LocalCluster`, against the same with one job. Processor time is
    that of the busiest worker. The workers have made a small search before the clock starts. Where
    Dask is not installed, the cluster is left out.
    """
    X, task = table(n_rows, n_features), (n_candidates, folds, steps)
    runs = {"1 job": partial(grid_search, X, *task)}
    setting = f"search of {n_candidates * folds} fits, {n_rows:,} x {n_features}"
    if find_spec("distributed") is None:
        return compare(args, setting, runs, "1 job")
    from distributed import Client, LocalCluster

    settings = {"dashboard_address": None, "threads_per_worker": 1}
    settings |= {"processes": False} if args.size == "tiny" else {"host": "127.0.0.1"}
    with (
        LocalCluster(n_workers=n_workers, **settings) as local,
        Client(local) as client,
    ):
        on_cluster(client, X[:200], 1, 4, 2)
        runs[f"{n_workers} workers"] = partial(on_cluster, client, X, *task)
        return compare(args, setting, runs, "1 job")

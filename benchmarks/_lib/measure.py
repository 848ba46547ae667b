"""Time and memory, measured fairly: contestants take turns, or have a process of their own."""

import ctypes
import gc
import os
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that are started from here

import torch
from threadpoolctl import threadpool_limits

Run = Callable[[], Any]


class Lap(NamedTuple):
    """One run of one contestant, in seconds."""

    wall: float
    cpu: float
    training_path: str = ""


def lap(run: Run) -> Lap:
    """Time a run; of a fitted estimator, note how it was trained."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if isinstance(result, Lap):  # measured in another process
        return result
    return Lap(wall, cpu, str(getattr(result, "training_path_", None) or ""))


def in_turns(runs: Mapping[str, Run], rounds: int) -> dict[str, list[Lap]]:
    """Run all contestants in turn, round after round: the speed of a machine drifts."""
    laps: dict[str, list[Lap]] = {name: [] for name in runs}
    gc.collect()
    gc.freeze()  # what is imported need not be searched before each lap
    for _ in range(rounds):
        for name, run in runs.items():
            laps[name].append(lap(run))
    gc.unfreeze()
    return laps


# -- memory, in megabytes --------------------------------------------------------------------------


def _held(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def memory_peak(run: Run) -> float:
    """Return the most that this process ever held, mapped files included."""
    run()
    return _held("VmHWM")


def memory_rise(run: Run, interval: float = 0.002, field: str = "RssAnon") -> float:
    """Return by how much memory rises while something runs, sampled all along.

    "RssAnon" is what the process takes for itself; "VmRSS" adds the pages of files that it maps.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or the run would be served from what earlier ones left
    before = _held(field)
    peaks = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(interval):
            peaks.append(_held(field))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run()  # held until the last look
        peaks.append(_held(field))
    finally:
        done.set()
        watcher.join()
    del result
    return max(peaks) - before


# -- processes -------------------------------------------------------------------------------------


def use_threads(n: int) -> None:
    threadpool_limits(n)
    torch.set_num_threads(n)


def alone(args: Namespace, measure: Callable[[Run], Any], make: Callable[..., Run], *task) -> Any:
    """Measure a run in a process of its own, where `make` prepares it from the task."""
    if args.size == "tiny":  # a process takes seconds to start, and the numbers mean nothing
        return measure(make(*task))
    with get_context("spawn").Pool(1, use_threads, (args.threads,)) as pool:
        return pool.apply(_measured, (measure, make, *task))


def _measured(measure: Callable[[Run], Any], make: Callable[..., Run], *task: Any) -> Any:
    return measure(make(*task))

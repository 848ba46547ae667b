"""What the benchmarks share: fair repeats, the facts of the machine, memory, results as CSV."""

import argparse
import ctypes
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that are started from here

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).parent / "results"
_SHOWN = ["setting", "contestant", "wall_median", "cpu_median", "wall_ratio", "cpu_ratio"]
_REPEATS = {"full": 5, "quick": 3, "tiny": 1}


# -- the command line ------------------------------------------------------------------------------


def arguments(question: str, threads: int = 1, **options: dict[str, Any]) -> argparse.Namespace:
    """Parse the options of a benchmark and limit its threads."""
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(description=question)
    for size, what in (("quick", "the first setting only"), ("tiny", "for the tests: no meaning")):
        parser.add_argument(
            f"--{size}", dest="size", action="store_const", const=size, default="full", help=what
        )
    parser.add_argument("--repeats", type=int, help="rounds of all contestants")
    parser.add_argument("--output", type=Path, help=f"default: {name}.csv in benchmarks/results")
    parser.add_argument("--threads", type=int, default=threads, help="threads of one process")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    for option, settings in options.items():
        parser.add_argument(f"--{option}", **settings)
    args = parser.parse_args()
    args.repeats = args.repeats or _REPEATS[args.size]
    suffix = "" if args.size == "full" else f"-{args.size}"
    args.output = args.output or RESULTS / f"{name}{suffix}.csv"
    threadpool_limits(args.threads)
    torch.set_num_threads(args.threads)
    return args


def installed(contestants: Mapping[str, Any], needs: Mapping[str, str]) -> dict[str, Any]:
    """Leave out contestants whose package is missing, and say so."""
    found = {}
    for name, contestant in contestants.items():
        if name in needs and importlib.util.find_spec(needs[name]) is None:
            print(f"{name} is left out: {needs[name]} is not installed.")
        else:
            found[name] = contestant
    return found


# -- time ------------------------------------------------------------------------------------------


class Lap(NamedTuple):
    """One run of one contestant."""

    wall: float
    cpu: float
    road: str = ""


def lap(run: Callable[[], Any]) -> Lap:
    """Time a run; of a fitted estimator, note the road that its fit took."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Lap(wall, cpu, str(getattr(result, "training_path_", None) or ""))


def interleaved(
    contestants: Mapping[str, Callable[[], Any]],
    repeats: int,
    take: Callable[[Callable[[], Any]], Lap] = lap,
) -> dict[str, list[Lap]]:
    """Run all contestants in turn, round after round: the speed of a machine drifts."""
    laps: dict[str, list[Lap]] = {name: [] for name in contestants}
    gc.collect()
    gc.freeze()  # what is imported need not be searched before each lap
    for _ in range(repeats):
        for name, run in contestants.items():
            laps[name].append(take(run))
    gc.unfreeze()
    return laps


def served(args: argparse.Namespace, worker: Callable[..., Any]) -> bool:
    """In a process that `child` started, do the task and print what was found."""
    if args.worker is not None:
        print(json.dumps(worker(**args.worker)))
    return args.worker is not None


def child(args: argparse.Namespace, worker: Callable[..., Any], **task: Any) -> Any:
    """Have the script's worker do a task in a process of its own; return what it found."""
    if args.size == "tiny":  # a process takes seconds to start, and the numbers mean nothing
        return worker(**task)
    command = [sys.executable, sys.argv[0], "--threads", str(args.threads)]
    command += ["--worker", json.dumps(task)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# -- memory ----------------------------------------------------------------------------------------


def anonymous_memory() -> float:
    """Return the megabytes that this process holds itself, mapped files not counted."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def memory_rise(run: Callable[[], Any], interval: float = 0.002) -> float:
    """Return by how many megabytes memory rises while something runs, looked at all along."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or the run would be served from what earlier ones left
    before = anonymous_memory()
    peaks = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(interval):
            peaks.append(anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run()  # held until the last look
        peaks.append(anonymous_memory())
    finally:
        done.set()
        watcher.join()
    del result
    return max(peaks) - before


# -- data and results ------------------------------------------------------------------------------


def table(n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Make rows near a curved surface of eight dimensions, about standardised."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_rows, 8), dtype=np.float32)
    mixing = rng.standard_normal((8, n_features), dtype=np.float32)
    X = np.tanh(factors @ mixing)
    X += 0.3 * rng.standard_normal(X.shape, dtype=np.float32)
    return (X - X.mean(0)) / X.std(0)


def rows_of(
    setting: str,
    laps: Mapping[str, Sequence[Lap]],
    reference: str,
    shares: Mapping[str, float] | None = None,
    **facts: Any,
) -> Iterator[dict[str, Any]]:
    """Sum up the laps of one setting.

    A contestant that did only a share of the work is scaled up to all of it. A ratio is the median
    over rounds, each of which saw the reference at about the same speed of the machine.
    """
    shares = shares or {}

    def seconds(name: str, kind: str) -> list[float]:
        return [getattr(each, kind) / shares.get(name, 1) for each in laps[name]]

    for name, own in laps.items():
        row = {"setting": setting, "contestant": name, "reference": reference}
        for kind in ("wall", "cpu"):
            times, base = seconds(name, kind), seconds(reference, kind)
            row[f"{kind}_median"], row[f"{kind}_min"] = median(times), min(times)
            ratios = [a / b for a, b in zip(times, base, strict=True) if b]
            row[f"{kind}_ratio"] = median(ratios) if ratios else np.nan
        yield {**row, "share": shares.get(name, 1), "training_path": own[-1].road, **facts}


def finish(rows: Iterable[dict[str, Any]], args: argparse.Namespace) -> None:
    """Write the results with the facts of the machine, and print a small table."""
    facts = {"repeats": args.repeats, "threads": args.threads, **machine()}
    frame = pd.DataFrame([{**row, **facts} for row in rows])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(args.output, index=False, float_format="%.6g")
    first = [name for name in _SHOWN if name in frame]
    others = [n for n in frame if n not in (*first, *facts) and not n.endswith("_min")]
    shown = frame[[*first, *others]].drop(columns="reference", errors="ignore")
    print(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep=""))
    print(f"Written to {args.output}.")


def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine and the versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    facts = {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "commit": _git("describe", "--always", "--dirty"),
        "date": date.today().isoformat(),
        "python": platform.python_version(),
    }
    for name in ("torch", "scikit-learn", "skorch", "pyod"):
        missing = importlib.util.find_spec({"scikit-learn": "sklearn"}.get(name, name)) is None
        facts[name] = "" if missing else importlib.metadata.version(name)
    return facts


def _git(*command: str) -> str:
    done = subprocess.run(
        ["git", *command], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()

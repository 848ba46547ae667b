"""The command line of all benchmarks, and their results as CSV."""

import argparse
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).parents[1] / "results"
PYOD = find_spec("pyod") is not None  # where it is missing, its contestants are left out


def arguments(
    argv: Sequence[str] | None, prog: str, description: str, **options: dict[str, Any]
) -> argparse.Namespace:
    """Parse the options that all benchmarks have, and more."""
    parser = argparse.ArgumentParser(
        prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for size, what in (("quick", "only what comes first"), ("tiny", "for the tests")):
        parser.add_argument(
            f"--{size}", dest="size", action="store_const", const=size, default="full", help=what
        )
    parser.add_argument("--repeats", type=int, help="rounds, or seeds")
    parser.add_argument("--threads", type=int, help="threads of a process")
    parser.add_argument("--output", type=Path, help="folder; by default benchmarks/results")
    for option, settings in options.items():
        parser.add_argument(option, **settings)
    args = parser.parse_args(argv)
    args.output = args.output or (RESULTS if args.size == "full" else RESULTS / args.size)
    if not PYOD:
        print("PyOD is not installed, so its contestants are left out.")
    return args


def read(path: Path) -> pd.DataFrame:
    """Read results; a commit is no number, even if it looks like one."""
    return pd.read_csv(path, dtype={"training_data": str, "commit": str}).fillna(
        {"training_data": ""}
    )


def store(rows: Iterable[Mapping[str, Any]], path: Path, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Write rows into a file and read it.

    With keys, rows that are there already stay, unless new ones agree with them in all keys but the
    last, which is the seed.
    """
    frame = pd.DataFrame(rows)
    if keys and path.exists():
        old, same = read(path), list(keys[:-1])
        kept = ~pd.MultiIndex.from_frame(old[same]).isin(pd.MultiIndex.from_frame(frame[same]))
        frame = pd.concat([old[kept], frame])
    if keys:
        frame = frame.sort_values(list(keys))
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, float_format="%.6g")
    return read(path)


def published(path: Path, name: str, measure: str, **key: str) -> list[dict[str, Any]]:
    """Return what a published table says of a set, if the set is in it."""
    table = pd.read_csv(path, index_col=0)
    values = table.loc[name].items() if name in table.index else ()
    return [{**key, "set": name, "detector": who, measure: value} for who, value in values]


def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine and the versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    describe = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(describe, cwd=RESULTS, capture_output=True, text=True, check=False)
    facts = {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "commit": done.stdout.strip(),
        "date": date.today().isoformat(),
        "python": platform.python_version(),
    }
    packages = "torch", "scikit-learn", "skorch", "pyod"
    versions = {name: importlib.metadata.version(name) for name in packages[: 3 + PYOD]}
    return {**facts, "pyod": "", **versions}

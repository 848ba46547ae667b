"""Measure how good codes and detectors are."""

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from itertools import chain, islice
from pathlib import Path

from joblib import Parallel, delayed

from benchmarks._lib.measure import use_threads
from benchmarks._lib.results import arguments, machine, store
from benchmarks.quality import NAMES, categories, oneclass, series, tabular

DATA = (
    f"where it is needed. For tabular, ablation, false_alarms, labels, missing and, if you like, "
    f"few_labels and wide, a {tabular.DATA} "
    f"For categories, a {categories.DATA} For oneclass, a "
    f"{oneclass.DATA} For series and kinds, a {series.DATA}"
)


def main(argv: Sequence[str] | None = None) -> None:
    some = {"nargs": "+", "metavar": "NAME"}
    args = arguments(
        argv,
        "python -m benchmarks.quality",
        __doc__,
        name={"choices": NAMES},
        **{
            "--data": {"type": Path, "help": DATA},
            "--sets": {**some, "help": "only sets of data whose names contain one of these"},
            "--only": {**some, "help": "only these contestants; results of others are kept"},
            "--jobs": {"type": int, "default": 1, "help": "processes that share the work"},
        },
    )
    benchmark = import_module(f"benchmarks.quality.{args.name}")
    if hasattr(benchmark, "DATA") and args.data is None:
        sys.exit(f"{args.name} needs --data, a {benchmark.DATA}")
    args.only = args.only or list(benchmark.CONTESTANTS)
    if unknown := set(args.only) - set(benchmark.CONTESTANTS):
        sys.exit(f"There are no {sorted(unknown)}, but {list(benchmark.CONTESTANTS)}.")
    args.repeats = args.repeats or (benchmark.SEEDS if args.size == "full" else 1)
    args.threads = args.threads or 1
    use_threads(args.threads)
    facts = {"jobs": args.jobs, "threads": args.threads, **machine()}
    path, frame = args.output / "quality" / f"{args.name}.csv", None
    for name, fits, published in islice(benchmark.sets(args), None if args.size == "full" else 3):
        begin = time.perf_counter()
        found = Parallel(args.jobs)(delayed(fit)() for fit in fits)
        rows = [{**row, **facts} for row in chain(*found)]
        frame = store([*rows, *published], path, benchmark.KEYS)
        print(f"{name}: {len(rows)} rows, {time.perf_counter() - begin:.0f} s", flush=True)
    if frame is None:
        sys.exit(f"There are no such sets in {args.data}.")
    print(*benchmark.tables(frame), f"Written to {path}.", sep="\n\n")


if __name__ == "__main__":
    main()

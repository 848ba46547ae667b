"""Measure times, and memory, of what is named."""

from collections.abc import Sequence

from benchmarks._lib.measure import use_threads
from benchmarks._lib.results import arguments, machine, store
from benchmarks._lib.tables import speed_tables
from benchmarks.speed import CASES

ROUNDS = {"full": 5, "quick": 3, "tiny": 1}


def main(argv: Sequence[str] | None = None) -> None:
    listed = "\n".join(f"  {name:15} {case.title}" for name, case in CASES.items())
    names = {"nargs": "+", "choices": list(CASES), "metavar": "case"}
    description = f"{__doc__} Cases are:\n\n{listed}"
    args = arguments(argv, "python -m benchmarks.speed", description, cases=names)
    args.repeats, threads = args.repeats or ROUNDS[args.size], args.threads
    for name in args.cases:
        args.threads = threads or CASES[name].threads
        use_threads(args.threads)
        facts = {"repeats": args.repeats, "threads": args.threads, **machine()}
        path = args.output / "speed" / f"{name}.csv"
        frame = store(({**row, **facts} for row in CASES[name].rows(args)), path)
        print(*speed_tables(frame), f"Written to {path}.", sep="\n\n")


if __name__ == "__main__":
    main()

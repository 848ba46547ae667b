"""How do the time and the memory of a detector for series grow with the number of points?

The default detector learns from all points, and then scores them; each size is done in a process of
its own. The memory counted is what the process takes for itself beyond the series, at most at once.
"""

import numpy as np
from timing import Lap, arguments, child, finish, lap, memory_rise, rows_of, served

from sktae import WindowedDetector

SIZES = {
    "full": (10_000, 100_000, 1_000_000),
    "quick": (10_000, 100_000),
    "tiny": (500,),
}


def worker(n_points):
    """Time a fit and a score, and measure the memory of others."""
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(n_points) / 20) + 0.1 * rng.normal(size=n_points)
    X = X.reshape(-1, 1)
    WindowedDetector(random_state=0).fit(X[:500]).score_samples(X[:500])  # imports, first calls
    model = WindowedDetector(random_state=0)
    fit, fit_memory = lap(lambda: model.fit(X)), memory_rise(lambda: model.fit(X))
    score, memory = lap(lambda: model.score_samples(X)), memory_rise(lambda: model.score_samples(X))
    return {"fit": (fit, fit_memory), "score": (score, memory)}


def measure(args):
    for n_points in SIZES[args.size]:
        found = [child(args, worker, n_points=n_points) for _ in range(args.repeats)]
        for task in ("fit", "score"):
            laps = {"sktae": [Lap(*one[task][0]) for one in found]}
            memory = max(one[task][1] for one in found)
            setting = f"{task}, {n_points:,} points"
            yield from rows_of(setting, laps, "sktae", memory_mb=memory)


def main():
    args = arguments(__doc__)
    if not served(args, worker):
        finish(list(measure(args)), args)


if __name__ == "__main__":
    main()

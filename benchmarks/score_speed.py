"""How fast are rows scored, how much memory does that take, and how long does a single row take?

All score with d-64-16-64-d. The floor is what the four matrix products alone take, on tiles that
stay in the cache, into memory that is already there; the share of the floor is its time over that
of a contestant. Memory is the rise while scoring, in a process of its own.
"""

from functools import partial

import numpy as np
import torch
from contestants import NEEDS, ONE_BY_ONE, Layers, pyod_fit, skorch_fit, sktae_fit
from timing import (
    Lap,
    arguments,
    child,
    finish,
    installed,
    interleaved,
    lap,
    memory_rise,
    rows_of,
    served,
    table,
)
from torch import nn

TILE = 2048
BATCH = 256  # of those that keep the size of their training batches
# rows, columns, share of the rows for those that load them one by one, calls for a single row
SETTINGS = {
    "full": (1_000_000, 30, 0.1, 200),
    "quick": (200_000, 30, 0.1, 50),
    "tiny": (2000, 5, 1, 2),
}
DTYPES = ("float32", "float64")


# -- contestants: from the number of columns to a function that scores rows ------------------------


def floor(n_features):
    weights = [
        layer.weight.detach() for layer in Layers(n_features) if isinstance(layer, nn.Linear)
    ]
    outs = [torch.empty(TILE, len(weight)) for weight in weights]

    @torch.inference_mode()
    def score(X):
        for tile in torch.from_numpy(X).split(TILE):
            for weight, out in zip(weights, outs, strict=True):
                tile = torch.mm(tile, weight.T, out=out[: len(tile)])

    return score


def torch_whole(n_features):
    network = Layers(n_features)

    @torch.inference_mode()
    def score(X):
        x = torch.from_numpy(X).float()
        return (x - network(x)).square().sum(1)

    return score


def torch_tiles(n_features):
    whole = torch_whole(n_features)
    return lambda X: np.concatenate([whole(X[i : i + TILE]) for i in range(0, len(X), TILE)])


def fitted(fit, n_features):
    return fit(table(20 * BATCH, n_features), BATCH, 1)


def sktae(n_features):
    return fitted(sktae_fit, n_features).score_samples


def skorch(n_features):
    net = fitted(skorch_fit, n_features)

    def score(X):
        X = X.astype(np.float32, copy=False)
        return ((X - net.predict(X)) ** 2).sum(axis=1)

    return score


def pyod(n_features):
    return fitted(pyod_fit, n_features).decision_function


SCORERS = {
    "torch in tiles": torch_tiles,
    "torch whole array": torch_whole,
    "sktae": sktae,
    "skorch": skorch,
    "PyOD AutoEncoder": pyod,
}


# -- measurements ----------------------------------------------------------------------------------


def worker(name, n_rows, n_features):
    """Measure the memory that one contestant takes, for each kind of input."""
    score = SCORERS[name](n_features)
    X = table(n_rows, n_features)
    score(X[: 4 * TILE])  # imports and first calls
    return {dtype: memory_rise(partial(score, X.astype(dtype))) for dtype in DTYPES}


def memory(scorers, args, n_rows, n_features):
    measured = ["sktae"] if args.size == "tiny" else scorers
    return {
        name: child(args, worker, name=name, n_rows=n_rows, n_features=n_features)
        for name in measured
    }


def throughput(scorers, args, n_rows, n_features, share, dtype):
    X = table(n_rows, n_features).astype(dtype)
    for score in scorers.values():
        score(X[: 4 * TILE])
    shares = {name: share for name in scorers if name in ONE_BY_ONE}
    runs = {
        name: partial(score, X[: int(shares.get(name, 1) * n_rows)])
        for name, score in scorers.items()
    }
    runs["matrix products"] = partial(floor(n_features), table(n_rows, n_features))
    laps = interleaved(runs, args.repeats)
    setting = f"{n_rows:,} x {n_features}, {dtype}"
    rows = list(rows_of(setting, laps, "torch in tiles", shares))
    least = rows[-1]["wall_median"]
    for row in rows:
        rate = n_rows / row["wall_median"] / 1e6
        yield {**row, "million_rows_per_s": rate, "share_of_floor": least / row["wall_median"]}


def latency(scorers, args, n_features, calls):
    X = table(2, n_features)[:1]

    def mean_lap(score):
        score(X)
        total = lap(lambda: [score(X) for _ in range(calls)])
        return Lap(total.wall / calls, total.cpu / calls)

    runs = {name: score for name, score in scorers.items() if name != "torch in tiles"}
    laps = interleaved(runs, args.repeats, mean_lap)
    return rows_of(f"1 x {n_features}, float32", laps, "torch whole array")


def main():
    args = arguments(__doc__)
    if served(args, worker):
        return
    n_rows, n_features, share, calls = SETTINGS[args.size]
    makers = installed(SCORERS, NEEDS)
    scorers = {name: make(n_features) for name, make in makers.items()}
    taken = memory(scorers, args, n_rows, n_features)
    rows = []
    for dtype in DTYPES:
        for row in throughput(scorers, args, n_rows, n_features, share, dtype):
            rows.append({**row, "memory_mb": taken.get(row["contestant"], {}).get(dtype)})
    finish([*rows, *latency(scorers, args, n_features, calls)], args)


if __name__ == "__main__":
    main()

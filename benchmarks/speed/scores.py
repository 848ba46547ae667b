"""Scoring a large table, a single row, and a row of a stream."""

import time
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from torch import nn

from benchmarks._lib.cases import case, compare, table
from benchmarks._lib.contestants import ONE_BY_ONE, Layers, pyod_fit, skorch_fit, sktae_fit
from benchmarks._lib.measure import alone, memory_rise
from benchmarks._lib.results import PYOD
from sktae import WindowedDetector

TILE = 2048
BATCH = 256  # of those that keep the size of their training batches


# -- contestants: from the number of columns to a function that scores rows ------------------------


def matrix_products(n_features):
    maps = [each for each in Layers(n_features) if isinstance(each, nn.Linear)]
    weights = [each.weight.detach().T for each in maps]
    outs = [torch.empty(TILE, each.out_features) for each in maps]

    @torch.inference_mode()
    def score(X):
        for tile in torch.from_numpy(X).split(TILE):
            for weight, out in zip(weights, outs, strict=True):
                tile = torch.mm(tile, weight, out=out[: len(tile)])

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


def skorch(n_features):
    net = fitted(skorch_fit, n_features)

    def score(X):
        X = X.astype(np.float32, copy=False)
        return ((X - net.predict(X)) ** 2).sum(axis=1)

    return score


def errors(n_features):
    return fitted(sktae_fit, n_features).set_params(score_method="error").score_samples


def forest(n_features):
    return IsolationForest(random_state=0).fit(table(20 * BATCH, n_features)).score_samples


SCORERS = {
    "torch in tiles": torch_tiles,
    "torch whole array": torch_whole,
    "sktae": lambda n_features: fitted(sktae_fit, n_features).score_samples,
    "sktae, errors alone": errors,
    "IsolationForest": forest,
    "skorch": skorch,
}
if PYOD:
    SCORERS["PyOD AutoEncoder"] = lambda n_features: fitted(pyod_fit, n_features).decision_function


# -- cases -----------------------------------------------------------------------------------------


def scoring(name, n_rows, n_features, dtype):
    """Make the run of one contestant."""
    score = SCORERS[name](n_features)
    X = table(n_rows, n_features)
    score(X[: 4 * TILE])  # imports and first calls
    return partial(score, X.astype(dtype))


@case(
    "Scoring",
    full=[(1_000_000, 30, 0.1, dtype) for dtype in ("float32", "float64")],
    tiny=[(2000, 5, 1, "float64")],
)
def score(args, n_rows, n_features, share, dtype):
    """How fast are rows scored, and how much memory does that take?

    Networks have the sizes d-64-16-64-d; the forest has 100 trees. By default, sktae compares rows
    with training rows, too; with errors alone it computes what the other networks do. The floor is
    what the four matrix products alone take, on tiles that stay in the cache, into memory that is
    already there; the share of the floor is its time over that of a contestant. Memory is the rise
    while scoring, in a process of its own.
    """
    scorers = {name: make(n_features) for name, make in SCORERS.items()}
    task = n_rows, n_features, dtype
    memory = {name: alone(args, memory_rise, scoring, name, *task) for name in scorers}
    X, shares = table(n_rows, n_features).astype(dtype), dict.fromkeys(ONE_BY_ONE, share)
    for each in scorers.values():
        each(X[: 4 * TILE])  # first calls
    runs = {
        name: partial(each, X[: int(shares.get(name, 1) * n_rows)])
        for name, each in scorers.items()
    }
    runs["matrix products"] = partial(matrix_products(n_features), table(n_rows, n_features))
    setting = f"{n_rows:,} x {n_features}, {dtype}"
    rows = compare(args, setting, runs, "torch in tiles", shares=shares, memory=memory)
    least = rows[-1]["wall_median"]
    for row in rows:
        row["million_rows_per_s"] = n_rows / row["wall_median"] / 1e6
        row["share_of_floor"] = least / row["wall_median"]
    return rows


@case(
    "Scoring a single row",
    full=[(30, 10_000, kind) for kind in ("array", "DataFrame")],
    tiny=[(5, 2, kind) for kind in ("array", "DataFrame")],
)
def score_row(args, n_features, calls, kind):
    """How long does it take to score a single row?

    Networks have the sizes d-64-16-64-d; the forest has 100 trees. A row is scored time and again.
    Slow calls are those at the 99th percentile. What takes no DataFrame is left out there, and what
    takes more than a few milliseconds is called less often.
    """
    X = table(20 * BATCH, n_features)
    if kind == "DataFrame":
        X = pd.DataFrame(X).add_prefix("column_")
    detector = sktae_fit(X, BATCH, 1)
    scorers = {
        "sktae": detector.score_samples,
        "sktae, transform": detector.transform,
        "IsolationForest": IsolationForest(random_state=0).fit(X).score_samples,
    }
    if kind == "array":
        others = {"torch in tiles", "sktae, errors alone"} | scorers.keys()
        names = [name for name in SCORERS if name not in others]
        scorers |= {name: SCORERS[name](n_features) for name in names}
    times, runs = {name: [] for name in scorers}, {}
    shares = {"IsolationForest": max(1, calls // 20) / calls}
    for name, score in scorers.items():
        score(X[:1])
        n = round(shares.get(name, 1) * calls)
        runs[name] = partial(repeated, score, X[:1], n, times[name])
    rows = compare(args, f"1 x {n_features}, {kind}", runs, "sktae", calls=calls, shares=shares)
    for row in rows:
        row["slow_ms"] = 1000 * np.quantile(times[row["contestant"]], 0.99)
    return rows


def repeated(score, X, calls, times):
    for _ in range(calls):
        begin = time.perf_counter()
        score(X)
        times.append(time.perf_counter() - begin)


# As many rows as two of the longest windows: whatever the score of a row depends on.
SPAN = 400


@case(
    "Scoring a row of a stream",
    full=[(kind, n, 1200, 60) for kind in ("default", "PCA(16)") for n in (2, 20)],
    tiny=[("PCA(16)", 1, 12, 3)],
)
def stream_row(args, kind, n_channels, calls, whole_calls):
    """How long does it take to score the next row of a series?

    Rows arrive one by one. A stream takes each and keeps what later rows need. Without a stream,
    all rows that a score depends on, two windows of 200, are scored again each time. The time is a
    mean over rows: a window ends only in every third of them. Slow rows are those at the 99th
    percentile.
    """
    rng, t = np.random.default_rng(0), np.arange(2000)[:, np.newaxis]
    X = np.sin(t / (5 + np.arange(n_channels))) + 0.05 * rng.normal(size=(len(t), n_channels))
    estimator = None if kind == "default" else PCA(16)
    model = WindowedDetector(estimator, random_state=0).fit(X)
    stream, times = model.stream(), []
    stream.score(X)

    def streamed():
        for i in range(calls):
            begin = time.perf_counter()
            stream.score(X[i : i + 1])
            times.append(time.perf_counter() - begin)

    def whole():
        for i in range(whole_calls):
            model.score_samples(X[i : i + SPAN])

    runs = {"score_samples": whole, "stream": streamed}
    for run in runs.values():
        run()
    times.clear()
    setting, shares = f"{kind}, {n_channels} channels", {"score_samples": whole_calls / calls}
    rows = compare(args, setting, runs, "score_samples", calls=calls, shares=shares)
    rows[-1]["slow_ms"] = 1000 * np.quantile(times, 0.99)
    return rows

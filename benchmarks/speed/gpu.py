"""Fits and scores on a GPU."""

import math
import sys
from functools import cache, partial
from unittest.mock import patch

import torch

from benchmarks._lib.cases import case, compare, table
from benchmarks._lib.contestants import CODE, HIDDEN, Layers, bare_loop, matched
from benchmarks._lib.measure import lap
from sktae import Autoencoder, fit_many


def device_of(args):
    """Return the device and its name; the smallest size tries a case anywhere."""
    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name()
    if args.size != "tiny":
        sys.exit("There is no GPU here, so there is nothing to measure.")
    return "cpu", "cpu"


def synchronized(run, device):
    result = run()
    torch.empty(1, device=device).item()  # waits for all that was asked for before
    return result


@cache
def operations_per_second(side, dtype, device):
    """Measure a large matrix product."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = partial(synchronized, partial(torch.mm, a, b), device)
    return 2 * side**3 / min(lap(product).wall for _ in range(10))


def with_share(rows, n_scored, n_features, side, device):
    """Compare the operations of the linear maps with what the device can do."""
    for row in rows:
        dtype = torch.bfloat16 if row["contestant"].endswith("bf16") else torch.float32
        done = 4 * (n_features * HIDDEN + HIDDEN * CODE) * n_scored / row["wall_median"]
        yield {**row, "share_of_limit": done / operations_per_second(side, dtype, device)}


def fitted(X, batch_size, epochs, device, many_steps=None, **settings):
    model = Autoencoder(CODE, **{**matched(batch_size, epochs), "device": device, **settings})
    if many_steps is None:
        return model.fit(X)
    with patch("sktae._engine.net.MANY_STEPS", many_steps):
        return model.fit(X)


@case(
    "Fits on a GPU",
    full=[
        (20_000, 30, 256, 10, 8192),
        (20_000, 30, 8192, 100, 8192),
        (1_000_000, 100, 256, 1, 8192),
        (1_000_000, 100, 8192, 10, 8192),
    ],
    tiny=[(500, 5, 64, 1, 64)],
)
def gpu_fit(args, n_rows, n_features, batch_size, epochs, side):
    """How long do fits take on a GPU, and how much of what it can multiply is used?

    The bare loop has all rows on the device and draws its batches there. The share of the limit is
    the arithmetic of the linear maps over the time, against the fastest large matrix product that
    this device makes in the same number format.
    """
    X, (device, name) = table(n_rows, n_features), device_of(args)
    fits = {
        "bare loop": bare_loop,
        "sktae": fitted,
        "sktae step by step": partial(fitted, many_steps=math.inf),
        "sktae bf16": partial(fitted, precision="bfloat16"),
    }
    runs = {}
    for contestant, fit in fits.items():
        fit(X[: 4 * batch_size], batch_size, 1, device=device)
        run = partial(fit, X, batch_size, epochs, device=device)
        runs[contestant] = partial(synchronized, run, device)
    setting = f"{n_rows:,} x {n_features}, batch {batch_size}"
    rows = compare(args, setting, runs, "bare loop", epochs=epochs, device=name)
    # A step of training costs three times what the score of its rows does.
    return with_share(rows, 3 * n_rows * epochs, n_features, side, device)


@case(
    "Many fits on a GPU",
    full=[(128, 2000, 20, 256, 10, 8192)],
    tiny=[(4, 200, 5, 64, 1, 64)],
)
def gpu_many(args, n_models, n_rows, n_features, batch_size, epochs, side):
    """How long do many fits take together on a GPU?

    K models, each on rows of its own; of bare loops and of fits one after another, four are run and
    counted K / 4 times.
    """
    tables, (device, name) = (
        [table(n_rows, n_features, k) for k in range(n_models)],
        device_of(args),
    )

    def loops(tables, epochs):
        for X in tables:
            bare_loop(X, batch_size, epochs, device=device)

    def one_by_one(tables, epochs):
        return [fitted(X, batch_size, epochs, device) for X in tables][-1]

    def stacked(tables, epochs, **settings):
        settings = {**matched(batch_size, epochs), "device": device, **settings}
        return fit_many([Autoencoder(CODE, **settings) for _ in tables], tables)[-1]

    each = {
        "bare loops": loops,
        "sktae one by one": one_by_one,
        "sktae fit_many": stacked,
        "sktae fit_many bf16": partial(stacked, precision="bfloat16"),
    }
    shares, runs = dict.fromkeys(("bare loops", "sktae one by one"), 4 / n_models), {}
    for contestant, run in each.items():
        run(tables[:4], 1)
        some = tables[:4] if contestant in shares else tables
        runs[contestant] = partial(synchronized, partial(run, some, epochs), device)
    setting = f"{n_models} models, {n_rows:,} x {n_features}, batch {batch_size}"
    facts = {"shares": shares, "epochs": epochs, "device": name}
    rows = compare(args, setting, runs, "bare loops", **facts)
    return with_share(rows, 3 * n_models * n_rows * epochs, n_features, side, device)


@case(
    "Scores on a GPU",
    full=[(1_000_000, 30, 8192)],
    tiny=[(500, 5, 64)],
)
def gpu_score(args, n_rows, n_features, side):
    """How long do scores take on a GPU, and how much of what it can multiply is used?

    The rows come from the memory of the processor, and the scores go there.
    """
    X, (device, name) = table(n_rows, n_features), device_of(args)
    network = Layers(n_features).to(device)

    @torch.inference_mode()
    def bare():
        x = torch.from_numpy(X).to(device)
        return (x - network(x)).square().sum(1).cpu().numpy()

    model = fitted(X[:10_000], 256, 1, device)
    runs = {"torch whole array": bare, "sktae": partial(model.score_samples, X)}
    for run in runs.values():
        run()
    rows = compare(args, f"{n_rows:,} x {n_features}", runs, "torch whole array", device=name)
    return with_share(rows, n_rows, n_features, side, device)

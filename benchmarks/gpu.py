"""How long do fits and scores take on a GPU, and how much of what it can multiply is used?

The bare loop has all rows on the device and draws its batches there. The share of the limit is the
arithmetic of the linear maps over the time, against the fastest large matrix product that this
device makes in the same number format. Without a GPU there is nothing to measure.
"""

import math
from functools import partial
from unittest.mock import patch

import torch
from contestants import CODE, HIDDEN, Layers, bare_loop, matched
from timing import arguments, finish, interleaved, rows_of, table

from sktae import Autoencoder

# rows, columns, batch size, epochs
FITS = {
    "full": [
        (20_000, 30, 256, 10),
        (20_000, 30, 8192, 100),
        (1_000_000, 100, 256, 1),
        (1_000_000, 100, 8192, 10),
    ],
    "quick": [(20_000, 30, 256, 10), (1_000_000, 100, 8192, 2)],
    "tiny": [(500, 5, 64, 1)],
}
SCORED = {"full": (1_000_000, 30), "quick": (1_000_000, 30), "tiny": (500, 5)}
SIDE = {"full": 8192, "quick": 8192, "tiny": 64}
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def synchronised(run, device):
    result = run()
    torch.empty(1, device=device).item()  # waits for all that was asked for before
    return result


def limit(side, dtype, device):
    """Return the operations per second of a large matrix product."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = partial(synchronised, partial(torch.mm, a, b), device)
    laps = interleaved({"product": product}, 10)["product"]
    return 2 * side**3 / min(each.wall for each in laps)


def operations(n_features):
    """Return the operations of the linear maps for one row that is scored; training is thrice."""
    return 4 * (n_features * HIDDEN + HIDDEN * CODE)


def fit(X, batch_size, epochs, device, many_steps=None, **settings):
    model = Autoencoder(CODE, **{**matched(batch_size, epochs), "device": device, **settings})
    if many_steps is None:
        return model.fit(X)
    with patch("sktae._engine.net.MANY_STEPS", many_steps):
        return model.fit(X)


def fits(args, limits):
    for n_rows, n_features, batch_size, epochs in FITS[args.size]:
        X = table(n_rows, n_features)
        bare = partial(bare_loop, device=args.device)
        sktae = partial(fit, device=args.device)
        contestants = {
            "bare loop": (bare, "float32"),
            "sktae": (sktae, "float32"),
            "sktae step by step": (partial(sktae, many_steps=math.inf), "float32"),
            "sktae bf16": (partial(sktae, precision="bfloat16"), "bfloat16"),
        }
        for run, _ in contestants.values():
            run(X[: 4 * batch_size], batch_size, 1)
        runs = {
            name: partial(synchronised, partial(run, X, batch_size, epochs), args.device)
            for name, (run, _) in contestants.items()
        }
        setting = f"fit {n_rows:,} x {n_features}, batch {batch_size}"
        for row in rows_of(setting, interleaved(runs, args.repeats), "bare loop", epochs=epochs):
            done = 3 * operations(n_features) * n_rows * epochs / row["wall_median"]
            yield {**row, "share_of_limit": done / limits[contestants[row["contestant"]][1]]}


def scores(args, limits):
    n_rows, n_features = SCORED[args.size]
    X = table(n_rows, n_features)
    network = Layers(n_features).to(args.device)

    @torch.inference_mode()
    def bare():
        x = torch.from_numpy(X).to(args.device)
        return (x - network(x)).square().sum(1).cpu().numpy()

    model = fit(X[:10_000], 256, 1, args.device)
    runs = {"torch whole array": bare, "sktae": partial(model.score_samples, X)}
    for run in runs.values():
        run()
    setting = f"score {n_rows:,} x {n_features}"
    for row in rows_of(setting, interleaved(runs, args.repeats), "torch whole array"):
        done = operations(n_features) * n_rows / row["wall_median"]
        yield {**row, "share_of_limit": done / limits["float32"]}


def main():
    args = arguments(__doc__, device={"default": "cuda", "help": "cpu only tries the script"})
    if args.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here, so there is nothing to measure.")
        return
    cuda = args.device == "cuda"
    device = torch.cuda.get_device_name() if cuda else args.device
    limits = {name: limit(SIDE[args.size], dtype, args.device) for name, dtype in FORMATS.items()}
    rows = [*fits(args, limits), *scores(args, limits)]
    finish([{**row, "device": device} for row in rows], args)


if __name__ == "__main__":
    main()

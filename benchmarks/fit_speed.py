"""How long does the same fit take with sktae, with a bare PyTorch loop and with other libraries?

All train d-64-16-64-d with the same batches, epochs and optimizer on the same float32 table.
Libraries do what they always do around that: checks, scaling, scoring of the training rows. Those
that load rows one by one train on a share of the largest table, and are scaled up.
"""

from functools import partial

from contestants import FITS, NEEDS, ONE_BY_ONE
from timing import arguments, finish, installed, interleaved, rows_of, table

# rows, columns, batch size, epochs, share of the rows for those that load them one by one
SETTINGS = {
    "full": [
        (20_000, 30, 32, 4, 1),
        (20_000, 30, 256, 10, 1),
        (20_000, 30, 2048, 10, 1),
        (100_000, 100, 32, 1, 1),
        (100_000, 100, 256, 3, 1),
        (100_000, 100, 2048, 5, 1),
        (1_000_000, 30, 32, 1, 0.1),
        (1_000_000, 30, 256, 1, 0.1),
        (1_000_000, 30, 2048, 1, 0.1),
    ],
    "quick": [(20_000, 30, 256, 3, 1)],
    "tiny": [(500, 5, 64, 1, 0.5)],
}


def main():
    args = arguments(__doc__)
    fits = installed(FITS, NEEDS)
    rows = []
    for n_rows, n_features, batch_size, epochs, share in SETTINGS[args.size]:
        X = table(n_rows, n_features)
        for fit in fits.values():
            fit(X[: 4 * batch_size], batch_size, 1)  # imports and first calls
        shares = {name: share for name in fits if name in ONE_BY_ONE}
        runs = {
            name: partial(fit, X[: int(shares.get(name, 1) * n_rows)], batch_size, epochs)
            for name, fit in fits.items()
        }
        setting = f"{n_rows:,} x {n_features}, batch {batch_size}"
        laps = interleaved(runs, args.repeats)
        rows += rows_of(setting, laps, "bare loop", shares, epochs=epochs)
    finish(rows, args)


if __name__ == "__main__":
    main()

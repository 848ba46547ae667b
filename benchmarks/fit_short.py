"""How long does the default fit of a small table take, the first time in a process and after that?

500 steps on 2,000 rows, with the estimator's defaults, against a bare loop over the same network
and objective, which neither clips gradients nor moves the learning rate, nor scales or scores rows.
Every process imports everything before it times its first fit.
"""

import torch
from contestants import train
from timing import Lap, arguments, child, finish, lap, rows_of, served, table
from torch.nn.functional import mse_loss

from sktae import Autoencoder

# rows, columns, steps
SETTINGS = {"full": (2000, 20, 500), "quick": (2000, 20, 500), "tiny": (200, 5, 10)}
NAMES = ("bare loop", "sktae")
FITS = ("first", "second")


def bare_loop(model, X, steps):
    """Train the network of the estimator in a loop of one's own."""
    model.n_components_, model.hidden_layer_sizes_ = model.auto_components, (128,)
    network = model.network(X.shape[1:])

    def loss(batch):
        return mse_loss(network(batch).recon, batch)

    train(loss, network.parameters(), torch.from_numpy(X), model.batch_size, steps)


def worker(name, n_rows, n_features, steps):
    """Time the first and the second fit of this process."""
    X = table(n_rows, n_features)
    model = Autoencoder(max_steps=steps, device="cpu", random_state=0)
    runs = {"sktae": lambda: model.fit(X), "bare loop": lambda: bare_loop(model, X, steps)}
    return [lap(runs[name]) for _ in FITS]


def main():
    args = arguments(__doc__)
    if served(args, worker):
        return
    n_rows, n_features, steps = SETTINGS[args.size]
    laps = {fit: {name: [] for name in NAMES} for fit in FITS}
    for _ in range(args.repeats):
        for name in NAMES:
            task = {"n_rows": n_rows, "n_features": n_features, "steps": steps}
            found = child(args, worker, name=name, **task)
            for fit, each in zip(FITS, found, strict=True):
                laps[fit][name].append(Lap(*each))
    setting = f"{n_rows:,} x {n_features}, {steps} steps"
    rows = [
        row
        for fit in FITS
        for row in rows_of(f"{fit} fit of a process, {setting}", laps[fit], "bare loop")
    ]
    finish(rows, args)


if __name__ == "__main__":
    main()

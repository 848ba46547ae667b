"""Fits: the same in several libraries, each model of the gallery, and short ones."""

from functools import partial

import torch
from torch.nn.functional import mse_loss

from benchmarks._lib.cases import case, compare, table
from benchmarks._lib.contestants import FITS, ONE_BY_ONE, bare_twin, n_steps, sktae_fit, train
from benchmarks._lib.measure import alone, lap
from sktae import Autoencoder, all_estimators
from sktae._training.fit import Fit
from sktae._training.prepare import Prepared
from sktae._training.spec import resolve
from sktae.families.image import ImageMixin
from sktae.families.sequence import SequenceAutoencoder


@case(
    "The same fit in several libraries",
    full=[
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
    tiny=[(500, 5, 64, 1, 0.5)],
)
def fit(args, n_rows, n_features, batch_size, epochs, share):
    """How long does the same fit take with sktae, a bare PyTorch loop and other libraries?

    All train d-64-16-64-d with the same batches, epochs and optimizer on the same float32 table.
    Libraries do what they always do around that: checks, scaling, scoring of the training rows.
    Those that load rows one by one train on a share of the largest table, and are scaled up.
    """
    X = table(n_rows, n_features)
    for each in FITS.values():
        each(X[: 4 * batch_size], batch_size, 1)  # imports and first calls
    shares = dict.fromkeys(ONE_BY_ONE, share)
    runs = {
        name: partial(each, X[: int(shares.get(name, 1) * n_rows)], batch_size, epochs)
        for name, each in FITS.items()
    }
    setting = f"{n_rows:,} x {n_features}, batch {batch_size}"
    return compare(args, setting, runs, "bare loop", shares=shares, epochs=epochs)


@case(
    "Each model against its own loop",
    full=[(20_000, 30, 256, 10)],
    tiny=[(500, 20, 64, 1)],
)
def fit_gallery(args, n_rows, n_features, batch_size, epochs):
    """How long does each model of the gallery take, against a bare loop over its own network?

    The bare loop trains the same network on the same objective, with the noise that the network
    asks for drawn in the cheapest way. It neither scales the rows nor scores them. Models of
    sequences and images have cases of their own.
    """
    X = table(n_rows, n_features)
    steps = n_steps(n_rows, batch_size, epochs)
    for E in all_estimators():
        if issubclass(E, SequenceAutoencoder | ImageMixin):
            continue
        net = sktae_fit(X[: 4 * batch_size], batch_size, 1, E).net_
        runs = {
            "bare loop": partial(bare_twin, net.module_, net.criterion_, X, batch_size, steps),
            "sktae": partial(sktae_fit, X, batch_size, epochs, E),
        }
        setting = f"{E.__name__}, {n_rows:,} x {n_features}, batch {batch_size}"
        yield from compare(args, setting, runs, "bare loop", epochs=epochs)


@case(
    "The default fit of each model",
    full=[(10_000, 30, "auto")],
    tiny=[(200, 20, 2)],
)
def fit_defaults(args, n_rows, n_features, steps):
    """How long does the default fit of each model take, against a bare loop over its own network?

    Models of sequences take rows as sequences of one channel, those of images as images of height
    1. The bare loop takes as many steps on the same objective, with batches of the same size. It
    neither clips gradients nor moves the learning rate, nor scales or scores rows. There is no
    calibration, which fits to half of the rows a second time.
    """
    X = table(n_rows, n_features)
    for E in all_estimators():
        model = E(max_steps=steps, calibration=None, device="cpu", random_state=0)
        fit = Fit(model, Prepared(model, X, None, seed=0), seed=0)
        task = fit.steps.x.load().x.numpy(), fit.plan.batch_size, fit.steps.budget
        runs = {
            "bare loop": partial(bare_twin, fit.net.module_, fit.net.criterion_, *task),
            "sktae": partial(model.fit, X),
        }
        setting = f"{E.__name__}, {n_rows:,} x {n_features}, {fit.steps.budget} steps"
        yield from compare(args, setting, runs, "bare loop")


def default_loop(model, X, steps):
    """Train the network of an estimator in a loop of one's own."""
    network = model.network(resolve(model, model.inputs().fit(X)))

    def loss(batch):
        return mse_loss(network(batch).recon, batch)

    train(loss, network.parameters(), torch.from_numpy(X), model.batch_size, steps)


def default_fit(name, n_before, n_rows, n_features, steps):
    """Make the fit of a small table, after so many others in this process."""
    X = table(n_rows, n_features)
    model = Autoencoder(max_steps=steps, calibration=None, device="cpu", random_state=0)
    run = partial(model.fit, X) if name == "sktae" else partial(default_loop, model, X, steps)
    for _ in range(n_before):
        run()
    return run


@case(
    "The default fit of a small table",
    full=[("first", 0, 2000, 20, 500), ("second", 1, 2000, 20, 500)],
    tiny=[("second", 1, 200, 5, 10)],
)
def fit_short(args, which, n_before, n_rows, n_features, steps):
    """How long does the default fit of a small table take, the first in a process and the second?

    500 steps on 2,000 rows, with the estimator's defaults, against a bare loop over the same
    network and objective, which neither clips gradients nor moves the learning rate, nor scales or
    scores rows. Every process imports everything before it times its first fit.
    """
    task = n_before, n_rows, n_features, steps
    runs = {
        name: partial(alone, args, lap, default_fit, name, *task) for name in ("bare loop", "sktae")
    }
    setting = f"{which} fit of a process, {n_rows:,} x {n_features}, {steps} steps"
    return compare(args, setting, runs, "bare loop")

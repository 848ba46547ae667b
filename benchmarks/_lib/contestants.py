"""Who takes part: the same perceptron d-64-16-64-d, trained by five libraries, and bare loops."""

import copy
import warnings
from functools import partial
from itertools import islice

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn
from torch.nn.functional import mse_loss

from benchmarks._lib.results import PYOD
from sktae import Autoencoder, VariationalAutoencoder
from sktae._training.fit import Fit
from sktae._training.prepare import Prepared
from sktae.randomness import Neighbor, Partner

HIDDEN, CODE, RATE = 64, 16, 1e-3
# Who loads rows one by one: so slow that large tables are cut for them, and their times scaled up.
ONE_BY_ONE = ("skorch", "PyOD AutoEncoder", "PyOD VAE")


class Layers(nn.Sequential):
    """The network of all contestants."""

    def __init__(self, n_features, n_components=CODE):
        super().__init__(
            nn.Linear(n_features, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, n_components),
            nn.Linear(n_components, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, n_features),
        )


# -- bare loops ------------------------------------------------------------------------------------


def batches(x, batch_size):
    """Yield batches for ever, in a new order in each pass."""
    while True:
        for rows in torch.randperm(len(x), device=x.device).split(batch_size):
            yield x.index_select(0, rows)


def train(loss, parameters, x, batch_size, n_steps, learning_rate=RATE):
    """Minimize a loss as one would write it in PyTorch, without anything that costs time."""
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    for batch in islice(batches(x, batch_size), n_steps):
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()


def n_steps(n_rows, batch_size, epochs):
    return epochs * -(-n_rows // batch_size)


def bare_loop(X, batch_size, epochs, learning_rate=RATE, device="cpu"):
    """Train the network with the loop above."""
    network, x = Layers(X.shape[1]).to(device), torch.from_numpy(X).to(device)
    steps = n_steps(len(x), batch_size, epochs)
    train_plain(network, x, batch_size, steps, learning_rate)


def train_plain(network, x, *settings):
    """Train a network whose output is the reconstruction."""
    train(lambda batch: mse_loss(network(batch), batch), network.parameters(), x, *settings)


def bare_twin(network, objective, X, batch_size, steps):
    """Train a copy of an estimator's network on its objective with the loop above."""
    network, x = copy.deepcopy(network).train(), torch.from_numpy(X)

    def noise(draw, batch):
        """Draw in the cheapest way that torch has: by its global generator."""
        if isinstance(draw, Partner | Neighbor):
            return x.index_select(0, torch.randint(len(x), (len(batch),)))
        return draw.draw(None, len(batch))

    def loss(batch):
        drawn = [noise(draw, batch) for draw in network.noise]
        return sum(objective(network(batch, *drawn), batch).values()).mean()

    train(loss, network.parameters(), x, batch_size, steps)


def continued(model, X, steps):
    """Return what takes some more steps of one long fit, which has recorded its step before."""
    fit = Fit(model, Prepared(model, X, None, seed=0), seed=0)
    fit.steps.block = steps

    def run():
        fit.net.history.new_epoch()
        fit.net.run_single_epoch(fit.steps, True, "train", fit.net.train_step_single)
        return fit.net

    return run


# -- libraries -------------------------------------------------------------------------------------


def matched(batch_size, epochs):
    """Return what makes our estimators do the work of the others, and nothing else."""
    return {
        "hidden_layer_sizes": (HIDDEN,),
        "activation": "relu",
        "learning_rate": RATE,
        "schedule": "constant",
        "max_grad_norm": None,
        "max_steps": None,
        "max_epochs": epochs,
        "batch_size": batch_size,
        "calibration": None,
        "device": "cpu",
        "random_state": 0,
    }


def sktae_fit(X, batch_size, epochs, E=Autoencoder):
    return E(CODE, **matched(batch_size, epochs)).fit(X)


def skorch_net(n_features, batch_size, epochs):
    """Make skorch's net with its defaults, but neither log nor validation rows."""
    return NeuralNetRegressor(
        Layers,
        module__n_features=n_features,
        optimizer=torch.optim.Adam,
        lr=RATE,
        max_epochs=epochs,
        batch_size=batch_size,
        train_split=None,
        verbose=0,
        iterator_train__shuffle=True,
    )


def skorch_fit(X, batch_size, epochs):
    return skorch_net(X.shape[1], batch_size, epochs).fit(X, X)


def pyod_fit(X, batch_size, epochs):
    from pyod.models.auto_encoder import AutoEncoder

    sizes = {"hidden_neuron_list": [HIDDEN, CODE], "batch_norm": False}
    return AutoEncoder(**sizes, **_pyod(batch_size, epochs)).fit(X)


def pyod_vae_fit(X, batch_size, epochs):
    from pyod.models.vae import VAE

    sizes = {"encoder_neuron_list": [HIDDEN], "decoder_neuron_list": [HIDDEN], "latent_dim": CODE}
    return VAE(**sizes, **_pyod(batch_size, epochs)).fit(X)


def _pyod(batch_size, epochs):
    settings = {"lr": RATE, "dropout_rate": 0.0, "device": "cpu", "verbose": 0}
    return {"batch_size": batch_size, "epoch_num": epochs, **settings}


def mlp_fit(X, batch_size, epochs):
    model = MLPRegressor(
        hidden_layer_sizes=(HIDDEN, CODE, HIDDEN),
        alpha=0.0,
        batch_size=batch_size,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the budget is what is compared
        return model.fit(X, X)


FITS = {
    "bare loop": bare_loop,
    "sktae": sktae_fit,
    "MLPRegressor": mlp_fit,
    "skorch": skorch_fit,
    **({"PyOD AutoEncoder": pyod_fit} if PYOD else {}),
    "sktae VAE": partial(sktae_fit, E=VariationalAutoencoder),
    **({"PyOD VAE": pyod_vae_fit} if PYOD else {}),
}

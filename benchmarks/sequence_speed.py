"""How long does a step of training on sequences take, against the same model of torch's layers?

All Transformers have two blocks on either side of a code for the whole sequence, four heads, width
64 and patches of one step. Those of torch are trained by the bare loop. In one, the layers of the
decoder look at the code; in the other, which is more like ours, the code is widened to all steps
and goes through layers of an encoder again. Local attention looks 16 steps far. The second table
compares other models of sequences: recurrent ones with 64 units, torch's GRU among them, in the
bare loop; four convolutions with 32 filters; a linear recursion with an encoder of 64 units.
"""

from functools import partial

import numpy as np
import torch
from contestants import CODE, continued, matched, train
from timing import arguments, finish, interleaved, rows_of
from torch import nn
from torch.nn.functional import mse_loss

from sktae import (
    AutoregressiveAutoencoder,
    ConvolutionalSequenceAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
)
from sktae.nn.attention import sinusoidal

WIDTH, HEADS, BLOCKS = 64, 4, 2
# length, batch size, steps of training in a lap
SETTINGS = {
    "full": [(64, 32, 20), (256, 8, 12), (512, 4, 8), (2048, 2, 3)],
    "quick": [(64, 32, 20), (512, 4, 8)],
    "tiny": [(24, 4, 1)],
}
# To record a recurrence of more steps takes longer than all laps.
LONGEST_RECURRENCE = 512


def sequences(n, length):
    rng = np.random.default_rng(0)
    phase, rate = rng.uniform(0, 6, (n, 1)), rng.uniform(0.05, 0.5, (n, 1))
    return (np.sin(phase + rate * np.arange(length)) + 0.1 * rng.normal(size=(n, length))).astype(
        np.float32
    )


# -- torch's layers --------------------------------------------------------------------------------


class Blocks(nn.Module):
    """An autoencoder made of what torch has for Transformers."""

    def __init__(self, length, crossed):
        super().__init__()
        self.length, self.crossed = length, crossed
        settings = {"dim_feedforward": 2 * WIDTH, "dropout": 0.0, "norm_first": True}
        encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True, **settings)
        decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, batch_first=True, **settings)
        blocks = partial(nn.TransformerEncoder, enable_nested_tensor=False)
        self.register_buffer("positions", sinusoidal(length, WIDTH))
        self.embedding, self.readout = nn.Linear(1, WIDTH), nn.Linear(WIDTH, 1)
        self.encoder = blocks(encoder, BLOCKS, nn.LayerNorm(WIDTH))
        self.squeeze = nn.Linear(length * WIDTH, CODE)
        self.widen = nn.Linear(CODE, WIDTH if crossed else length * WIDTH)
        self.decoder = (
            nn.TransformerDecoder(decoder, BLOCKS, nn.LayerNorm(WIDTH))
            if crossed
            else blocks(encoder, BLOCKS, nn.LayerNorm(WIDTH))
        )

    def forward(self, x):
        h = self.encoder(self.embedding(x[..., None]) + self.positions)
        told = self.widen(self.squeeze(h.flatten(1))).unflatten(1, (-1, WIDTH))
        if self.crossed:
            h = self.decoder(self.positions.expand(len(x), -1, -1), told)
        else:
            h = self.decoder(told + self.positions)
        return self.readout(h).squeeze(-1)


class Recurrence(nn.Module):
    """The same for recurrent layers."""

    def __init__(self, length):
        super().__init__()
        self.length = length
        self.embedding, self.readout = nn.Linear(1, WIDTH), nn.Linear(WIDTH, 1)
        self.encoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.squeeze = nn.Linear(WIDTH, CODE)
        self.decoder = nn.GRU(CODE, WIDTH, batch_first=True)

    def forward(self, x):
        code = self.squeeze(self.encoder(self.embedding(x[..., None]))[0][:, -1])
        told = code[:, None].expand(-1, self.length, -1)
        return self.readout(self.decoder(told)[0]).squeeze(-1)


def bare(network, X, batch_size, steps):
    """Return what takes some steps of the bare loop."""

    def loss(batch):
        return mse_loss(network(batch), batch)

    return partial(train, loss, list(network.parameters()), torch.from_numpy(X), batch_size, steps)


# -- ours ------------------------------------------------------------------------------------------


def ours(E, X, batch_size, steps, **params):
    settings = {**matched(batch_size, None), "hidden_layer_sizes": "auto", "max_steps": 10**6}
    return continued(E(CODE, **{**settings, **params}), X, steps)


def main():
    args = arguments(__doc__)
    rows = []
    for length, batch_size, steps in SETTINGS[args.size]:
        job = sequences(8 * batch_size, length), batch_size, steps
        single = {"patch_size": 1}
        transformer = {"hidden_layer_sizes": (WIDTH,) * BLOCKS, "n_heads": HEADS, **single}
        local = {"attention": "local", "reach": 16}
        recurrent = length <= LONGEST_RECURRENCE
        runs = {
            "torch, encoder and decoder": bare(Blocks(length, crossed=True), *job),
            "torch, encoder twice": bare(Blocks(length, crossed=False), *job),
            "sktae": ours(TransformerAutoencoder, *job, **transformer),
            "local attention": ours(TransformerAutoencoder, *job, **transformer, **local),
            "convolutional": ours(ConvolutionalSequenceAutoencoder, *job, **single),
            "autoregressive": ours(AutoregressiveAutoencoder, *job, hidden_layer_sizes=(WIDTH,)),
        }
        if recurrent:
            runs["recurrent"] = ours(RecurrentAutoencoder, *job, **single)
            runs["torch's GRU"] = bare(Recurrence(length), *job)
        for run in runs.values():
            run()
        laps = interleaved(runs, args.repeats)
        laps = {
            name: [each._replace(wall=each.wall / steps, cpu=each.cpu / steps) for each in own]
            for name, own in laps.items()
        }
        setting = f"{length:,} steps, batch {batch_size}"
        first = [name for name in laps if name.startswith("torch,") or name == "sktae"]
        rows += rows_of(setting, {name: laps[name] for name in first}, first[0])
        others = {name: own for name, own in laps.items() if name not in first}
        rows += rows_of(setting, {"full attention": laps["sktae"], **others}, "full attention")
    finish(rows, args)


if __name__ == "__main__":
    main()

"""Sequences: steps of training."""

from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks._lib.cases import case, compare
from benchmarks._lib.contestants import CODE, continued, matched, train_plain
from sktae import (
    AutoregressiveAutoencoder,
    ConvolutionalSequenceAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
)
from sktae.nn.attention import sinusoidal

WIDTH, HEADS, BLOCKS = 64, 4, 2
# To record a recurrence of more steps takes longer than all laps.
LONGEST_RECURRENCE = 512


def waves(n, length):
    rng = np.random.default_rng(0)
    phase, rate = rng.uniform(0, 6, (n, 1)), rng.uniform(0.05, 0.5, (n, 1))
    noise = 0.1 * rng.normal(size=(n, length))
    return (np.sin(phase + rate * np.arange(length)) + noise).astype(np.float32)


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
        code = self.widen(self.squeeze(h.flatten(1))).unflatten(1, (-1, WIDTH))
        if self.crossed:
            h = self.decoder(self.positions.expand(len(x), -1, -1), code)
        else:
            h = self.decoder(code + self.positions)
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
        code = code[:, None].expand(-1, self.length, -1)
        return self.readout(self.decoder(code)[0]).squeeze(-1)


# -- the case --------------------------------------------------------------------------------------


@case(
    "Sequences",
    full=[(64, 32, 20), (256, 8, 12), (512, 4, 8), (2048, 2, 3), (4096, 1, 2)],
    tiny=[(24, 4, 1)],
)
def sequences(args, length, batch_size, steps):
    """How long does a step of training on sequences take, against the same model of torch's layers?

    All Transformers have two blocks on either side of a code for the whole sequence, four heads,
    width 64 and patches of one step. Those of torch are trained by the bare loop. In one, the
    layers of the decoder look at the code; in the other, which is more like ours, the code is
    widened to all steps and goes through layers of an encoder again. Local attention looks 16 steps
    far, and low-rank attention has 32 sums. The second table compares other models of sequences:
    recurrent ones with 64 units, torch's GRU among them, in the bare loop; four convolutions with
    32 filters; a linear recursion with an encoder of 64 units.
    """
    X = waves(8 * batch_size, length)

    def bare(network):
        return partial(train_plain, network, torch.from_numpy(X), batch_size, steps)

    def ours(E, **params):
        settings = {**matched(batch_size, None), "hidden_layer_sizes": "auto", "max_steps": 10**6}
        return continued(E(CODE, **{**settings, **params}), X, steps)

    single = {"patch_size": 1}
    transformer = {"hidden_layer_sizes": (WIDTH,) * BLOCKS, "n_heads": HEADS, **single}
    full = ours(TransformerAutoencoder, **transformer)
    local = {"attention": "local", "reach": 16}
    transformers = {
        "torch, encoder and decoder": bare(Blocks(length, crossed=True)),
        "torch, encoder twice": bare(Blocks(length, crossed=False)),
        "sktae": full,
    }
    others = {
        "full attention": full,
        "local attention": ours(TransformerAutoencoder, **transformer, **local),
        "linear attention": ours(TransformerAutoencoder, **transformer, attention="linear"),
        "low-rank attention": ours(TransformerAutoencoder, **transformer, attention="low_rank"),
        "convolutional": ours(ConvolutionalSequenceAutoencoder, **single),
        "autoregressive": ours(AutoregressiveAutoencoder, hidden_layer_sizes=(WIDTH,), **single),
    }
    if length <= LONGEST_RECURRENCE:
        others["recurrent"] = ours(RecurrentAutoencoder, **single)
        others["torch's GRU"] = bare(Recurrence(length))
    for runs in (transformers, others):
        for run in runs.values():
            run()
        setting = f"{length:,} steps, batch {batch_size}"
        yield from compare(args, setting, runs, next(iter(runs)), calls=steps)

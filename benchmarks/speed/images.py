"""Images: steps of training, and scores."""

from functools import partial

import numpy as np

from benchmarks._lib.cases import case, compare
from benchmarks._lib.contestants import bare_twin, continued
from benchmarks._lib.measure import alone, memory_peak
from sktae import (
    ConvolutionalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    VisionTransformerAutoencoder,
)

# As in the code of papers.
PAPER = {
    "activation": ("leaky_relu", 0.2),
    "norm": "batch",
    "residual_blocks": False,
    "upsampling": "bilinear",
    "output_activation": "tanh",
    "standardize": False,
    "noise_scale": 0.5**0.5,
    "beta": 0.1,
    "schedule": "one_cycle",
    "weight_decay": 1e-4,
}


def of_patches(code_channels=None, **settings):
    """Make a vision transformer, whose map has a place for each patch."""
    if code_channels is not None:
        settings |= {"n_components": code_channels, "bottleneck": "patches"}
    return VisionTransformerAutoencoder(**settings)


MODELS = {
    "plain": ConvolutionalAutoencoder,
    "variational": ConvolutionalVariationalAutoencoder,
    "as in papers": partial(ConvolutionalVariationalAutoencoder, **PAPER),
    "patches": of_patches,
}


def noise(n, shape):
    return np.random.default_rng(0).random((n, *shape), dtype=np.float32)


def made(kind, code, batch_size, steps):
    return MODELS[kind](**code, batch_size=batch_size, max_steps=steps, random_state=0)


def image_fit(kind, code, batch_size, steps, n, shape):
    return partial(made(kind, code, batch_size, steps).fit, noise(n, shape))


@case(
    "Images",
    threads=2,
    full=[
        (kind, code, shape, *sizes)
        for code, shape, *sizes in (
            ({"n_components": 32}, (1, 28, 28), 512, 128, 20),
            ({"n_components": 32}, (3, 64, 64), 512, 32, 20),
            ({"code_channels": 4}, (3, 512, 512), 2, 1, 4),
        )
        for kind in MODELS
    ],
    tiny=[("variational", {"n_components": 2}, (1, 8, 8), 16, 8, 1)],
)
def images(args, kind, code, shape, n, batch_size, steps):
    """How long does a step of training on images take, and how many images are scored in a second?

    The bare loop trains the same network on the same objective. Times are those of a step, or of an
    image that is scored. "As in papers" is a variational autoencoder of convolutions, batch norms
    and leaky ReLUs, with bilinear upsampling, trained by one cycle. "Patches" is a vision
    transformer of 4 x 4 patches, or of 32 x 32 in the largest images. The memory is the most that a
    process holds which does nothing but these steps with sktae, torch and images included.
    """
    X, what = noise(n, shape), f"{' x '.join(map(str, shape))}, {kind}"
    memory = {"sktae": alone(args, memory_peak, image_fit, kind, code, batch_size, steps, n, shape)}
    fitted = made(kind, code, batch_size, 1).fit(X[:batch_size])
    net = fitted.net_
    runs = {
        "bare loop": partial(bare_twin, net.module_, net.criterion_, X, batch_size, steps),
        "sktae": continued(made(kind, code, batch_size, 10**6), X, steps),
    }
    for run in runs.values():
        run()
    setting = f"{what}: a step of {batch_size}"
    yield from compare(args, setting, runs, "bare loop", calls=steps, memory=memory)
    runs = {"sktae": partial(fitted.score_samples, X)}
    yield from compare(args, f"{what}: a score", runs, "sktae", calls=n, memory=memory)

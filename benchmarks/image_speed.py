"""How long does a step of training on images take, and how many images are scored in a second?

The bare loop trains the same network on the same objective. Times are those of a step, or of an
image that is scored. The memory is the most that a process holds which does nothing but these
steps, torch and images included.
"""

import resource
from functools import partial

import numpy as np
from contestants import bare_twin, continued
from timing import Lap, arguments, child, finish, interleaved, rows_of, served

from sktae import ConvolutionalAutoencoder, ConvolutionalVariationalAutoencoder

# channels, height and width; images; batch size; steps; what makes the code
SETTINGS = {
    "full": [
        ((1, 28, 28), 512, 128, 20, {"n_components": 32}),
        ((3, 64, 64), 512, 32, 20, {"n_components": 32}),
        ((3, 512, 512), 2, 1, 4, {"code_channels": 4}),
    ],
    "quick": [((3, 64, 64), 512, 32, 20, {"n_components": 32})],
    "tiny": [((1, 8, 8), 16, 8, 1, {"n_components": 2})],
}
MODELS = {
    "plain": ConvolutionalAutoencoder,
    "variational": ConvolutionalVariationalAutoencoder,
}


def images(n, shape):
    return np.random.default_rng(0).random((n, *shape), dtype=np.float32)


def made(name, batch_size, steps, code):
    return MODELS[name](**code, batch_size=batch_size, max_steps=steps, random_state=0)


def megabytes(name, shape, n, batch_size, steps, code):
    """Fit a model, and return what the process held at most."""
    made(name, batch_size, steps, code).fit(images(n, shape))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def each(laps, n):
    """Divide times by the number of steps or images."""
    return {
        name: [Lap(one.wall / n, one.cpu / n, one.road) for one in own]
        for name, own in laps.items()
    }


def main():
    args = arguments(__doc__, threads=2)
    if served(args, megabytes):
        return
    rows = []
    for shape, n, batch_size, steps, code in SETTINGS[args.size]:
        X, task = images(n, shape), {"batch_size": batch_size, "code": code}
        for name in MODELS:
            fitted = made(name, steps=1, **task).fit(X[:batch_size])
            loop = fitted.net_.module_, fitted.net_.criterion_, X, batch_size, steps
            runs = {
                "bare loop": partial(bare_twin, *loop),
                "sktae": continued(made(name, steps=10**6, **task), X, steps),
            }
            for run in runs.values():
                run()
            held = child(args, megabytes, name=name, shape=shape, n=n, steps=steps, **task)
            what = f"{' x '.join(map(str, shape))}, {name}"
            laps = each(interleaved(runs, args.repeats), steps)
            rows += rows_of(f"{what}: a step of {batch_size}", laps, "bare loop", memory_mb=held)
            laps = {"sktae": partial(fitted.score_samples, X)}
            laps = each(interleaved(laps, args.repeats), n)
            rows += rows_of(f"{what}: a score", laps, "sktae", memory_mb=held)
    finish(rows, args)


if __name__ == "__main__":
    main()

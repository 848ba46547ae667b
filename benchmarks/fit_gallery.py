"""How long does each model of the gallery take, against a bare loop over its own network?

The bare loop trains the same network on the same objective, with the noise that the network asks
for drawn in the cheapest way. It neither scales the rows nor scores them.
"""

from functools import partial

from contestants import CODE, bare_twin, matched, n_steps
from timing import arguments, finish, interleaved, rows_of, table

from sktae import all_estimators
from sktae.families.image import ImageMixin
from sktae.families.sequence import SequenceAutoencoder

# rows, columns, batch size, epochs
SETTINGS = {
    "full": (20_000, 30, 256, 10),
    "quick": (20_000, 30, 256, 2),
    "tiny": (500, 20, 64, 1),
}


def main():
    args = arguments(__doc__)
    n_rows, n_features, batch_size, epochs = SETTINGS[args.size]
    X = table(n_rows, n_features)
    steps = n_steps(n_rows, batch_size, epochs)
    rows = []
    # Those of sequences and images are in sequence_speed.py and image_speed.py.
    for E in (E for E in all_estimators() if not issubclass(E, SequenceAutoencoder | ImageMixin)):
        model = E(CODE, **matched(batch_size, epochs))
        net = E(CODE, **matched(batch_size, 1)).fit(X[: 4 * batch_size]).net_
        runs = {
            "bare loop": partial(bare_twin, net.module_, net.criterion_, X, batch_size, steps),
            "sktae": partial(model.fit, X),
        }
        setting = f"{E.__name__}, {n_rows:,} x {n_features}, batch {batch_size}"
        rows += rows_of(setting, interleaved(runs, args.repeats), "bare loop", epochs=epochs)
    finish(rows, args)


if __name__ == "__main__":
    main()

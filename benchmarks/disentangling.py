"""Does the penalty on dependence tell causes apart, at no worse images than a larger beta?

Images of 16 x 16 pixels show a spot, made from three independent causes of ten levels each: its
place in two directions, and its size. Models learn 3000 of them with six components. The mutual
information gap says how much more of a cause one component tells than any other, over all there is
to tell; R² is the share of variance that comes back, in percent. Both are means over five seeds,
each with images of its own, with their standard deviations.
"""

import numpy as np
import pandas as pd
from timing import arguments, machine

from sktae import DisentangledAutoencoder, VariationalAutoencoder
from sktae.metrics import mutual_information_gap

MODELS = {
    **{f"VariationalAutoencoder, beta={b}": (VariationalAutoencoder, b) for b in (1, 2, 4, 6)},
    **{f"DisentangledAutoencoder, beta={b}": (DisentangledAutoencoder, b) for b in (2, 4, 6)},
}
STEPS = {"full": 1500, "quick": 500, "tiny": 2}


def spots(seed):
    """Draw causes, and what they make."""
    causes = np.random.default_rng(seed).integers(0, 10, size=(3000, 3))
    x, y, size = causes.T[:, :, np.newaxis, np.newaxis]
    grid = np.arange(16)
    away = (grid - 3 - x) ** 2 + (grid[:, np.newaxis] - 3 - y) ** 2
    return causes, np.exp(-away / (2 * (1 + size / 4) ** 2)).reshape(len(causes), -1)


def rows(args):
    for seed in range(args.repeats):
        causes, X = spots(seed)
        for name, (E, beta) in MODELS.items():
            model = E(
                6,
                beta=beta,
                likelihood="bernoulli",
                learning_rate=0.005,
                max_steps=STEPS[args.size],
                random_state=seed,
            ).fit(X)
            gap = mutual_information_gap(causes, model.transform(X))
            yield {"model": name, "seed": seed, "gap": gap, "r2": 100 * model.score(X)}


def main():
    args = arguments(__doc__.splitlines()[0])
    frame = pd.DataFrame(rows(args)).assign(threads=args.threads, **machine())
    args.output.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(args.output, index=False, float_format="%.6g")
    print(
        frame.groupby("model", sort=False)[["gap", "r2"]].agg(["mean", "std"]).round(3).to_string()
    )
    print(f"Written to {args.output}.")


if __name__ == "__main__":
    main()

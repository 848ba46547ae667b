"""How many new normal rows does a detector label as outliers, if 1 % are asked for?

On the normal rows of the 22 sets of the benchmark on tables, in the protocol *clean*, setting
*semi*, and of the first 20 sets of OddBench and OvRBench, if their folder is beside. At most 5,000
rows are learnt from, and as many judged. Detectors have the parameters they come with, but for
`calibration`: *cross* is the default, *held out* a fifth of the rows, and with *training rows*
there is none, so that the threshold is that which 1 % of the rows of the fit do not reach. These
are denoising autoencoders; the masked autoencoder and scikit-learn's isolation forest are as they
come, but that the latter is asked for the same 1 % by `contamination`. No share below 1 / (n + 1)
can be asked for, with n rows to compare with, so on sets of fewer than 99 rows more is expected.
Numbers are of one seed.
"""

import time
from functools import partial

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from benchmarks._lib.tables import circumstances, markdown, seconds
from benchmarks.quality import tabular
from sktae import DenoisingAutoencoder, MaskedAutoencoder

TITLE = "How often an alarm is false"
DATA, SEEDS = tabular.DATA, 1
KEYS = ["set", "detector", "seed"]
RATE, MOST_ROWS, MOST_SETS, SMALL = 0.01, 5_000, 20, 1_000
CONTESTANTS = {
    "training rows": partial(DenoisingAutoencoder, calibration=None),
    "held out": partial(DenoisingAutoencoder, calibration=0.2),
    "cross": DenoisingAutoencoder,
    "MaskedAutoencoder": MaskedAutoencoder,
    "IsolationForest": partial(IsolationForest, contamination=RATE),
}


def normal_rows(path, seed):
    """Return the rows to learn from and new ones, all of them normal."""
    with np.load(path) as table:
        if "train" in table:
            train, new = table["train"], table["test"][table["y"] == 0]
        else:
            part = tabular.split(table["X"], table["y"], "clean", "semi", seed)
            train, new = part.train, part.test[part.labels == 0]
    rng = np.random.default_rng(seed)
    return [rows[rng.permutation(len(rows))[:MOST_ROWS]].astype(float) for rows in (train, new)]


def measured(path, detectors, seed, size):
    """Fit detectors to normal rows, and count the new ones that are labeled as outliers."""
    (train, new), found = normal_rows(path, seed), []
    for detector in detectors:
        model = CONTESTANTS[detector](random_state=seed)
        if size == "tiny" and detector != "IsolationForest":
            model.set_params(max_steps=4)
        begin = time.perf_counter()
        model.fit(train)
        fit_seconds = time.perf_counter() - begin
        flagged = [100 * np.mean(model.predict(rows) == -1) for rows in (new, train)]
        key = dict(zip(KEYS, (path.stem, detector, seed), strict=True))
        size_of = {"n_rows": len(train), "n_columns": train.shape[1], "n_new": len(new)}
        shares = {"flagged": flagged[0], "flagged_training": flagged[1]}
        found.append({**key, **size_of, **shares, "fit_seconds": fit_seconds})
    return found


def sets(args):
    others = sorted(args.data.parent.glob("oneclass/*.npz"))[:MOST_SETS]
    for path in [*sorted(args.data.glob("*.npz")), *others]:
        if not args.sets or any(part in path.stem for part in args.sets):
            task = path, args.only
            fits = [partial(measured, *task, seed, args.size) for seed in range(args.repeats)]
            yield path.stem, fits, ()


def tables(frame):
    base, rows = frame[frame.detector == "training rows"].set_index("set").fit_seconds, {}
    for detector in [name for name in CONTESTANTS if name in set(frame.detector)]:
        own = frame[frame.detector == detector].set_index("set")
        small = own[own.n_rows < SMALL]
        rows[detector] = {
            "New rows, mean": f"{own.flagged.mean():.2f} %",
            "median set": f"{own.flagged.median():.2f} %",
            "largest": f"{own.flagged.max():.1f} %",
            f"sets below {SMALL:,} rows": f"{small.flagged.mean():.2f} %",
            "Training rows, mean": f"{own.flagged_training.mean():.2f} %",
            "Fit": seconds(own.fit_seconds.median()),
            "Ratio of times": f"{(own.fit_seconds / base).median():.2f}",
        }
    yield markdown(pd.DataFrame(rows).T)
    yield circumstances(frame)

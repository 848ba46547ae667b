"""How well do detectors that learn from normal rows find anomalies in 120 other tables?

The tables are of macrOData (2026), 80 of its OddBench and 40 of its OvRBench: most have few
columns, and many of these hold whole numbers that stand for categories. They were chosen by size,
and by whether there is something to find: at least 20 anomalies, on which a forest that is given
labels reaches an AUROC of 75. Detectors learn from at most 10,000 normal rows and judge at most
20,000 others, drawn at random, with the parameters that they come with. Labels serve the measures
only: AUROC and average precision (AP), in percent. Autoencoders appear once with `training_data`
*given*, and once as they are; they scale columns themselves, and for the others, columns are
standardized by the training rows. *Without a network*, the measures of the same score are taken of
the rows themselves. The ensemble has four denoising autoencoders. PyOD has no extended isolation
forest, so it is missing here. Numbers are of one seed.
"""

from functools import partial

import numpy as np

from benchmarks._lib.results import PYOD
from benchmarks._lib.tables import circumstances
from benchmarks.quality import tabular
from benchmarks.quality.summaries import of_tables
from benchmarks.quality.tabular import GALLERY, MOST_JUDGED, MOST_TRAINED, Split, of_detectors, pyod

TITLE = "Detection quality after training on normal rows"
DATA = (
    "folder of NAME.npz with train (normal rows), test and y (1 is an anomaly), as made from "
    "OddBench and OvRBench of macrOData (2026), which state no license."
)
KEYS, SEEDS = ["set", "detector", "training_data", "seed"], 1
SHARED = (
    "MaskedAutoencoder",
    "DenoisingAutoencoder",
    "Autoencoder",
    "AutoencoderEnsemble",
    "Without a network",
    "IsolationForest",
    "LOF",
    "OCSVM",
    "ECOD",
    "kNN largest",
    "kNN mean",
    "PCA",
)
CONTESTANTS = {name: tabular.CONTESTANTS[name] for name in SHARED if name in tabular.CONTESTANTS}
if PYOD:
    CONTESTANTS |= {
        "COPOD": lambda seed: pyod("copod.COPOD"),
        "HBOS": lambda seed: pyod("hbos.HBOS"),
        "DIF": lambda seed: pyod("dif.DIF", random_state=seed, device="cpu"),
        "LUNAR": lambda seed: pyod("lunar.LUNAR", random_state=seed),
    }


def drawn(path, seed):
    """Return the rows to learn from and those to judge."""
    with np.load(path) as table:
        train, test, y = table["train"].astype(float), table["test"].astype(float), table["y"]
    rng = np.random.default_rng(seed)
    train = train[rng.permutation(len(train))[:MOST_TRAINED]]
    judged = rng.permutation(len(test))[:MOST_JUDGED]
    return Split(train, test[judged], y[judged].astype(int), train)


def measured(path, key, make):
    part = drawn(path, key["seed"])
    return [{**key, **tabular.judged(part, make, scale=not key["training_data"])}]


def fits(args, path):
    small = {"max_steps": 2} if args.size == "tiny" else {}
    for detector in args.only:
        given = {"given": "clean", "unknown": "unknown"} if detector in GALLERY else {"": None}
        for label, training_data in given.items():
            for seed in range(args.repeats):
                key = dict(zip(KEYS, (path.stem, detector, label, seed), strict=True))
                settings = {"training_data": training_data, "random_state": seed, **small}
                make = partial(CONTESTANTS[detector], **(settings if label else {"seed": seed}))
                yield partial(measured, path, key, make)


def sets(args):
    for path in sorted(args.data.glob("*.npz")):
        if not args.sets or any(part in path.stem for part in args.sets):
            yield path.stem, fits(args, path), ()


def tables(frame):
    found = of_tables(frame.assign(protocol="", setting=""))
    yield from of_detectors(found, frame)
    yield circumstances(frame)

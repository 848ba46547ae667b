"""How well do detectors find the anomalies of 22 real tables?

All have the parameters they come with. In the setting *semi* they learn from half of the normal
rows and judge the rest and all anomalies; in *unsup* they learn from and judge rows of both sorts.
Labels serve the measures only, which are the area under the ROC curve (AUROC) and the average
precision (AP), both in percent. Autoencoders of this project appear twice: once as they are, and
once with `training_data` *given*, which says whether anomalies are among the training rows. They
scale columns themselves; for the others, columns are standardized. The ensemble has four denoising
ones. *Without a network*, the measures of the same score are taken of the rows themselves: what
autoencoders find beyond it is due to what they have learned.

The protocol *dte* is that of the table of 26 detectors published with "On Diffusion Modeling for
Anomaly Detection" (ICLR 2024), so places can be compared: sets below 1,000 rows are resampled to
1,000 before the split, which puts copies of training rows among those to be judged and flatters
detectors that memorize, and *unsup* learns from a bootstrap. The protocol *clean* does neither, so
*semi* is the same there for sets of 1,000 rows or more. In both, sets above 50,000 rows are cut to
50,000. Unlike in the published table, at most 10,000 rows are learnt from and at most 20,000
judged, drawn at random.

Numbers are means over three seeds, which also decide the splits. PyOD's two networks are slow and
have one seed. The published numbers, which are means over five seeds, are quoted and were not
measured here. The defaults of this project were chosen on exactly these 22 sets, and checked on
others: take what is written here as the best case, above all against detectors that were not tuned.
"""

import time
from functools import partial
from importlib import import_module
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from benchmarks._lib.no_network import NoNetwork
from benchmarks._lib.results import PYOD, published
from benchmarks._lib.tables import circumstances, markdown, pairs, seconds
from benchmarks.quality.summaries import PUBLISHED, critical_difference, of_tables
from sktae import AutoencoderEnsemble, DenoisingAutoencoder, all_estimators

TITLE = "Detection quality on tables"
DATA = (
    "folder of NAME.npz with X and y (1 is an anomaly) and published_auroc_{semi,unsup}.csv; the "
    "originals are in the repository Minqi824/ADBench on GitHub, adbench/datasets/Classical "
    "(BSD-2), and the tables of 'On Diffusion Modeling for Anomaly Detection' (ICLR 2024)."
)
PROTOCOLS = ("dte", "clean")
SETTINGS = {"semi": "clean", "unsup": "contaminated"}  # and what training_data are
FEWEST, MOST, MOST_TRAINED, MOST_JUDGED = 1_000, 50_000, 10_000, 20_000
KEYS, SEEDS = ["protocol", "setting", "set", "detector", "training_data", "seed"], 3


# -- detectors -------------------------------------------------------------------------------------


def ensemble(random_state, **settings):
    member = DenoisingAutoencoder(**settings)
    return AutoencoderEnsemble(member, n_estimators=4, random_state=random_state)


def pyod(path, **settings):
    """Make a detector of PyOD, which is imported only where it takes part."""
    module, name = path.split(".")
    return getattr(import_module(f"pyod.models.{module}"), name)(**settings)


# What is called with training_data and random_state, and what is called with a seed.
GALLERY = {
    **{Estimator.__name__: Estimator for Estimator in all_estimators()},
    "AutoencoderEnsemble": ensemble,
    "Without a network": partial(NoNetwork, max_steps=1),
}
PEERS = {
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "LOF": lambda seed: LocalOutlierFactor(novelty=True),
    "OCSVM": lambda seed: OneClassSVM(),
}
SLOW = ("PyOD AutoEncoder", "PyOD VAE")
if PYOD:
    network = {"device": "cpu", "verbose": 0}
    PEERS |= {
        # Its scores are infinite if it keeps directions in which nothing varies.
        "PCA": lambda seed: pyod("pca.PCA", n_components=1 - 1e-9, random_state=seed),
        "kNN largest": lambda seed: pyod("knn.KNN", method="largest"),
        "kNN mean": lambda seed: pyod("knn.KNN", method="mean"),
        "ECOD": lambda seed: pyod("ecod.ECOD"),
        "PyOD AutoEncoder": lambda seed: pyod(
            "auto_encoder.AutoEncoder", random_state=seed, **network
        ),
        "PyOD VAE": lambda seed: pyod("vae.VAE", random_state=seed, **network),
    }
CONTESTANTS = GALLERY | PEERS


def anomaly(model, X):
    """Return larger numbers for more unusual rows; PyOD's sign is not scikit-learn's."""
    if type(model).__module__.startswith("pyod."):
        return model.decision_function(X)
    return -model.score_samples(X)


# -- one fit ---------------------------------------------------------------------------------------


class Split(NamedTuple):
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray  # of the test rows
    scaled_by: np.ndarray  # rows that say how the peers' are standardized


def split(X, y, protocol, setting, seed):
    """Draw the rows to learn from and those to judge."""
    rng = np.random.default_rng(seed)
    if protocol == "dte" and len(X) < FEWEST:
        rows = rng.choice(len(X), FEWEST)
        X, y = X[rows], y[rows]
    if len(X) > MOST:
        rows = rng.choice(len(X), MOST, replace=False)
        X, y = X[rows], y[rows]
    if setting == "semi":
        normal = rng.permutation(np.flatnonzero(y == 0))
        half = len(normal) // 2
        train, test = normal[:half], np.append(normal[half:], np.flatnonzero(y == 1))
    else:
        train = rng.choice(len(X), len(X)) if protocol == "dte" else np.arange(len(X))
        test = np.arange(len(X))
    if len(train) > MOST_TRAINED:
        train = rng.choice(train, MOST_TRAINED, replace=False)
    if len(test) > MOST_JUDGED:
        test = rng.choice(test, MOST_JUDGED, replace=False)
    return Split(X[train], X[test], y[test], X[train] if setting == "semi" else X)


def measured(X, y, protocols, key, make):
    """Fit a detector, have it judge, and compare with the labels; return a row a protocol."""
    part = split(X, y, key["protocol"], key["setting"], key["seed"])
    row = {**key, **judged(part, make, scale=not key["training_data"])}
    return [{**row, "protocol": protocol} for protocol in protocols]


def judged(part, make, scale):
    """Fit a detector, for which columns are standardized or not; return what is measured."""
    train, test = part.train, part.test
    if scale:
        scaler = StandardScaler().fit(part.scaled_by)
        train, test = scaler.transform(train), scaler.transform(test)
    model = make()
    begin = time.perf_counter()
    model.fit(train)
    fitted = time.perf_counter()
    found = anomaly(model, test)
    done = time.perf_counter()
    return {
        "auroc": 100 * roc_auc_score(part.labels, found),
        "ap": 100 * average_precision_score(part.labels, found),
        "fit_seconds": fitted - begin,
        "score_seconds": done - fitted,
    }


# -- all of them -----------------------------------------------------------------------------------


def fits(args, detectors, name, X, y):
    """Yield what is to be done on a set; what is the same in both protocols is done once."""
    small = {"max_steps": 2} if args.size == "tiny" else {}
    for (setting, truth), detector in product(SETTINGS.items(), args.only):
        is_same = setting == "semi" and len(X) >= FEWEST
        given = {"": None} if detector in PEERS else {"given": truth, "unknown": "unknown"}
        seeds = range(1 if detector in SLOW else args.repeats)
        protocols = [PROTOCOLS] if is_same else [[protocol] for protocol in PROTOCOLS]
        for same, label, seed in product(protocols, given, seeds):
            key = dict(zip(KEYS, (same[0], setting, name, detector, label, seed), strict=True))
            settings = {"training_data": given[label], "random_state": seed, **small}
            make = partial(detectors[detector], **(settings if label else {"seed": seed}))
            yield partial(measured, X, y, same, key, make)


def sets(args, detectors=CONTESTANTS):
    for path in sorted(args.data.glob("*.npz")):
        name = path.stem
        if args.sets and not any(part in name for part in args.sets):
            continue
        with np.load(path) as table:
            X, y = table["X"].astype(float), table["y"].astype(int)
        key = {"protocol": "dte", "training_data": PUBLISHED}
        quoted = [
            row
            for setting in SETTINGS
            for row in published(
                args.data / f"published_auroc_{setting}.csv", name, "auroc", setting=setting, **key
            )
        ]
        yield name, fits(args, detectors, name, X, y), quoted


def tables(frame):
    own = frame[frame.training_data != PUBLISHED]
    found = of_tables(frame).drop(index=PUBLISHED, level="training_data", errors="ignore")
    for (protocol, setting), part in found.groupby(level=["protocol", "setting"]):
        yield f"**Protocol {protocol}, setting {setting}**"
        yield from of_detectors(part, own[(own.protocol == protocol) & (own.setting == setting)])
    yield circumstances(own)


def of_detectors(part, measured):
    """Yield a table with a row for each detector, and by how much ranks must differ."""
    cells = {
        "AUROC": part.auroc.map("{:.1f}".format),
        "AUROC on half of the sets": pairs(part.half_mean, " ± ", part.half_sd),
        "AP": part.ap.map("{:.1f}".format),
        "AP on half of the sets": pairs(part.ap_half_mean, " ± ", part.ap_half_sd),
        "Rank": part["rank"].map("{:.1f}".format),
        "Place": part.place.dropna().map("{:.1f}".format),
        "Fit": part.fit_seconds.map(seconds),
    }
    names = [name + ", given" * (given == "given") for *_, name, given in part.index]
    yield markdown(pd.DataFrame(cells).dropna(axis=1).set_axis(names))
    yield critical_difference(measured)

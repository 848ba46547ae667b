"""Which kinds of anomalies in series does a detector find, and what is each measure worth?

The series are those of the benchmark above and, if a folder `series_wide` is beside theirs, others
with anomalies of other kinds: single points, levels, indicators of services (*kpi*) and shapes. A
detector learns from the first rows of a series and judges all of it. `WindowedDetector` appears as
it comes and with `PCA(16)` inside, and the latter without some measures: jumps, levels, short
windows. The last contestants have no model: *differences* are squared differences of neighboring
rows, smoothed twice; *values* and *means* are the distances of values, and of means over 65 rows,
from the median of the fit, divided by the median absolute deviation; *chance* are random numbers.
Numbers are VUS-PR of one seed, as means over the sources of a kind, each of which counts once.
Weights of measures were chosen on these series.
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d
from sklearn.decomposition import PCA

from benchmarks._lib.tables import circumstances, markdown, seconds
from benchmarks.quality import series as first_series
from benchmarks.quality.series import NoModel, listed, loaded, measured_by
from sktae import WindowedDetector

TITLE = "Kinds of anomalies in series"
DATA, SEEDS = first_series.DATA, 1
KEYS = ["collection", "channels", "kind", "source", "set", "detector", "seed"]
ORDER = ["first series", "kpi", "level", "point", "shape"]


class Distance:
    """The distance of means over some rows from the median of the fit, for the worst channel."""

    def __init__(self, length):
        self.length = length

    def fit(self, X):
        self.median = np.median(X, axis=0)
        spread = np.median(np.abs(X - self.median), axis=0)
        scale = np.where(spread > 0, spread, X.std(axis=0))
        self.scale = np.where(scale > 0, scale, 1.0)
        return self

    def score_samples(self, X):
        means = uniform_filter1d(X, self.length, axis=0, mode="nearest")
        return -np.max(np.abs(means - self.median) / self.scale, axis=1)


class Chance:
    """Scores that say nothing."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def fit(self, X):
        return self

    def score_samples(self, X):
        return self.rng.random(len(X))


def windowed(inside=None, **params):
    return lambda seed: WindowedDetector(inside, random_state=seed, **params)


SHAPES = {"jumps": False, "levels": False}
CONTESTANTS = {
    "default": windowed(),
    "default, long shapes alone": windowed(n_scales=1, **SHAPES),
    "PCA": windowed(PCA(16)),
    "PCA, no jumps": windowed(PCA(16), jumps=False),
    "PCA, no levels": windowed(PCA(16), levels=False),
    "PCA, no short windows": windowed(PCA(16), n_scales=1),
    "PCA, shapes alone": windowed(PCA(16), **SHAPES),
    "PCA, long shapes alone": windowed(PCA(16), n_scales=1, **SHAPES),
    "PCA, stride of 1": windowed(PCA(16), stride=1),
    "differences": lambda seed: NoModel(),
    "values": lambda seed: Distance(1),
    "means": lambda seed: Distance(65),
    "chance": Chance,
}


def measured(series, key, size):
    model = CONTESTANTS[key["detector"]](key["seed"])
    return measured_by(model, *loaded(series), series.train_len, series.vus_window, key, size)


def sets(args):
    folders = {"first series": args.data, "others": args.data.parent / "series_wide"}
    for collection, folder in folders.items():
        if not (folder / "manifest.csv").exists():
            continue
        for series in listed(folder):
            if args.sets and not any(part in series.name for part in args.sets):
                continue
            if collection == "first series":
                values = collection, series.kind, collection, series.name.split("_")[1], series.name
            else:
                values = collection, series.uni_multi, series.kind, series.dataset, series.name
            keys = [
                dict(zip(KEYS, (*values, name, seed), strict=True))
                for name in args.only
                for seed in range(args.repeats)
            ]
            yield series.name, [partial(measured, series, key, args.size) for key in keys], ()


def tables(frame):
    detectors = [name for name in CONTESTANTS if name in set(frame.detector)]
    for channels, title in (("uni", "one channel"), ("multi", "several channels")):
        part = frame[frame.channels == channels]
        if part.empty:
            continue
        # The first series are many of few sources, as they are known; of others, sources count.
        by = ["detector", "kind"]
        first = part[part.kind == ORDER[0]].groupby(by).vus_pr.mean()
        others = part[part.kind != ORDER[0]].groupby([*by, "source"]).vus_pr.mean()
        wide = pd.concat([first, others.groupby(by).mean()]).unstack("kind").loc[detectors]
        wide = wide[[kind for kind in ORDER if kind in wide]]
        shown = wide.map("{:.3f}".format)
        shown["all series"] = part.groupby("detector").vus_pr.mean().map("{:.3f}".format)
        shown["Time of a series"] = part.groupby("detector").seconds.mean().map(seconds)
        yield f"**Series of {title}**"
        yield markdown(shown)
    yield circumstances(frame)

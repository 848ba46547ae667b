"""How often does a detector of series raise a false alarm, if one in 30 days was promised?

Three processes with a daily cycle and a row in each 10 minutes are drawn: a sum of sines with
noise, an exponential with a weekly cycle and heavy tails, and a slow random drift, each as two
channels. Detectors with `PCA(16)` inside learn four weeks and judge 90 days that are clean, too.
Their events are false, so there should be one in 30 days. Then five faults are planted in another
90 days: an outlier of one row, a new level, a sensor that freezes, noise, and a day without its
cycle, each in one channel. Thresholds come from `false_alarms_per`, from the default
`false_alarm_rate`, both with `calibration="cross"`, or from `contamination=None`.
"""

import time
from functools import partial

import numpy as np
from scipy.signal import lfilter
from sklearn.decomposition import PCA

from benchmarks._lib.tables import circumstances, markdown, seconds
from sktae import WindowedDetector

TITLE = "How often an alarm of a series is false"
KEYS, SEEDS = ["process", "detector", "seed"], 20
DAY, TRAINED, JUDGED = 144, 28, 90  # rows in a day, and days
CONTESTANTS = {
    "one in 30 days": {"calibration": "cross", "false_alarms_per": 30 * DAY},
    "1 % of the rows": {"calibration": "cross"},
    "contamination=None": {"contamination": None},
}


def sines(day, rng):
    return np.sin(day) + 0.3 * np.sin(2 * day) + 0.1 * rng.normal(size=len(day))


def heavy(day, rng):
    smooth = lfilter([1], [1, -0.8], rng.normal(size=len(day)))
    values = np.exp(0.5 * np.sin(day) + 0.2 * np.sin(day / 7) + 0.1 * smooth)
    return values + 0.05 * rng.standard_t(4, size=len(day))


def drift(day, rng):
    return 0.2 * lfilter([1], [1, -0.98], rng.normal(size=len(day))) + 0.3 * np.sin(day)


PROCESSES = {"sines": sines, "heavy tails": heavy, "drift": drift}


def with_faults(X, rng):
    """Plant five faults, and return the rows and where they begin."""
    X, places = X.copy(), (np.arange(5) * 15 + 10) * DAY + rng.integers(DAY, size=5)
    channel, spread = rng.integers(2, size=5), X.std(axis=0)
    outlier, level, frozen, noise, cycle = zip(places, channel, strict=True)
    X[outlier] += 5 * spread[outlier[1]]
    X[level[0] : level[0] + 2 * DAY, level[1]] += 4 * spread[level[1]]
    X[frozen[0] : frozen[0] + DAY, frozen[1]] = X[frozen]
    X[noise[0] : noise[0] + DAY // 2, noise[1]] += spread[noise[1]] * rng.normal(size=DAY // 2)
    X[cycle[0] : cycle[0] + DAY, cycle[1]] = X[:, cycle[1]].mean()
    return X, places


def measured(key, size):
    """Fit a detector to clean rows, and count its events in clean rows and in those with faults."""
    rng = np.random.default_rng([list(PROCESSES).index(key["process"]), key["seed"]])
    n_trained, n_judged = TRAINED * DAY, (JUDGED if size != "tiny" else 80) * DAY
    row = PROCESSES[key["process"]](2 * np.pi * np.arange(n_trained + 2 * n_judged) / DAY, rng)
    X = np.column_stack([row, np.roll(row, 5) + 0.1 * rng.normal(size=len(row))])
    train, clean, other = np.split(X, [n_trained, n_trained + n_judged])
    begin = time.perf_counter()
    settings = CONTESTANTS[key["detector"]]
    model = WindowedDetector(PCA(16), window_size=DAY, random_state=key["seed"], **settings)
    events = model.fit(train).events(clean)
    faulty, places = with_faults(other, rng)
    alarms = model.events(faulty)
    found = [
        ((alarms.start < place + 2 * DAY) & (alarms.end > place - DAY)).any() for place in places
    ]
    return [
        {
            **key,
            "false_events": 30 * len(events) / (n_judged / DAY),
            "faults_found": sum(found),
            "seconds": time.perf_counter() - begin,
        }
    ]


def sets(args):
    for process in PROCESSES:
        if not args.sets or any(part in process for part in args.sets):
            keys = [
                dict(zip(KEYS, (process, detector, seed), strict=True))
                for detector in args.only
                for seed in range(args.repeats)
            ]
            yield process, [partial(measured, key, args.size) for key in keys], ()


def tables(frame):
    means = frame.groupby(["detector", "process"])[["false_events", "faults_found"]].mean()
    order = [name for name in CONTESTANTS if name in set(frame.detector)]
    false = means.false_events.unstack("process").loc[order].map("{:.2f}".format)
    found = means.faults_found.unstack("process").loc[order].map("{:.1f}".format)
    false["Time"] = frame.groupby("detector").seconds.mean().map(seconds)
    yield "**False events in 30 days**"
    yield markdown(false)
    yield "**Faults found, of five**"
    yield markdown(found)
    yield circumstances(frame)

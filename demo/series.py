"""A series: when does something happen?"""

import numpy as np
import pandas as pd
from aeon.datasets import load_kdd_tsad_135
from sklearn.ensemble import IsolationForest

from sktae import WindowedDetector
from sktae.plot import SeriesDisplay


def run():
    """Return numbers for the page and a figure."""
    values, is_anomaly = load_kdd_tsad_135()
    known = pd.DataFrame({"pressure": np.ravel(load_kdd_tsad_135(split="train")[0])})
    new = pd.DataFrame({"pressure": np.ravel(values)})
    detector = WindowedDetector(calibration=0.3, false_alarms_per=1000, random_state=0).fit(known)
    events, scores = detector.events(new), detector.score_samples(new)
    true = np.flatnonzero(is_anomaly)
    met = (events["start"] <= true[-1]) & (events["end"] >= true[0])
    forest = IsolationForest(random_state=0).fit(known.to_numpy()).score_samples(new.to_numpy())
    display = SeriesDisplay.from_estimator(detector, new)
    display.figure_.set_size_inches(12, 3.6)
    marks = {"xytext": (true[0] - 500, 100), "arrowprops": {"arrowstyle": "->"}, "va": "center"}
    display.axes_[0].annotate("here", (true[0], values[true[0]]), ha="right", **marks)
    numbers = {
        "rows": f"{len(new):,}",
        "promised": f"{len(new) / 1000:.1f}",
        "false": int((~met).sum()),
        "anomaly": f"{true[0]:,} to {true[-1]:,}",
        "start": f"{int(events['start'][met].iloc[0]):,}",
        "end": f"{int(events['end'][met].iloc[0]):,}",
        "rank": 1 + int((scores < scores[true].min()).sum()),
        "forest": f"{int((forest < forest[true].min()).sum()):,}",
    }
    return numbers, display.figure_

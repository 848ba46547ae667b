"""
A score for each timestamp
==========================

`WindowedDetector` lets an autoencoder learn windows of a series, and gives each timestamp a score.
Here two sensors of a machine run through a daily cycle. One of them sticks for some hours, later
the cycle stumbles, and at last the other sensor is connected the wrong way round for a day.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sktae import WindowedDetector
from sktae.plot import SeriesDisplay

rng = np.random.default_rng(0)
time = pd.date_range("2026-01-01", periods=2400, freq="h")
day = 2 * np.pi * np.arange(2400) / 24
load = np.sin(day) + 0.3 * np.sin(2 * day)
stumble = slice(1800, 1820)
load[stumble] = np.sin(3 * day[stumble])
X = pd.DataFrame({"pressure": load, "flow": np.roll(load, 3)}, index=time)
X += 0.05 * rng.normal(size=X.shape)
X.iloc[1400:1410, 0] = X.iloc[1400, 0]
X.iloc[2200:2230, 1] = -X.iloc[2200:2230, 1]

detector = WindowedDetector(window_size=48, random_state=0).fit(X[:1000])
print(detector.events(X[1000:]).to_string(index=False))

# %%
# `events` merges flagged timestamps into intervals and names the kind and the leading channels.
# `SeriesDisplay` draws them in the color of their kind. The broad hills are shapes, whose scores
# are smoothed over a window, so intervals are wider than what happened by about as much. The
# narrow peaks are jumps, where a value is farther from its neighbors than any before.
# `error_map`, below, says where in each channel the reconstruction fails.

figure, panels = plt.subplots(4, 1, figsize=(10, 6), sharex=True, layout="constrained")
SeriesDisplay.from_estimator(detector, X[1000:], axes=panels[:3])
errors = detector.error_map(X[1000:])
panels[3].pcolormesh(time[1000:], [0, 1], errors.T, cmap="Reds", vmax=np.quantile(errors, 0.995))
panels[3].set_yticks([0, 1], X.columns)
panels[3].invert_yaxis()
plt.show()

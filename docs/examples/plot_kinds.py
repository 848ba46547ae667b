"""
Three kinds of anomalies
========================

A pump is watched by two sensors. In three months four things go wrong: a value of the temperature
is sent wrongly, the pressure stays too high for some days, the cycle of the pressure stumbles, and
the temperature freezes. `WindowedDetector` finds all of them, and says of which kind they are: a
jump is a value far from its neighbors, a level is outside of all levels of the fit, and a shape is
a window that the autoencoder does not reproduce.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sktae import WindowedDetector
from sktae.plot import SeriesDisplay

rng = np.random.default_rng(0)
time = pd.date_range("2026-01-01", periods=24 * 150, freq="h")
day = 2 * np.pi * np.arange(len(time)) / 24
X = pd.DataFrame(
    {"pressure": np.sin(day), "temperature": np.cos(day) + 0.4 * np.sin(2 * day)}, time
)
X += 0.1 * rng.normal(size=X.shape)
train, new = X[:"2026-02-28"], X["2026-03-01":].copy()
new.loc["2026-03-12 07:00", "temperature"] += 2.5
new.loc["2026-03-28":"2026-04-02", "pressure"] += 0.8
new.loc["2026-04-18", "pressure"] = np.sin(2.5 * day[:24])
new.loc["2026-05-08", "temperature"] = new.loc["2026-05-08 00:00", "temperature"]

# %%
# `false_alarms_per` promises how often an alarm is false: once in 60 days. The threshold comes from
# the two halves of the fit, each judged by a detector that has learned the other half.

detector = WindowedDetector(
    window_size=72, false_alarms_per="60D", calibration="cross", random_state=0
).fit(train)
print(detector.events(new).drop(columns="peak").to_string(index=False))

# %%
# Shapes and levels are wider than their causes, since errors of windows are smoothed over a window.

SeriesDisplay.from_estimator(detector, new)
plt.show()

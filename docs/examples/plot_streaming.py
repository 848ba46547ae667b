"""
Scores as the data arrive
=========================

`score_next` takes new rows of a series, one or many, and gives the scores that have become final:
those of `score_samples` on the whole series, to the bit. By default they come a window late, since
a score looks at both sides of its timestamp. With `aggregation="causal"` they come at once, and
react as the anomaly unfolds.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktae import WindowedDetector

rng = np.random.default_rng(0)
speed = np.full(2000, 1 / 8)
speed[1400:1450] /= 2
X = np.sin(speed.cumsum())[:, np.newaxis] + 0.1 * rng.normal(size=(2000, 1))

settings = {"window_size": 100, "contamination": None, "random_state": 0}
detectors = {
    aggregation: WindowedDetector(aggregation=aggregation, **settings).fit(X[:1000])
    for aggregation in ("center", "causal")
}
arrived = {}
for aggregation, detector in detectors.items():
    parts = [detector.score_next(X[start : start + 10]) for start in range(1000, 2000, 10)]
    arrived[aggregation] = np.hstack([[], *parts])
    print(f"{aggregation}: {detector.delay_} rows late, {len(arrived[aggregation])} scores so far")
    whole = detector.score_samples(X[1000:])
    assert np.array_equal(arrived[aggregation], whole[: len(arrived[aggregation])])

# %%
# For a while, in orange, the oscillation takes twice as long. What is above the dashed line is
# flagged; with `contamination=None` it lies above all that the fit has seen.

figure, panels = plt.subplots(3, 1, figsize=(10, 6), sharex=True, layout="constrained")
time = np.arange(1000, 2000)
panels[0].plot(time, X[1000:, 0], lw=0.8)
panels[0].set_title("The series", loc="left", fontsize=11)
for axes, (aggregation, scores) in zip(panels[1:], arrived.items(), strict=True):
    detector = detectors[aggregation]
    axes.plot(time[: len(scores)], -scores, color="black", lw=1)
    axes.axhline(-detector.offset_, color="#D55E00", lw=1, ls="--")
    axes.set_title(f"{aggregation}: known {detector.delay_} rows later", loc="left", fontsize=11)
for axes in panels:
    axes.axvspan(1400, 1450, color="#D55E00", alpha=0.15, lw=0)
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

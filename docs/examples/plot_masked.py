"""
A value that does not fit the rest of its row
=============================================

A pump runs in one of two modes. In one of them the pressure rises with the speed, in the other it
falls. A pressure of 0 is nothing special, and neither is a high speed, but both together never
occur. `MaskedAutoencoder` learns which pressures are likely at each speed, and which speeds at each
pressure.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import IsolationForest

from sktae import MaskedAutoencoder

rng = np.random.default_rng(0)
speed, mode = rng.normal(size=1500), rng.choice([-1, 1], 1500)
X = np.column_stack([speed, mode * speed + 0.15 * rng.normal(size=1500)])
mismatch = np.array([[1.6, 0.0]])

# %%
# The darker, the more unusual is a row with these two values, as a rank among the training rows: in
# white areas the anomaly is below their median, and in black ones above all of them. The orange row
# has a high speed and a pressure of 0.

detectors = {
    "IsolationForest": IsolationForest(random_state=0),
    "MaskedAutoencoder": MaskedAutoencoder(random_state=0),
}
grid = np.stack(np.meshgrid(*2 * [np.linspace(-3, 3, 121)]), axis=-1)
figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharey=True)
panels[0].scatter(*X.T, s=4, color="#0072B2", linewidths=0)
panels[0].set_title("1500 rows of a pump")
for axes, (name, detector) in zip(panels[1:], detectors.items(), strict=True):
    training = np.sort(detector.fit(X).score_samples(X))
    rank = 1 - training.searchsorted(detector.score_samples(grid.reshape(-1, 2))) / len(X)
    axes.pcolormesh(*grid.T, rank.reshape(121, 121).T, cmap="gray_r", vmin=0.5, vmax=1)
    more = np.mean(training < detector.score_samples(mismatch))
    print(f"{name}: {100 * more:.1f} % of the training rows are more unusual")
    axes.set_title(f"{name}\n{100 * more:.1f} % are more unusual")
for axes in panels:
    axes.scatter(*mismatch.T, s=60, color="#E69F00", edgecolors="black")
    axes.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="speed")
panels[0].set_ylabel("pressure")
plt.show()

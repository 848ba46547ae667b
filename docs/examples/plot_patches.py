"""
Hidden patches of digits
========================

A digit of 8 x 8 pixels is 16 patches of 2 x 2. In training, half of the patches are hidden, others
in each step, and a vision transformer has to reproduce all of them. So it learns how the parts of
digits belong together, and fills in what is missing of new ones.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sktae import VisionTransformerAutoencoder
from sktae.plot import AttentionDisplay

X = load_digits().images
X, new = X[:1400], X[1400:]
settings = {"hidden_layer_sizes": (32,), "learning_rate": 0.006, "max_steps": 400}
settings |= {"patch_size": 2, "calibration": None, "random_state": 0}
model = VisionTransformerAutoencoder(64, noise="masking", noise_level=0.5, **settings).fit(X)
plain = VisionTransformerAutoencoder(64, **settings).fit(X)

# %%
# Half of the patches of new digits are missing. How large is the error of what is filled in, as a
# share of that of the mean of each pixel? The same network, trained with nothing hidden, cannot see
# what is missing: it gets the most likely pixels of a normal distribution, and reproduces those.

rng = np.random.default_rng(0)
hidden = (rng.random((len(new), 4, 4)) < 0.5).repeat(2, axis=1).repeat(2, axis=2)
holes = np.where(hidden, np.nan, new)
filled = {
    "mean": np.where(hidden, X.mean(axis=0), new),
    "nothing hidden": plain.impute(holes),
    "half hidden": model.impute(holes),
}
for name, images in filled.items():
    error = np.mean((images - new)[hidden] ** 2) / np.mean((filled["mean"] - new)[hidden] ** 2)
    print(f"{name}: {error:.0%} of the error of the mean")

# %%
# Left, new digits, what is visible of them, and what both models make of it. Right, the attention
# of each patch, as a small map at its place: where it looks, on average.

figure = plt.figure(figsize=(11, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.35, 1])
rows = {"digit": new, "visible": holes, **filled}
rows.pop("mean")
panels = left.subplots(len(rows), 8)
for (name, images), line in zip(rows.items(), panels, strict=True):
    for axes, image in zip(line, images, strict=False):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=16)
        axes.set(xticks=[], yticks=[], facecolor="#E69F00")
    line[0].set_ylabel(name)
AttentionDisplay.from_estimator(model, new, ax=right.subplots())
plt.show()

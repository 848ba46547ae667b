"""
Digits that nobody wrote
========================

A variational autoencoder is a model of where rows come from: draw a code from a normal
distribution, decode it, draw the row. Run forwards, it makes new rows.

Pixels lie between 0 and 1 here, so the likelihood is "bernoulli": each pixel is the probability of
ink.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sktae import VariationalAutoencoder

X, _ = load_digits(return_X_y=True)
X = X / 16
model = VariationalAutoencoder(
    8, likelihood="bernoulli", hidden_layer_sizes=(128,), max_steps=800, random_state=0
).fit(X)

# %%
# `inverse_transform` gives the probabilities that belong to a code, `sample` also draws the pixels.

codes = np.random.default_rng(0).normal(size=(36, 8))
sets = {
    "Images in the data\n(0 to 1, grey levels)": X[:36],
    "Decoded from normal codes\ninverse_transform(codes)": model.inverse_transform(codes),
    "Each pixel drawn, ink or paper\nsample(36)": model.sample(36),
}
figure = plt.figure(figsize=(11, 4))
for part, (title, images) in zip(figure.subfigures(1, 3), sets.items(), strict=True):
    part.suptitle(title)
    grid = part.subplots(
        6, 6, gridspec_kw={"top": 0.84, "bottom": 0.04, "wspace": 0.1, "hspace": 0.1}
    )
    for axes, image in zip(grid.flat, images, strict=True):
        axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.set_axis_off()
plt.show()

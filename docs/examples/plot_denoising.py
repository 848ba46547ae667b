"""
Noise taken out of digits
=========================

A denoising autoencoder is shown spoilt rows and asked for the clean ones. So it can clean rows that
it has never seen, if they are spoilt in the same way.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sktae import DenoisingAutoencoder

X, y = load_digits(return_X_y=True)
train, clean, _, labels = train_test_split(X / 16, y, random_state=0)
noisy = clean + 0.3 * np.random.default_rng(0).normal(size=clean.shape)

# Without standardize, noise_level is in the units of the pixels: from 0 (paper) to 1 (ink).
model = DenoisingAutoencoder(
    64, noise_level=0.3, standardize=False, max_steps=2000, random_state=0
).fit(train)
restored = model.reconstruct(noisy)

# %%
# One image of each digit, none of them from the training set.

shown = [np.flatnonzero(labels == digit)[0] for digit in range(10)]
titles = {
    "clean": clean,
    f"noise added\n(mean squared error {np.mean((noisy - clean) ** 2):.3f})": noisy,
    f"restored\n(mean squared error {np.mean((restored - clean) ** 2):.3f})": restored,
}
figure, rows = plt.subplots(3, 10, figsize=(11, 3.6), layout="constrained")
for row, (title, images) in zip(rows, titles.items(), strict=True):
    for axes, image in zip(row, images[shown], strict=True):
        axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(title, rotation=0, ha="right", va="center")
plt.show()

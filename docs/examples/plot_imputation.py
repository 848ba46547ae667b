"""
Fill in what is missing
=======================

A fifth of the pixels of handwritten digits are removed at random, from the training images, too.
`AutoencoderImputer` predicts them from the others. It stands in a pipeline like scikit-learn's
imputers.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer, SimpleImputer

from sktae import AutoencoderImputer, DenoisingAutoencoder

X = load_digits().data[:1400]
gone = np.random.default_rng(0).random(X.shape) < 0.2
holes = np.where(gone, np.nan, X)

autoencoder = DenoisingAutoencoder(32, standardize=False, max_steps=1000, random_state=0)
imputers = {
    "column means": SimpleImputer(keep_empty_features=True),
    "nearest neighbors": KNNImputer(keep_empty_features=True),
    "autoencoder": AutoencoderImputer(autoencoder),
}
rows = {"digits": X, "with holes": holes}
for name, imputer in imputers.items():
    filled = imputer.fit(holes[:1000]).transform(holes[1000:])
    error = np.sqrt(np.mean((filled - X[1000:])[gone[1000:]] ** 2))
    rows[f"{name}\nerror {error:.2f}"] = np.vstack([X[:1000], filled])
    print(f"{name:20} root mean squared error {error:.2f}")

# %%
# All images below are new to the imputers. The errors are those of removed pixels, whose values are
# from 0 to 16.

figure, panels = plt.subplots(len(rows), 10, figsize=(9, 5), layout="constrained")
for line, (name, images) in zip(panels, rows.items(), strict=True):
    for number, axes in enumerate(line):
        axes.imshow(images[1000 + number].reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axes.set(xticks=[], yticks=[], facecolor="#E69F00")
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

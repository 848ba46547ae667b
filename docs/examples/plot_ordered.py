"""
One fit, all sizes
==================

With `ordered_components=True`, the first components of a code are a smaller code, as those of PCA
are. One autoencoder with 16 components learns half of the digits. The other half is decoded from 1,
2, 4, 8 and 16 of them.

At every size, the code keeps more than PCA. A fit of its own for each size keeps more still.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sktae import Autoencoder

SIZES = (1, 2, 4, 8, 16)
X, _ = load_digits(return_X_y=True)
train, new = train_test_split(X - X.mean(axis=0), test_size=0.5, random_state=0)
settings = {"standardize": "shared", "calibration": None, "random_state": 0}
ordered = Autoencoder(16, ordered_components=True, linear_skip=True, **settings).fit(train)
pca = PCA(16).fit(train)


def share_kept(recon):
    """Return the share of the variance of new rows that comes back."""
    return 1 - np.square(new - recon).sum() / np.square(new).sum()


def first_of_pca(k):
    return pca.transform(new)[:, :k] @ pca.components_[:k] + pca.mean_


codes = ordered.transform(new)
decoded = [ordered.inverse_transform(codes[:, :k]) for k in SIZES]
separate = [Autoencoder(k, linear_skip=True, **settings).fit(train).score(new) for k in SIZES]
curves = {
    "Autoencoder, a fit for each size": (separate, "#0072B2", "s--"),
    "Autoencoder, one ordered fit": ([share_kept(rows) for rows in decoded], "#D55E00", "o-"),
    "PCA": ([share_kept(first_of_pca(k)) for k in SIZES], "0.4", "^:"),
}

figure = plt.figure(figsize=(10, 4.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
axes = left.subplots()
for label, (shares, color, style) in curves.items():
    axes.plot(SIZES, 100 * np.array(shares), style, color=color, label=label)
axes.set_xscale("log", base=2)
axes.set_xticks(SIZES, SIZES)
axes.set(xlabel="number of components", ylabel="variance of new digits that is kept (%)")
axes.set_ylim(0, 100)
axes.legend(loc="lower right")

grid = right.subplots(5, len(SIZES) + 1)
for column, (name, rows) in enumerate(zip([*SIZES, "digit"], [*decoded, new], strict=True)):
    grid[0, column].set_title(str(name))
    for place, row in zip(grid[:, column], rows, strict=False):
        pixels = (row + X.mean(axis=0)).reshape(8, 8)
        place.imshow(pixels, cmap="gray_r", vmin=0, vmax=16)
        place.set_axis_off()
right.suptitle("New digits, decoded from their first components")
plt.show()

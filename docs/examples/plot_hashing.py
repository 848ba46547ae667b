"""
Search by a few bits
====================

A binary autoencoder writes each image as bits, so that similar images are found by counting bits
that differ: thousands of comparisons in a moment, and 32 bits instead of 64 numbers. The figure
shows what is found for six digits, and how many of ten finds are the same digit, beside bits that
say on which side of random planes, or of the planes of a PCA, an image lies.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances

from sktae import BinaryAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 8  # all columns are pixels, so their scales are left alone
stored, asked = np.arange(400, len(X)), np.arange(400)


def found(bits):
    """Return the ten images that differ from each one asked for in the fewest bits."""
    differing = pairwise_distances(bits[asked].astype(bool), bits[stored].astype(bool), "hamming")
    return stored[np.argsort(differing, axis=1, kind="stable")[:, :10]]


def hits(bits):
    return (y[found(bits)] == y[asked, np.newaxis]).mean()


# %%
# The network learns from the images that are searched, not from those that are asked for. Without
# hidden layers, similar images have similar bits.

settings = {"hidden_layer_sizes": (), "standardize": False, "balance": 0.3, "max_steps": 600}

sizes, centered = [8, 16, 32, 64], X - X[stored].mean(axis=0)
planes = np.random.default_rng(0).normal(size=(64, 64))
shares, bits = {"autoencoder": [], "PCA": [], "random planes": []}, {}
for n in sizes:
    model = BinaryAutoencoder(n, **settings, random_state=0)
    bits[n] = model.fit(X[stored]).transform(X)
    shares["autoencoder"].append(hits(bits[n]))
    shares["PCA"].append(hits(PCA(min(n, 61)).fit(X[stored]).transform(X) > 0))
    shares["random planes"].append(hits(centered @ planes[:, :n] > 0))

# %%

figure = plt.figure(figsize=(11, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.7, 1])
examples = [np.flatnonzero(y[asked] == digit)[1] for digit in (0, 2, 3, 5, 8, 9)]
for line, row in zip(left.subplots(6, 11), examples, strict=True):
    for axes, image in zip(line, [row, *found(bits[32])[row]], strict=True):
        axes.imshow(X[image].reshape(8, 8), cmap="Greys" if image == row else "Blues")
        axes.set(xticks=[], yticks=[])
        if y[image] != y[row]:
            axes.patch.set(edgecolor="#D55E00", linewidth=3)
left.suptitle("Asked for, and the ten nearest by 32 bits (framed: another digit)")
axes = right.subplots()
for (name, share), color in zip(shares.items(), ["#0072B2", "#D55E00", "0.5"], strict=True):
    axes.plot(sizes, share, "o-", color=color, label=name)
axes.set(xscale="log", xlabel="bits", ylabel="share of the same digit", ylim=(0.3, 1))
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

"""
Classes without labels
======================

A categorical autoencoder encodes each image as one of ten categories, and so has to sort images
into ten classes. What each class decodes to is the mean of its members, as in k-means; but a
network decides who belongs to a class. The classes of both are compared with the digits, in the
matching that agrees best; the figure shows those of the autoencoder.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics.cluster import contingency_matrix

from sktae import CategoricalAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 8  # all columns are pixels, so their scales are left alone


def matched(labels):
    """Return how often classes and digits meet, with matching ones on the diagonal."""
    table = contingency_matrix(y, labels)
    classes = linear_sum_assignment(-table)[1]
    return table[:, classes], classes


settings = {"hidden_layer_sizes": (64,), "standardize": False, "max_steps": 600}
shares = {"autoencoder": [], "k-means": []}
for seed in range(3):
    model = CategoricalAutoencoder(10, **settings, random_state=seed).fit(X)
    means = KMeans(10, n_init=1, random_state=seed).fit(X)
    for name, labels in {"autoencoder": model.labels_, "k-means": means.labels_}.items():
        shares[name].append(matched(labels)[0].trace() / len(X))
for name, found in shares.items():
    print(f"{name}: {np.mean(found):.2f} of the images in the right class, {np.round(found, 2)}")

# %%
# The images of the classes, and how many of each digit are in each.

table, classes = matched(model.labels_)
prototypes = model.inverse_transform(np.eye(10)[classes])
figure = plt.figure(figsize=(10, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.3, 1])
for axes, image in zip(left.subplots(2, 5).flat, prototypes, strict=True):
    axes.imshow(image.reshape(8, 8), cmap="Greys")
    axes.set(xticks=[], yticks=[])
left.suptitle("What each class decodes to")
axes = right.subplots()
axes.imshow(table, cmap="Blues")
for (digit, place), count in np.ndenumerate(table):
    if count > 5:
        color = "white" if count > 90 else "black"
        axes.text(place, digit, count, ha="center", va="center", fontsize=8, color=color)
axes.set(xlabel="class", ylabel="digit", xticks=[], yticks=range(10))
axes.set_title(f"{table.trace() / len(X):.0%} of the images agree")
plt.show()

"""
Digits on a plane
=================

A code of two numbers puts every image on a map. PCA may only tilt the plane; an autoencoder bends
it, so that digits which look alike come to lie together. A variational autoencoder also keeps the
map compact: every place on it decodes to something.

The number above each map says how well it sorts digits that the model has not seen: the share whose
label the five nearest training images get right. No model has seen a label.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sktae import Autoencoder, VariationalAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

# Pixels share one scale, and some are hardly ever inked: standardize would blow those up.
settings = {"hidden_layer_sizes": (128, 64), "max_steps": 1200, "random_state": 0}
models = {
    "PCA(2)": PCA(2),
    "Autoencoder(2)": Autoencoder(2, standardize=False, **settings),
    "VariationalAutoencoder(2)": VariationalAutoencoder(2, likelihood="bernoulli", **settings),
}
figure, panels = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
colors = plt.get_cmap("tab10").colors
for axes, (name, model) in zip(panels, models.items(), strict=True):
    near = KNeighborsClassifier(5).fit(model.fit(X_train).transform(X_train), y_train)
    codes = model.transform(X_test)
    for digit in range(10):  # the marker says which one, so that color is not needed
        points = codes[y_test == digit].T
        axes.scatter(*points, s=30, color=colors[digit], marker=f"${digit}$", linewidths=0.3)
    axes.set(title=f"{name}: {near.score(codes, y_test):.0%} sorted right", xlabel="component 0")
panels[0].set_ylabel("component 1")
plt.show()

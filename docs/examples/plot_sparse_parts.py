"""
The parts that digits are made of
=================================

A sparse autoencoder may describe each image with only a few of its many units. So each unit learns
a part that many images share: a stroke, a bend. The figure shows the image that each unit draws,
and one digit as the sum of its parts.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sktae import SparseAutoencoder

X, _ = load_digits(return_X_y=True)
X = X / 16
model = SparseAutoencoder(
    36,
    n_active=4,
    standardize=False,
    learning_rate=0.01,
    weight_decay=0.1,  # wears down what is left of the random weights at the start
    max_steps=3000,
    random_state=0,
).fit(X)

# %%
# Without hidden layers a code is decoded as a sum: a background, and for each unit its activation
# times its part.

background = model.inverse_transform(np.zeros((1, 36)))
parts = model.inverse_transform(np.eye(36)) - background
four = X[4]
code = model.transform([four])[0]
used = np.argsort(-np.abs(code))[:4]
terms = {"image": four, "background": background[0]}
terms |= {f"+ unit {unit}": code[unit] * parts[unit] for unit in used}
terms["= restored"] = model.reconstruct([four])[0]


def draw(axes, image, limit):
    axes.imshow(image.reshape(8, 8), cmap="PuOr_r", vmin=-limit, vmax=limit)
    axes.set(xticks=[], yticks=[])


figure = plt.figure(figsize=(11, 5.6), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=[3, 1.7])
upper.suptitle("What each of the 36 units draws (orange is ink, purple takes ink away)")
for axes, part in zip(upper.subplots(3, 12).flat, parts, strict=True):
    draw(axes, part, np.abs(part).max())
lower.suptitle("A four out of four of these parts")
for axes, (title, image) in zip(lower.subplots(1, len(terms)), terms.items(), strict=True):
    draw(axes, image, 1)
    axes.set_title(title, fontsize=10)
plt.show()

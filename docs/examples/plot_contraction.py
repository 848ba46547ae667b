"""
What contraction does
=====================

The contractive penalty pays for every direction in which the code moves when the row does; only the
reconstruction speaks for them. So the directions in which the data vary stay alive, and the others
go first.

The figure moves digits by a small step along each principal axis of the data, from the one with the
most variance to the one with the least, and asks how far their codes move.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sktae import ContractiveAutoencoder

X, _ = load_digits(return_X_y=True)
X = X / 16
rows, axes_of_data, step = X[:100], PCA().fit(X).components_, 0.1

figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for alpha, color, line in (0.0, "#0072B2", "-"), (0.1, "#E69F00", "--"), (1.0, "#D55E00", ":"):
    model = ContractiveAutoencoder(
        64,
        alpha=alpha,
        activation="sigmoid",
        standardize=False,
        learning_rate=0.01,
        max_steps=1000,
        random_state=0,
    ).fit(X)
    code = model.transform(rows)
    moved = [np.linalg.norm(model.transform(rows + step * v) - code, axis=1) for v in axes_of_data]
    label = f"alpha={alpha}: {model.score(X):.0%} of the variance explained"
    axes.plot(range(1, 65), np.mean(moved, axis=1) / step, line, color=color, label=label)
axes.set(
    title="The code goes flat where digits do not vary",
    xlabel="principal axis of the digits (1: most variance, 64: least)",
    ylabel="movement of the code / of the row",
    yscale="log",
)
axes.legend()
plt.show()

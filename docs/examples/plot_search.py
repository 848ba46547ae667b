"""
Many settings at once
=====================

How large a code cleans digits best, and how fast should it learn? The two belong together, so all
pairs are tried. `StackedGridSearchCV` trains the 30 models of the search as three stacks, one for
each size.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from sktae import DenoisingAutoencoder, StackedGridSearchCV

X, _ = load_digits(return_X_y=True)
X = X / 16


def noise_removed(model, X, y=None):
    """Return the share of the noise that is gone after cleaning: 0 is none, 1 is all."""
    noise = 0.3 * np.random.default_rng(0).normal(size=X.shape)
    return 1 - np.mean((model.reconstruct(X + noise) - X) ** 2) / np.mean(noise**2)


model = DenoisingAutoencoder(
    noise_level=0.3,
    standardize=False,
    schedule="constant",
    max_steps=100,
    hidden_layer_sizes=(64,),
    random_state=0,
)
grid = {"n_components": [2, 8, 32], "learning_rate": [0.001, 0.003, 0.01, 0.03, 0.1]}
search = StackedGridSearchCV(model, grid, scoring=noise_removed, cv=2).fit(X)
results = pd.DataFrame(search.cv_results_)
table = results.pivot(
    index="param_n_components", columns="param_learning_rate", values="mean_test_score"
)
print(table.round(3))
print(f"{2 * len(results)} models, fitted by this path: {set(results['training_path'])}")
print(f"best: {search.best_params_}, {search.best_score_:.0%} of the noise removed")

# %%
# Few components cannot draw the digits. A small rate does not arrive in 100 steps, and a large one
# shakes: most of all where the code is large.

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
image = axes.imshow(table, cmap="viridis", origin="lower", vmin=0, aspect="auto")
for place, value in np.ndenumerate(table):
    dark = value < 0.6 * search.best_score_
    axes.text(*place[::-1], f"{value:.2f}", ha="center", va="center", color="w" if dark else "k")
axes.set(
    title="Share of the noise that is removed from rows held out",
    xlabel="learning_rate",
    ylabel="n_components",
    xticks=range(len(table.columns)),
    xticklabels=table.columns,
    yticks=range(len(table)),
    yticklabels=table.index,
)
figure.colorbar(image, ax=axes)
plt.show()

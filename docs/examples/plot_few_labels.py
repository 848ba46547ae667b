"""
Few labels, many images
=======================

Labels are dear, images are not. An autoencoder learns from all images what digits are like, and a
classifier learns from a few labelled ones which is which: from pixels, from the components of a
PCA, or from the codes of the autoencoder. The figure shows how many of 500 new images it gets
right.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktae import DenoisingAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 8  # all columns are pixels, so their scales are left alone
new, seen = np.arange(500), np.arange(500, len(X))
settings = {"noise_level": 0.5, "standardize": False, "max_steps": 700, "random_state": 0}
features = {
    "pixels": FunctionTransformer(),
    "PCA": PCA(16).fit(X[seen]),
    "autoencoder": DenoisingAutoencoder(32, **settings).fit(X[seen]),
}

# %%
# What was learnt without labels is frozen, so that the pipeline learns the classifier only.


def labelled(n_per_digit, seed):
    """Draw so many images of each digit."""
    order = np.random.default_rng(seed).permutation(seen)
    return np.concatenate([order[y[order] == digit][:n_per_digit] for digit in range(10)])


sizes, right = [1, 3, 10, 30], {}
for name, feature in features.items():
    model = make_pipeline(
        FrozenEstimator(feature), StandardScaler(), LogisticRegression(max_iter=500)
    )
    right[name] = [
        [
            model.fit(X[rows], y[rows]).score(X[new], y[new])
            for rows in (labelled(n, s) for s in range(5))
        ]
        for n in sizes
    ]
    print(name, dict(zip(sizes, np.mean(right[name], axis=1).round(2).tolist(), strict=True)))

figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for (name, shares), color in zip(right.items(), ["0.5", "#D55E00", "#0072B2"], strict=True):
    mean, spread = np.mean(shares, axis=1), np.std(shares, axis=1)
    axes.plot(sizes, mean, "o-", color=color, label=name)
    axes.fill_between(sizes, mean - spread, mean + spread, color=color, alpha=0.15, lw=0)
axes.set(
    xscale="log",
    xlabel="labelled images of each digit",
    ylabel="share of new images that are right",
)
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.legend(frameon=False, loc="lower right")
axes.spines[["top", "right"]].set_visible(False)
plt.show()

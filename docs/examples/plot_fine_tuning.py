"""
Train an encoder with labels
============================

An autoencoder has learned from all images of digits, without labels. A linear model on its code
then learns from a few labeled images. `AutoencoderClassifier` does so, too, and goes on with the
encoder. The figure shows how many of 500 new images each gets right, and what is gained by training
the encoder.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sktae import AutoencoderClassifier, DenoisingAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 8  # all columns are pixels, so their scales are left alone
new, seen = np.arange(500), np.arange(500, len(X))
settings = {"noise_level": 0.5, "standardize": False, "max_steps": 700, "random_state": 0}
autoencoder = DenoisingAutoencoder(32, calibration=None, **settings).fit(X[seen])
models = {
    "pixels": LogisticRegression(max_iter=500),
    "frozen encoder": AutoencoderClassifier(autoencoder, trainable="head", random_state=0),
    "trained encoder": AutoencoderClassifier(autoencoder, random_state=0),
}

# %%
# All get the same labeled images. The autoencoder stays as it is; each model has a copy.


def labelled(n_per_digit, seed):
    """Draw so many images of each digit."""
    order = np.random.default_rng(seed).permutation(seen)
    return np.concatenate([order[y[order] == digit][:n_per_digit] for digit in range(10)])


sizes, right = [1, 3, 10, 30], {}
for name, model in models.items():
    right[name] = [
        [model.fit(X[r], y[r]).score(X[new], y[new]) for r in (labelled(n, s) for s in range(5))]
        for n in sizes
    ]
    print(name, dict(zip(sizes, np.mean(right[name], axis=1).round(3).tolist(), strict=True)))

# %%
# Labelled images that are drawn at random are good or bad for all models alike, so the right figure
# compares two models on the same ones.

figure, (left, differences) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for (name, shares), color in zip(right.items(), ["0.5", "#D55E00", "#0072B2"], strict=True):
    left.plot(sizes, np.mean(shares, axis=1), "o-", color=color, label=name)
left.set(ylabel="share of new images that are right")
left.legend(frameon=False, loc="lower right")
gain = 100 * np.subtract(right["trained encoder"], right["frozen encoder"])
differences.axhline(0, color="0.5", lw=1)
differences.plot(sizes, gain, "o", color="#0072B2", alpha=0.4, ms=5)
differences.plot(sizes, gain.mean(axis=1), "_", color="#0072B2", ms=24, mew=2)
differences.set(ylabel="gain by training the encoder, points")
for ax in (left, differences):
    ax.set(xscale="log", xlabel="labeled images of each digit")
    ax.set_xticks(sizes, sizes)
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

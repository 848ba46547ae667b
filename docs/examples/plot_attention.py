"""
Columns that look at each other
===============================

Nine columns come from three unseen causes, three from each. An attention autoencoder does not know
which. In training some columns are hidden, and it has to restore them from others: so it learns to
look at those that share a cause, more than at the rest, and can fill in what is missing.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from sktae import AttentionAutoencoder, Autoencoder, DenoisingAutoencoder

rng = np.random.default_rng(0)


def draw(n):
    causes = np.repeat(rng.normal(size=(n, 3)), 3, axis=1)
    return causes * np.tile([1, -1, 1], 3) + 0.3 * rng.normal(size=(n, 9))


X, new = draw(1000), draw(500)
settings = {"hidden_layer_sizes": (16,), "batch_size": 64, "max_steps": 250, "random_state": 0}
settings["learning_rate"] = 0.02
looking = {"n_heads": 2, "alpha": 0.001, "dropout": 0.3}
models = {
    "Autoencoder": Autoencoder(3, **settings).fit(X),
    "AttentionAutoencoder": AttentionAutoencoder(3, **looking, **settings).fit(X),
    "DenoisingAutoencoder": DenoisingAutoencoder(3, noise="masking", **settings).fit(X),
}

# %%
# How much of a column that is set to its mean comes back from the others? A linear regression, one
# for each column, shows what there is to get. A network that has never seen a column hidden gets
# less of it; one that simply hides columns from a perceptron does as well as attention.


def share(restore):
    """Return the share of the variance of hidden columns that comes back."""
    errors = [np.mean((new[:, j] - restore(j)) ** 2) / new[:, j].var() for j in range(9)]
    return 1 - np.mean(errors)


def regressed(j):
    others = np.arange(9) != j
    return LinearRegression().fit(X[:, others], X[:, j]).predict(new[:, others])


hidden = [np.where(np.arange(9) == j, X.mean(axis=0), new) for j in range(9)]
found = {name: share(lambda j, m=m: m.reconstruct(hidden[j])[:, j]) for name, m in models.items()}
found["regression"] = share(regressed)
print(*(f"{name:22}{value:.2f}" for name, value in found.items()), sep="\n")

# %%
# Where columns look, on average over new rows; a row of the map adds up to 1. Columns of the same
# cause are framed. How much they look at each other depends on the seed.

weights = models["AttentionAutoencoder"].attention_map(new).mean(axis=0)
related = np.kron(np.eye(3), np.ones((3, 3)))
print(f"{(weights * related).sum() / 9:.0%} go to columns of the same cause, 33 % by chance")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
shown = left.imshow(weights, vmin=0)
left.set(xlabel="column looked at", ylabel="column", xticks=range(9), yticks=range(9))
figure.colorbar(shown, ax=left)
for start in (-0.5, 2.5, 5.5):
    left.add_patch(
        plt.Rectangle((start, start), 3, 3, fill=False, edgecolor="white", clip_on=False)
    )
right.barh([*found], [*found.values()], color=["#999999", "#0072B2", "#999999", "#DDDDDD"])
right.set(xlabel="share of a hidden column that comes back", xlim=(0, 1))
right.spines[["top", "right"]].set_visible(False)
right.invert_yaxis()
plt.show()

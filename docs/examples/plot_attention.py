"""
Columns that look at each other
===============================

Twelve columns come from four hidden causes, three from each. An attention autoencoder is not told
which. In training it often finds a column hidden, and has to look for it in others: in the end,
most look at those that share their cause. So it can also fill in what is missing.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from sktae import AttentionAutoencoder, Autoencoder, DenoisingAutoencoder

rng = np.random.default_rng(0)


def draw(n):
    causes = np.repeat(rng.normal(size=(n, 4)), 3, axis=1)
    return causes * np.tile([1, -1, 1], 4) + 0.3 * rng.normal(size=(n, 12))


X, new = draw(2000), draw(500)
models = {
    "Autoencoder": Autoencoder(4, random_state=0),
    "AttentionAutoencoder": AttentionAutoencoder(4, dropout=0.3, max_steps=1000, random_state=0),
    "DenoisingAutoencoder": DenoisingAutoencoder(
        4, noise="masking", noise_level=0.3, random_state=0
    ),
}
for model in models.values():
    model.fit(X)

# %%
# How much of a column that is set to its mean comes back from the others? A linear regression, one
# for each column, shows what there is to get. A network that has never seen a column hidden gets
# less of it; one that simply hides columns from a perceptron does as well as attention.


def filled(guess):
    """Return the share of the variance of columns that a guess explains."""
    errors = [np.mean((new[:, j] - guess(j)) ** 2) / new[:, j].var() for j in range(12)]
    return 1 - np.mean(errors)


def by(model, j):
    hidden = new.copy()
    hidden[:, j] = X[:, j].mean()
    return model.reconstruct(hidden)[:, j]


def regressed(j):
    others = np.arange(12) != j
    return LinearRegression().fit(X[:, others], X[:, j]).predict(new[:, others])


found = {name: filled(lambda j, model=model: by(model, j)) for name, model in models.items()}
found["regression"] = filled(regressed)
for name, share in found.items():
    print(f"{name:22} {share:.2f}")

# %%
# Where columns look, on average over new rows. A row of the map adds up to 1. Columns with a common
# cause stand side by side, so that they make squares.

weights = models["AttentionAutoencoder"].attention_map(new).mean(axis=0)
related = np.kron(np.eye(4), np.ones((3, 3)))
print(f"{(weights * related).sum() / 12:.0%} go to columns of one's own cause, 25 % by chance")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
shown = left.imshow(weights, vmin=0)
left.set(xlabel="column looked at", ylabel="column", xticks=range(12), yticks=range(12))
figure.colorbar(shown, ax=left)
for start in range(0, 12, 3):
    square = plt.Rectangle((start - 0.5, start - 0.5), 3, 3, fill=False, edgecolor="white")
    left.add_patch(square)
right.barh([*found], [*found.values()], color=["#999999", "#0072B2", "#999999", "#DDDDDD"])
right.set(xlabel="share of a hidden column that comes back", xlim=(0, 1))
right.spines[["top", "right"]].set_visible(False)
right.invert_yaxis()
plt.show()

"""
Causes told apart
=================

Images of a spot are made from three independent causes: where it is, in two directions, and how
large. A good code has a component for each. The mutual information gap measures that: how much more
one component tells of a cause than the next one does. A variational autoencoder trades it against
the likeness of its images; a disentangled one pays for dependence only.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktae import DisentangledAutoencoder, VariationalAutoencoder
from sktae.metrics import mutual_information_gap

rng = np.random.default_rng(0)
causes = rng.integers(0, 10, size=(3000, 3))


def spots(causes):
    x, y, size = causes.T[:, :, np.newaxis, np.newaxis]
    grid = np.arange(16)
    away = (grid - 3 - x) ** 2 + (grid[:, np.newaxis] - 3 - y) ** 2
    return np.exp(-away / (2 * (1 + size / 4) ** 2)).reshape(len(causes), -1)


X = spots(causes)
settings = {"likelihood": "bernoulli", "learning_rate": 0.01, "random_state": 0}
models = {
    "variational, beta 1": VariationalAutoencoder(6, **settings),
    "variational, beta 4": VariationalAutoencoder(6, beta=4, **settings),
    "disentangled": DisentangledAutoencoder(6, **settings),
}
found = {}
for name, model in models.items():
    model.set_params(max_steps=800).fit(X)
    found[name] = mutual_information_gap(causes, model.transform(X)), model.score(X)
    print(f"{name}: gap {found[name][0]:.2f}, variance explained {found[name][1]:.3f}")

# %%
# What the three most active components of the disentangled code do, and the trade.

model = models["disentangled"]
codes = model.transform(X)
active = np.argsort(-codes.std(axis=0))[:3]
figure = plt.figure(figsize=(11, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.8, 1])
for line, component in zip(left.subplots(3, 9), active, strict=True):
    for axes, value in zip(line, np.linspace(-1.8, 1.8, 9), strict=True):
        code = np.zeros((1, 6))
        code[0, component] = value
        axes.imshow(model.inverse_transform(code).reshape(16, 16), cmap="magma", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
    line[0].set_ylabel(f"z{component}")
left.suptitle("One component of the disentangled code moves, the others rest")
axes = right.subplots()
for name, (gap, score) in found.items():
    axes.plot(1 - score, gap, "o", color="#D55E00" if name == "disentangled" else "#0072B2")
    axes.annotate(name, (1 - score, gap), (6, 4), textcoords="offset points", fontsize=9)
axes.set(xlabel="variance not explained", ylabel="mutual information gap", ylim=(0, 1))
axes.set_xlim(0, 1.8 * max(1 - score for _, score in found.values()))
axes.spines[["top", "right"]].set_visible(False)
plt.show()

"""
Heartbeats on a plane
=====================

Beats of a heart differ in shape and in length. Given as a list of arrays, they need neither be cut
nor stretched to one length: what is missing at the end of the shorter ones counts for nothing. Here
a Transformer puts made-up beats on a plane, and decodes them from two numbers each.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktae import TransformerAutoencoder

rng = np.random.default_rng(0)


def wave(t, place, width, height):
    return height * np.exp(-(((t - place) / width) ** 2))


def beat(kind):
    length = rng.integers(30, 61)  # the slower the heart, the longer
    t = np.arange(length)
    late, height = 13 + length / 4, rng.uniform(0.2, 0.5)
    if kind == "ordinary":
        heard = wave(t, 5, 2, 0.15) + wave(t, 11, 1, 1) - wave(t, 13, 1, 0.25)
        heard += wave(t, late, 4, height)
    else:
        heard = wave(t, 8, 3.5, 1.1) - wave(t, late, 5, height)
    return heard + 0.02 * rng.normal(size=length)


kinds = np.repeat(["ordinary", "wide"], [300, 100])
beats = [beat(kind) for kind in kinds]
lengths = np.array([len(x) for x in beats])
new = np.arange(len(beats)) % 4 == 0
train, test = ([beats[i] for i in np.flatnonzero(part)] for part in (~new, new))

model = TransformerAutoencoder(
    2,
    hidden_layer_sizes=(16, 16),
    batch_size=16,
    learning_rate=0.01,
    max_steps=300,
    random_state=0,
).fit(train)
codes, decoded = model.transform(test), model.reconstruct(test)
print(f"variance of new beats explained: {model.score(test):.0%}")

# %%
# All of these beats are new to the model. It does not know of two kinds, and still they lie apart,
# each in the order of length: both are needed to decode a beat. `reconstruct` gives a beat with its
# own length; `inverse_transform`, which sees no beat, goes on to the length of the longest.

figure = plt.figure(figsize=(11, 4.4), layout="constrained")
left, right = figure.subfigures(1, 2)
axes = left.subplots()
for kind, marker in (("ordinary", "o"), ("wide", "^")):
    own = kinds[new] == kind
    colors = {"c": lengths[new][own], "vmin": 30, "vmax": 60}
    dots = axes.scatter(*codes[own].T, marker=marker, **colors)
    axes.scatter([], [], color="0.4", marker=marker, label=kind)
axes.set(title="Codes of new beats", xlabel="component 0", ylabel="component 1")
axes.legend()
left.colorbar(dots, label="length of the beat, in steps")

panels = right.subplots(3, 2, sharex=True, sharey=True)
for column, kind in zip(panels.T, ("ordinary", "wide"), strict=True):
    own = np.flatnonzero(kinds[new] == kind)
    own = own[np.argsort(lengths[new][own])]
    column[0].set_title(f"{kind} beats")
    column[2].set_xlabel("step")
    for axes, row in zip(column, own[[0, len(own) // 2, -1]], strict=True):
        axes.plot(test[row], color="#0072B2", label="given")
        axes.plot(decoded[row], color="#D55E00", linestyle="--", label="decoded")
panels[0, 1].legend(fontsize=8)
plt.show()

"""
From codes to sequences
=======================

A decoder gives all steps of a sequence at once, or each from those before it. Both restore what
they are given. Here both learn from pieces of waves, 15 to 60 steps long, and then encode the first
25 steps of new ones: what they decode beyond these is a forecast. A decoder that goes on from its
own output continues a wave; one that gives all steps at once has no reason to.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktae import AutoregressiveAutoencoder, TransformerAutoencoder

rng = np.random.default_rng(0)
given, steps = 25, np.arange(60)


def waves(phases, rates):
    t = np.reshape(phases, (-1, 1)) + np.reshape(rates, (-1, 1)) * steps
    return np.sin(t) + 0.4 * np.sin(2 * t)


def draw(n):
    return waves(rng.uniform(0, 6, n), rng.uniform(0.2, 0.6, n))


pieces = [wave[: rng.integers(15, 61)] for wave in draw(500)]
new = draw(100)
models = {
    "All at once": TransformerAutoencoder(
        8,
        hidden_layer_sizes=(16, 16),
        batch_size=16,
        learning_rate=0.01,
        max_steps=250,
        random_state=0,
    ),
    "One after the other": AutoregressiveAutoencoder(
        8, decoder="neural", patch_size=1, batch_size=32, max_steps=600, random_state=0
    ),
}
ends = waves([0, 0], [0.25, 0.5])
share = np.linspace(0, 1, 5)[:, np.newaxis]
continued, between = {}, {}
print("squared error / variance   first steps   the rest")
for name, model in models.items():
    beginnings = list(new[:, :given])
    decoded = model.fit(pieces).inverse_transform(model.transform(beginnings))[..., 0]
    error = ((decoded - new) ** 2).mean(axis=0) / new.var()
    print(f"{name:26} {error[:given].mean():11.3f} {error[given:].mean():10.3f}")
    slow, fast = model.transform(list(ends))
    continued[name] = decoded
    between[name] = model.inverse_transform((1 - share) * slow + share * fast)[..., 0]

# %%
# On the right are codes on the way from that of a slow wave to that of a fast one. Decoded all at
# once, they become blends of the two; one after the other, most become waves of a rate in between.

figure, panels = plt.subplots(2, 2, figsize=(11, 5.6), sharex=True, layout="constrained")
for (left, right), name in zip(panels, models, strict=True):
    for row, shift in enumerate((0, -4, -8)):
        left.plot(steps, new[row] + shift, color="0.75", linewidth=4, label="truth")
        left.plot(steps, continued[name][row] + shift, color="#D55E00", label="decoded")
    left.axvline(given - 0.5, color="0.3", linewidth=1, linestyle=":")
    left.set(title=f"{name}: what follows 25 steps?", yticks=[], ylim=(-10, 3.5))
    for row, wave in enumerate(between[name]):
        right.plot(steps, wave - 4 * row, color=plt.get_cmap("cividis")(0.8 * share[row, 0]))
    right.set(title=f"{name}: from code to code", ylabel="share of the fast wave")
    right.set_yticks([-4 * row for row in range(5)], [f"{s:.0%}" for s in share[:, 0]])
lines, labels = panels[0, 0].get_legend_handles_labels()
panels[0, 0].legend(lines[:2], labels[:2], loc="upper right", ncols=2, frameon=False)
for axes in panels[1]:
    axes.set_xlabel("step")
plt.show()

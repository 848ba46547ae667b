"""
Words in another voice
======================

Each sequence is a spectrogram of one word by one speaker, made by a formula: the word is how
loudness and resonance move in time, and the speaker is how high and how sharp the resonance is. The
model is given which recordings have the same word, and nothing about speakers. So its content
becomes the word and its style the speaker, and a word can be said in the voice of another
recording.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier

from sktae import ConvolutionalSequenceVariationalAutoencoder

t, bands = np.linspace(0, 1, 32), np.arange(24)
LOUDNESS = np.stack(
    [
        np.sin(np.pi * t),
        np.abs(np.sin(2 * np.pi * t)),
        np.sin(np.pi * t) ** 4,
        np.abs(np.sin(3 * np.pi * t)) ** 0.5,
    ]
)
RESONANCE = np.stack([5 + 6 * t, 11 - 6 * t, 5 + 6 * np.sin(np.pi * t), 8 + 3 * np.cos(9 * t)])


def spectrograms(words, speakers):
    """Say words, (n,), with the height and the width of a voice, (n, 2); (n, 32, 24)."""
    height, width = speakers.T[:, :, np.newaxis, np.newaxis]
    away = bands - height - RESONANCE[words][:, :, np.newaxis]
    return LOUDNESS[words][:, :, np.newaxis] * np.exp(-((away / width) ** 2) / 2)


rng = np.random.default_rng(0)
words, speakers = rng.integers(0, 4, 1900), rng.uniform([0, 1], [8, 3], (1900, 2))
X = spectrograms(words, speakers) + 0.03 * rng.normal(size=(1900, 32, 24))
seen, new, others = slice(1500), slice(1500, 1700), slice(1700, None)

settings = {"patch_size": 4, "hidden_layer_sizes": (64, 64, 64), "learning_rate": 0.01}
model = ConvolutionalSequenceVariationalAutoencoder(
    8, n_content=4, beta=10.0, **settings, calibration=None, max_steps=400, random_state=0
).fit(X[seen], words[seen])

# %%
# New recordings, each converted to the voice of another one. A classifier of words and a regression
# of voices, which have learned from recordings, judge them. The formula says what is right.

converted = model.swap(X[new], X[others])
wanted = spectrograms(words[new], speakers[others])
flat = X.reshape(1900, -1)
listener = KNeighborsClassifier().fit(flat[seen], words[seen])
told = (listener.predict(converted.reshape(200, -1)) == words[new]).mean()
ear = Ridge(10.0).fit(flat[seen], speakers[seen])
voice = r2_score(speakers[others], ear.predict(converted.reshape(200, -1)))
right = r2_score(wanted.ravel(), converted.ravel())
print(f"the word is kept in {told:.0%}; R² of the voice {voice:.2f}, of the recordings {right:.2f}")

# %%
# Each row has the word at its left, each column the voice above it.

contents = 1500 + np.array([np.flatnonzero(words[new] == word)[0] for word in range(4)])
styles = 1700 + np.argsort(speakers[others, 0])[[5, 60, 120, 180]]
figure, grid = plt.subplots(5, 5, figsize=(8, 6), layout="constrained")
grid[0, 0].axis("off")
for line, content in zip(grid[1:], contents, strict=True):
    made = model.swap(np.repeat(X[[content]], 4, axis=0), X[styles])
    for axes, panel in zip(line, [X[content], *made], strict=True):
        axes.imshow(panel.T, origin="lower", cmap="Greys" if axes is line[0] else "magma")
for axes, style in zip(grid[0, 1:], styles, strict=True):
    axes.imshow(X[style].T, origin="lower", cmap="Greys")
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
figure.suptitle(f"Words from the left, voices from above: {told:.0%} of new words are kept")
plt.show()

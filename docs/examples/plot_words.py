"""
Digits in four words
====================

A vector-quantised autoencoder has a vocabulary of codes, here 64, and describes each image by four
of them. So an image becomes four whole numbers, and new images can be drawn as one draws words:
each as often as it followed the last one. The codes stay in use, since those that no image chooses
are moved to where the choice is worst.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sktae import VectorQuantizedAutoencoder

X, y = load_digits(return_X_y=True)
model = VectorQuantizedAutoencoder(
    32, n_slots=4, codes="indices", max_steps=1000, random_state=0
).fit(X)
words = model.transform(X).astype(int)
restored, drawn = model.inverse_transform(words), model.sample(10)
print(model.history_[["step", "used_codes", "perplexity"]].iloc[[0, 4, 9, 19]])

# %%
# Above, ten digits and what their four words say; below, digits that never were. The perplexity is
# how many codes it would be if all were used alike.

first = [np.flatnonzero(y == digit)[0] for digit in range(10)]
rows = {"image": X[first], "four words": restored[first], "drawn": drawn}
figure = plt.figure(figsize=(11, 5.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[2.2, 1])
for line, (title, images) in zip(left.subplots(3, 10), rows.items(), strict=True):
    for axes, image, row in zip(line, images, first, strict=True):
        axes.imshow(image.reshape(8, 8), cmap="Greys", vmin=0, vmax=16)
        axes.set(xticks=[], yticks=[])
        if title == "four words":
            axes.set_xlabel("\n".join(map(str, words[row])), fontsize=8)
    line[0].set_ylabel(title)
upper, lower = right.subplots(2)
upper.bar(range(64), np.sort(np.bincount(words.ravel(), minlength=64))[::-1], color="#0072B2")
upper.set(xlabel="code, by rank", ylabel="times used", title="All codes are in use")
lower.plot(model.history_["step"], model.history_["used_codes"], label="codes in use")
lower.plot(model.history_["step"], model.history_["perplexity"], label="perplexity")
lower.set(xlabel="step", ylim=(0, 68))
lower.legend(frameon=False)
for axes in (upper, lower):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

"""
Content and style
=================

Each image shows one of four shapes, somewhere. A content-style autoencoder is given which images
show the same shape, nothing else; so its content becomes the shape, and its style the place. Then
the shape of one image can be drawn in the place of another, and new images need no label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from sktae import ContentStyleAutoencoder

rng = np.random.default_rng(0)
shapes, places = rng.integers(0, 4, 3500), rng.integers(0, 7, (3500, 2))
x, y = (np.arange(13) - 3 - places.T[:, :, np.newaxis]) / 1.5
x, y = x[:, np.newaxis], y[:, :, np.newaxis]
kinds = [
    (x**2 + y**2) / 2,  # a spot
    (x**2 / 6 + y**2 * 3) / 2,  # a bar that lies
    (x**2 * 3 + y**2 / 6) / 2,  # a bar that stands
    (np.hypot(x, y) - 2) ** 2 * 3,  # a ring
]
X = np.exp(-np.choose(shapes[:, np.newaxis, np.newaxis], kinds)).reshape(3500, -1)
seen, new = slice(3000), slice(3000, None)

model = ContentStyleAutoencoder(
    8, likelihood="bernoulli", learning_rate=0.01, max_steps=1200, random_state=0
).fit(X[seen], shapes[seen])

# %%
# What each half of the code says of the shape, for images that were not in the fit: content all of
# it, style about as much as chance.

codes = model.transform(X)
for name, part in {"content": codes[:, :4], "style": codes[:, 4:]}.items():
    classifier = LogisticRegression(max_iter=5000).fit(part[seen], shapes[seen])
    print(f"shape from {name}: {classifier.score(part[new], shapes[new]):.2f} are right")

# %%
# Each row has the shape of the image at its left, each column the place of the image above it.

contents = 3000 + np.array([np.flatnonzero(shapes[new] == shape)[0] for shape in range(4)])
styles = 3000 + np.arange(20, 26)
figure, grid = plt.subplots(5, 7, figsize=(7.5, 5.4), layout="constrained")
grid[0, 0].axis("off")
for line, content in zip(grid[1:], contents, strict=True):
    made = model.swap(np.repeat(X[[content]], 6, axis=0), X[styles])
    for axes, image in zip(line, [X[content], *made], strict=True):
        axes.imshow(
            image.reshape(13, 13), cmap="Greys" if axes is line[0] else "magma", vmin=0, vmax=1
        )
for axes, style in zip(grid[0, 1:], styles, strict=True):
    axes.imshow(X[style].reshape(13, 13), cmap="Greys", vmin=0, vmax=1)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
figure.suptitle("Shapes from the left, places from above")
plt.show()

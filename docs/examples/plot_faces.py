"""
Faces from a convolutional variational autoencoder
==================================================

400 drawn faces of 3 x 24 x 24 are squeezed into 16 numbers each, and drawn again from those. The
code is a distribution, so that what lies between two faces is a face, too, and so is, mostly, what
is drawn at random. A `beta` above 1 buys that for a little accuracy.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktae import ConvolutionalVariationalAutoencoder
from sktae.plot import LatentDisplay, ReconstructionDisplay


def draw_faces(n, seed, size=24):
    """Draw faces of any skin, hair and mood, (n, 3, size, size), and say how light the skin is."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    images, shades = np.empty((n, 3, size, size), np.float32), rng.uniform(0.4, 1, n)
    hairs = np.array([[10, 7, 5], [45, 25, 10], [85, 70, 30], [60, 15, 10]]) / 100

    def paint(image, outside, color):
        covered = 1 / (1 + np.exp(np.clip(size * outside, -30, 30)))
        image += covered * (np.reshape(color, (3, 1, 1)) - image)

    def ellipse(x, y, wide, high):
        return (np.hypot((right - x) / wide, (down - y) / high) - 1) * min(wide, high)

    for image, shade in zip(images, shades, strict=True):
        wide, high = rng.uniform(0.5, 0.7), rng.uniform(0.65, 0.8)
        hair, face = rng.choice(hairs), ellipse(0, 0.1, wide, high)
        image[:] = rng.uniform(0.4, 0.9, (3, 1, 1))
        paint(image, ellipse(0, 0, 1.2 * wide, 1.15 * high), hair)
        paint(image, face, shade * np.array([0.95, 0.75, 0.6]))
        paint(image, np.maximum(face, down + rng.uniform(0.3, 0.5)), hair)
        eye, apart, look = rng.uniform(0.12, 0.16), rng.uniform(0.25, 0.3), rng.uniform(-0.05, 0.05)
        for side in (-apart, apart):
            paint(image, ellipse(side, 0, 1.3 * eye, eye), [1, 1, 1])
            paint(image, ellipse(side + look, 0, 0.7 * eye, 0.7 * eye), [0.1, 0.2, 0.4])
        mouth = down - 0.5 + 0.15 * rng.uniform(-1, 1) * ((right / 0.28) ** 2 - 0.5)
        paint(image, np.maximum(abs(mouth) - 0.06, abs(right) - 0.28), [0.7, 0.15, 0.2])
    return images, shades


X, _ = draw_faces(400, seed=0)
new, shades = draw_faces(200, seed=1)
settings = {"hidden_layer_sizes": (8, 16), "batch_size": 16, "learning_rate": 0.01}
model = ConvolutionalVariationalAutoencoder(
    16, beta=10, **settings, max_steps=250, random_state=0
).fit(X)
print(f"{model.score(new):.0%} of the variance of new faces")

# %%
# Above, new faces and what is left of them after passing through 16 numbers; then the way from one
# face to another, along a straight line between their codes; and faces that nobody has drawn: the
# prior is normal, so normal numbers are a code. Below, two components of the codes of new faces.
# The model does not know the shade of the skin, yet one component follows it.

codes = model.transform(new)
between = model.inverse_transform(np.linspace(codes[0], codes[1], 10))
invented = model.inverse_transform(np.random.default_rng(0).normal(size=(10, 16)))
follows = np.abs(np.corrcoef(codes.T, shades)[-1, :-1])
best, second = np.argsort(follows)[[-1, -2]]
print(
    f"component {best} and shade: correlation {follows[best]:.2f}, median {np.median(follows):.2f}"
)

figure = plt.figure(figsize=(10, 7.5), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1.35, 1])
first, middle = above.subplots(2)
ReconstructionDisplay.from_estimator(model, new, n_images=10, ax=first)
ReconstructionDisplay(between, invented).plot(middle)
middle.set_yticklabels(["between two", "invented"])
points = {"ax": below.subplots(), "components": (best, second), "cmap": "copper"}
LatentDisplay.from_estimator(model, new, shades, **points)
points["ax"].set_title("Shades of skin in the code")
plt.show()

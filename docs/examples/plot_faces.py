"""
Faces from a convolutional variational autoencoder
==================================================

600 drawn faces of 3 x 64 x 64 are squeezed into 32 numbers each, and drawn again from those. The
code is a distribution, so that what lies between two faces is a face, too, and so is, mostly, what
is drawn at random. A `beta` above 1 buys that for a little accuracy.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktae import ConvolutionalVariationalAutoencoder
from sktae.plot import LatentDisplay, ReconstructionDisplay


def draw_faces(n, seed, size=64):
    """Draw faces of any skin, hair, eyes and mood, (n, 3, size, size), and say how they smile."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    images, smiles = np.empty((n, 3, size, size), np.float32), rng.uniform(-1, 1, n)
    hairs = np.array([[10, 7, 5], [45, 25, 10], [85, 70, 30], [60, 15, 10]]) / 100
    irises = np.array([[20, 35, 60], [30, 20, 10], [20, 45, 25]]) / 100

    def paint(image, outside, colour):
        covered = 1 / (1 + np.exp(np.clip(size * outside, -30, 30)))
        image += covered * (np.reshape(colour, (3, 1, 1)) - image)

    def ellipse(x, y, wide, high):
        return (np.hypot((right - x) / wide, (down - y) / high) - 1) * min(wide, high)

    for image, smile in zip(images, smiles, strict=True):
        wide, high = rng.uniform(0.5, 0.7), rng.uniform(0.65, 0.8)
        skin, hair = rng.uniform(0.45, 1) * np.array([0.95, 0.75, 0.6]), rng.choice(hairs)
        image[:] = rng.uniform(0.4, 0.9, (3, 1, 1))
        face = ellipse(0, 0.1, wide, high)
        paint(image, ellipse(0, 0, 1.15 * wide, 1.1 * high), hair)
        paint(image, face, skin)
        paint(image, np.maximum(face, down + rng.uniform(0.3, 0.5)), hair)
        eye, apart, look = rng.uniform(0.1, 0.15), rng.uniform(0.22, 0.32), rng.uniform(-0.05, 0.05)
        iris = rng.choice(irises)
        for side in (-apart, apart):
            paint(image, ellipse(side, 0, 1.3 * eye, eye), [1, 1, 1])
            paint(image, ellipse(side + look, 0, 0.7 * eye, 0.7 * eye), iris)
        paint(image, ellipse(0, 0.22, 0.07, 0.1), 0.8 * skin)
        along = right / rng.uniform(0.22, 0.34)
        away = down - 0.53 + 0.15 * smile * (along**2 - 0.5)
        paint(image, np.maximum(abs(away) - 0.05, (abs(along) - 1) * 0.3), [0.7, 0.15, 0.2])
    return images, smiles


X, _ = draw_faces(600, seed=0)
new, smiles = draw_faces(300, seed=1)
model = ConvolutionalVariationalAutoencoder(32, beta=20, max_steps=800, random_state=0)
model.fit(X)
print(f"{model.score(new):.0%} of the variance of new faces")

# %%
# Above, new faces and what is left of them after passing through 32 numbers. Then the way from one
# face to another, along a straight line between their codes, and faces that nobody has drawn: the
# prior is normal, so normal numbers are a code. Below, two components of the codes of new faces.
# Nobody told the model which of them smile, yet one component knows more of that than the others.

codes = model.transform(new)
between = model.inverse_transform(np.linspace(codes[0], codes[1], 10))
invented = model.inverse_transform(np.random.default_rng(0).normal(size=(10, 32)))
known = np.abs(np.corrcoef(codes.T, smiles)[-1, :-1])
best, second = np.argsort(known)[[-1, -2]]
print(f"component {best} and smiles: correlation {known[best]:.2f}, median {np.median(known):.2f}")

figure = plt.figure(figsize=(10, 7.5), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1.35, 1])
first, middle = above.subplots(2)
ReconstructionDisplay.from_estimator(model, new, n_images=10, ax=first)
ReconstructionDisplay(between, invented).plot(middle)
middle.set_yticklabels(["between two", "invented"])
points = below.subplots()
LatentDisplay.from_estimator(
    model, new, smiles, components=(best, second), ax=points, cmap="coolwarm"
)
points.set_title("Red ones smile")
plt.show()

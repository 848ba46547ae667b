"""
Flawed parts, from a folder of images
=====================================

Images of faultless parts lie in a folder. `ImageFolder` reads each file when it is wanted, while
the last batch is being learnt, and gives it another turn and tint each time: parts may lie in any
way and light. What comes out is a detector that also shows where a part is flawed.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from sktae import ConvolutionalAutoencoder
from sktae.datasets import ImageFolder
from sktae.plot import ReconstructionDisplay


def draw_parts(n, seed, n_holes=6, size=32):
    """Draw disks with six holes, of which some may be missing."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    images = np.empty((n, size, size, 3))
    for image, turn in zip(images, rng.uniform(0, 2 * np.pi, n), strict=True):
        solid = rng.uniform(0.8, 0.85) - np.hypot(down, right)
        for angle in turn + np.arange(n_holes) * np.pi / 3:
            hole = np.hypot(down - 0.5 * np.sin(angle), right - 0.5 * np.cos(angle)) - 0.13
            solid = np.minimum(solid, hole)
        covered, shine = 1 / (1 + np.exp(-size * solid)), 0.65 + 0.15 * right
        image[:] = 0.15 + (covered * shine)[..., np.newaxis] * [0.8, 0.75, 0.65]
    return np.uint8(255 * (images + rng.normal(0, 0.02, images.shape)).clip(0, 1))


folder = Path(tempfile.mkdtemp())
for number, image in enumerate(draw_parts(100, seed=0)):
    plt.imsave(folder / f"{number:03}.png", image)

# %%
# `ImageFolder` reads files as bytes, (channels, height, width). What turns and tints them comes as
# `transform`.

rng = np.random.default_rng(0)


def turned(image):
    """Give an image another turn and tint."""
    tinted = image * rng.uniform(0.93, 1.07, (3, 1, 1))
    angle, axes = rng.uniform(0, 360), (1, 2)
    return np.uint8(
        rotate(tinted, angle, axes, reshape=False, order=1, mode="nearest").clip(0, 255)
    )


settings = {"hidden_layer_sizes": (8, 16), "batch_size": 16, "learning_rate": 0.01}
model = ConvolutionalAutoencoder(32, training_data="clean", **settings, max_steps=80)
model.set_params(random_state=0).fit(ImageFolder(folder, transform=turned))

# %%
# Of 200 new parts, half lack a hole. A forest on the pixels hardly finds those. The model draws
# parts as they should be, so what it cannot reproduce is the flaw: errors are below.

files = np.array([255 * plt.imread(file)[..., :3] for file in sorted(folder.glob("*.png"))])
new = np.concatenate([draw_parts(100, seed=2, n_holes=5), draw_parts(100, seed=1)])
new = new.transpose(0, 3, 1, 2)
is_good, pixels = np.repeat([0, 1], 100), new.transpose(0, 2, 3, 1).reshape(200, -1)
forest = IsolationForest(random_state=0).fit(files.reshape(100, -1))
print(f"AUROC of the autoencoder: {roc_auc_score(is_good, model.score_samples(new)):.2f}")
print(f"AUROC of the forest: {roc_auc_score(is_good, forest.score_samples(pixels)):.2f}")
ReconstructionDisplay.from_estimator(model, new[95:105], n_images=10, errors=True)
plt.show()

"""
Flawed parts, from a folder of images
=====================================

Images of faultless parts lie in a folder. A torch `Dataset` reads each file when it is wanted,
while the last batch is being learnt, and gives it another flip, rotation and tint each time: parts
may lie in any way and light. What comes out is a detector that also shows where a part is flawed.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from torch.utils.data import Dataset

from sktae import ConvolutionalAutoencoder
from sktae.plot import ReconstructionDisplay


def draw_parts(n, seed, flawed=False, size=48):
    """Draw rings with a notch and six holes; of flawed ones, a hole is missing or the rim bent."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    images = np.empty((n, size, size, 3))
    for number, image in enumerate(images):
        turn, wide = rng.uniform(0, 2 * np.pi), rng.uniform(0.78, 0.82)
        angle, far = np.arctan2(down, right) - turn, np.hypot(down, right)
        bent = flawed and number % 8 == 0
        rim = wide - 0.25 * bent * np.exp(-10 * (1 - np.cos(angle - rng.uniform(1, 5))))
        solid = np.minimum(rim - far, far - 0.25)
        solid = np.minimum(solid, np.hypot(down - np.sin(turn), right - np.cos(turn)) - 0.35)
        missing = rng.integers(1, 6) if flawed and not bent else None
        for hole in range(1, 7):
            place = turn + hole * np.pi / 3 - np.pi / 6
            away = np.hypot(down - 0.52 * np.sin(place), right - 0.52 * np.cos(place))
            if hole != missing:
                solid = np.minimum(solid, away - 0.1)
        covered = 1 / (1 + np.exp(np.clip(-size * solid, -30, 30)))[..., np.newaxis]
        shine = 0.65 + 0.15 * (right * np.cos(0.5) + down * np.sin(0.5))[..., np.newaxis]
        image[:] = 0.15 + covered * (shine * [1, 0.95, 0.85] - 0.15)
        image += rng.normal(0, 0.02, image.shape)
    return (255 * images.clip(0, 1)).astype(np.uint8)


folder = Path(tempfile.mkdtemp())
for number, image in enumerate(draw_parts(200, seed=0)):
    plt.imsave(folder / f"{number:03}.png", image)

# %%
# A Dataset needs `__len__` and `__getitem__`. From bytes, the model knows that values lie between 0
# and 255.


class ImageFolder(Dataset):
    """The images of a folder, (channels, height, width), each time a little different."""

    def __init__(self, folder, seed=0):
        self.files = sorted(Path(folder).glob("*.png"))
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, number):
        image = plt.imread(self.files[number])[..., :3]
        if self.rng.random() < 0.5:
            image = image[:, ::-1]
        image = rotate(image, self.rng.uniform(0, 360), reshape=False, order=1, mode="nearest")
        image = image * self.rng.uniform(0.93, 1.07, 3)
        return np.uint8(255 * image.clip(0, 1)).transpose(2, 0, 1)


model = ConvolutionalAutoencoder(64, max_steps=300, training_data="clean", random_state=0)
model.fit(ImageFolder(folder))

# %%
# Of 200 new parts, every fourth is flawed. A forest on the pixels, which sees files as they are,
# does not find them:

flaw = np.arange(200) % 4 == 0
new = np.where(
    flaw[:, np.newaxis, np.newaxis, np.newaxis],
    draw_parts(200, seed=2, flawed=True),
    draw_parts(200, seed=1),
).transpose(0, 3, 1, 2)
files = np.array([255 * plt.imread(file)[..., :3] for file in sorted(folder.glob("*.png"))])
forest = IsolationForest(random_state=0).fit(files.transpose(0, 3, 1, 2).reshape(200, -1))
found = {
    "ConvolutionalAutoencoder": -model.score_samples(new),
    "IsolationForest": -forest.score_samples(new.reshape(200, -1)),
}
for name, anomaly in found.items():
    print(f"{name}: area under the ROC curve {roc_auc_score(flaw, anomaly):.2f}")

# %%
# Five flawed parts and five others. The model draws every part as it should be, so what it cannot
# reproduce is the flaw:

shown = [*np.flatnonzero(flaw)[:5], *np.flatnonzero(~flaw)[:5]]
ReconstructionDisplay.from_estimator(model, new[shown], n_images=10, errors=True)
plt.show()

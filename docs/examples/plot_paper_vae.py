"""
A convolutional variational autoencoder to the letter
=====================================================

Code of papers fixes every detail: stages of convolution, norm and leaky ReLU, bilinear upsampling,
a tanh at the end, squared errors plus a tenth of the divergence, AdamW with one cycle of the
learning rate, and images for validation whose loss is watched. Each of them is a parameter. Drawn
balls of 3 x 32 x 32 become maps of 4 x 8 x 8.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sktae import AutoencoderNet, ConvolutionalVariationalAutoencoder, load, save
from sktae.plot import LatentDisplay, ReconstructionDisplay, ReconstructionWriter


def draw_balls(n, seed, size=32):
    """Draw shaded balls of any color, (n, 3, size, size), between -1 and 1."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    y, x = rng.uniform(-0.4, 0.4, (2, n, 1, 1, 1))
    radius = rng.uniform(0.3, 0.6, (n, 1, 1, 1))
    distance = np.hypot(down - y, right - x) / radius
    light = np.clip(1 - np.hypot(down - y + 0.2, right - x + 0.2) / 2 / radius, 0, 1)
    ball = rng.uniform(0.3, 1, (n, 3, 1, 1)) * light
    ground = rng.uniform(0, 0.5, (n, 3, 1, 1)) * (0.7 + 0.3 * down)
    images = np.where(distance < 1, ball, ground)
    return (2 * images - 1).astype(np.float32)


X, watched = draw_balls(480, seed=0), draw_balls(120, seed=1)
folder = Path(tempfile.mkdtemp())
writer = ReconstructionWriter(watched, folder / "pictures", every=5)
model = ConvolutionalVariationalAutoencoder(
    hidden_layer_sizes=(16, 32),
    code_channels=4,
    activation=("leaky_relu", 0.2),
    norm="batch",
    residual_blocks=False,
    upsampling="bilinear",
    output_activation="tanh",
    standardize=False,
    noise_scale=0.5**0.5,
    beta=0.1,
    learning_rate=0.01,
    schedule="one_cycle",
    weight_decay=1e-4,
    batch_size=16,
    max_steps=None,
    max_epochs=15,
    calibration=None,
    net=AutoencoderNet(callbacks=[writer]),
    random_state=0,
)
model.fit(X, X_val=watched)
print(*sorted(path.name for path in (folder / "pictures").iterdir()))
columns = ["epoch", "train_loss", "valid_loss", "squared_error", "divergence", "learning_rate"]
print(model.history_.loc[4::5, columns].round(4).to_string(index=False))

# %%
# The loss of images that the model has not seen falls with that of the training; nothing stops at
# the first rise. `squared_error` and `divergence` are those of one number of an image, `divergence`
# without its weight. Below, some images and what their maps look like: the mean over 4 channels.

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 4.6), layout="compressed")
for name in ("train_loss", "valid_loss"):
    above.plot(model.history_["epoch"], model.history_[name], label=name)
above.set(xlabel="epoch", yscale="log")
above.legend(frameon=False)
_ = LatentDisplay.from_estimator(model, watched, channels="mean", colorbar=True, ax=below)

# %%
# A code is a normal distribution. Its mean is what `transform` returns. A draw from it is decoded
# to about the same image: the noise that is left is what the divergence buys.

mean, std = model.code_distribution(watched)
drawn = model.inverse_transform(np.random.default_rng(0).normal(mean, std))
print(f"{std.mean():.2f} is the mean spread of a code, {mean.std():.2f} that of their means")
display = ReconstructionDisplay((watched[:8] + 1) / 2, (drawn[:8] + 1) / 2).plot()

# %%
# A file keeps the weights. What is loaded gives the same bits, and as `init_from` of a new
# estimator it would be where another fit starts. Files hold no callbacks.

save(model.set_params(net=None), folder / "balls.sktae")
again = load(folder / "balls.sktae")
print(bool((again.transform(watched) == mean).all()))

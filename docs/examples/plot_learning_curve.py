"""
When to stop
============

`history_` has one row for each epoch. With `early_stopping`, some rows are held out; once their
loss has not fallen for `patience` epochs, the fit ends and the best weights come back.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from sktae import Autoencoder

X, _ = load_wine(return_X_y=True)
model = Autoencoder(
    8,
    hidden_layer_sizes=(256, 64),
    schedule="constant",
    max_steps=None,
    max_epochs=1000,
    early_stopping=True,
    validation_fraction=0.3,
    patience=20,
    random_state=0,
).fit(X)
history = model.history_.set_index("epoch")
best = history["valid_loss"].idxmin()
print(history[["step", "train_loss", "valid_loss"]].tail(3).round(3))

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(history["train_loss"], color="#0072B2", label="rows trained on")
axes.plot(history["valid_loss"], color="#D55E00", linestyle="--", label="rows held out")
axes.axvline(best, color="#999999", linewidth=1)
axes.text(best - 3, 3, f"best epoch: {best}", rotation=90, ha="right")
axes.set(
    title="The fit stops by itself and keeps its best weights",
    xlabel="epoch",
    ylabel="squared error per row (log scale)",
    yscale="log",
)
axes.legend()
plt.show()

"""
When to stop
============

`history_` has one row for each epoch. With `early_stopping`, some rows are held out; once their
loss has not fallen for `patience` epochs, the fit ends and the best weights come back.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from sktae import Autoencoder
from sktae.plot import TrainingDisplay

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
print(model.history_[["epoch", "step", "train_loss", "valid_loss"]].tail(3).round(3))

# %%
# The scale of losses is logarithmic. A dot marks the epoch whose weights are kept.

display = TrainingDisplay.from_estimator(model)
display.ax_.set_title("The fit stops by itself and keeps its best weights")
plt.show()

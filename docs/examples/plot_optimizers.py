"""
Other optimizers and schedules
==============================

A fit uses AdamW, and its learning rate falls along a cosine. Any optimizer of torch goes through
`net`, as a class with its settings, and so does any schedule, as a callback of skorch. The
estimator's own `schedule` is then "constant", so that only one of them moves the rate.
"""

import tempfile

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.callbacks import Checkpoint, LoadInitState, LRScheduler
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from sktae import Autoencoder, AutoencoderNet

X, new = train_test_split(load_digits().data, random_state=0)
STEPS = 300  # an epoch is a twentieth of them

momentum = {"optimizer__momentum": 0.9, "optimizer__nesterov": True}
choices = {
    "AdamW, cosine": (AdamW, {}, 0.01, LRScheduler(CosineAnnealingLR, T_max=20)),
    "Adam, one cycle": (
        Adam,
        {},
        0.01,
        LRScheduler(OneCycleLR, max_lr=0.02, total_steps=STEPS, step_every="batch"),
    ),
    "SGD, reduced on a plateau": (
        SGD,
        momentum,
        0.01,
        LRScheduler(ReduceLROnPlateau, monitor="train_loss", patience=1, factor=0.3),
    ),
}
models = {"as it is": Autoencoder(8, max_steps=STEPS, random_state=0).fit(X)}
for name, (optimizer, settings, rate, schedule) in choices.items():
    net = AutoencoderNet(optimizer=optimizer, callbacks=[schedule], **settings)
    model = Autoencoder(
        8, net=net, learning_rate=rate, schedule="constant", max_steps=STEPS, random_state=0
    )
    models[name] = model.fit(X)
for name, model in models.items():
    print(
        f"{name:26} {model.score(new):.3f}  {model.history_['seconds'].sum():.1f} s, "
        f"{model.training_path_}"
    )

# %%
# A checkpoint holds weights, the optimizer's state and the history. A new fit that begins with it
# goes on where that one was when its loss was least.

folder = tempfile.mkdtemp()
kept = Checkpoint(dirname=folder, monitor="train_loss_best", f_pickle=None)
short = Autoencoder(8, max_steps=100, random_state=0)
first = clone(short).set_params(net=AutoencoderNet(callbacks=[kept])).fit(X)
resumed = clone(short).set_params(net=AutoencoderNet(callbacks=[LoadInitState(kept)])).fit(X)
state = resumed.net_.optimizer_.state_dict()["state"][0]
print(f"{len(resumed.history_)} epochs, {int(state['step'])} steps, {resumed.score(new):.3f}")

# %%
# Schedules of the learning rate, and what the loss makes of them:

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for name, model in models.items():
    history = model.history_
    left.plot(history["step"], history["learning_rate"], label=name)
    right.plot(history["step"], history["train_loss"], label=name)
left.set(xlabel="step", ylabel="learning rate", yscale="log", ylim=(1e-5, None))
right.set(xlabel="step", ylabel="loss", yscale="log")
right.legend(frameon=False, loc="upper right")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

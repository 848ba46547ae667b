"""Looking at a network between the epochs of its fit."""

import torch
from skorch.callbacks import Callback


class Probe(Callback):
    """Looks at the network through a fixed sample of training rows.

    `diagnose(out)` gives figures for the history, after each epoch. `revive(network, out)` may
    repair the network before the next one, while there is time left to train what it repaired.
    """

    def __init__(self, steps, x, noise, diagnose, revive):
        self.steps, self.x, self.noise = steps, x, noise
        self.diagnose, self.revive = diagnose, revive

    def look(self, net):
        net._set_training(True)
        return net.module_(self.x, *self.noise)

    @torch.no_grad()
    def on_epoch_begin(self, net, **kwargs):
        if self.revive is not None and self.steps.step > 0 and self.steps.progress < 0.75:
            self.revive(net.module_, self.look(net))

    @torch.no_grad()
    def on_epoch_end(self, net, **kwargs):
        if self.diagnose is not None:
            for name, value in self.diagnose(self.look(net)).items():
                net.history.record(name, float(value))

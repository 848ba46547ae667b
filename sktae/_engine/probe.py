"""Diagnosis and repair of a network between the epochs of its fit."""

import torch
from skorch.callbacks import Callback

# Repairs end after this share of a fit, so that what was repaired last can still be trained.
_LAST_REPAIR = 0.75


class Probe(Callback):
    """Runs the network on a fixed sample of training rows, to diagnose it and to repair it.

    Parameters
    ----------
    steps : TrainingSteps
        The budget of the fit.

    x, noise : Tensor, tuple of Tensor
        The sample of rows, and its noise.

    revives : bool
        Whether the network may be changed.
    """

    def __init__(self, steps, x, noise, revives):
        self.steps, self.x, self.noise, self.revives = steps, x, noise, revives
        self.last = None  # the state of the network at the end of an epoch, and its outputs

    def outputs(self, net):
        # In training mode, in which networks use their noise.
        net._set_training(True)
        return net.module_(self.x, *self.noise)

    def repairs(self):
        return self.revives and self.steps.step > 0 and self.steps.progress < _LAST_REPAIR

    @torch.no_grad()
    def on_epoch_begin(self, net, **kwargs):
        if not self.repairs():
            return
        last, self.last = self.last, None
        # A callback may have changed the network since.
        same = last is not None and all(map(torch.equal, last[0], _state(net.module_)))
        net.module_.revive(last[1] if same else self.outputs(net))

    @torch.no_grad()
    def on_epoch_end(self, net, **kwargs):
        if net.module_.overrides("diagnose"):
            out = self.outputs(net)
            for name, value in net.module_.diagnose(self.x, out).items():
                net.history.record(name, float(value))
            if self.repairs():
                self.last = [value.clone() for value in _state(net.module_)], out


def _state(network):
    return network.state_dict().values()

"""Callbacks of skorch: what they may do, and what comes of it."""

import pytest
from shared import kinds, quick
from skorch.callbacks import Callback

from sktae import AutoencoderNet

EVENTS = ["epoch_begin", "batch_begin", "grad_computed", "batch_end", "epoch_end"]


def stops(event, at=1):
    """Return a net with a callback that ends the fit, in skorch's way, when an event comes."""

    class Stop(Callback):
        n = 0

        def stop(self, net, *args, **kwargs):
            self.n += 1
            if self.n == at:
                raise KeyboardInterrupt

    setattr(Stop, f"on_{event}", Stop.stop)
    return AutoencoderNet(callbacks=[Stop()])


@pytest.mark.parametrize("E", kinds())
def test_a_callback_may_end_a_fit_at_any_event(E, X):
    """The model is what was learned so far, and its history has whole epochs only."""
    for event in EVENTS:
        model = quick(E, max_steps=8, net=stops(event, at=2)).fit(X)
        assert model.n_iter_ < 8
        assert 1 <= len(model.history_) <= 2
        assert model.history_.notna().all(axis=None)


@pytest.mark.parametrize("event", ["train_begin", "train_end", *EVENTS[:-1]])
def test_without_an_epoch_there_is_no_model(event, X):
    """A callback that ends a fit too early, or too late, interrupts it: nothing changes."""
    model = quick(max_steps=8).fit(X)
    fitted = vars(model).copy()
    with pytest.raises(KeyboardInterrupt):
        model.set_params(net=stops(event)).fit(X)
    assert {**vars(model), "net": None} == fitted

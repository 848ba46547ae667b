"""What a user has set in torch changes no fit and no score, and is as it was after them."""

import signal
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from shared import in_turn, quick
from torch.utils.data import TensorDataset

from sktae import Autoencoder, DenoisingAutoencoder, all_estimators, fit_many
from sktae._engine.settings import usual_settings


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


AMBIENT = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "another device": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no gradients": torch.no_grad,
}


def results(model, X):
    """Return what a model says of rows, in every way that goes through torch."""
    answers = [model.score_samples(X), model.reconstruct(X), model.explain(X[:2]).to_numpy()]
    return answers + ([model.sample(3)] if hasattr(model, "sample") else [])


def settings():
    """Return the settings of this thread."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.overrides._get_current_function_mode_stack(),
        torch._C._len_torch_dispatch_stack(),
    )


@in_turn(E=all_estimators(), ambient=list(AMBIENT))
def test_ambient_settings_change_nothing(E, ambient, X):
    """Under any of torch's settings, fits and scores are the same, to the bit."""
    usual = quick(E, max_steps=5).fit(X)
    with AMBIENT[ambient]():
        before = settings()
        model = quick(E, max_steps=5).fit(X)
        inside = results(model, X)
        assert settings() == before
    assert all(p.dtype == torch.float32 for p in model.net_.module_.parameters())
    for answers in (inside, results(model, X)):
        for found, expected in zip(answers, results(usual, X), strict=True):
            np.testing.assert_array_equal(found, expected)


@in_turn(ambient=list(AMBIENT), precision=["bfloat16", "float32"])
def test_ambient_settings_of_other_ways_to_fit(ambient, precision, X):
    """So for models that are trained together, and for rows that a thread reads."""
    params = {"precision": precision, "max_steps": 5, "noise": "swap"}

    def scores():
        models = [quick(DenoisingAutoencoder, **params, learning_rate=r) for r in (0.01, 0.1)]
        models = fit_many(models, [X, X])
        models.append(quick(DenoisingAutoencoder, **params).fit(rows))
        return [model.score_samples(X) for model in models]

    rows = TensorDataset(torch.tensor(X))
    usual = scores()
    with AMBIENT[ambient]():
        np.testing.assert_array_equal(scores(), usual)


def test_other_threads_keep_their_settings():
    """The default dtype is that of all threads, so it is never changed."""
    found = []
    with default_dtype(torch.float64), usual_settings():
        assert torch.zeros(1).dtype == torch.tensor([1, 2.0]).dtype == torch.float32
        assert torch.full((1,), 1).dtype == torch.tensor(3).dtype == torch.int64
        assert torch.as_tensor(np.ones(1)).dtype == torch.float64
        thread = threading.Thread(target=lambda: found.append(torch.zeros(1).dtype))
        thread.start()
        thread.join()
    assert found == [torch.float64]


# Files of torch whose contexts are entered and left in a fit.
CONTEXTS = ("grad_mode.py", "overrides.py", "_python_dispatch.py", "autocast_mode.py", "replay.py")


def interrupted(function, at):
    """Send Ctrl-C before a line of these files runs; return how many lines did."""
    n_lines = 0

    def trace(frame, event, arg):
        nonlocal n_lines
        if not frame.f_code.co_filename.endswith(CONTEXTS):
            return None
        if event == "line":
            n_lines += 1
            if n_lines == at:
                signal.raise_signal(signal.SIGINT)
        return trace

    tracer, handler = sys.gettrace(), signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(tracer)
        signal.signal(signal.SIGINT, handler)
    return n_lines


def test_interruptions_leave_the_settings(X, monkeypatch):
    """Ctrl-C that comes while torch enters or leaves a context leaves nothing half set."""
    monkeypatch.setattr("sktae._engine.net.MANY_STEPS", 0)

    def fit():
        return quick(Autoencoder, max_steps=2, precision="bfloat16").fit(X)

    fit()
    n_lines, before = interrupted(fit, 0), settings()
    for at in np.random.default_rng(0).integers(1, n_lines, 15):
        with pytest.raises(KeyboardInterrupt):
            interrupted(fit, int(at))
        assert settings() == before, at

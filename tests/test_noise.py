"""Noise on the rows of the training: what is corrupted, and what is learned from it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from shared import quick
from sklearn.base import clone

from sktae import (
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
    fit_many,
)
from sktae._training.spec import Spec


@pytest.mark.parametrize(
    ("E", "shape", "together"),
    [
        (DenoisingAutoencoder, (64,), ()),
        (ConvolutionalAutoencoder, (3, 6, 5), (1,)),
        (RecurrentAutoencoder, (9, 2), (2,)),
    ],
)
def test_what_is_hidden(E, shape, together):
    """Entries of a table, pixels with all channels, or steps with all channels, at a rate."""
    x = torch.ones(500, *shape)
    network = SimpleNamespace(noise=("own",))
    for noise in ("masking", "swap", "gaussian"):
        if noise == "swap" and E is RecurrentAutoencoder:
            continue
        corruption = E(noise=noise, noise_level=0.25)._corruption(Spec(shape, 2, ()))
        rng = torch.Generator().manual_seed(0)
        draws = [draw.draw(rng, 500) for draw in corruption.draws[:1]]
        draws += [7 * x] * (noise == "swap")
        network.noise = ("own", *corruption.draws)
        (hidden, own) = corruption(network, (x, "own", *draws))
        assert own == "own"
        assert corruption(network, (x,)) == (x,)
        assert corruption(network, (x, "own")) == (x, "own")  # in scores that draw
        if noise == "gaussian":
            assert hidden.std() == pytest.approx(0.25, abs=0.01)
            continue
        changed = hidden != 1
        assert changed.float().mean() == pytest.approx(0.25, abs=0.02)
        if together:
            axis = together[0]
            assert (changed.all(axis) == changed.any(axis)).all()
        value = hidden[changed].unique()
        assert value.isnan().all() if E is RecurrentAutoencoder else value in (0, 7)
    with pytest.raises(ValueError, match=f"of {E.__name__} must be at most 1"):
        E(noise="masking", noise_level=1.5)._corruption(Spec(shape, 2, ()))


@pytest.mark.parametrize("params", [{}, {"n_tokens": 6}])
def test_blanks_are_filled_in(params):
    """Who has learned with blanks tells what stands in them better than who has not."""
    rng = np.random.default_rng(0)
    start, pace = rng.integers(0, 6, (2, 700, 1))
    X = (start + (1 + pace % 2) * np.arange(12)) % 6.0  # each step tells all others
    blank = X[600:].copy()
    blank[:, 2:10] = np.nan
    settings = {"patch_size": 1, "hidden_layer_sizes": (32,), "max_steps": 150, **params}
    errors = []
    for noise in (None, "masking"):
        model = quick(TransformerAutoencoder, n_components=16, noise=noise, **settings)
        made = model.fit(X[:600]).inverse_transform(model.transform(blank))
        errors.append(np.mean((made - X[600:])[:, 2:10] ** 2))
    assert errors[1] < 0.5 * errors[0]
    if params:
        with pytest.raises(ValueError, match="noise='gaussian' of TransformerAutoencoder is for"):
            model.set_params(noise="gaussian").fit(X)


@pytest.mark.parametrize(
    "params",
    [{}, {"similarity": "additive"}, {"weighting": "relu"}, {"attention": "linear"}],
    ids=lambda params: "".join(params.values()) or "softmax",
)
def test_whole_sequences_may_be_hidden(params):
    """Fits stay finite, alone and in a stack, whose attention is computed otherwise."""
    X = np.random.default_rng(0).normal(size=(200, 4))
    models = [
        quick(TransformerAutoencoder, noise="masking", noise_level=0.9, random_state=n, **params)
        for n in range(2)
    ]
    alone = clone(models[0]).fit(X)
    for model in (alone, *fit_many(models, [X, X])):
        assert np.isfinite(model.score_samples(X)).all()
    np.testing.assert_allclose(models[0].transform(X), alone.transform(X), atol=1e-3)

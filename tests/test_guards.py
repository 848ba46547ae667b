"""What goes wrong is said, with a cure, and leaves nothing half-done."""

import numpy as np
import pandas as pd
import pytest
import torch
from shared import every, quick
from sklearn.preprocessing import MinMaxScaler

from sktae import (
    Autoencoder,
    AutoregressiveAutoencoder,
    BaseAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
)
from sktae.nn.layers import Coded, EncoderDecoder


@every
def test_divergence_raises_and_leaves_the_last_fit(E, X):
    """A fit that blows up says so, with a cure, and does not touch what was fitted before."""
    model = quick(E).fit(X)
    scores, history = model.score_samples(X), model.history_
    model.set_params(learning_rate=1e30, max_grad_norm=None)
    with pytest.raises(
        ValueError, match=r"train loss became \w+ in epoch \d+.*lower learning_rate"
    ):
        model.fit(X[:, :3])
    np.testing.assert_array_equal(model.score_samples(X), scores)
    assert model.history_.equals(history)
    fresh = quick(E, learning_rate=1e30, max_grad_norm=None)
    with pytest.raises(ValueError, match="train loss"):
        fresh.fit(X)
    assert not hasattr(fresh, "n_components_")


def test_warnings_name_a_cure(X):
    """Collapse, dead units and constant scores are reported where fit was called."""
    with pytest.warns(UserWarning, match="collapsed.*Lower beta") as caught:
        quick(VariationalAutoencoder, beta=1e3, learning_rate=0.01, max_steps=300).fit(X)
    assert caught[0].filename == __file__
    peaks = np.exp(
        -(((np.arange(64) - 30 - 4 * np.random.default_rng(0).random((60, 1))) / 3) ** 2)
    )
    with pytest.warns(UserWarning, match="decodes training sequences worse.*Raise order"):
        quick(AutoregressiveAutoencoder, patch_size=1, order=1, max_steps=100).fit(peaks)
    with pytest.warns(UserWarning, match="never fire. Lower alpha"):
        quick(SparseAutoencoder, penalty="l1", alpha=1e3, max_steps=200, learning_rate=0.1).fit(X)

    class Blind(Autoencoder):
        @staticmethod
        def error(x, out):
            return torch.zeros_like(x)

        @staticmethod
        def surprise(out):
            return torch.zeros(len(out.code))

    with pytest.warns(UserWarning, match="same score.*Train longer"):
        quick(Blind, score_method="error").fit(X)


TEXT = "Column 'a' of X holds .*'x'|could not convert string to float|X holds the word 'x'"


@every
def test_bad_rows_are_refused(E, X):
    """scikit-learn's own errors, at fit and at every other method."""
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    model = quick(E, max_steps=1).fit(frame)
    bad = {
        "infinity": frame.replace(frame.iloc[0, 0], np.inf),
        TEXT: frame.astype(object).replace(frame.iloc[0, 0], "x"),
        "minimum of 1 is required": frame.iloc[:0],
    }
    if E()._fills_missing:
        bad["Row 1 of X has no value"] = frame.drop(index=1).reindex(frame.index)
    wrong = {
        "8 features": X[:, :3],
        "feature names should match": frame[list("hgfedcba")],
        "Expected 2D array": X[0],
    }
    for message, table in {**bad, **wrong}.items():
        for method in (model.score_samples, model.transform, model.reconstruct, model.score):
            with pytest.raises(ValueError, match=message):
                method(table)
    for message, table in bad.items():
        with pytest.raises(ValueError, match=message):
            quick(E).fit(table)
    with pytest.raises(ValueError, match="X has 3 components, but"):
        model.inverse_transform(X[:, :3])


def test_continuing_with_another_network_is_refused(X):
    """Weights are not carried into a network that means something else by them."""
    unit = np.clip(X / 20 + 0.5, 0, 1)
    cases = [
        (VariationalAutoencoder, {"likelihood": "bernoulli"}),
        (Autoencoder, {"activation": "tanh"}),
        (Autoencoder, {"standardize": False}),
        (SparseAutoencoder, {"n_components": 3}),
    ]
    for E, change in cases:
        with pytest.raises(ValueError, match=f"{E.__name__} cannot continue its last fit"):
            quick(E).partial_fit(unit).set_params(**change).partial_fit(unit)


def test_shares_stay_between_0_and_1(X):
    """The Bernoulli likelihood takes what MinMaxScaler gives, and is not fooled from beyond."""
    unit = MinMaxScaler().fit_transform(X)
    unit[unit == 1] += 2e-16
    model = quick(VariationalAutoencoder, likelihood="bernoulli", max_steps=200).fit(unit)
    np.testing.assert_array_equal(model.score_samples(unit + 5), model.score_samples(unit * 0 + 1))
    with pytest.raises(ValueError, match="X must lie between 0 and 1"):
        model.partial_fit(unit * 50)


def test_bad_parameters_are_refused(X):
    """Each value is checked at fit, in scikit-learn's words."""
    cases = [
        (
            VariationalAutoencoder(beta=-1),
            "The 'beta' parameter of VariationalAutoencoder must",
        ),
        (Autoencoder(hidden_layer_sizes=(5, 0)), "'hidden_layer_sizes'.*sequence of ints >= 1"),
        (Autoencoder(hidden_layer_sizes=64), "'hidden_layer_sizes'.*sequence of ints >= 1"),
        (Autoencoder(n_components=0), "'n_components'"),
        (Autoencoder(activation="swish"), "'activation'"),
        (Autoencoder(contamination=0.6), "'contamination'"),
        (DenoisingAutoencoder(noise="masking", noise_level=2), "'noise_level' .* at most 1 with"),
        (VariationalAutoencoder(likelihood="bernoulli"), "X must lie between 0 and 1"),
        (Autoencoder(device="abacus"), "'device' parameter is 'abacus', which torch cannot use"),
    ]
    for model, message in cases:
        with pytest.raises(ValueError, match=message):
            model.fit(X)
    model = quick(VariationalAutoencoder).fit(X)
    with pytest.raises(ValueError, match="n_samples must be an int of at least 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="'score_method' parameter"):
        model.set_params(score_method="median").score_samples(X)
    with pytest.raises(ValueError, match="variance is too large"):
        quick().fit(X * 1e300)


class _Author(Autoencoder):
    """A class as an author may write it by mistake."""

    @staticmethod
    def objective(x, out, *, gamma):
        return {"reconstruction": (x - out.recon).square()}


class _Batch(Autoencoder):
    """Another one: its second term has one value for the batch."""

    @staticmethod
    def objective(x, out):
        return {"reconstruction": (x - out.recon).square(), "size": out.code.square().mean(0)}


class _Network(EncoderDecoder):
    def __init__(self, mistake, *sizes):
        super().__init__(*sizes, "relu")
        self.mistake = mistake

    def forward(self, x):
        recon, code = super().forward(x)[:2]
        if self.mistake == "random":
            return Coded(recon + torch.randn_like(recon), code)
        if self.mistake == "batch":
            return Coded(recon, code - code.mean(0))
        return recon if self.mistake == "bare" else Coded(recon, code)


class _Mistaken(BaseAutoencoder):
    """One with a mistake in its network or its objective."""

    mistake: str = "none"

    def network(self, spec):
        return _Network(self.mistake, *spec.shape, spec.n_components, spec.widths)

    @property
    def objective(self):
        def objective(x, out):
            found = {"reconstruction": (x - out.recon).square()}
            if self.mistake == "nan":
                found["size"] = (0 * out.code.sum(1)).log() * 0
            return {"nothing": None, "number": 1.0}.get(self.mistake, found)

        return objective


@pytest.mark.parametrize(
    ("mistake", "error", "match"),
    [
        ("random", ValueError, "other results for the same rows. It must not draw random numbers"),
        ("batch", ValueError, "for a row when the rows beside it change"),
        ("bare", TypeError, "must return a NamedTuple with recon and code. Got Tensor"),
        ("nan", ValueError, "became nan in epoch 1, by its term 'size'"),
        ("nothing", TypeError, "must return a tensor, or a dict of them by name. Got None"),
        ("number", TypeError, "by name. Got 1.0"),
    ],
)
def test_mistakes_in_networks_and_objectives_are_named(mistake, error, match, X):
    quick(_Mistaken, n_components=2).fit(X)
    with pytest.raises(error, match=match):
        quick(_Mistaken, n_components=2, mistake=mistake).fit(X)


def test_mistakes_of_authors_are_named(X):
    with pytest.raises(TypeError, match="_Author takes 'gamma', which is not a parameter"):
        quick(_Author).fit(X)
    with pytest.raises(ValueError, match=r"term 'size' of the objective must .* shape \(2,\)"):
        quick(_Batch, n_components=2).fit(X)

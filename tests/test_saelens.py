"""Exported sparse autoencoders give the same codes and reconstructions, and others are refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from shared import quick
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from sktae import Autoencoder, SparseAutoencoder, to_saelens


@pytest.fixture(scope="module")
def activations():
    """Rows whose columns have other means and scales."""
    X = load_digits().data[:500]
    return X * np.linspace(0.1, 5, X.shape[1]) + np.linspace(-20, 20, X.shape[1])


def computed(folder, x):
    """Compute codes and reconstructions from the files alone, as SAELens does."""
    config = json.loads((folder / "cfg.json").read_text())
    arrays = load_file(folder / "sae_weights.safetensors")
    d_in, d_sae = config["d_in"], config["d_sae"]
    shapes = {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    if config["architecture"] == "jumprelu":
        shapes["threshold"] = (d_sae,)
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert all(array.dtype == np.float32 for array in arrays.values())
    assert (config["apply_b_dec_to_input"], config["normalize_activations"]) == (False, "none")
    hidden = x @ arrays["W_enc"] + arrays["b_enc"]
    codes = np.maximum(hidden, 0)
    if config["architecture"] == "jumprelu":
        codes = np.where(hidden > arrays["threshold"], codes, 0)
    if config["architecture"] == "topk":
        smallest = np.sort(hidden, axis=1)[:, [-config["k"]]]
        codes = np.where(hidden >= smallest, codes, 0)
    return codes, codes @ arrays["W_dec"] + arrays["b_dec"]


@pytest.mark.parametrize("standardize", [True, "shared", False])
@pytest.mark.parametrize("penalty", ["l1", "l2", "jump_relu", "topk", "batch_topk"])
def test_files_hold_the_model(penalty, standardize, activations, tmp_path):
    """Raw activations go in, and the scales of columns are part of the weights."""
    model = SparseAutoencoder(
        96, penalty=penalty, n_active=4, standardize=standardize, max_steps=60, random_state=0
    ).fit(activations)
    to_saelens(model, tmp_path / "sae")
    assert {p.name for p in (tmp_path / "sae").iterdir()} == {"cfg.json", "sae_weights.safetensors"}
    codes, reconstruction = computed(tmp_path / "sae", activations)
    expected = model.transform(activations)
    # Rounding decides about an activation that is as large as the smallest that is kept.
    same = ((codes != 0) == (expected != 0)).all(axis=1)
    assert same.mean() > 0.99
    np.testing.assert_allclose(codes[same], expected[same], atol=1e-3 * expected.max())
    decoded = model.reconstruct(activations)
    np.testing.assert_allclose(reconstruction[same], decoded[same], atol=0.02)


def test_files_replace_older_ones(activations, tmp_path):
    for n_components in (70, 80):
        model = quick(SparseAutoencoder, n_components=n_components, n_active=2).fit(activations)
        to_saelens(model, str(tmp_path))
        assert computed(tmp_path, activations)[0].shape[1] == n_components


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"penalty": "kl"}, "penalty='kl': choose one of"),
        ({"hidden_layer_sizes": (8,)}, r"hidden layers: set hidden_layer_sizes=\(\)"),
        (
            {"n_active": 60},
            r"penalty='topk' and negative activations, which .*% of the training rows",
        ),
        ({"loss": "cross_entropy"}, "loss='cross_entropy': set loss='squared'"),
        ({"categorical_features": [0]}, "categories: encode them as numbers"),
        ({"missing": True}, "missing values: fill them in before the fit"),
    ],
)
def test_what_the_files_cannot_hold_is_refused(settings, reason, tmp_path):
    """One sentence says what it is; nothing is written."""
    X = load_digits().data[:200] / 16
    if settings.pop("missing", False):
        X[0, 3] = np.nan
    model = quick(SparseAutoencoder, **{"n_components": 70, "n_active": 2, **settings}).fit(X)
    with pytest.raises(ValueError, match=f"no export to SAELens with {reason}"):
        to_saelens(model, tmp_path / "sae")
    assert not list(tmp_path.iterdir())


def test_other_estimators_are_refused(X, tmp_path):
    with pytest.raises(TypeError, match="Autoencoder has no export to SAELens, but SparseAuto"):
        to_saelens(quick().fit(X), tmp_path)
    with pytest.raises(NotFittedError):
        to_saelens(SparseAutoencoder(), tmp_path)
    with pytest.raises(TypeError, match="Autoencoder has no export"):
        to_saelens(Autoencoder(), tmp_path)

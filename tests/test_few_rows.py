"""Tables with fewer rows than columns: new rows are reproduced no worse than by PCA."""

import numpy as np
import pytest
from shared import in_turn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sktae import Autoencoder, DenoisingAutoencoder, fit_many
from sktae.nn.layers import EncoderDecoder

rng = np.random.default_rng(0)
TABLES = {
    "noise": rng.normal(size=(140, 120)),
    "a plane": rng.normal(size=(140, 5)) @ rng.normal(size=(5, 120)) + rng.normal(size=(140, 120)),
    "digits": load_digits().data[:140],
    "constant columns": np.hstack([rng.normal(size=(140, 50)), np.ones((140, 20))]),
    "few values": rng.integers(0, 2, (140, 3)) @ rng.integers(0, 9, (3, 90)).astype(float),
}


def explained(X, train, k, scale):
    """Return the share of variance that PCA explains in new rows."""
    mean, scale = train.mean(0), np.where(train.std(0) > 0, train.std(0), 1) if scale else 1.0
    pca = PCA(k).fit((train - mean) / scale)
    recon = pca.inverse_transform(pca.transform((X - mean) / scale)) * scale + mean
    return 1 - np.square(X - recon).sum() / np.square(X - mean).sum()


@in_turn(
    table=list(TABLES),
    E=[Autoencoder, DenoisingAutoencoder],
    k=[4, 8],
    standardize=[True, False],
    activation=["silu", "relu", "gelu", "leaky_relu", "identity", ("leaky_relu", 0.2)],
    sizes=["auto", (), (40, 30, 20)],
)
def test_new_rows_are_reproduced_as_well_as_by_pca(table, E, k, standardize, activation, sizes):
    """Whatever the table, the code is at least about as good as that of PCA."""
    X, new = np.split(TABLES[table], [40])
    model = E(
        k,
        standardize=standardize,
        activation=activation,
        hidden_layer_sizes=sizes,
        random_state=0,
    ).fit(X)
    assert model.score(new) > min(0.99, explained(new, X, k, standardize) - 0.01)


def test_what_can_be_learned_is_learned():
    """Where more than a projection can be learned, the network learns it."""
    line = np.linspace(0, 3, 200)[:, np.newaxis]
    X = np.random.default_rng(0).permutation(np.sin(line * np.linspace(1, 4, 100)))
    model = Autoencoder(1, random_state=0).fit(X[:80])
    assert model.score(X[80:]) > explained(X[80:], X[:80], 1, True) + 0.1


def test_other_fits_are_as_ever(monkeypatch):
    """The rule is that of "auto" for narrow codes, and for rows that are few."""
    X = TABLES["digits"]

    def refused(*args):
        raise AssertionError("this fit must start as drawn")

    monkeypatch.setattr(EncoderDecoder, "project", refused)
    settings = {"hidden_layer_sizes": (8,), "random_state": 0}
    for n_rows, changed in [(64, {}), (9, {}), (40, {"max_steps": 3}), (40, {"n_components": 64})]:
        model = Autoencoder(**{"n_components": 2, **settings, **changed}).fit(X[:n_rows])
        assert "valid_loss" not in model.history_
    for changed in ({"activation": "tanh"}, {"tied_weights": True}):
        Autoencoder(2, **settings, **changed).fit(X[:40])
    model = Autoencoder(2, **settings).partial_fit(X[:40])
    with pytest.raises(AssertionError, match="must start as drawn"):
        clone(model).fit(X[:40])


def test_fits_to_few_rows_repeat(tmp_path):
    """They are the same alone and in a stack, with a checkpoint, and with weights as repeats."""
    X = TABLES["digits"][:40]
    model = Autoencoder(4, random_state=0).fit(X)
    assert np.array_equal(clone(model).fit(X).transform(X), model.transform(X))
    stacked = fit_many([clone(model) for _ in range(2)], [X, X])
    np.testing.assert_allclose(stacked[1].score(X), model.score(X), atol=1e-3)
    for _ in range(2):  # the second time, it is read
        kept = clone(model).set_params(checkpoint_dir=tmp_path).fit(X)
        assert np.array_equal(kept.transform(X), model.transform(X))
    noise = TABLES["noise"][:40]
    kept = fit_many([Autoencoder(4, random_state=seed) for seed in (0, 1)], [noise, noise])
    expected = explained(TABLES["noise"][40:], noise, 4, True)
    assert all(abs(each.score(TABLES["noise"][40:]) - expected) < 0.01 for each in kept)
    weighted = Autoencoder(4, random_state=0).fit(noise, sample_weight=np.repeat([1, 0], 20))
    alone = Autoencoder(4, random_state=0).fit(noise[:20])
    assert weighted.score(noise) == pytest.approx(alone.score(noise), abs=1e-3)


def test_missing_values_are_filled_in_before():
    """Incomplete tables are projected, too."""
    X = TABLES["a plane"].copy()
    X[rng.random(X.shape) < 0.05] = np.nan
    model = Autoencoder(5, random_state=0).fit(X[:40])
    assert model.score(X[40:]) > 0.5

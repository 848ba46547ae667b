"""A fit begins where another one ended, and changes what it may change."""

import numpy as np
import pytest
from shared import kinds, quick
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sktae import (
    AttentionAutoencoder,
    Autoencoder,
    ContentStyleAutoencoder,
    ContractiveAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    TransformerAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    fit_many,
)
from sktae._training.prepare import Prepared


def weights(model):
    return {name: p.detach().numpy() for name, p in model.net_.module_.named_parameters()}


def changed(one, other):
    """Return the names of what differs between two models."""
    pairs = zip(weights(one).items(), weights(other).values(), strict=True)
    return {name for (name, a), b in pairs if not np.array_equal(a, b)}


@pytest.mark.parametrize("E", kinds())
def test_fits_begin_with_other_weights(E, X):
    """Scales and weights are those of the source, which stays as it is, and training goes on."""
    source = quick(E).fit(X[:300])
    before = weights(source)
    next_ = quick(E, init_from=source, learning_rate=1e-9, max_steps=1).fit(100 * X[300:])
    for name, value in weights(next_).items():
        np.testing.assert_allclose(value, before[name], atol=1e-6)
    np.testing.assert_allclose(next_.transform(X), source.transform(X), atol=1e-3)
    assert next_.n_iter_ == 1
    assert next_.trainable == "all"
    assert changed(quick(E, init_from=source).fit(X[300:]), source)
    assert not [name for name in before if not np.array_equal(before[name], weights(source)[name])]


@pytest.mark.parametrize("E", kinds())
def test_a_part_is_trained(E, X):
    """Only the decoder moves, or its last layer, so that codes stay what they are."""
    params = {"tied_weights": False} if E is ContractiveAutoencoder else {}
    source = quick(E, **params).fit(X[:300])
    parts = {}
    for part in ("decoder", "head"):
        model = quick(E, init_from=source, trainable=part, **params).fit(X[300:])
        np.testing.assert_array_equal(model.transform(X), source.transform(X))
        parts[part] = changed(model, source)
        assert parts[part]
        again = model.partial_fit(X)
        np.testing.assert_array_equal(again.transform(X), source.transform(X))
    assert parts["head"] <= parts["decoder"] < set(weights(source))


def test_parts_of_a_warm_start(X):
    """What is trained may change between two fits that go on."""
    model = quick(VariationalAutoencoder, warm_start=True).fit(X)
    codes = model.transform(X)
    for part in ("decoder", "head", "decoder"):
        model.set_params(trainable=part).fit(X)
        np.testing.assert_array_equal(model.transform(X), codes)
    model.set_params(trainable="all").fit(X)
    assert not np.array_equal(model.transform(X), codes)
    assert model.n_iter_ == 5 * 8


def test_few_rows_gain_from_many(X):
    """Begun with what was learnt from similar rows, a few steps on a few rows suffice."""
    source = Autoencoder(3, calibration=None, random_state=0).fit(X[:500])
    few = {"max_steps": 5, "learning_rate": 1e-3, "random_state": 0}
    tuned = Autoencoder(3, init_from=source, **few).fit(X[500:520])
    assert tuned.score(X[520:]) > Autoencoder(3, **few).fit(X[500:520]).score(X[520:]) + 0.3


def test_frozen_sources_survive_clones(X):
    """In a search, the source is frozen; what was cloned is not fitted, and that is said."""
    source = quick(n_components=3).fit(X)
    model = quick(n_components=3, init_from=FrozenEstimator(source), max_steps=2)
    search = GridSearchCV(model, {"learning_rate": [1e-3, 1e-2]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for lost in (clone(model.set_params(init_from=source)), quick(init_from=Autoencoder())):
        with pytest.raises(ValueError, match=r"must be a fitted .*FrozenEstimator prevents that"):
            lost.fit(X)


@pytest.mark.parametrize("part", ["all", "decoder"])
def test_rows_are_held_where_the_network_is(part, X, monkeypatch):
    """To find the part that learns does not bring the rows to another device."""
    devices, rows = [], Prepared.rows

    def spy(self, device):
        devices.append(device)
        return rows(self, device)

    monkeypatch.setattr(Prepared, "rows", spy)
    quick(device="cpu:0", trainable=part).fit(X)
    assert set(devices) == {"cpu:0"}


def test_together_as_alone(X):
    """They are not stacked, and so come out of a common fit as out of their own."""
    source = quick(n_components=3).fit(X)
    models = [
        quick(n_components=3, init_from=source, trainable=part) for part in ("decoder", "all")
    ]
    apart = [clone(m).set_params(init_from=source).fit(X) for m in models]
    for one, other in zip(fit_many(models, [X, X]), apart, strict=True):
        np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))


def test_what_does_not_fit_is_refused(X):
    """Other sizes, columns, kinds and ties are errors that say so."""
    source = quick(n_components=3).fit(X)
    others = {
        "give it the same sizes and activation": quick(n_components=4),
        "give it the same standardize": quick(n_components=3, standardize=False),
        "because Autoencoder has another network": quick(SparseAutoencoder, n_components=3),
        "because Autoencoder takes another kind of rows": quick(RecurrentAutoencoder),
    }
    for reason, other in others.items():
        with pytest.raises(ValueError, match=f"cannot begin with .* init_from=.*{reason}"):
            other.set_params(init_from=source).fit(X)
        assert not hasattr(other, "net_")
    with pytest.raises(ValueError, match="X has 5 features, but Autoencoder is expecting 8"):
        quick(n_components=3, init_from=source).fit(X[:, :5])
    with pytest.raises(ValueError, match="trainable='head' needs a decoder with layers of its own"):
        quick(tied_weights=True, trainable="head").fit(X)


@pytest.mark.parametrize(
    ("E", "name", "value"),
    [(AttentionAutoencoder, "n_heads", 2), (ContentStyleAutoencoder, "n_content", 1)],
)
def test_equal_shapes_are_not_enough(E, name, value, X):
    """Weights that are divided otherwise mean something else, whatever their shapes."""
    source = quick(E, max_steps=3, hidden_layer_sizes=(8,)).fit(X)
    other = quick(E, max_steps=3, hidden_layer_sizes=(8,), init_from=source, **{name: value})
    with pytest.raises(ValueError, match=f"give it the same {name}"):
        other.fit(X)
    other.set_params(**{name: getattr(source, name)}).fit(X)


@pytest.mark.parametrize("E", [RecurrentAutoencoder, TransformerAutoencoder])
def test_shorter_sequences_are_padded(E, X):
    """A fit that begins with other weights takes what that model takes, in any layout."""
    panel = X[:, :, np.newaxis]
    sources = quick(E, max_steps=3).fit(X), quick(E, max_steps=3).fit(panel)
    for rows in (X, panel, panel[:, :6], list(panel[:, :6])):
        one, other = (quick(E, max_steps=3, init_from=source).fit(rows) for source in sources)
        np.testing.assert_array_equal(one.transform(panel), other.transform(panel))


def test_nothing_is_revived_in_a_frozen_network(X):
    """Codes that nobody uses stay, too, where the codebook is not trained."""
    source = quick(VectorQuantizedAutoencoder).fit(X)
    book = weights(source)["codebook"]
    model = quick(VectorQuantizedAutoencoder, init_from=source, trainable="head").fit(X[:50])
    np.testing.assert_array_equal(weights(model)["codebook"], book)

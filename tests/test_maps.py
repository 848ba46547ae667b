"""Maps: what they are worth, and which neighbors they are made of."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from shared import quick
from sklearn import manifold
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sktae import AutoencoderClassifier, NeighborAutoencoder
from sktae._engine import neighbors
from sktae._engine.neighbors import NeighborGraph
from sktae._engine.rows import Loaded
from sktae.autoencoders.neighbor import (
    attraction,
    curve,
    distortion,
    repulsion,
    squared_distances,
)
from sktae.metrics import (
    _neighbors,
    continuity,
    map_scorer,
    neighborhood_hit,
    triplet_accuracy,
    trustworthiness,
)
from sktae.plot import MapDisplay, _map, _points
from sktae.randomness import Neighbor

# -- metrics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_neighbors", [1, 5, 12])
def test_trustworthiness_is_that_of_scikit_learn(n_neighbors, monkeypatch):
    """In one chunk or in many, and continuity is the same the other way round."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    codes = X[:, :2] ** 3
    for numbers in (_neighbors._NUMBERS, 200):
        monkeypatch.setattr(_neighbors, "_NUMBERS", numbers)
        for found, a, b in ((trustworthiness, X, codes), (continuity, codes, X)):
            expected = manifold.trustworthiness(a, b, n_neighbors=n_neighbors)
            assert found(X, codes, n_neighbors=n_neighbors) == pytest.approx(expected)


def test_maps_of_known_worth():
    """A turned and stretched map is perfect, one at random is worth nothing."""
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0], [9, 9], [30, 0]], 40, axis=0) + rng.normal(size=(120, 2))
    y = np.repeat([0, 1, 2], 40)
    turned, noise = 5 * X @ [[0, 1], [-1, 0]], rng.normal(size=(120, 2))
    for metric in (trustworthiness, continuity, triplet_accuracy):
        assert metric(X, turned) == 1
        assert metric(X, noise) == pytest.approx(0.5, abs=0.1)
    assert neighborhood_hit(turned, y) == 1
    assert neighborhood_hit(noise, y) == pytest.approx(1 / 3, abs=0.1)
    # Groups whose places are exchanged are still groups, but in a whole of another shape.
    exchanged = X - np.repeat([[0, 0], [9, 9], [0, 0]], 40, axis=0) * [1, 40]
    assert trustworthiness(X, exchanged) == pytest.approx(1)
    assert triplet_accuracy(X, exchanged) < 0.9


def test_scorers_of_maps_choose_in_a_search():
    """They need labels for `neighborhood_hit` only, and pass settings on."""
    X, y = load_digits(n_class=4, return_X_y=True)
    for metric, labels in ((trustworthiness, None), (neighborhood_hit, y)):
        scorer = map_scorer(metric=metric, n_neighbors=3)
        search = GridSearchCV(PCA(), {"n_components": [1, 4]}, scoring=scorer, cv=2)
        assert search.fit(X, labels).best_params_ == {"n_components": 4}


def test_scorers_see_rows_as_the_mapper_does(table):
    """In units of its own, with coded categories, and after the steps of a pipeline."""
    numbers = load_digits().data[:200, 2:6]
    scaled, units = StandardScaler().fit_transform(numbers), numbers * [1, 1e3, 1e-3, 1]
    codes = PCA(2).fit_transform(scaled)
    pipeline = make_pipeline(make_pipeline(StandardScaler()), PCA(2)).fit(units)
    assert map_scorer()(pipeline, units) == pytest.approx(trustworthiness(scaled, codes), abs=1e-3)
    search = GridSearchCV(quick(NeighborAutoencoder), {"n_neighbors": [5]}, scoring=map_scorer())
    expected = trustworthiness(scaled, search.fit(units).transform(units))
    assert map_scorer()(search, units) == pytest.approx(expected, abs=1e-3)

    mapper = quick(NeighborAutoencoder).fit(table)
    assert 0.4 < map_scorer()(mapper, table) <= 1
    with pytest.raises(ValueError, match=r"take map_scorer\(metric\)\(mapper, X\)"):
        trustworthiness(table, mapper.transform(table))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda X: trustworthiness(X, X, n_neighbors=10), "n_neighbors=10 must be less than half"),
        (lambda X: continuity(X, X[:-1]), "inconsistent numbers of samples"),
        (
            lambda X: neighborhood_hit(X, X[:, 0], n_neighbors=20),
            "n_neighbors == 20, must be <= 19",
        ),
        (lambda X: triplet_accuracy(X[:2], X[:2]), "need three rows, but X has 2"),
    ],
)
def test_bad_arguments_of_maps_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call(np.random.default_rng(0).normal(size=(20, 2)))


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    color = rng.choice(["red", "blue"], 120)
    size = np.where(rng.uniform(size=120) < 0.1, np.nan, rng.normal(size=120))
    return pd.DataFrame({"color": color, "size": size, "weight": rng.normal(size=120)})


# -- neighbors -------------------------------------------------------------------------------------


def test_neighbors_are_drawn_by_the_weights_of_umap(X):
    """They are the nearest rows; weights fall with the distance, and add up to log2 of k."""
    rows = torch.from_numpy(X[:200]).float()
    graph = NeighborGraph(rows, Neighbor(15), 0)
    distances, nearest = NearestNeighbors(n_neighbors=15).fit(rows.numpy()).kneighbors()
    np.testing.assert_array_equal(graph.nearest, nearest)
    weights = np.diff(graph.ends.numpy(), axis=1, prepend=0)
    np.testing.assert_allclose(weights.sum(axis=1), np.log2(15), rtol=1e-3)
    np.testing.assert_allclose(weights[:, 0], 1)
    beyond = distances - distances[:, :1]
    widths = -beyond[:, 1:] / np.log(weights[:, 1:])
    np.testing.assert_allclose(widths, widths[:, -1:].repeat(14, axis=1), rtol=0.02)

    found = graph.drawn(torch.rand(20_000), torch.full((20_000,), 7))
    counts = np.bincount(found, minlength=200)[nearest[7]]
    assert counts.sum() == 20_000
    np.testing.assert_allclose(counts / 20_000, weights[7] / weights[7].sum(), atol=0.01)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_and_equal_rows_have_neighbors(n):
    """There are no more than other rows, and rows that are equal are all as near."""
    for rows in (torch.arange(float(n))[:, None], torch.ones(n, 3), torch.full((n, 2), torch.nan)):
        graph = NeighborGraph(rows, Neighbor(15), 0)
        assert graph.nearest.shape == (n, max(1, n - 1))
        found = graph.drawn(torch.rand(n), torch.arange(n))
        assert (found != torch.arange(n)).all() or n == 1
    quick(NeighborAutoencoder).fit(rows.nan_to_num().numpy())


def test_rows_are_searched_once(monkeypatch, X):
    """A fit has one search, whatever its steps, and rows that were chosen have their own."""
    calls = []
    nearest = neighbors._nearest
    monkeypatch.setattr(neighbors, "_nearest", lambda *args: calls.append(0) or nearest(*args))
    quick(NeighborAutoencoder, max_steps=50).fit(X)
    assert len(calls) == 1
    rows, draw = Loaded(torch.from_numpy(X).float()), Neighbor(3)
    some = rows.choose(torch.arange(50))
    assert rows.graph(draw, 0).nearest.max() > 50 > some.graph(draw, 0).nearest.max()
    assert rows.graph(Neighbor(4), 0).nearest.shape[1] == 4


def test_large_tables_are_searched_by_pynndescent(monkeypatch, X):
    """Its neighbors are nearly all the nearest; without it, a sentence says what to install."""
    monkeypatch.setattr(neighbors, "_MOST_COMPARED", 100)
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(ImportError, match=r"more than 100 rows need pynndescent; .*neighbors\]"):
        quick(NeighborAutoencoder).fit(X)
    monkeypatch.delitem(sys.modules, "pynndescent")
    pytest.importorskip("pynndescent", reason="needs pynndescent")
    rows = torch.from_numpy(np.repeat(X, 2, axis=0)).float()
    found = NeighborGraph(rows, Neighbor(5), 3)
    monkeypatch.setattr(neighbors, "_MOST_COMPARED", 10**6)
    exact = NeighborGraph(rows, Neighbor(5), 3)
    assert (found.nearest[:, :, None] == exact.nearest[:, None]).any(-1).float().mean() > 0.95
    assert (found.nearest != torch.arange(len(rows))[:, None]).all()


def test_forces_are_the_cross_entropy_of_umap():
    """Attraction is -log q, repulsion the mean of -log(1 - q) over others; q is near its curve."""
    rng = torch.Generator().manual_seed(0)
    code, near = torch.randn(6, 2, generator=rng).double(), torch.randn(6, 2, generator=rng)
    a, b = curve(0.1)
    assert (a, b) == pytest.approx((1.577, 0.895), abs=1e-3)  # as umap-learn gives them

    def q(x, y):
        return 1 / (1 + a * ((x - y).square().sum() + 1e-3) ** b)

    pairs = zip(code, near.double(), strict=True)
    expected = torch.stack([-q(x, y).log() for x, y in pairs])
    torch.testing.assert_close(attraction(code, near.double(), a, b), expected)
    others = [[-(1 - q(code[i], code[j])).log() for j in range(6) if j != i] for i in range(6)]
    squares = squared_distances(code)
    torch.testing.assert_close(squares, torch.cdist(code, code).square())
    expected = torch.stack([torch.stack(row).mean() for row in others])
    torch.testing.assert_close(repulsion(squares, a, b), expected)


def test_distortion_is_that_of_distances():
    """It is 0 for a map of the same shape in any size, and 1 less the correlation for others."""
    x, y = torch.randn(2, 30, 2, generator=torch.Generator().manual_seed(0)).double()
    same = distortion(squared_distances(x), squared_distances(7 * x))
    assert float(same) == pytest.approx(0, abs=1e-3)
    r = np.corrcoef(torch.cdist(x, x).flatten(), torch.cdist(y, y).flatten())[0, 1]
    other = distortion(squared_distances(x), squared_distances(y))
    assert float(other) == pytest.approx(1 - r, abs=0.01)


def test_neighbors_with_another_label_are_drawn_less(X):
    """By the share that they are told; where a label is unknown, they are drawn as ever."""
    rows = torch.from_numpy(X[:200]).float()
    labels = torch.randint(-1, 2, (200,), generator=torch.Generator().manual_seed(0)).float()
    plain = NeighborGraph(rows, Neighbor(15), 0, labels)
    told = NeighborGraph(rows, Neighbor(15, target_weight=0.9), 0, labels)
    before, after = (graph.ends.diff(dim=1, prepend=torch.zeros(200, 1)) for graph in (plain, told))
    own, others = labels[:, None], labels[plain.nearest]
    less = (own != others) & (own != -1) & (others != -1)
    torch.testing.assert_close(after, torch.where(less, 0.1, 1.0) * before, rtol=1e-3, atol=1e-5)


def test_labels_change_a_map_only_if_they_count(X):
    """`y` is ignored without a weight; with one, -1 and NaN are unknown labels."""
    y = np.where(X[:, 0] > 0, 1.0, 0.0)
    plain = quick(NeighborAutoencoder).fit(X)
    np.testing.assert_array_equal(
        plain.transform(X), quick(NeighborAutoencoder).fit(X, y).transform(X)
    )
    told = quick(NeighborAutoencoder, target_weight=0.9)
    assert not np.allclose(plain.transform(X), told.fit(X, y).transform(X))
    # A head on such a code has labels of its own.
    assert AutoencoderClassifier(told, max_steps=5, random_state=0).fit(X, y).score(X, y) > 0.5
    for unknown in (-1, np.nan):
        codes = told.fit(X, np.full(len(X), unknown)).transform(X)
        np.testing.assert_array_equal(plain.transform(X), codes)
    with pytest.raises(ValueError, match="labels of 5 rows, but X has"):
        told.fit(X, y[:5])
    with pytest.raises(ValueError, match=r"requires y to be passed, since target_weight=0\.9"):
        told.fit(X)


def test_a_map_keeps_neighbors_and_rows():
    """New digits are as near as in a map of neighbors, and come back as from an autoencoder."""
    X, y = load_digits(return_X_y=True)
    sizes = {"hidden_layer_sizes": (64, 64), "max_steps": 500}
    model = quick(NeighborAutoencoder, standardize="shared", **sizes)
    codes = model.fit(X[::2]).transform(X[1::2])
    assert trustworthiness(X[1::2], codes) > 0.93
    assert neighborhood_hit(codes, y[1::2]) > 0.85
    assert model.score(X[1::2]) > 0.55
    alone = model.set_params(alpha=0.0).fit(X[::2]).transform(X[1::2])
    assert neighborhood_hit(codes, y[1::2]) > neighborhood_hit(alone, y[1::2]) + 0.03


def test_settings_of_neighbors_change_the_map(X):
    """Each of them, and none is ignored."""
    plain = quick(NeighborAutoencoder).fit(X).transform(X)
    for settings in (
        {"n_neighbors": 3},
        {"min_dist": 1.0},
        {"metric": "cosine"},
        {"negative_sample_rate": 1.0},
        {"alpha": 0.1},
        {"shape_weight": 0.0},
    ):
        other = quick(NeighborAutoencoder, **settings).fit(X).transform(X)
        assert not np.allclose(plain, other), settings


# -- the display -----------------------------------------------------------------------------------


@pytest.fixture
def drawn():
    X, y = load_digits(return_X_y=True)
    return quick(NeighborAutoencoder).fit(X), pd.DataFrame(X).add_prefix("pixel "), y


def test_a_map_shows_rows_and_what_lies_between(drawn):
    """Points by label, pictures where rows are, values of a feature with their name."""
    model, X, y = drawn
    plain = MapDisplay.from_estimator(model, X.to_numpy())
    assert len(plain.ax_.collections) == 1
    assert plain.decoded is None
    pictures = MapDisplay.from_estimator(model, X.to_numpy(), y, decoded=(8, 8))
    legend = [text.get_text() for text in pictures.ax_.get_legend().texts]
    assert legend == [str(digit) for digit in range(10)]
    assert pictures.decoded.shape == (16, 16, 8, 8, 3)
    empty = np.isnan(pictures.decoded).all(axis=(2, 3, 4))
    assert 0 < empty.mean() < 1
    assert not empty[~np.isnan(pictures.decoded).any(axis=(2, 3, 4))].any()

    # None is stretched, whatever the figure: 12 by 8 pixels, with one around, are 14 by 10.
    wide = MapDisplay(plain.codes, decoded=np.zeros((4, 4, 8, 12, 3)))
    wide.plot(plt.figure(figsize=(16, 9)).add_subplot())
    wide.figure_.canvas.draw()
    box = wide.ax_.get_window_extent()
    assert box.width / box.height == pytest.approx(14 / 10)

    # The lowest place of the map is the first: it is decoded as such.
    named = model.fit(X)
    values = MapDisplay.from_estimator(named, X, decoded="pixel 20")
    places = _map._grid(values.codes, 80)
    row, column = np.argwhere(~np.isnan(values.decoded))[0]
    expected = named.inverse_transform(places[row, column][np.newaxis])[0, 20]
    assert values.decoded[row, column] == pytest.approx(expected, rel=1e-3)
    assert values.ax_.figure.axes[1].get_xlabel() == "pixel 20"
    plt.close("all")


def test_a_map_of_categories(table):
    """Places have the colors of categories, and points of unknown label lie beneath, in gray."""
    y = np.where(table["size"].isna(), None, table["color"])
    display = MapDisplay.from_estimator(quick(NeighborAutoencoder).fit(table), table, y, decoded=0)
    names = [text.get_text() for text in display.ax_.figure.axes[1].get_xticklabels()]
    assert set(names) <= {"red", "blue"}
    assert set(display.decoded[~pd.isna(display.decoded)]) == set(names)
    legend = [text.get_text() for text in display.ax_.get_legend().texts]
    assert legend == ["unknown", "blue", "red"]
    assert len(display.ax_.collections[0].get_offsets()) == table["size"].isna().sum()
    plt.close("all")


@pytest.mark.parametrize(
    ("labels", "unknown"),
    [
        (["a", "b", -1, None], [False, False, True, True]),
        ([0, 1, -1, np.nan], [False, False, True, True]),
        ([1, -1, 1, -1], [False] * 4),
        ([-2, -1, 1, 3], [False] * 4),
        (np.arange(-1, 20), [False] * 21),
        ([None, np.nan, pd.NA], [True] * 3),
    ],
)
def test_labels_that_are_unknown(labels, unknown):
    """-1 is, as in `fit`, but not that of an outlier, nor one number of many."""
    labels = np.asarray(pd.Series(labels))
    assert _points._unknown(labels).tolist() == unknown
    ax = MapDisplay(np.zeros((len(labels), 2)), labels).plot().ax_
    assert (ax.get_legend() is None) == (all(unknown) or len(labels) > 10)
    plt.close("all")


def test_a_few_far_points_do_not_shrink_a_map():
    """They are drawn on the border; where there are none, no point is moved."""
    codes = np.random.default_rng(0).normal(size=(500, 2))
    near = MapDisplay(codes).plot()
    np.testing.assert_array_equal(near.ax_.collections[0].get_offsets(), codes)
    far = MapDisplay(np.vstack([codes, [[100, 0], [0, -100]]])).plot()
    drawn = np.asarray(far.ax_.collections[0].get_offsets())
    np.testing.assert_array_equal(drawn[:-2], codes)
    (left, right), (bottom, top) = far.ax_.get_xlim(), far.ax_.get_ylim()
    np.testing.assert_array_equal(drawn[-2:], [[right, 0], [0, bottom]])
    assert max(right - left, top - bottom) < 1.5 * np.ptp(codes, axis=0).max()
    plt.close("all")


@pytest.mark.parametrize(
    ("k", "decoded", "match"),
    [
        (3, None, r"two components, but those of NeighborAutoencoder have the shape \(3,\)"),
        (2, "pixel 64", r"one of the 64 features \(pixel 0, .*, pixel 11, ...\), or the shape"),
        (2, 64, "decoded=64 must be"),
        (2, (9, 9), "does not fit"),
    ],
)
def test_what_cannot_be_drawn_is_named(drawn, k, decoded, match):
    model, X, _ = drawn
    with pytest.raises(ValueError, match=match):
        MapDisplay.from_estimator(model.set_params(n_components=k).fit(X), X, decoded=decoded)


def test_a_map_needs_a_way_back_and_labels_for_all_rows(table):
    """What a pipeline cannot invert is said, with a cure, and so are labels of another length."""
    encoder = make_column_transformer((OneHotEncoder(), ["color"]))
    pipeline = make_pipeline(encoder, quick(NeighborAutoencoder)).fit(table)
    MapDisplay.from_estimator(pipeline, table)
    with pytest.raises(
        ValueError, match="decoded='color' needs inverse_transform, which this Pipe"
    ):
        MapDisplay.from_estimator(pipeline, table, decoded="color")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MapDisplay.from_estimator(pipeline, table, table["color"][:7])
    plt.close("all")

"""Images: their layouts and ranges, codes that are maps, and what they cost."""

import pickle
from itertools import product

import numpy as np
import pytest
import torch
from shared import Listed, discs, in_turn, lean, quick
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from sktae import (
    ConvolutionalAutoencoder,
    ConvolutionalVariationalAutoencoder,
    ConvolutionalVectorQuantizedAutoencoder,
    all_estimators,
    fit_many,
)
from sktae._engine import net as engine
from sktae._outliers.measures import Ellipsoid
from sktae.families.convolution import ConvolutionalMixin
from sktae.families.image import ImageMixin
from sktae.nn.images import BatchNorm, Upsample, convolution

IMAGING = [E for E in all_estimators() if issubclass(E, ImageMixin)]
CONVOLUTIONAL = [E for E in IMAGING if issubclass(E, ConvolutionalMixin)]
every_kind = pytest.mark.parametrize("E", IMAGING)
every_convolutional = pytest.mark.parametrize("E", CONVOLUTIONAL)
# Options of the stages, or of attention, that differ from the default.
STAGES = {
    "norm": "batch",
    "residual_blocks": False,
    "upsampling": "bilinear",
    "activation": ("leaky_relu", 0.2),
    "noise": "masking",
}
ATTENTION = {
    "positions": "learned",
    "attention": "local",
    "reach": 1,
    "dropout": 0.1,
    "noise": "masking",
}


def other_options(E):
    """Return options that differ from the default."""
    return STAGES if E in CONVOLUTIONAL else ATTENTION


def as_map(E, channels):
    """Return the options of a code that is a map."""
    if E in CONVOLUTIONAL:
        return {"code_channels": channels}
    return {"bottleneck": "patches", "n_components": channels}


@every_kind
@pytest.mark.parametrize("code", ["vector", "map"])
def test_layouts_are_one(E, code):
    """Rows, images of one channel and images with channels are the same to a model."""
    X, params = discs(40, channels=1), as_map(E, 2) if code == "map" else {"n_components": 4}
    shapes = {(1, 12, 10): X, (12, 10): X[:, 0], (120,): X.reshape(40, -1)}
    models = {
        shape: quick(E, image_shape=(12, 10) if len(shape) == 1 else None, **params).fit(images)
        for shape, images in shapes.items()
    }
    expected = models[1, 12, 10].transform(X)
    listed = quick(E, **params).fit(list(X))
    np.testing.assert_array_equal(listed.transform(X), expected)
    for shape, model in models.items():
        assert (model.image_shape_, model.n_features_in_) == ((1, 12, 10), 120)
        for images in (*shapes.values(), list(X)):  # in any layout, whatever that of the fit
            np.testing.assert_array_equal(model.transform(images), expected)
        made = model.reconstruct(X)
        assert made.shape == model.inverse_transform(expected).shape == (40, *shape)
        assert model.reconstruction_error(X, per_feature=True).shape == (40, *shape)
        assert 0.0 <= made.min() < made.max() <= 1.0
    assert expected.shape == (40, np.prod(model.code_shape_))


@pytest.mark.usefixtures("own_tiles")
@in_turn(
    E_and_size=[*product(IMAGING, [(1, 1), (1, 9), (7, 1), (5, 6), (17, 3)])],
    kind=["vector", "map", "other"],
)
def test_images_do_not_see_each_other(E_and_size, kind):
    """Odd sizes come back whole, and a result does not depend on place or neighbours."""
    E, size = E_and_size
    X = discs(300, size, 2)
    params = {"vector": {}, "map": as_map(E, 1), "other": other_options(E)}[kind]
    model = quick(E, max_steps=3, hidden_layer_sizes=(5, 12), **params).fit(X)
    assert model.reconstruct(X).shape == X.shape
    order = np.random.default_rng(0).permutation(len(X))
    for method in (model.score_samples, model.transform, model.reconstruct):
        whole = method(X)
        np.testing.assert_array_equal(method(X[order]), whole[order])
        np.testing.assert_array_equal(method(X[123:124]), whole[123:124])


@in_turn(E=IMAGING, threads=[1, 2], others=[False, True])
def test_recorded_images(E, threads, others, monkeypatch):
    """Replayed steps give the bits of plain ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        X, models = discs(), []
        for many_steps in (0, 10**9):
            monkeypatch.setattr(engine, "MANY_STEPS", many_steps)
            models.append(quick(E, max_steps=5, **(other_options(E) if others else {})).fit(X))
    finally:
        torch.set_num_threads(before)
    assert [model.training_path_ for model in models] == ["traced", "plain"]
    np.testing.assert_array_equal(*(model.score_samples(X) for model in models))


@every_kind
@pytest.mark.parametrize("others", [False, True], ids=["default", "other options"])
def test_stacked_images(E, others):
    """Models trained as one are those trained alone."""
    X, params = discs(60), other_options(E) if others else {}
    seeds = [quick(E, random_state=seed, max_steps=5, **params) for seed in range(2)]
    # In the range from 0 to 1 or not, which makes other networks of the same parameters.
    tables = [X, X, 2 * X, 2 * X]
    both = fit_many([*map(clone, seeds), *map(clone, seeds)], tables)
    alone = [clone(model).fit(table) for model, table in zip(both, tables, strict=True)]
    for one, other in zip(both, alone, strict=True):
        assert one.training_path_ == "stacked"
        assert one.output_range_ == other.output_range_
        away = one.transform(X) - other.transform(X)
        # Not number by number: at first, Adam goes by the signs of gradients, near 0, too.
        assert np.abs(away).mean() < 0.01 * other.transform(X).std()


def test_batch_norms_are_calibrated():
    """They do what torch's do: in training by the batch, later by images of the training."""
    h, theirs, ours = 3 + 2 * torch.randn(9, 4, 5, 6), torch.nn.BatchNorm2d(4), BatchNorm(4)
    torch.testing.assert_close(ours(h), theirs(h))
    X = discs()
    model = quick(ConvolutionalAutoencoder, norm="batch", early_stopping=True).fit(X)
    assert model.history_["valid_loss"].notna().all()
    network, x = model.net_.module_, model._rows(X).load().x
    first = network.encoder[0](x).detach()
    norm = network.encoder[1].norm
    kept = first.mean((0, 2, 3)), first.var((0, 2, 3), correction=0)
    for ours, expected in zip((norm.mean, norm.variance), kept, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0.2, atol=0.02)  # a tenth was held out
    expected = (first - norm.mean[:, None, None]) / (norm.variance[:, None, None] + 1e-5).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(first), expected)


def test_stages_are_made_as_asked():
    """Each option changes the layers that it names; the default is residual with group norms."""
    for params, there, gone in [
        ({}, ("Residual", "GroupNorm", "ConvTranspose2d"), ("BatchNorm", "mode=")),
        ({"norm": None}, ("Residual", "Identity"), ("GroupNorm",)),
        ({"residual_blocks": False}, ("GroupNorm",), ("Residual",)),
        ({"upsampling": "nearest"}, ("mode='nearest'",), ("ConvTranspose2d",)),
        (STAGES, ("negative_slope=0.2", "BatchNorm", "mode='bilinear'"), ("GroupNorm",)),
    ]:
        network = repr(quick(ConvolutionalAutoencoder, **params).fit(discs(20)).net_.module_)
        assert all(words in network for words in there)
        assert not any(words in network for words in gone)
    with pytest.raises(ValueError, match=r"must be a name or, as a tuple, .* Got \('relu', 2\)"):
        quick(ConvolutionalAutoencoder, activation=("relu", 2)).fit(discs(20))


def test_kernels_end_where_images_do():
    """Of one row of pixels, kernels see what larger ones would see: the rest is padding."""
    h, size = torch.randn(3, 4, 1, 6), (1, 6)
    for stride in (1, 2):
        layer = convolution(4, 5, size, stride)
        assert layer.weight.shape == (5, 4, 1, 3)
        larger = functional.pad(layer.weight, (0, 0, 1, 1))
        expected = functional.conv2d(h, larger, layer.bias, stride, padding=1)
        torch.testing.assert_close(layer(h), expected)
    layer = Upsample(4, 5, (1, 11), "transposed")
    larger = functional.pad(layer.filters.weight, (0, 0, 1, 2))
    expected = functional.conv_transpose2d(h, larger, layer.filters.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(h), expected[..., :1, :11])
    for upsampling in ("bilinear", "nearest"):
        assert Upsample(4, 5, (1, 11), upsampling)(h).shape == (3, 5, 1, 11)


@pytest.mark.parametrize(
    ("low", "high", "kind", "output", "expected"),
    [
        (0, 1, float, "auto", (0, 1)),
        (-1, 1, float, "auto", (-1, 1)),
        (0, 255, np.uint8, "auto", (0, 255)),
        (0, 16, float, "auto", None),
        (0, 1, float, "linear", None),
        (0, 255, np.uint8, "linear", None),
        (0, 1, np.float32, "tanh", (-1, 1)),
    ],
)
def test_reconstructions_keep_to_the_range(low, high, kind, output, expected):
    """Outputs are squashed to the range that the images have; bytes are taken as they are."""
    X = discs(60)
    X = ((X - X.min()) / np.ptp(X) * (high - low) + low).astype(kind)
    model = quick(ConvolutionalAutoencoder, output_activation=output, max_steps=100).fit(X)
    assert model.output_range_ == expected
    made = model.reconstruct(X)
    assert made.dtype == model.transform(X).dtype == np.result_type(kind, np.float32)
    if expected is not None:
        assert expected[0] <= made.min() < made.max() <= expected[1]
    assert model.score(X) > 0.5
    contributions = model.explain(X[:2])
    np.testing.assert_allclose(contributions.sum(axis=1), -model.score_samples(X[:2]), rtol=1e-6)


def test_bytes_are_numbers():
    """Bytes mean what they mean as floats."""
    X = (255 * discs(60)).astype(np.uint8)
    one = quick(ConvolutionalAutoencoder).fit(X)
    np.testing.assert_array_equal(one.transform(X), one.transform(X.astype(float)))
    streamed = quick(ConvolutionalAutoencoder).fit(Listed(X))
    np.testing.assert_array_equal(one.transform(X), streamed.transform(Listed(X)))


@every_kind
def test_images_from_a_dataset(E):
    """Streamed images teach what those in memory teach, read while others are learnt."""
    X = discs()
    streamed = Listed(X)
    model = quick(E).fit(streamed)
    assert len(streamed.threads) > 1
    np.testing.assert_array_equal(model.transform(streamed), quick(E).fit(X).transform(X))
    assert np.isfinite(model.score_samples(Listed(X[:5]))).all()
    with pytest.raises(ValueError, match=r"3 x 10 x 12 numbers.* images of 3 x 12 x 10"):
        model.transform(Listed(X.swapaxes(2, 3)))
    with pytest.raises(ValueError, match=r"images of shape \(360,\).* shape \(3, 12, 10\)"):
        model.transform(Listed(X.reshape(120, -1)))
    with pytest.raises(ValueError, match="has no rows"):
        model.transform(Listed(X[:0]))


@every_kind
def test_bad_images_are_refused(E):
    """What is wrong with images is said in a sentence, whether at the fit or later."""
    X = discs()
    cases = {
        r"images of 120 numbers, but image_shape=\(8, 8\) of .* for 8 x 8": (
            {"image_shape": (8, 8)},
            X[:, 0].reshape(120, -1),
        ),
        r"'image_shape' parameter .* two or three": ({"image_shape": (120,)}, X),
        r"looks like \(n, height, width, channels\).*transpose\(0, 3, 1, 2\)": (
            {},
            X.transpose(0, 2, 3, 1),
        ),
        r"lie between 0 and 1 for output_activation='sigmoid'.* to 2": (
            {"output_activation": "sigmoid"},
            X / X.max() * 2,
        ),
        r"'hidden_layer_sizes' .* non-empty sequence of ints": ({"hidden_layer_sizes": ()}, X),
        r"different shapes: \[\(3, 12, 10\), \(3, 12, 11\)\]": ({}, [X[0], np.ones((3, 12, 11))]),
        r"X has 5 dimensions, but images are": ({}, X[np.newaxis]),
        r"12 x 10 x 3 numbers, but image_shape=\(3, 12, 10\)": (
            {"image_shape": (3, 12, 10)},
            X.transpose(0, 2, 3, 1),
        ),
        "Row 0 of X has no value": ({}, np.where(np.arange(120) < 1, np.nan, X.T).T),
    }
    if E in CONVOLUTIONAL:
        both = {"n_components": 4, "code_channels": 2}
        cases["n_components=4 and code_channels=2 .* only one"] = both, X
    for message, (params, images) in cases.items():
        model = quick(E, **params)
        with pytest.raises(ValueError, match=message):
            model.fit(images)
        assert not [name for name in vars(model) if name.endswith("_")]
    model = quick(E).fit(X)
    with pytest.raises(
        ValueError, match=r"12 x 10 numbers, but .* images of 3 x 12 x 10\. .* a list"
    ):
        model.transform(X[0])
    with pytest.raises(ValueError, match=r"120 numbers, but .* 3 x 12 x 10"):
        model.transform(X[:, 0].reshape(120, -1))
    assert model.transform([X[0]]).shape == (1, model.n_components_)


@in_turn(E=IMAGING, white=[False, True])
def test_dark_images_are_learnt(E, white):
    """Where nearly all pixels are at an end of the range, outputs do not get stuck there."""
    X = discs(200, (20, 20), 1) ** 3
    X = 1 - X if white else X
    model = lean(E, n_components=8, max_steps=100).fit(X)
    assert model.output_range_ == (0, 1)
    assert model.score(X) > 0.8


def test_a_dataset_is_read_once_for_a_score():
    """What was read is compared with its own reconstruction, though each look draws another."""

    class Flipped(Listed):
        rng = np.random.default_rng(0)

        def __getitem__(self, number):
            return self.X[number, :, :, :: self.rng.choice([-1, 1])]

    X = discs()
    both = np.concatenate([X, X[:, :, :, ::-1]])
    model = ConvolutionalAutoencoder(16, max_steps=150, calibration=None, random_state=0).fit(both)
    assert model.score(Flipped(X)) > 0.9
    assert model.reconstruction_error(Flipped(X)).max() < 0.05


def test_channels_last_may_be_meant():
    """A shape that is stated is believed."""
    X = discs(20, (16, 3), 16)
    with pytest.raises(ValueError, match="looks like"):
        quick(ConvolutionalAutoencoder).fit(X)
    model = quick(ConvolutionalAutoencoder, image_shape=(16, 16, 3)).fit(X)
    assert model.image_shape_ == (16, 16, 3)


@every_convolutional
def test_large_images_become_maps(E):
    """A step on an image of 3 x 512 x 512 fits into memory; its code is a map of 4 x 64 x 64."""
    X = np.random.default_rng(0).random((1, 3, 512, 512), dtype=np.float32)
    model = E(code_channels=4, max_steps=1, random_state=0).fit(X)
    assert model.code_shape_ == (4, 64, 64)
    assert model.transform(X).shape == (1, 4 * 64 * 64)
    assert model.reconstruct(X).shape == X.shape


@every_kind
def test_a_flaw_is_found_and_shown(E):
    """A scratch makes an image unusual, and the reasons lie where it is."""
    X, new = discs(400), discs(100, seed=1)
    flawed = new.copy()
    flawed[:50, :, 3:6, 2:4] = 1 - flawed[:50, :, 3:6, 2:4]
    model = lean(E, training_data="clean", max_steps=200).fit(X)
    flaw = np.arange(100) < 50
    assert roc_auc_score(flaw, -model.score_samples(flawed)) > 0.95
    reasons = model.explain(flawed[:20])
    assert reasons.columns.names == ["channel", "row", "column"]
    shares = reasons.to_numpy().reshape(20, 3, 12, 10).sum(axis=1)
    shares /= shares.sum(axis=(1, 2), keepdims=True)
    assert shares[:, 2:6, 2:4].sum(axis=(1, 2)).mean() > 0.5
    errors = model.reconstruction_error(flawed, per_feature=True)[:50].mean(axis=(0, 1))
    assert errors[3:6, 2:4].mean() > 5 * errors.mean()


def test_what_squares_let_one_expect():
    """Taken together, numbers are expected by the others alone, as conditional means are."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    model = Ellipsoid(values)
    parts = np.array([0, 0, 1, 1, 1, 2])
    found = model.expected(values[:5], parts)
    precision = (model.directions * model.weights) @ model.directions.T + model.rest * np.eye(6)
    cov = np.linalg.inv(precision)
    for part in range(3):
        own, others = parts == part, parts != part
        gain = cov[np.ix_(own, others)] @ np.linalg.inv(cov[np.ix_(others, others)])
        expected = model.mean[own] + (values[:5] - model.mean)[:, others] @ gain.T
        np.testing.assert_allclose(found[:, own], expected, rtol=1e-6, atol=1e-8)
    wide = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 2000)) + rng.normal(size=(300, 2000))
    model, parts = Ellipsoid(wide), np.arange(2000) // 1000
    once = model.expected(wide[:3], parts)
    changed = wide[:3].copy()
    changed[:, :1000] += 5  # says nothing of itself
    np.testing.assert_allclose(model.expected(changed, parts)[:, :1000], once[:, :1000], atol=1e-6)


@every_kind
def test_maps_are_saved_and_resumed(E):
    """Pickles and warm starts know the range of outputs and the shape of codes."""
    X = discs()
    params = as_map(E, 2)
    model = quick(E, **params, warm_start=True).fit(X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(*(m.fit(X).score_samples(X) for m in (model, copy)))
    assert copy.output_range_ == (0, 1)
    head = quick(E, **params, init_from=model, trainable="decoder").fit(X[:50])
    np.testing.assert_array_equal(head.transform(X), model.transform(X))


def test_maps_of_a_codebook():
    """Each place of a map is a row of the codebook, whose number stands for it; so are samples."""
    X = discs()
    model = quick(ConvolutionalVectorQuantizedAutoencoder, code_channels=3, n_codes=5).fit(X)
    maps = model.transform(X).reshape(-1, *model.code_shape_)
    codebook = model.net_.module_.codebook.detach().numpy()
    indices = model.set_params(codes="indices").transform(X).astype(int)
    assert model.code_shape_ == (1, *maps.shape[2:])
    np.testing.assert_array_equal(codebook[indices], maps.reshape(len(X), 3, -1).swapaxes(1, 2))
    np.testing.assert_allclose(model.inverse_transform(indices), model.reconstruct(X), atol=1e-5)
    assert model.sample(4).shape == (4, *X.shape[1:])


def test_samples_are_images():
    """New images have the shape of those of the fit, and their range if they are shares."""
    X = discs()
    model = quick(ConvolutionalVariationalAutoencoder, likelihood="bernoulli").fit(X)
    assert model.sample(3).shape == (3, *X.shape[1:])
    assert set(np.unique(model.sample(3))) <= {0.0, 1.0}
    assert model.output_range_ is None  # it is the likelihood that squashes
    drawn = quick(ConvolutionalVariationalAutoencoder, code_channels=1).fit(X).sample(2)
    assert drawn.shape == (2, *X.shape[1:])
    with pytest.raises(ValueError, match="between 0 and 1 for this likelihood"):
        quick(ConvolutionalVariationalAutoencoder, likelihood="bernoulli").fit(2 * X)


def test_large_images_leave_small_models(monkeypatch):
    """What a model keeps of rows is limited, however long these are."""
    monkeypatch.setattr("sktae._outliers.measures._KEPT_NUMBERS", 5 * 32 * 32)
    X = np.random.default_rng(0).random((30, 1, 32, 32)).astype(np.float32)
    model = quick(ConvolutionalAutoencoder, n_components=2, max_steps=1).fit(X)
    assert model.outlier_model_.features.directions.shape == (32 * 32, 5)
    assert model.outlier_model_.residuals.directions.shape == (32 * 32, 5)
    assert np.isfinite(model.explain(X[:2]).to_numpy()).all()

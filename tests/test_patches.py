"""Patches of images: how they are cut, hidden, attended to and encoded."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from shared import quick
from sklearn.datasets import load_digits

from sktae import TransformerAutoencoder, VisionTransformerAutoencoder
from sktae._training.spec import Spec
from sktae.nn.attention import Options, Transformer, sinusoidal
from sktae.nn.patches import ImageEmbedding
from sktae.plot import AttentionDisplay

DIGITS = load_digits().images
PLAIN = {"patch_size": 2, "n_components": 8, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def plain():
    return quick(VisionTransformerAutoencoder, **PLAIN).fit(DIGITS[:300])


def pictures(n=60, shape=(2, 6, 9)):
    return np.random.default_rng(0).normal(size=(n, *shape))


@pytest.mark.parametrize("patch", [(2, 3), (4, 4), (6, 9), (1, 1)])
def test_images_are_cut_and_joined(patch):
    """Patches are blocks of pixels, row by row; together again, they are the image."""
    x = torch.from_numpy(pictures(5))
    embedding = ImageEmbedding((2, 6, 9), patch, 4, 4)
    patches = embedding.to_patches(x)
    rows, columns = embedding.grid
    assert patches.shape == (5, rows * columns, 2 * patch[0] * patch[1])
    for number in range(rows * columns):
        top, left = number // columns * patch[0], number % columns * patch[1]
        block = x[:, :, top : top + patch[0], left : left + patch[1]]
        found = patches[:, number].unflatten(1, (2, *patch))
        assert torch.equal(found[:, :, : block.shape[2], : block.shape[3]], block)
        assert found.isnan().sum() == found.numel() - block.numel()
    assert torch.equal(embedding.from_patches(patches), x)


def test_places_in_a_grid_are_told_apart():
    """Each place has its own code, whose halves are those of its row and its column."""
    found = sinusoidal(12, 10, columns=4).unflatten(0, (3, 4))
    assert len(torch.unique(found.flatten(0, 1), dim=0)) == 12
    assert torch.equal(found[:, :, :5], sinusoidal(3, 5)[:, None].expand(3, 4, 5))
    assert torch.equal(found[:, :, 5:], sinusoidal(4, 5).expand(3, 4, 5))
    assert torch.equal(sinusoidal(12, 10, columns=12), sinusoidal(12, 10))


def test_far_patches_tell_nothing():
    """With local attention, a patch gets what is at most `reach` rows and columns away."""
    network = Transformer(20, (8,), Options(2, "silu", attention="local"), None, 1, columns=5)
    h = torch.randn(1, 20, 8, generator=torch.Generator().manual_seed(0))
    other = h.clone()
    other[:, 6] = 5.0  # in row 1 and column 1
    changed = (network(other) != network(h)).any(-1)[0].unflatten(0, (4, 5))
    assert changed.nonzero().tolist() == [[row, column] for row in range(3) for column in range(3)]


@pytest.mark.parametrize(
    "params",
    [
        {"patch_size": 4},
        {"attention": "local", "reach": 1},
        {"attention": "linear"},
        {"attention": "low_rank", "rank": 2},
        {"mask": np.eye(16)},
        {"positions": "learned"},
        {"positions": None},
        {"similarity": "additive"},
        {"weighting": "relu"},
        {"feedforward": 1.0},
        {"dropout": 0.2},
        {"bottleneck": "patches", "n_components": 8},
        {"noise": "masking"},
        {"noise": "swap"},
    ],
    ids=lambda params: ", ".join(params),
)
def test_every_option_counts(params, plain):
    """A model with the option is another one than without, and learns."""
    model = quick(VisionTransformerAutoencoder, **{**PLAIN, **params}).fit(DIGITS[:300])
    assert not np.allclose(model.reconstruct(DIGITS[:5]), plain.reconstruct(DIGITS[:5]))
    assert model.history_["train_loss"].iloc[-1] < 0.95 * model.history_["train_loss"].iloc[0]


def test_a_code_for_each_patch():
    """Codes are a map; where patches see only themselves, each place tells of its own patch."""
    X = pictures()
    settings = {"patch_size": (2, 3), "bottleneck": "patches", "n_components": 2}
    model = quick(VisionTransformerAutoencoder, mask=np.eye(9), **settings).fit(X)
    assert (model.grid_shape_, model.code_shape_) == ((3, 3), (2, 3, 3))
    other = X.copy()
    other[:, :, 2:4, 6:9] += 1.0  # in row 1 and column 2
    codes, changed = (model.transform(images).reshape(-1, 2, 3, 3) for images in (X, other))
    differ = (codes != changed).any(axis=(0, 1))
    assert np.argwhere(differ).tolist() == [[1, 2]]
    made, again = (model.inverse_transform(maps) for maps in (codes, changed))
    differ = (made != again).any(axis=(0, 1))
    assert np.argwhere(differ).min(axis=0).tolist() == [2, 6]
    assert np.argwhere(differ).max(axis=0).tolist() == [3, 8]


def test_whole_patches_are_hidden():
    """In training, with all channels, at a rate; those at the edges may be smaller."""
    x = torch.from_numpy(pictures(300))
    for noise in ("masking", "swap"):
        model = VisionTransformerAutoencoder(noise=noise, noise_level=0.4, patch_size=(4, 2))
        corruption = model._corruption(Spec((2, 6, 9), 2, (64, 64)))
        rng = torch.Generator().manual_seed(0)
        partner = (9 + 0 * x,) if noise == "swap" else ()
        changed = corruption.corrupted(x, corruption.draws[0].draw(rng, 300), *partner) != x
        assert changed.float().mean() == pytest.approx(0.4, abs=0.02)
        for rows in (slice(0, 4), slice(4, 6)):
            for left in range(0, 9, 2):
                block = changed[:, :, rows, left : left + 2].flatten(1)
                assert torch.equal(block.all(1), block.any(1))


def signs(n, seed):
    """Make images whose middle is the product of both ends, which tells nothing of one end."""
    rng = np.random.default_rng(seed)
    left, right = rng.choice([-1.0, 1.0], (2, n, 1, 1))
    X = np.concatenate([left, left * right, left * right, right], axis=2)
    return X.repeat(2, axis=2).repeat(4, axis=1) + 0.1 * rng.normal(size=(n, 4, 8))


@pytest.mark.parametrize("bottleneck", ["vector", "patches"])
def test_hidden_patches_are_filled_in(bottleneck):
    """Who has learned with hidden patches fills them in; correlations, as without, do not."""
    new = signs(100, 1)
    holes = new.copy()
    holes[:, :, 2:6] = np.nan
    errors, settings = [], {"patch_size": 2, "n_components": 8, "bottleneck": bottleneck}
    for params in ({}, {"noise": "masking", "noise_level": 0.5}):
        model = quick(VisionTransformerAutoencoder, learning_rate=0.01, **settings, **params)
        filled = model.set_params(max_steps=200).fit(signs(500, 0)).impute(holes)
        np.testing.assert_array_equal(filled[:, :, :2], new[:, :, :2])
        errors.append(np.mean((filled - new)[:, :, 2:6] ** 2))
        assert np.isfinite(model.score_samples(holes)).all()
    assert errors[0] > 0.8
    assert errors[1] < 0.2


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (9, r"no larger than the images, 8 x 8\. Got 9"),
        ((1, 9), r"no larger than the images, 8 x 8\. Got \(1, 9\)"),
        ((1, 2, 3), r"a number or \(height, width\).* Got \(1, 2, 3\)"),
        (0, "'patch_size' parameter of VisionTransformerAutoencoder must be"),
    ],
)
def test_impossible_patches_are_refused(size, sentence):
    with pytest.raises(ValueError, match=sentence):
        quick(VisionTransformerAutoencoder, patch_size=size).fit(DIGITS[:20])


def test_other_patches_are_other_networks():
    """Weights mean something else in patches of the same size and another form."""
    source = quick(VisionTransformerAutoencoder, patch_size=(2, 4), max_steps=1).fit(DIGITS[:40])
    other = quick(VisionTransformerAutoencoder, patch_size=(4, 2), init_from=source)
    with pytest.raises(ValueError, match="give it the same sizes"):
        other.fit(DIGITS[:40])


def test_attention_is_drawn_in_place(monkeypatch):
    """The display has a map for each patch, at its place."""
    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    settings = {"patch_size": (2, 3), "hidden_layer_sizes": (8, 8), "max_steps": 1}
    model = quick(VisionTransformerAutoencoder, **settings).fit(pictures(shape=(2, 6, 12)))
    weights = model.attention_map(pictures(9, (2, 6, 12)))
    assert weights.shape == (9, 12, 12)
    np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-5)
    display = AttentionDisplay.from_estimator(model, pictures(9, (2, 6, 12)))
    (picture,) = display.ax_.get_images()
    shown = picture.get_array()
    assert shown.shape == (9, 16)
    own = weights.mean(axis=0)[1 * 4 + 2].reshape(3, 4)  # of the patch in row 1 and column 2
    np.testing.assert_allclose(shown[3:6, 8:12], own)
    sequences = quick(TransformerAutoencoder, max_steps=1).fit(pictures(9, (4, 6)))
    assert AttentionDisplay.from_estimator(sequences, pictures(9, (4, 6))).grid is None

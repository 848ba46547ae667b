"""Pictures of images: reconstructions, codes, and what is drawn during a fit."""

import matplotlib as mpl
import numpy as np
import pytest
from shared import Listed, discs, quick
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktae import Autoencoder, AutoencoderNet, ConvolutionalAutoencoder, load, save
from sktae.plot import LatentDisplay, ReconstructionDisplay, ReconstructionWriter


@pytest.fixture(autouse=True, scope="module")
def off_screen():
    with mpl.rc_context({"backend": "agg"}):
        yield


def test_reconstructions_are_drawn():
    """Of images and of rows, by any reducer, in the axes that are given."""
    X = discs()
    model = quick(ConvolutionalAutoencoder).fit(X)
    display = ReconstructionDisplay.from_estimator(model, X, n_images=5, errors=True)
    assert display.images.shape == display.reconstructions.shape == (5, 3, 12, 10)
    np.testing.assert_array_equal(display.reconstructions, model.reconstruct(X[:5]))
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert names == ["image", "reconstruction", "error"]
    (picture,) = display.ax_.get_images()
    first = picture.get_array()[0, 0, :3]
    np.testing.assert_allclose(first, X[0, :, 0, 0] / X[:5].max(), atol=0.05)
    streamed = ReconstructionDisplay.from_estimator(model, Listed(X), n_images=5)
    np.testing.assert_array_equal(streamed.reconstructions, display.reconstructions)
    with pytest.raises(ValueError, match="n_images must be at least 1"):
        ReconstructionDisplay.from_estimator(model, X, n_images=-1)
    digits = load_digits().data
    axes = display.figure_.add_subplot()
    for reducer in (make_pipeline(StandardScaler(), PCA(4)), quick(n_components=4)):
        drawn = ReconstructionDisplay.from_estimator(
            reducer.fit(digits), digits, image_shape=(8, 8), ax=axes
        )
        assert drawn.ax_ is axes
        assert drawn.images.shape == (8, 1, 8, 8)
    with pytest.raises(ValueError, match="rows of 64 numbers; to draw them as images"):
        ReconstructionDisplay.from_estimator(reducer, digits)


def test_pictures_are_written_during_a_fit(tmp_path):
    """Every so many epochs, and at the end; the model is the same, and may go into a file."""
    X, folder = discs(), tmp_path / "new" / "folder"
    alone = quick(ConvolutionalAutoencoder, max_steps=7).fit(X)
    net = AutoencoderNet(callbacks=[ReconstructionWriter(list(X), folder, every=3, n_images=2)])
    model = quick(ConvolutionalAutoencoder, max_steps=7, net=net).fit(X)
    names = [f"epoch-{epoch:04d}.png" for epoch in (3, 6, 7)]
    assert sorted(path.name for path in folder.iterdir()) == names
    np.testing.assert_array_equal(model.transform(X), alone.transform(X))
    small = AutoencoderNet(callbacks=[ReconstructionWriter(X[:, :, :5], folder)])
    with pytest.raises(ValueError, match=r"have shape \(3, 5, 10\), which does not fit into"):
        quick(ConvolutionalAutoencoder, net=small).fit(X)
    save(model.set_params(net=None), tmp_path / "x")
    np.testing.assert_array_equal(load(tmp_path / "x").transform(X), alone.transform(X))


def test_codes_are_drawn():
    """Points in two dimensions, coloured by labels or numbers; maps as images."""
    X, y = load_digits(return_X_y=True)
    model = quick(Autoencoder, n_components=3).fit(X)
    by_label = LatentDisplay.from_estimator(model, X, y)
    assert len(by_label.ax_.get_legend().get_texts()) == 10
    by_number = LatentDisplay.from_estimator(model, X, X.sum(axis=1), components=(0, 2), s=3)
    np.testing.assert_array_equal(by_number.codes, model.transform(X)[:, [0, 2]])
    assert by_number.ax_.get_xlabel() == "component 0"
    assert len(by_number.figure_.axes) == 2  # with a scale of colours
    assert LatentDisplay.from_estimator(model, X).ax_.get_legend() is None
    scaled = LatentDisplay.from_estimator(model, X, y, cmap="viridis")
    many = LatentDisplay.from_estimator(model, X, [f"kind {i % 24}" for i in range(len(X))])
    for display, n in ((by_label, 10), (scaled, 10), (many, 24)):
        looks = {
            (*points.get_facecolor()[0], points.get_paths()[0].vertices.tobytes())
            for points in display.ax_.collections
        }
        assert len(looks) == n
    maps = quick(ConvolutionalAutoencoder, code_channels=2).fit(discs())
    display = LatentDisplay.from_estimator(maps, discs(), n_images=4)
    assert display.codes.shape == (4, *maps.code_shape_)
    np.testing.assert_array_equal(
        maps.inverse_transform(display.codes), maps.reconstruct(discs())[:4]
    )
    names = [t.get_text() for t in display.ax_.get_yticklabels()]
    assert names == ["image", "channel 0", "channel 1"]
    np.testing.assert_array_equal(display.images, discs()[:4])
    mean = LatentDisplay.from_estimator(maps, discs(), channels="mean", colorbar=True)
    assert [t.get_text() for t in mean.ax_.get_yticklabels()] == ["image", "mean"]
    assert len(mean.figure_.axes) == 2
    with pytest.raises(ValueError, match="channels must be 'all' or 'mean'"):
        mean.plot(channels="first")
    square = LatentDisplay.from_estimator(model, X, squares=True, n_images=3)
    np.testing.assert_array_equal(square.codes.reshape(3, 4)[:, :3], model.transform(X[:3]))
    assert np.isnan(square.codes[:, 0, 1, 1]).all()
    assert (square.ax_.get_images()[0].get_array()[1, 1] == 1).all()  # white
    with pytest.raises(ValueError, match="draws two components"):
        LatentDisplay.from_estimator(quick(n_components=1).fit(X), X)

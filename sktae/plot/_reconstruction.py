"""A display of reconstructed images, and a callback that writes it during a fit."""

from pathlib import Path

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from sktae.plot._axes import (
    _draw,
    _first,
    _name_rows,
    _pyplot,
    _reconstruct,
    _to_colors,
    _to_images,
)


class ReconstructionDisplay:
    """Images above their reconstructions.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_channels, height, width)
        The images.

    reconstructions : ndarray of shape (n_images, n_channels, height, width)
        The images that a model decodes from their codes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ConvolutionalAutoencoder
    >>> from sktae.plot import ReconstructionDisplay
    >>> X = load_digits().images
    >>> model = ConvolutionalAutoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X, n_images=10, errors=True)
    """

    def __init__(self, images: np.ndarray, reconstructions: np.ndarray):
        self.images, self.reconstructions = images, reconstructions

    @classmethod
    def from_estimator(cls, estimator, X, *, n_images=8, image_shape=None, ax=None, **kwargs):
        """Reconstruct images and draw them.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
            Anything that has `reconstruct`, or `transform` and `inverse_transform`.

        X : array-like
            The images.

        n_images : int, default=8
            Number of images to draw, from the first one on.

        image_shape : tuple of int or None, default=None
            Shape of images that come as rows, for estimators that have no `image_shape_`: (height,
            width) or (channels, height, width).

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        X = _first(X, n_images)
        recon = _reconstruct(estimator, X)
        shape = image_shape or getattr(estimator, "image_shape_", None)
        return cls(_to_images(X, shape), _to_images(recon, shape)).plot(ax, **kwargs)

    def plot(self, ax=None, *, errors=False, cmap="gray", error_cmap="magma"):
        """Draw images above their reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        errors : bool, default=False
            Whether to draw squared errors below, averaged over channels.

        cmap : str or Colormap, default="gray"
            Colors of images, unless these have three channels.

        error_cmap : str or Colormap, default="magma"
            Colors of errors.

        Returns
        -------
        display : ReconstructionDisplay
            This display.
        """
        limits = self.images.min(), self.images.max()
        rows = {
            "image": _to_colors(self.images, *limits, cmap),
            "reconstruction": _to_colors(self.reconstructions, *limits, cmap),
        }
        if errors:
            squared = ((self.images - self.reconstructions) ** 2).mean(axis=1, keepdims=True)
            rows["error"] = _to_colors(squared, 0.0, squared.max(), error_cmap)
        self.ax_ = _draw(list(rows.values()), ax)
        _name_rows(self.ax_, list(rows), self.images.shape[2])
        self.figure_ = self.ax_.figure
        return self


class ReconstructionWriter(Callback):
    """Writes pictures of reconstructed images while a model is trained.

    A callback of skorch, for the `net` of an autoencoder of images. Files are named by the epoch,
    as in `epoch-0020.png`. They show the network as it is, without noise.

    Parameters
    ----------
    X : array-like
        The images, in any layout that the estimator takes.

    folder : str or path-like
        Where to write. It is made if it is not there.

    every : int, default=20
        Number of epochs from one picture to the next. The last epoch has one, too.

    n_images : int, default=8
        Number of images to draw, from the first one on.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from sktae import AutoencoderNet, ConvolutionalAutoencoder
    >>> from sktae.plot import ReconstructionWriter
    >>> X, folder = load_digits().images, tempfile.mkdtemp()
    >>> net = AutoencoderNet(callbacks=[ReconstructionWriter(X, folder, every=5)])
    >>> model = ConvolutionalAutoencoder(8, net=net, max_steps=20, random_state=0).fit(X)
    >>> sorted(path.name for path in Path(folder).iterdir())
    ['epoch-0005.png', 'epoch-0010.png', 'epoch-0015.png', 'epoch-0020.png']
    """

    def __init__(self, X, folder, *, every=20, n_images=8):
        self.X, self.folder, self.every, self.n_images = X, folder, every, n_images

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Raise if the images are not like those of the fit."""
        _to_images(_first(self.X, self.n_images), net.inputs_.shape)

    def on_epoch_end(self, net, **kwargs):
        """Write a picture if it is due."""
        if len(net.history) % self.every == 0:
            self._write(net)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Write the last picture."""
        if len(net.history) % self.every:
            self._write(net)

    def _write(self, net):
        inputs, few = net.inputs_, _first(self.X, self.n_images)
        images = _to_images(few, inputs.shape)
        net._set_training(False)
        with torch.no_grad():
            x = inputs.to_tensor(torch.from_numpy(images).to(net.device))
            recon = inputs.to_array(net.module_(x).recon.cpu().numpy(), images.dtype)
        display = ReconstructionDisplay(images, _to_images(recon, inputs.shape)).plot()
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        display.figure_.savefig(Path(self.folder) / f"epoch-{len(net.history):04d}.png")
        _pyplot().close(display.figure_)

"""A display of reconstructed images."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import _draw, _first, _name_rows, _to_colors, _to_images


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
        if hasattr(estimator, "reconstruct"):
            recon = estimator.reconstruct(X)
        else:
            recon = estimator.inverse_transform(estimator.transform(X))
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

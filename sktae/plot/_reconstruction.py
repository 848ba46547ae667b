"""Displays: what a picture needs is computed once, and drawn as often as one likes."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktae.plot._axes import _coloured, _drawn, _first, _name_rows, _pictures


class ReconstructionDisplay:
    """Images side by side with what a model makes of them.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_channels, height, width)
        The images.

    reconstructions : ndarray of shape (n_images, n_channels, height, width)
        What is left of them after passing through the code.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where they are drawn.

    figure_ : matplotlib Figure
        The figure that holds them.

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
            How many of them to draw, from the first one on.

        image_shape : tuple of int or None, default=None
            Shape of images that come as rows, for estimators that do not know it: height and width,
            or channels, height and width.

        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            What was computed and drawn.
        """
        check_is_fitted(estimator)
        X = _first(X, n_images)
        if hasattr(estimator, "reconstruct"):
            made = estimator.reconstruct(X)
        else:
            made = estimator.inverse_transform(estimator.transform(X))
        shape = image_shape or getattr(estimator, "image_shape_", None)
        return cls(_pictures(X, shape), _pictures(made, shape)).plot(ax, **kwargs)

    def plot(self, ax=None, *, errors=False, cmap="gray", error_cmap="magma"):
        """Draw images above their reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        errors : bool, default=False
            Whether to draw squared errors below, their mean over channels.

        cmap : str or Colormap, default="gray"
            Colours of images that have not three channels.

        error_cmap : str or Colormap, default="magma"
            Colours of errors.

        Returns
        -------
        display : ReconstructionDisplay
            This display.
        """
        ends = self.images.min(), self.images.max()
        rows = {
            "image": _coloured(self.images, *ends, cmap),
            "reconstruction": _coloured(self.reconstructions, *ends, cmap),
        }
        if errors:
            wrong = ((self.images - self.reconstructions) ** 2).mean(axis=1, keepdims=True)
            rows["error"] = _coloured(wrong, 0.0, wrong.max(), error_cmap)
        self.ax_ = _drawn(list(rows.values()), ax)
        _name_rows(self.ax_, list(rows), self.images.shape[2])
        self.figure_ = self.ax_.figure
        return self

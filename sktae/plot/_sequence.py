"""A display of sequences and their reconstructions."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sktae._pipelines import last_step
from sktae.plot._axes import (
    _COLORS,
    _first,
    _foreground,
    _legend,
    _pyplot,
    _reconstruct,
    _trim,
)

_INCHES = 1.6  # of a sequence


class SequenceDisplay:
    """Sequences of numbers, their reconstructions, and the steps with the largest errors.

    Parameters
    ----------
    sequences : list of ndarray of shape (n_steps, n_channels)
        The sequences, of any lengths.

    reconstructions : list of ndarray of shape (n_steps, n_channels)
        The sequences that a model decodes from their codes.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes of the sequences, one below the other.

    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sktae import RecurrentAutoencoder
    >>> from sktae.plot import SequenceDisplay
    >>> X = np.sin(np.arange(40) / 3 + np.linspace(0, 6, 50)[:, np.newaxis])[:, :, np.newaxis]
    >>> model = RecurrentAutoencoder(2, max_steps=20, random_state=0).fit(X)
    >>> display = SequenceDisplay.from_estimator(model, X, n_sequences=2)
    """

    def __init__(self, sequences: list[np.ndarray], reconstructions: list[np.ndarray]):
        self.sequences, self.reconstructions = sequences, reconstructions

    @classmethod
    def from_estimator(cls, estimator, X, *, n_sequences=3, axes=None, **kwargs):
        """Reconstruct sequences and draw them.

        Parameters
        ----------
        estimator : fitted estimator or Pipeline
            Anything that has `reconstruct`, or `transform` and `inverse_transform`.

        X : array-like
            Sequences of numbers: a list of arrays, a panel of shape (n_samples, n_steps,
            n_channels), or rows.

        n_sequences : int, default=3
            Number of sequences to draw, from the first one on.

        axes : matplotlib Axes, array of Axes, or None, default=None
            Where to draw, one for each sequence; None for a new figure.

        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : SequenceDisplay
            The display, with the plot.
        """
        check_is_fitted(estimator)
        final = last_step(estimator)
        if getattr(final, "n_tokens", None) is not None:
            raise ValueError(
                f"SequenceDisplay draws sequences of numbers, but those of {type(final).__name__} "
                f"are tokens; its reconstruct returns them as tokens to be printed."
            )
        X = _first(X, n_sequences, "n_sequences")
        n_channels = getattr(final, "n_channels", 1)
        given = _steps(X, n_channels)
        decoded = _steps(_reconstruct(estimator, X), n_channels)
        # Sequences that are shorter than those of the fit come back with missing steps at the end.
        decoded = [d[: len(g)] for g, d in zip(given, decoded, strict=True)]
        return cls(given, decoded).plot(axes, **kwargs)

    def plot(self, axes=None, *, n_channels=3, n_marked=3):
        """Draw each sequence, the reconstruction as dashed lines.

        Parameters
        ----------
        axes : matplotlib Axes, array of Axes, or None, default=None
            Where to draw, one for each sequence; None for a new figure.

        n_channels : int, default=3
            Largest number of channels to draw: those with the largest errors.

        n_marked : int, default=3
            Number of steps to mark in each sequence: those with the largest errors.

        Returns
        -------
        display : SequenceDisplay
            This display.
        """
        n = len(self.sequences)
        if axes is None:
            size = 8, 1 + _INCHES * n
            settings = {"sharex": True, "sharey": True, "layout": "constrained"}
            _, axes = _pyplot().subplots(n, 1, figsize=size, **settings)
        axes = np.ravel(axes)
        if len(axes) != n:
            raise ValueError(
                f"SequenceDisplay needs {n} axes, one for each sequence. Got {len(axes)} instead."
            )
        pairs = zip(self.sequences, self.reconstructions, strict=True)
        errors = [(given - decoded) ** 2 for given, decoded in pairs]
        worst = np.argsort(-np.nansum([np.nansum(e, axis=0) for e in errors], axis=0))
        shown = np.sort(worst[:n_channels])
        for ax, *parts in zip(axes, self.sequences, self.reconstructions, errors, strict=True):
            self._draw(ax, *parts, shown, n_marked)
        axes[-1].set_xlabel("step")
        _legend(axes[0])
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _draw(self, ax, given, decoded, error, shown, n_marked):
        foreground, several = _foreground(ax), len(shown) > 1
        for number, channel in enumerate(shown):
            color = _COLORS[number % len(_COLORS)] if several else foreground
            label = f"channel {channel}" if several else "given"
            ax.plot(given[:, channel], color=color, label=label)
            ax.plot(decoded[:, channel], color=color if several else _COLORS[0], linestyle="--")
        color = foreground if several else _COLORS[0]
        ax.plot([], color=color, linestyle="--", label="reconstruction")
        total = np.nansum(error, axis=1)
        for number, step in enumerate(np.argsort(-total, kind="stable")[:n_marked]):
            label = None if number else "largest errors"
            ax.axvspan(step - 0.5, step + 0.5, color="0.5", alpha=0.4, lw=0, label=label)
        _trim(ax)


def _steps(X, n_channels):
    """Return sequences as a list of arrays, (n_steps, n_channels)."""
    rows = X if isinstance(X, list) else np.asarray(X)
    sequences = [np.asarray(sequence, dtype=np.float64) for sequence in rows]
    return [s.reshape(-1, n_channels) if s.ndim == 1 else s for s in sequences]

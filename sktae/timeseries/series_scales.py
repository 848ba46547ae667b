"""Each series on a scale of its own, before all of them are pooled."""

from collections.abc import Hashable, Sequence

import numpy as np

from sktae.timeseries.channels import Channels, binary_channels

# Values are clipped at so many standard deviations, so that differences of them are finite. What
# comes afterwards clips closer.
_CLIP = 1e6


class SeriesScales:
    """Scales the channels of each series by its own rows.

    Channels of two values, such as switches, keep these in all series.

    Attributes
    ----------
    scales : list of pairs of ndarray of shape (n_channels,)
        What is subtracted from the values of each series of the fit, and what they are then divided
        by.

    numbers : dict
        The numbers of these series by their names, if they have some.
    """

    def fit(self, series: Sequence[np.ndarray], names: Sequence[Hashable]) -> "SeriesScales":
        """Learn the scales of series (t, c). Several without names, None each, are not known."""
        self.binary = binary_channels(series)
        self.scales = [self._scale(rows) for rows in series]
        known = len(set(names)) == len(series)
        self.numbers = {name: number for number, name in enumerate(names)} if known else {}
        return self

    def _scale(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        channels = Channels(("raw",), standardize=True).fit([rows])
        shift, scale = channels.shift[0], channels.scale[0]
        return np.where(self.binary, 0.0, shift), np.where(self.binary, 1.0, scale)

    def transform(self, rows: np.ndarray, number: int | None) -> np.ndarray:
        """Scale rows (t, c) as a series of the fit, or by these rows if `number` is None."""
        shift, scale = self._scale(rows) if number is None else self.scales[number]
        with np.errstate(over="ignore"):  # clipped
            return np.clip((rows.astype(np.float64) - shift) / scale, -_CLIP, _CLIP)

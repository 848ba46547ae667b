"""Categories: values of a column become vectors, and vectors values."""

import numpy as np
import torch
from torch import Tensor

# A column with more places than this is embedded in as many dimensions; others are one-hot.
_DIMENSIONS = 32
# If more than this share of the values occurs once, values that are new do not count as unusual.
_NEW_ONES = 0.1
# Vectors are compared with those of all values in chunks of about this many numbers.
_CHUNK_NUMBERS = 2**22


class Categories:
    """The vectors of the values of one categorical column.

    Each value has a place in a one-hot vector. Values that the training rows have only once share
    one place. Missing values and values that the training rows do not have get places of their own.
    But where many values occur once, so that many new rows will have new values (Good-Turing),
    these are no sign of an outlier, and share the place of those that occur once. With many places,
    the one-hot vectors are projected to random directions, which are the same in every fit.

    Values come as numbers: n_values for one that training rows do not have, NaN for a missing one.

    Parameters
    ----------
    counts : ndarray of shape (n_values + 1,)
        How many training rows have each value; at last, in how many it is missing.

    totals : ndarray of shape (n_values + 1,)
        The sums of the weights of these rows; their numbers if weights are equal.

    standardize : bool
        Whether vectors are centered, and scaled so that the variances of all dimensions add up to
        1, the variance of a column of numbers.

    bits : bool
        Whether all numbers of a vector must be 0 or 1.
    """

    def __init__(self, counts: np.ndarray, totals: np.ndarray, standardize: bool, bits: bool):
        n_values = len(counts) - 1
        frequent, rare = np.flatnonzero(counts[:-1] > 1), np.flatnonzero(counts[:-1] == 1)
        new_ones = len(rare) / max(1, counts.sum())  # the expected share of unseen values
        unseen = len(frequent) + (0 < new_ones <= _NEW_ONES)
        missing = unseen + 1
        places = np.full(n_values + 2, unseen)  # at last: unseen, missing
        places[frequent], places[rare], places[-1] = range(len(frequent)), len(frequent), missing
        n_places = missing + 1
        shares = np.bincount(places[:n_values], totals[:-1], n_places)
        shares[missing] += totals[-1]
        shares = shares / (totals.sum() or 1)
        if n_places <= _DIMENSIONS:
            axes = np.eye(n_places)
        else:
            rng = np.random.default_rng(0)
            axes = rng.standard_normal((n_places, _DIMENSIONS)) / np.sqrt(_DIMENSIONS)
            axes = (axes > 0).astype(float) if bits else axes
        if standardize and not bits:
            axes = axes - shares @ axes
            total = shares @ np.square(axes).sum(axis=1)
            axes = axes / np.sqrt(total if total > 0 else 1.0)
        self.places, self.axes = places, axes.astype(np.float32)
        # What a vector may be turned back to: each frequent value, and one of the rare ones.
        self.targets = np.concatenate([frequent, rare[:1]]) if len(counts) > 1 else frequent
        self.mode = float(np.argmax(totals[:-1])) if n_values else np.nan

    @property
    def width(self) -> int:
        """Number of dimensions."""
        return self.axes.shape[1]

    def to_vectors(self, values: Tensor) -> Tensor:
        """Return the vectors of values, (n,) to (n, width)."""
        numbers = torch.where(values.isnan(), len(self.places) - 1, values).long()
        table = torch.from_numpy(self.axes[self.places])
        return table[numbers.clamp(0, len(self.places) - 1)]

    def to_values(self, vectors: np.ndarray) -> np.ndarray:
        """Return the values that have the nearest vectors, (n, width) to (n,)."""
        if not len(self.targets):
            return np.full(len(vectors), np.nan)
        others = self.axes[self.places[self.targets]].astype(np.float64)
        lengths = np.square(others).sum(axis=1)
        nearest = np.empty(len(vectors), dtype=int)
        size = max(1, _CHUNK_NUMBERS // len(others))
        for start in range(0, len(vectors), size):
            part = vectors[start : start + size].astype(np.float64)
            nearest[start : start + size] = (lengths - 2 * part @ others.T).argmin(axis=1)
        return self.targets[nearest].astype(np.float64)

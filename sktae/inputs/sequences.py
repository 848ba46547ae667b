"""Sequences become tensors here, and tensors sequences."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor
from torch.utils.data import Dataset

from sktae.inputs.datasets import DatasetRows
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import FAR, FLOATS, check_width, chunks_of, pooled, scaler_of


@dataclass
class Sequence(Inputs):
    """Steps with channels, (n, steps, channels), of which some are missing: they are NaN.

    They may come as a panel of three dimensions, as rows that run through them step by step, or as
    a list of arrays of unequal length. Where `n_tokens` is given, they are numbers of tokens.

    Parameters
    ----------
    standardize : bool
        Whether the network sees each channel with mean 0 and variance 1.

    n_channels : int
        Channels of sequences that come as rows.

    n_tokens : int, "auto" or None, default=None
        How many tokens there are. Later ones that are not among them count as one more.

    padding_token : int or None, default=None
        The token that stands for none.

    sequence_length : int or "auto", default="auto"
        Steps of the longest sequence that may come; "auto" for the longest of the fit.
    """

    axes: ClassVar = ("step", "channel")

    standardize: bool
    n_channels: int
    n_tokens: Any = None
    padding_token: int | None = None
    sequence_length: Any = "auto"

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate sequences; panels and lists are filled up with NaN to the length of the fit."""
        if isinstance(X, Dataset):
            rows = DatasetRows(X, (1, 2) if reset else (1 if self.flat else 2,))
            check_width(estimator, rows.shape[-1], reset)
            self._check_layout(estimator, len(rows.shape) == 2, rows.shape, reset)
            return rows
        panel = _panel(X, self.n_channels, rows=reset or self.flat)
        if panel is None and not reset and not self.flat:
            panel = self._of_one_channel(estimator, X)
        if panel is None:
            X = validate_data(
                estimator, X, dtype=FLOATS, ensure_all_finite="allow-nan", reset=reset
            )
            self._check_layout(estimator, True, X.shape, reset)
        else:
            X = check_array(
                panel,
                dtype=FLOATS,
                allow_nd=True,
                ensure_all_finite="allow-nan",
                estimator=estimator,
                input_name="X",
            )
            if reset or not self.flat:
                check_width(estimator, X.shape[2], reset)
            self._check_layout(estimator, False, X.shape, reset)
            X = self._lengthened(X, reset)
        return self._check_values(X)

    def _of_one_channel(self, estimator: Any, X: Any) -> Any:
        X = np.asarray(X)
        if X.ndim == 2 and self.shape[1] == 1:
            return X[:, :, np.newaxis]
        raise ValueError(
            f"X has {X.ndim} dimensions, but {type(estimator).__name__} was fitted on sequences, "
            f"(n, steps, channels); put a single one into a list, [X]."
        )

    def _lengthened(self, X: np.ndarray, reset: bool) -> np.ndarray:
        sequence_length = self.sequence_length
        steps = self.shape[0]
        if reset:
            steps = X.shape[1] if sequence_length == "auto" else sequence_length
        X = np.pad(X, ((0, 0), (0, steps - X.shape[1]), (0, 0)), constant_values=np.nan)
        return X.reshape(len(X), -1) if not reset and self.flat else X

    def _check_layout(self, estimator: Any, flat: bool, shape: Any, reset: bool) -> None:
        name, n_channels = type(estimator).__name__, self.n_channels
        length = self.sequence_length
        if flat and shape[1] % n_channels:
            raise ValueError(
                f"X has rows of {shape[1]} values, which n_channels={n_channels} of {name} does "
                f"not divide."
            )
        if self.n_tokens is not None and (n_channels if flat else shape[2]) != 1:
            raise ValueError(
                f"Sequences of tokens have one channel, but X has "
                f"{n_channels if flat else shape[2]}; set n_tokens=None of {name} for numbers."
            )
        if not reset and not flat and shape[2] != self.shape[1]:
            raise ValueError(
                f"X has {shape[2]} channels, but {name} was fitted on sequences of {self.shape[1]}."
            )
        steps = shape[1] // n_channels if flat else shape[1]
        if length != "auto" and (steps > length or (flat and steps < length)):
            raise ValueError(
                f"X has sequences of {steps} steps, but sequence_length={length} of {name}; set it "
                f"to 'auto', or to as many as sequences have at most."
            )
        if not reset and steps > self.shape[0]:
            raise ValueError(
                f"X has sequences of up to {steps} steps, but {name} was fitted on up to "
                f"{self.shape[0]}; cut them, set sequence_length for the fit, or score long series "
                f"with WindowedDetector."
            )

    def _check_values(self, X: np.ndarray) -> np.ndarray:
        if self.n_tokens is not None:
            if self.padding_token is not None:
                X = np.where(self.padding_token == X, np.nan, X)
            wrong = X[(np.floor(X) != X) & ~np.isnan(X) | (X < 0)]
            if len(wrong):
                raise ValueError(
                    f"Tokens must be integers from 0 on, but X holds {wrong[0]:g}; set "
                    f"n_tokens=None for sequences of numbers."
                )
        empty = np.isnan(X).reshape(len(X), -1).all(axis=1)
        if empty.any():
            raise ValueError(f"Row {empty.argmax()} of X has no values, only NaN.")
        return X

    def fit(self, X: Any) -> "Sequence":
        """Learn how long sequences are, and the scale of each channel or the number of tokens."""
        n_channels = self.n_channels
        self.flat = len(X.shape) == 2
        self.shape = (X.shape[1] // n_channels, n_channels) if self.flat else tuple(X.shape[1:])
        if self.n_tokens is not None:
            largest = max(int(np.nanmax(chunk)) for chunk in chunks_of(X))
            self.vocabulary = largest + 1 if self.n_tokens == "auto" else self.n_tokens
        standardize = self.standardize and self.n_tokens is None
        scaler = scaler_of(chunks_of(X), standardize)
        self.mean = np.nan_to_num(scaler.mean_)
        if standardize:
            self.shift, self.scale = pooled(scaler, self.shape, 0)
        else:
            self.shift, self.scale = np.zeros(self.shape[1]), np.ones(self.shape[1])
        return self

    def check(self, X: Any) -> None:
        """Raise where these rows are not fit for training."""
        if self.n_tokens is None:
            return
        largest = max(np.nanmax(chunk) for chunk in chunks_of(X))
        if largest >= self.vocabulary:
            raise ValueError(
                f"X holds the token {largest:g}, but n_tokens={self.vocabulary} allows for 0 to "
                f"{self.vocabulary - 1}."
            )

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Turn raw rows into what the network sees, (n, steps, channels)."""
        x = rows.double().unflatten(1, self.shape) if self.flat else rows.double()
        if self.n_tokens is not None:
            return x.clamp(max=self.vocabulary).float()
        offset = torch.from_numpy(-self.shift / self.scale)
        factor = torch.from_numpy(1 / self.scale)
        return torch.addcmul(offset, x, factor).float().clamp(-FAR, FAR)

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        found = z.astype(np.float64) * self.scale + self.shift
        return found.reshape((len(z), -1) if self.flat else z.shape).astype(dtype)

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return how wrong numbers are, squared, and whether tokens are wrong; NaN for none."""
        if self.n_tokens is None:
            return (X.astype(np.float64) - reconstruction) ** 2
        return np.where(np.isnan(X), np.nan, reconstruction != X)

    def summary(self, x: Tensor) -> Tensor:
        """Return the numbers by which prepared rows are compared, (n, d)."""
        if self.n_tokens is None:
            return x.nan_to_num().flatten(1)
        tokens = torch.arange(self.vocabulary + 1, device=x.device)
        counts = torch.stack([(x == token).flatten(1).sum(1) for token in tokens], 1)
        return counts / counts.sum(1, keepdim=True)


def _panel(X: Any, n_channels: int, rows: bool) -> Any:
    """Return sequences that do not come as rows as one panel, filled up with NaN; None for rows.

    A list of arrays of equal length is one of rows, if rows are what is expected.
    """
    if getattr(X, "ndim", 2) == 3:
        return X
    if not isinstance(X, list | tuple) or not X or not all(hasattr(item, "__len__") for item in X):
        return None
    items = [np.asarray(item) for item in X]
    if all(item.ndim == 1 for item in items):
        if rows and len({len(item) for item in items}) == 1:
            return None
        items = [item.reshape(-1, n_channels) for item in items]
    if any(item.ndim != 2 or item.dtype.kind not in "fiub" for item in items):
        return None
    if len({item.shape[1] for item in items}) > 1:
        raise ValueError(
            f"The sequences of X have different numbers of channels: "
            f"{sorted({item.shape[1] for item in items})}."
        )
    panel = np.full((len(items), max(map(len, items)), items[0].shape[1]), np.nan)
    for row, item in zip(panel, items, strict=True):
        row[: len(item)] = item
    return panel

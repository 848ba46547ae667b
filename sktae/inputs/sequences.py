"""Sequences of numbers or tokens become tensors, and tensors sequences."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor

from sktae.inputs.datasets import DatasetRows, is_dataset
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import (
    FLOATS,
    check_n_features,
    chunked,
    coarse,
    fit_scaler,
    from_tensor,
    pooled_moments,
    rounding,
    scaled,
    unscaled,
)

# A vocabulary of more tokens is taken for a mistake; float32 would not tell them all apart.
_TOO_MANY_TOKENS = 2**24


@dataclass
class Sequence(Inputs):
    """Sequences, (n, steps, channels). Missing values are NaN.

    They may come as an array of three dimensions (a panel), as rows that hold one step after the
    other, or as a list of arrays of unequal lengths. With `n_tokens`, values are tokens: integers.

    Parameters
    ----------
    standardize : bool
        Whether each channel is scaled to mean 0 and variance 1 for the network.

    n_channels : int
        Number of channels of sequences that come as rows.

    n_tokens : int, "auto" or None, default=None
        Number of tokens; "auto" takes it from the fit. All tokens beyond, in later sequences, are
        taken for one more token. None for sequences of numbers.

    padding_token : int or None, default=None
        The token that marks missing values, None if there is none.

    end_token : int or None, default=None
        The token after which sequences that are made by the network are missing, None if there is
        none.

    sequence_length : int or "auto", default="auto"
        Number of steps of the longest sequence; "auto" takes it from the fit.

    Attributes
    ----------
    as_rows : bool
        Whether the sequences of the fit came as rows, (n, steps * channels).

    vocabulary : int
        Number of tokens, with `n_tokens`.
    """

    axes: ClassVar = ("step", "channel")

    standardize: bool | Literal["shared"]
    n_channels: int
    n_tokens: Any = None
    padding_token: int | None = None
    end_token: int | None = None
    sequence_length: Any = "auto"

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate sequences, and pad panels and lists with NaN to the length of the fit."""
        X = from_tensor(X)
        _check_no_words(estimator, X)
        if is_dataset(X):
            rows = DatasetRows(X, (1, 2) if reset else (1 if self.as_rows else 2,))
            check_n_features(estimator, rows.shape[-1], reset)
            self._check_shape(estimator, len(rows.shape) == 2, rows.shape, reset)
            return rows
        panel = _to_panel(X, self.n_channels, rows=reset or self.as_rows)
        if panel is None and not reset and not self.as_rows:
            panel = self._add_channel_axis(estimator, X)
        if panel is None:
            X = validate_data(
                estimator, X, dtype=FLOATS, ensure_all_finite="allow-nan", reset=reset
            )
            self._check_shape(estimator, True, X.shape, reset)
        else:
            X = check_array(
                panel,
                dtype=FLOATS,
                allow_nd=True,
                ensure_all_finite="allow-nan",
                estimator=estimator,
                input_name="X",
            )
            if reset or not self.as_rows:
                check_n_features(estimator, X.shape[2], reset)
            self._check_shape(estimator, False, X.shape, reset)
            X = self._pad(X, reset)
        return self._check_values(X)

    def _add_channel_axis(self, estimator: Any, X: Any) -> Any:
        X = np.asarray(X)
        if X.ndim == 2 and self.shape[1] == 1:
            return X[:, :, np.newaxis]
        raise ValueError(
            f"X has {X.ndim} dimensions, but {type(estimator).__name__} was fitted on sequences, "
            f"(n, steps, channels); put a single one into a list, [X]."
        )

    def _pad(self, X: np.ndarray, reset: bool) -> np.ndarray:
        if not reset:
            steps = self.shape[0]
        else:
            steps = X.shape[1] if self.sequence_length == "auto" else self.sequence_length
        X = np.pad(X, ((0, 0), (0, steps - X.shape[1]), (0, 0)), constant_values=np.nan)
        return X.reshape(len(X), -1) if not reset and self.as_rows else X

    def _check_shape(self, estimator: Any, as_rows: bool, shape: Any, reset: bool) -> None:
        name, n_channels = type(estimator).__name__, self.n_channels
        length = self.sequence_length
        if as_rows and shape[1] % n_channels:
            raise ValueError(
                f"X has rows of {shape[1]} values, which n_channels={n_channels} of {name} does "
                f"not divide."
            )
        if self.n_tokens is not None and (n_channels if as_rows else shape[2]) != 1:
            raise ValueError(
                f"Sequences of tokens have one channel, but X has "
                f"{n_channels if as_rows else shape[2]}; set n_tokens=None of {name} for numbers."
            )
        if not reset and not as_rows and shape[2] != self.shape[1]:
            raise ValueError(
                f"X has {shape[2]} channels, but {name} was fitted on sequences of {self.shape[1]}."
            )
        steps = shape[1] // n_channels if as_rows else shape[1]
        if length != "auto" and (steps > length or (as_rows and steps < length)):
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
            invalid = X[(np.floor(X) != X) & ~np.isnan(X) | (X < 0)]
            if len(invalid):
                raise ValueError(
                    f"Tokens must be integers from 0 on, but X holds {invalid[0]:g}; set "
                    f"n_tokens=None for sequences of numbers."
                )
        empty = np.isnan(X).reshape(len(X), -1).all(axis=1)
        if empty.any():
            raise ValueError(f"Row {empty.argmax()} of X has no values, only NaN.")
        return X

    def fit(self, X: Any, weights: np.ndarray | None = None) -> "Sequence":
        """Learn the length of sequences, and the scale of each channel or the number of tokens."""
        n_channels = self.n_channels
        self.as_rows = len(X.shape) == 2
        self.shape = (X.shape[1] // n_channels, n_channels) if self.as_rows else tuple(X.shape[1:])
        if self.n_tokens is not None:
            largest = max(int(np.nanmax(chunk)) for chunk in chunked(X))
            if largest >= _TOO_MANY_TOKENS and self.n_tokens == "auto":
                raise ValueError(
                    f"X holds the token {largest}, but with n_tokens='auto' tokens must be less "
                    f"than {_TOO_MANY_TOKENS}, since there is a vector for each number up to the "
                    f"largest: number the tokens from 0 on, such as by OrdinalEncoder."
                )
            self.vocabulary = largest + 1 if self.n_tokens == "auto" else self.n_tokens
        self._check_end_token()
        standardize = bool(self.standardize) and self.n_tokens is None
        scaler, incomplete, clipped = fit_scaler(chunked(X), standardize, weights)
        self.has_missing = bool(incomplete.any())
        self.clipped = clipped if self.n_tokens is None else 0.0
        self.mean, self.rounding = np.nan_to_num(scaler.mean_), rounding(scaler)
        self.coarse = coarse(scaler) if self.n_tokens is None else {}
        if standardize:
            self.shift, self.scale = pooled_moments(scaler, self.shape, 0, self.standardize)
        else:
            self.shift, self.scale = np.zeros(self.shape[1]), np.ones(self.shape[1])
        return self

    def _check_end_token(self) -> None:
        if self.end_token is not None and self.n_tokens is None:
            raise ValueError(
                f"end_token={self.end_token} is for sequences of tokens; set n_tokens."
            )
        if self.end_token is not None and self.end_token >= self.vocabulary:
            raise ValueError(
                f"end_token={self.end_token} is no token of X; these are 0 to "
                f"{self.vocabulary - 1}."
            )

    def check(self, X: Any) -> None:
        """Raise if sequences for training have more tokens than `n_tokens`."""
        if self.n_tokens is None:
            return
        largest = max(np.nanmax(chunk) for chunk in chunked(X))
        if largest >= self.vocabulary:
            raise ValueError(
                f"X holds the token {largest:g}, but n_tokens={self.vocabulary} allows for 0 to "
                f"{self.vocabulary - 1}."
            )

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Convert raw sequences to inputs of the network, (n, steps, channels)."""
        x = rows.double().unflatten(1, self.shape) if self.as_rows else rows.double()
        if self.n_tokens is not None:
            return x.clamp(max=self.vocabulary).float()
        return scaled(x, self.shift, self.scale)

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Convert outputs of the network to sequences in the shape and units of `X`."""
        sequences = unscaled(z, self.shift, self.scale, dtype)
        if self.end_token is not None:
            ends = sequences == self.end_token
            sequences[ends.cumsum(axis=1) > ends] = np.nan
        return sequences.reshape((len(z), -1) if self.as_rows else z.shape)

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return squared errors of numbers, or 1 for each wrong token; NaN for missing values."""
        if self.n_tokens is None:
            return (X.astype(np.float64) - reconstruction) ** 2
        return np.where(np.isnan(X), np.nan, reconstruction != X)

    def summary(self, x: Tensor) -> Tensor:
        """Return the features by which sequences are compared, (n, d).

        They are the values of numbers, or the share of each token in a sequence.
        """
        if self.n_tokens is None:
            return x.nan_to_num().flatten(1)
        tokens = x.flatten(1).nan_to_num(self.vocabulary + 1.0)  # missing ones are counted last
        counts = x.new_zeros(x.shape[0], self.vocabulary + 2)
        counts = counts.scatter_add(1, tokens.long(), torch.ones_like(tokens))[:, :-1]
        return counts / counts.sum(1, keepdim=True)


def _check_no_words(estimator: Any, X: Any) -> None:
    """Raise if sequences hold text, which no validation of numbers would explain."""
    items: Any = [X] if isinstance(X, str) else X if isinstance(X, list | tuple) else ()
    if hasattr(X, "iloc") or (isinstance(X, np.ndarray) and X.dtype.kind in "OUT"):
        items = np.asarray(X[:1]).ravel()
    for item in items:
        first = item[0] if isinstance(item, list | tuple | np.ndarray) and len(item) else item
        if isinstance(first, str):
            name = type(estimator).__name__
            takes_tokens = hasattr(estimator, "n_tokens")
            tokens = ", or tokens that are integers from 0 on" if takes_tokens else ""
            other = name if takes_tokens else "TransformerAutoencoder"
            raise ValueError(
                f"X holds the word {str(first)!r}, but {name} takes numbers{tokens}. Number words "
                f"by Vocabulary, as in make_pipeline(Vocabulary(), {other}(n_tokens='auto'))."
            )


def _to_panel(X: Any, n_channels: int, rows: bool) -> Any:
    """Return a panel or a list of sequences as one panel, padded with NaN; None for rows.

    A list of arrays of one dimension and of equal lengths is taken for rows if `rows` is true.
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

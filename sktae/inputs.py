"""Arrays become tensors here and nowhere else, and tensors arrays."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

# What arrays may hold; anything else is converted to the first.
FLOATS = (np.float64, np.float32)

# Beyond a million standard deviations a value says no more, and its square still fits float32.
_FAR = 1e6

# The scales of columns are learnt from chunks of about this many numbers.
_CHUNK_NUMBERS = 2**20


class DatasetRows:
    """A torch Dataset that is read like an array, and checked as it is read.

    Its items are rows, or tuples that begin with one. Where it has `__getitems__`, many are read at
    once. Where it has a number `gap`, its rows are windows in the order of time, and those up to
    `gap` apart overlap.
    """

    def __init__(self, dataset: Dataset, dimensions: tuple[int, ...] = (1,)):
        if isinstance(dataset, IterableDataset):
            raise ValueError(
                "X is an IterableDataset, whose rows cannot be told by number; give a Dataset with "
                "__len__ and __getitem__."
            )
        self.dataset = dataset
        first = _row(dataset[0])
        if first.ndim not in dimensions or first.dtype.kind not in "fiub":
            raise ValueError(
                f"The Dataset given as X must have rows of numbers, or tuples that begin with one, "
                f"but its first item is {dataset[0]!r}."
            )
        self.dtype = first.dtype if first.dtype in FLOATS else np.dtype(FLOATS[0])
        self.shape = (len(dataset), *first.shape)  # type: ignore[arg-type]
        self.gap: int | None = getattr(dataset, "gap", None)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        numbers = range(*rows.indices(len(self))) if isinstance(rows, slice) else rows.tolist()
        if hasattr(self.dataset, "__getitems__"):
            items = self.dataset.__getitems__(list(numbers))
        else:
            items = [self.dataset[number] for number in numbers]
        found = items if isinstance(items, np.ndarray) else np.stack([_row(item) for item in items])
        found = found.astype(self.dtype, copy=False)
        if not np.isfinite(found).all():
            raise ValueError("The Dataset given as X contains NaN or infinity.")
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype)


def _row(item: Any) -> np.ndarray:
    return np.asarray(item[0] if isinstance(item, tuple | list) else item)


class Selected:
    """Some rows of an array or of a Dataset, read where they lie."""

    def __init__(self, X: Any, rows: np.ndarray):
        self.X, self.rows, self.dtype = X, rows, X.dtype
        self.shape = (len(rows), *X.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self.X[self.rows[rows]]


class Tabular:
    """Rows of numeric columns, (n, d).

    Parameters
    ----------
    standardize : bool
        Whether the network sees each column with mean 0 and variance 1.

    unit_interval : bool
        Whether the values must lie between 0 and 1; of later rows, what lies beyond is cut off.
    """

    def __init__(self, standardize: bool, unit_interval: bool = False):
        self.settings = (standardize, unit_interval)

        # What an estimator should know of its input, as fitted attributes.
        self.learnt: dict[str, Any] = {}

    def checked(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate rows in scikit-learn's way; a torch Dataset is validated as it is read."""
        if not isinstance(X, Dataset):
            return validate_data(estimator, X, dtype=FLOATS, reset=reset)
        rows = DatasetRows(X)
        _check_width(estimator, rows.shape[1], reset)
        return rows

    def fit(self, X: Any) -> "Tabular":
        """Learn the shape of a row and the scale of each column."""
        standardize, _ = self.settings
        self.shape = X.shape[1:]
        scaler = _scaler(_chunks(X), standardize)
        self.mean = scaler.mean_
        self.shift = self.mean if standardize else np.zeros(self.shape)
        self.scale = scaler.scale_ if standardize else np.ones(self.shape)
        return self

    def check(self, X: Any) -> None:
        """Raise where these rows are not fit for training."""
        _, unit_interval = self.settings
        if not unit_interval:
            return
        low = min(chunk.min() for chunk in _chunks(X))
        high = max(chunk.max() for chunk in _chunks(X))
        # The tolerance is for what MinMaxScaler's arithmetic leaves over.
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood, but its values run from "
                f"{low:.4g} to {high:.4g}; scale it with MinMaxScaler."
            )

    def prepare(self, rows: Tensor) -> Tensor:
        """Turn raw rows into what the network sees."""
        low, high = (0.0, 1.0) if self.settings[1] else (-_FAR, _FAR)
        offset = torch.from_numpy(-self.shift / self.scale)
        factor = torch.from_numpy(1 / self.scale)
        return torch.addcmul(offset, rows.double(), factor).float().clamp(low, high)

    def array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        return (z.astype(np.float64) * self.scale + self.shift).astype(dtype)

    def errors(self, X: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Return how wrong rows in the units of `X` are, number by number."""
        return (X.astype(np.float64) - made) ** 2

    def summary(self, x: Tensor) -> Tensor:
        """Return the numbers by which prepared rows are compared, (n, d)."""
        return x.flatten(1)


class Sequence:
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
    """

    def __init__(
        self,
        standardize: bool,
        n_channels: int,
        n_tokens: Any = None,
        padding_token: int | None = None,
    ):
        self.settings = (standardize, n_channels, n_tokens, padding_token)

    def checked(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate sequences; those shorter than the ones of the fit are filled up with NaN."""
        if isinstance(X, Dataset):
            rows = DatasetRows(X, (1, 2))
            if not reset:
                self._check_kind(estimator, len(rows.shape) == 2)
            _check_width(estimator, rows.shape[-1], reset)
            self._check_layout(estimator, len(rows.shape) == 2, rows.shape, reset)
            return rows
        panel = _panel(X, self.settings[1], rows=reset or self.flat)
        if not reset:
            self._check_kind(estimator, panel is None)
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
            _check_width(estimator, X.shape[2], reset)
            self._check_layout(estimator, False, X.shape, reset)
            if not reset:
                missing = self.shape[0] - X.shape[1]
                X = np.pad(X, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)
        return self._check_values(X)

    def _check_kind(self, estimator: Any, flat: bool) -> None:
        if flat != self.flat:
            ways = "sequences, (n, steps, channels)", "rows, (n, steps * channels)"
            raise ValueError(
                f"X has {ways[flat]}, but {type(estimator).__name__} was fitted on "
                f"{ways[self.flat]}."
            )

    def _check_layout(self, estimator: Any, flat: bool, shape: Any, reset: bool) -> None:
        name, n_channels = type(estimator).__name__, self.settings[1]
        if flat and shape[1] % n_channels:
            raise ValueError(
                f"X has rows of {shape[1]} values, which n_channels={n_channels} of {name} does "
                f"not divide."
            )
        if self.settings[2] is not None and (n_channels if flat else shape[2]) != 1:
            raise ValueError(
                f"Sequences of tokens have one channel, but X has "
                f"{n_channels if flat else shape[2]}; set n_tokens=None of {name} for numbers."
            )
        if not reset and not flat and shape[1] > self.shape[0]:
            raise ValueError(
                f"X has sequences of up to {shape[1]} steps, but {name} was fitted on up to "
                f"{self.shape[0]}; cut them, or score long series with WindowedDetector."
            )

    def _check_values(self, X: np.ndarray) -> np.ndarray:
        _, _, n_tokens, padding = self.settings
        if n_tokens is not None:
            if padding is not None:
                X = np.where(padding == X, np.nan, X)
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
        standardize, n_channels, n_tokens, _ = self.settings
        self.flat = len(X.shape) == 2
        self.shape = (X.shape[1] // n_channels, n_channels) if self.flat else tuple(X.shape[1:])
        self.learnt = {"n_steps_": self.shape[0], "n_channels_": self.shape[1]}
        if n_tokens is not None:
            largest = max(int(np.nanmax(chunk)) for chunk in _chunks(X))
            self.n_tokens = largest + 1 if n_tokens == "auto" else n_tokens
            self.learnt["n_tokens_"] = self.n_tokens
        scaler = _scaler(_chunks(X), standardize and n_tokens is None)
        self.mean = np.nan_to_num(scaler.mean_)
        if standardize and n_tokens is None:
            self.shift, self.scale = _pooled(scaler, self.shape)
        else:
            self.shift, self.scale = np.zeros(self.shape[1]), np.ones(self.shape[1])
        return self

    def check(self, X: Any) -> None:
        """Raise where these rows are not fit for training."""
        if self.settings[2] is None:
            return
        largest = max(np.nanmax(chunk) for chunk in _chunks(X))
        if largest >= self.n_tokens:
            raise ValueError(
                f"X holds the token {largest:g}, but n_tokens={self.n_tokens} allows for 0 to "
                f"{self.n_tokens - 1}."
            )

    def prepare(self, rows: Tensor) -> Tensor:
        """Turn raw rows into what the network sees, (n, steps, channels)."""
        x = rows.double().unflatten(1, self.shape) if self.flat else rows.double()
        if self.settings[2] is not None:
            return x.clamp(max=self.n_tokens).float()
        offset = torch.from_numpy(-self.shift / self.scale)
        factor = torch.from_numpy(1 / self.scale)
        return torch.addcmul(offset, x, factor).float().clamp(-_FAR, _FAR)

    def array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn what the network made back into rows in the units of `X`."""
        found = z.astype(np.float64) * self.scale + self.shift
        return found.reshape((len(z), -1) if self.flat else z.shape).astype(dtype)

    def errors(self, X: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Return how wrong numbers are, squared, and whether tokens are wrong; NaN for none."""
        if self.settings[2] is None:
            return (X.astype(np.float64) - made) ** 2
        return np.where(np.isnan(X), np.nan, made != X)

    def summary(self, x: Tensor) -> Tensor:
        """Return the numbers by which prepared rows are compared, (n, d)."""
        if self.settings[2] is None:
            return x.nan_to_num().flatten(1)
        tokens = torch.arange(self.n_tokens + 1, device=x.device)
        counts = torch.stack([(x == token).flatten(1).sum(1) for token in tokens], 1)
        return counts / counts.sum(1, keepdim=True)


def _check_width(estimator: Any, width: int, reset: bool) -> None:
    """Do for Datasets and panels what `validate_data` does for tables."""
    if reset:
        estimator.n_features_in_ = width
        vars(estimator).pop("feature_names_in_", None)
    elif width != estimator.n_features_in_:
        raise ValueError(
            f"X has {width} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


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


def _scaler(chunks: Iterator[np.ndarray], scaled: bool) -> StandardScaler:
    """Learn mean and variance of each number of a row."""
    scaler, largest = StandardScaler(), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in chunks:
            scaler.partial_fit(chunk.reshape(len(chunk), -1).astype(np.float64))
            largest = max(largest, np.nanmax(abs(chunk)))
    seen = np.asarray(scaler.n_samples_seen_) > 0
    if scaled and not np.isfinite(scaler.scale_[np.broadcast_to(seen, scaler.scale_.shape)]).all():
        raise ValueError(
            f"X has values up to {largest:.4g}, whose variance is too large for a float; "
            f"divide them by a constant."
        )
    return scaler


def _pooled(scaler: StandardScaler, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of each channel, from those of each step."""
    seen = np.broadcast_to(scaler.n_samples_seen_, scaler.mean_.shape).reshape(shape)
    mean, variance = (np.nan_to_num(v).reshape(shape) for v in (scaler.mean_, scaler.var_))
    share = seen / np.maximum(seen.sum(axis=0), 1)
    whole = (share * mean).sum(axis=0)
    spread = (share * (variance + (mean - whole) ** 2)).sum(axis=0)
    # What is left of a constant after so many sums is noise.
    noise = (seen.sum(axis=0) * whole * np.finfo(float).eps) ** 2
    return whole, np.where(spread > noise, np.sqrt(spread), 1.0)


def _chunks(X: Any) -> Iterator[np.ndarray]:
    """Walk through rows without holding many of them."""
    size = max(1, _CHUNK_NUMBERS // math.prod(X.shape[1:]))
    for start in range(0, len(X), size):
        yield X[start : start + size]

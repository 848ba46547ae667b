"""Tables: rows of columns of any kind become tensors, and tensors rows."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data
from torch import Tensor

from sktae.datasets import TableDataset
from sktae.inputs.categories import Categories
from sktae.inputs.columns import Columns, check_no_strings, holds_numbers_only, is_frame
from sktae.inputs.datasets import DatasetRows, SparseRows, is_dataset
from sktae.inputs.protocol import Inputs
from sktae.inputs.scaling import (
    CLIP,
    FLOATS,
    check_n_features,
    check_rows_hold_values,
    check_scales,
    chunked,
    coarse,
    fit_scaler,
    from_tensor,
    rounding,
    scaled,
    unscaled,
    validated_floats,
)


@dataclass
class Tabular(Inputs):
    """Rows of columns, (n, d): numbers, booleans and categories, some of them missing.

    Raw rows are numbers. Those of a category are by its place among the categories of its column,
    NaN is a missing value. A row as the network sees it has the numbers and booleans first, then
    the vector of each category, then an indicator for each column of numbers that is incomplete in
    training.

    Parameters
    ----------
    standardize : bool or "shared"
        Whether each column is scaled to mean 0 and variance 1 for the network; "shared", by one
        scale for all columns.

    unit_interval : bool, default=False
        Whether training values must lie between 0 and 1. Values of later rows are clipped to that.

    categorical_features : "from_dtype" or sequence, default="from_dtype"
        Which columns are categories: names, numbers or a mask.

    Attributes
    ----------
    columns : Columns or None
        Kinds of the columns; None if all of them are numbers.

    numbers : ndarray or None
        The columns of numbers and booleans; None for all.

    incomplete : list of int
        Which of these have missing values in training.

    blocks : dict of Categories
        The vectors of categories, by column.

    width : int
        Numbers of a row as the network sees it, without the indicators.
    """

    axes: ClassVar = ("feature",)
    columns = None  # type: Columns | None

    standardize: bool | Literal["shared"]
    unit_interval: bool = False
    categorical_features: Any = "from_dtype"

    def __post_init__(self) -> None:
        if not isinstance(self.categorical_features, str):  # so that two of them can be compared
            given = () if self.categorical_features is None else self.categorical_features
            self.categorical_features = tuple(np.asarray(given, dtype=object).ravel().tolist())

    def validate(self, estimator: Any, X: Any, reset: bool) -> Any:
        """Validate rows by `validate_data`; a torch Dataset is validated as it is read."""
        if getattr(X, "ndim", 2) > 2:
            raise ValueError(
                f"Found array with dim {X.ndim}, but {type(estimator).__name__} takes rows, "
                f"(n_samples, n_features). There are others for sequences, such as "
                f"TransformerAutoencoder, and for images, such as ConvolutionalAutoencoder."
            )
        X = from_tensor(X)
        if sparse.issparse(X):
            return self._sparse(estimator, X, reset)
        if isinstance(X, TableDataset):
            return self._stored(estimator, X, reset)
        if is_dataset(X):
            rows = DatasetRows(X)
            check_n_features(estimator, rows.shape[1], reset)
            self._learn_columns(None, reset)
            return rows
        if self._has_kinds(X):
            raw = self._read(estimator, X, reset)
        else:
            self._learn_columns(None, reset)
            check_no_strings(X, type(estimator).__name__)
            raw = validated_floats(estimator, X, reset)
        check_rows_hold_values(raw)
        return raw

    def _sparse(self, estimator: Any, X: Any, reset: bool) -> SparseRows:
        """Validate a sparse table."""
        self._learn_columns(None, reset)
        if self._has_categories:
            raise TypeError(
                f"Sparse data was passed as X, but {type(estimator).__name__} has categorical "
                f"columns: pass a DataFrame, or X.toarray()."
            )
        how = {"dtype": FLOATS, "ensure_all_finite": "allow-nan"}
        rows = SparseRows(validate_data(estimator, X, accept_sparse="csr", reset=reset, **how))
        check_rows_hold_values(rows)
        return rows

    def _stored(self, estimator: Any, X: TableDataset, reset: bool) -> TableDataset:
        """Validate a table in a file."""
        names = pd.DataFrame(columns=X.columns)
        validate_data(estimator, names, reset=reset, skip_check_array=True)
        if self._has_categories or not X.plain:
            X = self._columns_of(estimator, X, reset).read_stored(X)
        else:
            self._learn_columns(None, reset)
        check_rows_hold_values(X)
        return X

    @property
    def _has_categories(self) -> bool:
        """Whether columns are, or are declared as, other than NumPy's numbers."""
        return bool(self.columns or self.categorical_features not in ("from_dtype", ()))

    def _has_kinds(self, X: Any) -> bool:
        """Return whether X has columns that may be other than NumPy's numbers."""
        return self._has_categories or (is_frame(X) and not holds_numbers_only(X))

    def _learn_columns(self, columns: Columns | None, reset: bool) -> None:
        # A fit that begins with other weights has the columns of the other fit.
        if reset and "columns" not in vars(self):
            self.columns = columns

    def _read(self, estimator: Any, X: Any, reset: bool) -> np.ndarray:
        """Read a table of several kinds of columns as numbers."""
        X = X if hasattr(X, "ndim") or is_frame(X) else np.array(X, dtype=object)
        if is_frame(X) and X.shape[0] and X.shape[1]:
            validate_data(estimator, X, reset=reset, skip_check_array=True)
        else:
            X = validate_data(estimator, X, dtype=None, ensure_all_finite=False, reset=reset)
        return self._columns_of(estimator, X, reset).read(X)

    def _columns_of(self, estimator: Any, X: Any, reset: bool) -> Columns:
        """Return the columns of the fit, which this may be."""
        owner = type(estimator).__name__
        if reset and "columns" not in vars(self):
            columns = Columns(X, self.categorical_features, owner)
            self._learn_columns(None if columns.plain else columns, reset)
        # Where the fit had numbers only, anything else is refused.
        return self.columns or Columns(X, (), owner)

    def fit(self, X: Any, weights: np.ndarray | None = None) -> "Tabular":
        """Learn the shape of a row, the scale of each column, and the vectors of categories."""
        categorical = self.columns.categorical if self.columns else []
        numbers = np.setdiff1d(np.arange(X.shape[1]), categorical)
        self.numbers = numbers if categorical else None
        self.mean, self.rounding = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        self.shift, self.scale = np.zeros(len(numbers)), np.ones(len(numbers))
        self.incomplete: list[int] = []
        self.has_missing = False
        if len(numbers):
            self._fit_numbers(X, numbers, weights)
        self.blocks = {
            n: Categories(*self._counts(X, n, weights), bool(self.standardize), self.unit_interval)
            for n in categorical
        }
        self.mean[categorical] = [block.mode for block in self.blocks.values()]
        self.width = len(numbers) + sum(block.width for block in self.blocks.values())
        self.shape = (self.width + len(self.incomplete),)
        # Numbers, if there are any. A category that few rows have would not be central at all.
        self.n_central = len(numbers) or None if categorical else None
        return self

    @property
    def categorical(self) -> list[int]:  # type: ignore[override]  # it follows from the fit
        """The columns of categories."""
        return list(self.blocks)

    @property
    def hidden_values(self) -> Tensor:
        """A row of which all columns are hidden: NaN, for categories the vector of missing ones."""
        vectors = [block.to_vectors(torch.tensor([torch.nan]))[0] for block in self.blocks.values()]
        missing = (torch.full((len(n),), torch.nan) for n in (self.shift, self.incomplete))
        return torch.cat([next(missing), *vectors, next(missing)])

    @property
    def column_of(self) -> np.ndarray:
        """The column that each number of `summary` comes from."""
        numbers = np.arange(len(self.shift)) if self.numbers is None else self.numbers
        widths = [block.width for block in self.blocks.values()]
        return np.concatenate([numbers, np.repeat(list(self.blocks), widths).astype(int)])

    def _fit_numbers(self, X: Any, numbers: np.ndarray, weights: np.ndarray | None) -> None:
        chunks = chunked(X)
        if self.numbers is not None:
            chunks = (chunk[:, numbers] for chunk in chunks)
        if isinstance(X, SparseRows):
            with np.errstate(over="ignore", invalid="ignore"):
                scaler = StandardScaler(with_mean=False).fit(X.table, sample_weight=weights)
            observed = np.broadcast_to(scaler.n_samples_seen_, scaler.scale_.shape) > 0
            if self.standardize:
                check_scales(scaler.scale_[observed], np.nanmax(abs(X.stored), initial=0.0))
            incomplete = np.isin(numbers, X.table.indices[np.isnan(X.table.data)])
        else:
            scaler, incomplete, self.clipped = fit_scaler(chunks, bool(self.standardize), weights)
        counts = np.broadcast_to(scaler.n_samples_seen_, scaler.mean_.shape)
        mean = np.where(counts > 0, scaler.mean_, 0.0)
        if self.standardize:
            self.shift, self.scale = mean, np.where(counts > 0, scaler.scale_, 1.0)
        if self.standardize == "shared":
            common = float(np.sqrt(np.mean(scaler.var_, where=counts > 0)))
            self.scale = np.full_like(self.scale, common if common > 0 else 1.0)
        self.mean[numbers] = np.where(counts > 0, mean, np.nan)
        self.rounding[numbers] = rounding(scaler)
        self.coarse = {name: (numbers[n], *m) for name, (n, *m) in coarse(scaler).items()}
        self.incomplete = np.flatnonzero(incomplete).tolist()
        self.has_missing = bool(self.incomplete)

    def _counts(
        self, X: Any, column: int, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count the values of a categorical column, and at last those that are missing.

        Return how many rows have each, and the sum of their weights.
        """
        n_values = len(self.columns.columns[column].categories)  # type: ignore[union-attr]
        totals, n = np.zeros(n_values + 2), 0
        counts = np.zeros(n_values + 2, int)
        for chunk in chunked(X):
            values = chunk[:, column]
            places = np.where(np.isnan(values), n_values + 1, values).astype(int)
            counts += np.bincount(places, minlength=n_values + 2)
            own = 1.0 if weights is None else weights[n : n + len(chunk)]
            np.add.at(totals, places, own)
            n += len(chunk)
        return np.delete(counts, n_values), np.delete(totals, n_values)

    def check(self, X: Any) -> None:
        """Raise if rows for training have values outside a required range."""
        if not self.unit_interval:
            return
        low, high = np.inf, -np.inf
        for chunk in chunked(X):
            numbers = chunk if self.numbers is None else chunk[:, self.numbers]
            low = min(low, np.min(numbers, initial=np.inf, where=~np.isnan(numbers)))
            high = max(high, np.max(numbers, initial=-np.inf, where=~np.isnan(numbers)))
        # The tolerance is for rounding errors of MinMaxScaler.
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"X must lie between 0 and 1 for this likelihood or loss, but its values run from "
                f"{low:.4g} to {high:.4g}; scale it with MinMaxScaler."
            )

    def to_tensor(self, rows: Tensor) -> Tensor:
        """Convert raw rows to inputs of the network, (n, d), with NaN where values are missing."""
        low, high = (0.0, 1.0) if self.unit_interval else (-CLIP, CLIP)
        numbers = rows if self.numbers is None else rows[:, self.numbers]
        x = scaled(numbers, self.shift, self.scale, low, high)
        if not self.blocks and not self.incomplete:
            return x
        vectors = [block.to_vectors(rows[:, n]) for n, block in self.blocks.items()]
        indicators = x.new_full((x.shape[0], len(self.incomplete)), torch.nan)
        return torch.cat([x, *vectors, indicators], 1)

    def to_array(self, z: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Convert outputs of the network to raw rows."""
        n = len(self.shift)
        numbers = unscaled(z[:, :n], self.shift, self.scale, dtype)
        if self.numbers is None:
            return numbers
        rows = np.empty((len(z), len(self.numbers) + len(self.blocks)), dtype)
        rows[:, self.numbers] = numbers
        for column, block in self.blocks.items():
            rows[:, column] = block.to_values(z[:, n : n + block.width])
            n += block.width
        return rows

    def to_table(self, raw: np.ndarray, index: Any = None) -> Any:
        """Return raw rows as a table with the categories and booleans of the fit."""
        return raw if self.columns is None else self.columns.write(raw, index)

    def errors(self, X: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
        """Return the squared error of each number, and 1 for each category that is wrong."""
        errors = (X.astype(np.float64) - reconstruction) ** 2
        categorical = list(self.blocks)
        errors[:, categorical] = np.where(
            np.isnan(X[:, categorical]), np.nan, errors[:, categorical] > 0
        )
        return errors

    def summary(self, x: Tensor) -> Tensor:
        """Return the features by which inputs of the network are compared with others, (n, d)."""
        return x[:, : self.width].nan_to_num(0.0)

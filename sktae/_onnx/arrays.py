"""What estimators compute by NumPy after their networks, as functions of tensors."""

from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sktae._outliers.measures import _FAR_OUT, Tail
from sktae.inputs.categories import Categories
from sktae.inputs.images import Image
from sktae.inputs.sequences import Sequence
from sktae.inputs.tabular import Tabular


def tail_heights(tail: Tail, values: Tensor) -> Tensor:
    """Return what `Tail` does for an array, (n,) to (n,)."""
    values, knots, heights = values.double(), tail.knots, tail.heights
    # The interpolation is a sum of slopes times how far a value reaches into each interval, since
    # ONNX has no operator for a search.
    widths = np.diff(knots)
    reach = (values[:, None] - torch.from_numpy(knots[:-1])).clamp(min=0)
    reach = torch.minimum(reach, torch.from_numpy(widths))
    within = heights[0] + reach @ torch.from_numpy(np.diff(heights) / widths)
    beyond = (values - knots[-1]).clamp(min=0) / tail.excess
    logarithm = (beyond / _FAR_OUT).clamp(min=1).log()
    return within + torch.minimum(beyond, _FAR_OUT * (1 + logarithm))


def raw_shape(inputs: Any) -> tuple[int, ...]:
    """Return the shape of a raw row of these inputs."""
    if isinstance(inputs, Image):
        return inputs.layout
    if isinstance(inputs, Sequence) and not inputs.as_rows:
        return inputs.shape
    return (len(inputs.mean),)


@singledispatch
def raw_rows(inputs: Any, X: Tensor) -> Tensor:
    """Return raw rows, as `validate` of these inputs does, for rows of numbers."""
    return X


@raw_rows.register
def _(inputs: Sequence, X: Tensor) -> Tensor:
    padding = inputs.padding_token
    return X if padding is None else torch.where(X.eq(padding), torch.nan, X)


@raw_rows.register
def _(inputs: Tabular, X: Tensor) -> Tensor:
    columns = list(X.split(1, 1))
    for n, categories in _categories(inputs).items():
        # The place of each value; that after the last one if it is no category.
        matches = torch.cat([columns[n] == categories, torch.ones_like(columns[n]) > 0], 1)
        place = matches.double().argmax(1, keepdim=True).double()
        columns[n] = torch.where(columns[n].isnan(), torch.nan, place)
    return torch.cat(columns, 1)


@singledispatch
def reconstructed(inputs: Any, z: Tensor, rows: Tensor) -> Tensor:
    """Return reconstructions in the units of X, as `to_array` of these inputs does.

    Parameters
    ----------
    inputs : Inputs
        Fitted inputs of an autoencoder.

    z : Tensor of shape (n, ...)
        Outputs of the network.

    rows : Tensor of shape (n, ...)
        The raw rows that they reconstruct.
    """
    raise TypeError(f"Inputs of the class {type(inputs).__name__} have no export to ONNX.")


@reconstructed.register
def _(inputs: Image, z: Tensor, rows: Tensor) -> Tensor:
    scale, shift = (torch.from_numpy(v).view(-1, 1, 1) for v in (inputs.scale, inputs.shift))
    images = z.double() * scale + shift
    if inputs.range is not None:
        images = images.clamp(*inputs.range)
    return images.reshape(-1, *inputs.layout)


@reconstructed.register
def _(inputs: Sequence, z: Tensor, rows: Tensor) -> Tensor:
    sequences = z.double() * torch.from_numpy(inputs.scale) + torch.from_numpy(inputs.shift)
    if inputs.end_token is not None:
        ends = (sequences == inputs.end_token).long()
        sequences = torch.where(ends.cumsum(1) > ends, torch.nan, sequences)
    if inputs.as_rows:
        return sequences.flatten(1)
    # Steps beyond the end of a sequence stay missing.
    return torch.where(rows.isnan().all(2, keepdim=True), torch.nan, sequences)


@reconstructed.register
def _(inputs: Tabular, z: Tensor, rows: Tensor) -> Tensor:
    n = len(inputs.shift)
    numbers = z[:, :n].double() * torch.from_numpy(inputs.scale) + torch.from_numpy(inputs.shift)
    if inputs.columns is None:
        return numbers
    places = range(n) if inputs.numbers is None else inputs.numbers.tolist()
    columns = dict(zip(places, numbers.split(1, 1), strict=True))
    for place, values in columns.items():
        if inputs.columns.columns[place].kind == "boolean":
            columns[place] = (values >= 0.5).double()
    categories = _categories(inputs)
    for place, block in inputs.blocks.items():
        columns[place] = _nearest_values(block, z[:, n : n + block.width], categories[place])
        n += block.width
    return torch.cat([columns[place] for place in sorted(columns)], 1)


def _nearest_values(block: Categories, vectors: Tensor, categories: Tensor) -> Tensor:
    """Return the categories that have the nearest vectors, (n, width) to (n, 1)."""
    if not len(block.targets):
        return torch.full_like(vectors[:, :1], torch.nan).double()
    others = torch.from_numpy(block.axes[block.places[block.targets]]).double()
    distances = others.square().sum(1) - 2 * vectors.double() @ others.T
    return categories[torch.from_numpy(block.targets)[distances.argmin(1)]][:, None]


def check_categories(inputs: Any) -> None:
    """Raise if there are categories that are no numbers."""
    if isinstance(inputs, Tabular):
        _categories(inputs)


def _categories(inputs: Tabular) -> dict[int, Tensor]:
    """Return the categories of each categorical column, which must be numbers."""
    columns = inputs.columns
    if columns is None:
        return {}
    numbers = {}
    for n in columns.categorical:
        column = columns.columns[n]
        if not all(isinstance(v, int | float | np.number | np.bool_) for v in column.categories):
            raise ValueError(
                f"Column {column.name!r} of X holds categories such as {column.categories[0]!r}, "
                f"but the exported graph takes numbers only: encode the column by OrdinalEncoder, "
                f"list it in categorical_features of {column.owner}, and fit again."
            )
        numbers[n] = torch.tensor([float(v) for v in column.categories], dtype=torch.float64)
    return numbers

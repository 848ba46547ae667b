"""Writing down which kernels a function of tensors calls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_REFUSED = {
    torch.Tag.nondeterministic_seeded: "draws from the global generator",
    torch.Tag.dynamic_output_shape: "has a result whose shape depends on values",
    torch.Tag.data_dependent_output: "reads a value",
}


class Unrecordable(Exception):
    """A function does something that a replay could not repeat."""


@dataclass
class Call:
    """One kernel that ran."""

    kernel: Any
    args: tuple
    kwargs: dict[str, Any]
    result: Any


class Tape(TorchDispatchMode):
    """Writes down every kernel that runs in this context."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it, torch would first import it, which takes seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tag, why in _REFUSED.items():
            if tag in func.tags and not _harmless(func, args, kwargs):
                raise Unrecordable(f"{func} {why}")
        result = func(*args, **kwargs)
        self.calls.append(Call(func, args, kwargs, result))
        return result


def packet(kernel: Any) -> str:
    return kernel.overloadpacket.__name__


def _harmless(kernel: Any, args: tuple, kwargs: dict[str, Any]) -> bool:
    """Say whether a kernel does not do, with these arguments, what it is tagged for."""
    if packet(kernel) == "index":
        return not _masks(args[1])
    names = [argument.name for argument in kernel._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return "dropout_p" in names and not given.get("dropout_p", 0.0)


def _masks(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def memory(tensor: Tensor) -> int:
    """Identify the memory behind a tensor; views of one memory share it."""
    return tensor.untyped_storage()._cdata


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def written(call: Call) -> Iterator[Tensor]:
    """List the arguments that a kernel changes in place."""
    for position, argument in enumerate(call.kernel._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = call.args[position : position + 1] or [call.kwargs.get(argument.name)]
            yield from tensors(given)

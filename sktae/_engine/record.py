"""Record which kernels a function of tensors calls.

The recording is made below autograd, where torch dispatches kernels: so it holds the kernels of the
backward pass too, and none of the Python code that led to them. It is only of use if the same list
of kernels is right for other values of the same shapes, so whatever depends on values or on a
global generator is refused here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Torch tags the kernels that a fixed list of kernels could not repeat.
_REFUSED = {
    torch.Tag.nondeterministic_seeded: "draws from the global generator",
    torch.Tag.dynamic_output_shape: "has a result whose shape depends on values",
    torch.Tag.data_dependent_output: "reads a value",
}


class Unrecordable(Exception):
    """A function does something that a replay could not repeat."""


@dataclass
class Call:
    """One kernel that ran. It keeps its tensors alive, so their storages stay distinct."""

    kernel: Any
    args: tuple
    kwargs: dict[str, Any]
    result: Any

    # What binding asks for again and again is listed once. Storages stand for their tensors there.

    @cached_property
    def arguments(self) -> list[Tensor]:
        """The tensors among the arguments."""
        return tensors((self.args, self.kwargs))

    @cached_property
    def results(self) -> list[Tensor]:
        """The tensors that it returns."""
        return tensors(self.result)

    @cached_property
    def created(self) -> list[Tensor]:
        """Its results that are no views of its arguments."""
        return [t for t in self.results if storage_id(t) not in self.uses]

    @cached_property
    def uses(self) -> set[int]:
        """The storages of its arguments."""
        return storage_ids(self.arguments)

    @cached_property
    def creates(self) -> set[int]:
        """The storages of the results that are no views of its arguments."""
        return storage_ids(self.created)

    @cached_property
    def changes(self) -> set[int]:
        """The storages that it changes in place, as its schema declares them."""
        changed = []
        for position, argument in enumerate(self.kernel._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                values = self.args[position : position + 1] or [self.kwargs.get(argument.name)]
                changed += tensors(values)
        return storage_ids(changed)


class Recorder(TorchDispatchMode):
    """Within this context, lists every kernel that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it, torch would first import it, which takes seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tag, why in _REFUSED.items():
            if tag in func.tags and not _is_repeatable(func, args, kwargs):
                raise Unrecordable(f"{func} {why}")
        result = func(*args, **kwargs)
        self.calls.append(Call(func, args, kwargs, result))
        return result


def kernel_name(kernel: Any) -> str:
    """Return the name that all overloads of a kernel share, such as "add"."""
    return kernel.overloadpacket.__name__


def _is_repeatable(kernel: Any, args: tuple, kwargs: dict[str, Any]) -> bool:
    """Tell whether these arguments rule out what the kernel is tagged for.

    Indexing has a shape that depends on values only for boolean masks, and attention draws random
    numbers only for dropout. Without these exceptions, hardly any sequence model could be recorded.
    """
    if kernel_name(kernel) == "index":
        return not _has_mask(args[1])
    names = [argument.name for argument in kernel._schema.arguments]
    by_name = {**dict(zip(names, args, strict=False)), **kwargs}
    return "dropout_p" in names and not by_name.get("dropout_p", 0.0)


def _has_mask(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def storage_id(tensor: Tensor) -> int:
    """Identify the storage behind a tensor; all views of one storage share it."""
    return tensor.untyped_storage()._cdata


def storage_ids(values: Iterable[Tensor]) -> set[int]:
    """Identify the storages behind several tensors."""
    return set(map(storage_id, values))


def tensors(tree: Any) -> list[Tensor]:
    """List the tensors in nested tuples, lists and dictionaries."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        return []
    return [tensor for branch in tree for tensor in tensors(branch)]


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Apply a function to the tensors in nested tuples, lists and dictionaries."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {name: map_tensors(function, branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([map_tensors(function, branch) for branch in tree])
    return tree

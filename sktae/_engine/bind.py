"""Bind recorded kernels to fixed buffers, so that a replay does nothing but call kernels.

This is the back end of a small compiler. In order:

- constant folding: calls that give the same result in every replay are left out (`_varying_calls`);
- dead code elimination: calls that no result depends on are left out (`_needed_calls`);
- output aliasing: results are computed directly in the tensors where the caller wants them
  (`_alias_outputs`);
- liveness analysis: a buffer is used again after the last kernel that reads it (`bind`), so a
  replay touches little memory, and finds it in the cache.

The order of the kernels that remain is that of the recording, so sums are rounded the same way.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from sktae._engine.record import (
    Call,
    Unrecordable,
    kernel_name,
    map_tensors,
    storage_id,
    storage_ids,
    tensors,
)

# Their out= variants resize the given tensor if the loss is a sum, instead of writing into it.
_WITHOUT_OUT = {"smooth_l1_loss", "huber_loss"}
# Their results depend on the shapes of their arguments only, not on the values.
_READ_SHAPE_ONLY = {
    "ones_like",
    "zeros_like",
    "full_like",
    "empty_like",
    "new_zeros",
    "new_ones",
    "new_full",
}
_COPIES = {torch.ops.aten.clone.default, torch.ops.aten._to_copy.default}
_ARITHMETIC = {"add", "sub", "mul", "div"}


class Binder:
    """Assigns a buffer to each result, and gives each kernel its arguments once and for all.

    Buffers belong to storages, not to tensors: a view, however it was taken, is then a view of the
    buffer of its base, and taking it costs nothing in a replay.

    Parameters
    ----------
    calls : sequence of Call
        What was recorded.

    varying : sequence of tensors
        What may hold other values in each replay. Everything else that no call creates, such as a
        mask of the network, is constant.
    """

    def __init__(self, calls: Sequence[Call], varying: Sequence[Tensor]):
        self.calls = calls
        # What is changed in place must be created again in each replay: a replay that began with
        # the values of the last one would add to them.
        changed = set[int]().union(*(call.changes for call in calls))
        self.varying = storage_ids(varying) | changed
        self.buffers: dict[int, Tensor] = {}  # by storage of the recording
        self.pool: dict[tuple[int, torch.dtype], list[Tensor]] = {}  # buffers to be used again

    def bind(
        self, results: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Callable[[], Any]]]:
        """Return where results will be, the first in `outputs`, and the calls that compute them.

        Binding calls kernels, to find out which variants exist; the first replay overwrites what
        they write.
        """
        calls = self._needed_calls(self._varying_calls(), results)
        created = set[int]().union(*(call.creates for call in calls))
        self._alias_outputs(outputs, results, calls, created)
        # The caller reads results after the last call, so their buffers are never used again.
        kept = set(self.buffers) | storage_ids(results)
        temporary = created - kept
        last_use = {storage: n for n, call in enumerate(calls) for storage in call.uses}
        bound: list[Callable[[], Any]] = []
        for n, call in enumerate(calls):
            unused = {storage for storage in call.uses & temporary if last_use[storage] == n}
            bound.append(self._bind_call(call, unused))
            # Only now: a kernel that is not elementwise must not write where it still reads.
            for storage in unused & self.buffers.keys():
                buffer = self.buffers.pop(storage)
                self.pool.setdefault((buffer.numel(), buffer.dtype), []).append(buffer)
        final = [self._in_buffer(result) for result in results]
        for n, output in enumerate(outputs):
            if final[n].data_ptr() != output.data_ptr():  # could not be computed there
                bound.append(partial(output.copy_, final[n]))
                final[n] = output
        return final, bound

    def _alias_outputs(
        self,
        outputs: Sequence[Tensor],
        results: Sequence[Tensor],
        calls: Sequence[Call],
        created: set[int],
    ) -> None:
        """Use outputs as buffers of results, which saves a copy of each in every replay.

        A storage can be replaced by an output only if every tensor that views it, results of
        kernels in between included, can be had as a view of the output.
        """
        used: dict[int, list[Tensor]] = {}
        for call in calls:
            for tensor in (*call.arguments, *call.results):
                used.setdefault(storage_id(tensor), []).append(tensor)
        for result, output in zip(results, outputs, strict=False):
            storage = storage_id(result)
            # Not a constant, not twice the same storage.
            possible = storage in created - self.buffers.keys() and result.is_contiguous()
            if possible and all(_fits(t, output) for t in (result, *used.get(storage, []))):
                self.buffers[storage] = output

    def _read(self, call: Call) -> set[int]:
        """Return the storages whose values a call depends on."""
        return set() if kernel_name(call.kernel) in _READ_SHAPE_ONLY else call.uses

    def _varying_calls(self) -> Iterator[Call]:
        """Leave out views, and calls whose result is the same in every replay.

        The recording has computed these results already; they are used as they are.
        """
        varying = self.varying
        created: set[int] = set()
        for call in self.calls:
            # A replay could not undo a change of the caller's own tensors, such as running means.
            if not call.changes <= created:
                raise Unrecordable(f"{call.kernel} changes in place what it did not make")
            created |= call.creates
            reads = self._read(call) | call.creates
            if (call.creates or call.changes) and reads & varying:
                varying |= call.creates
                yield call

    def _needed_calls(self, calls: Iterator[Call], results: Sequence[Tensor]) -> list[Call]:
        """Leave out calls that no result depends on, walking back from the results."""
        needed = storage_ids(results)
        kept = []
        for call in reversed(list(calls)):
            if needed & (call.creates | call.changes):
                needed |= self._read(call)
                kept.append(call)
        return kept[::-1]

    def _in_buffer(self, tensor: Tensor) -> Tensor:
        """Return a tensor as a view of the buffer of its storage; inputs and constants stay."""
        buffer = self.buffers.get(storage_id(tensor))
        if buffer is None:
            return tensor.detach()
        if not buffer.is_contiguous():  # an output; `_fits` has made sure that this works
            return buffer.view(tensor.shape)
        offset = buffer.storage_offset() + tensor.storage_offset()
        return buffer.as_strided(tensor.shape, tensor.stride(), offset)

    def _bind_call(self, call: Call, unused: set[int]) -> Callable[[], Any]:
        """Return a call without arguments that writes into buffers; `unused` is read here last."""
        args = self._with_scalars(call) if call.created else call.args
        args, kwargs = map_tensors(self._in_buffer, (args, call.kwargs))
        if not call.created:  # in place
            return partial(call.kernel, *args, **kwargs)
        for result in call.created:
            self._allocate(call, result, unused)
        outs = [self._in_buffer(t) for t in call.results]
        if call.kernel in _COPIES:
            return partial(outs[0].copy_, args[0])
        for function, names, more in _out_variants(call.kernel, outs[0].device.type):
            if function is torch.stack and call.kernel(*args, **kwargs).shape != outs[0].shape:
                continue  # its result was transposed in place later; torch would resize the buffer
            attempt = partial(
                function, *args, *more, **kwargs, **dict(zip(names, outs, strict=True))
            )
            try:
                attempt()
            except (TypeError, RuntimeError):  # this variant does not take these arguments
                continue
            return attempt
        # No variant writes into given tensors: allocate the result in each replay, and copy it.
        return partial(_copy_results, outs, partial(call.kernel, *args, **kwargs))

    def _with_scalars(self, call: Call) -> tuple:
        """Turn constants of elementwise calls into tensors of one number, where that is faster.

        A constant tensor that is the same everywhere, such as the gradient of a mean, is then not
        read from memory. A Python number is not made into a tensor anew by each call. Neither may
        change the dtype or the shape of the result: so all tensors have its dtype already, and one
        that is not replaced has its shape.
        """
        result, arguments = call.result, tensors(call.args)
        if (
            torch.Tag.pointwise not in call.kernel.tags
            or any(t.dtype != result.dtype for t in arguments)
            or not any(t.shape == result.shape and storage_id(t) in self.varying for t in arguments)
        ):
            return call.args

        def scalar(value: Any) -> Any:
            if isinstance(value, Tensor):
                constant = value.numel() > 1 and storage_id(value) not in self.varying
                uniform = constant and bool((value == value.flatten()[0]).all())
                return value.flatten()[0].clone() if uniform else value
            if isinstance(value, int | float) and kernel_name(call.kernel) in _ARITHMETIC:
                return torch.tensor(value, dtype=result.dtype, device=result.device)
            return value

        return tuple(map(scalar, call.args))

    def _allocate(self, call: Call, result: Tensor, unused: set[int]) -> None:
        """Give the storage of a result a buffer: of an argument, of the pool, or a new one."""
        storage = storage_id(result)
        if storage in self.buffers:  # an output, or two results share the storage
            return
        if torch.Tag.pointwise in call.kernel.tags:
            # Each number depends on the numbers at its own position only. So the result may
            # overwrite an argument that is read here for the last time, if the layouts agree.
            for argument in unused & self.buffers.keys():
                views = [t for t in tensors(call.args) if storage_id(t) == argument]
                if all(_same_layout(view, result) for view in views):
                    self.buffers[storage] = self.buffers.pop(argument)
                    return
        size = result.untyped_storage().nbytes() // result.element_size()
        free = self.pool.get((size, result.dtype))
        self.buffers[storage] = (
            free.pop() if free else torch.empty(size, dtype=result.dtype, device=result.device)
        )


def _fits(tensor: Tensor, output: Tensor) -> bool:
    """Tell whether a tensor covers its whole storage and can be a view of an output instead."""
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    if not (tensor.numel() == output.numel() == size):
        return False
    if output.is_contiguous():  # then any strides of the tensor are possible
        return True
    try:
        output.view(tensor.shape)
    except RuntimeError:
        return False
    return tensor.is_contiguous()


def _same_layout(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and a.stride() == b.stride()
        and a.untyped_storage().nbytes() == b.untyped_storage().nbytes()
    )


def _copy_results(buffers: Sequence[Tensor], function: Callable[[], Any]) -> None:
    for buffer, value in zip(buffers, tensors(function()), strict=True):
        buffer.copy_(value)


@cache
def _out_variants(kernel: Any, device: str) -> list[tuple[Any, list[str], tuple]]:
    """List functions that compute the same into given tensors: with their names, more arguments.

    Torch's own functions come first: they parse their arguments faster than overloads do.
    """
    name = kernel_name(kernel)
    if name in _WITHOUT_OUT:
        return []
    # This one's has no kernel of its own, but is faster.
    if kernel is torch.ops.aten.stack.default:
        return [(torch.stack, ["out"], ())]
    # These two have no out= variant, but are cases of functions that have one.
    if kernel is torch.ops.aten.relu.default:
        return [(torch.clamp_min, ["out"], (0,))]
    if kernel is torch.ops.aten.sum.default:
        return [(torch.sum, ["out"], ([],))]
    variants: list[tuple[Any, list[str], tuple]] = []
    overload = _out_overload(kernel, device)
    if name in _ARITHMETIC or (overload and overload[1] == ["out"]):
        modules = (torch._C._VariableFunctions, torch._C._nn)
        variants += [(getattr(m, name), ["out"], ()) for m in modules if hasattr(m, name)]
    if overload:
        variants.append((overload[0]._op, overload[1], ()))
    return variants


def _out_overload(kernel: Any, device: str) -> tuple[Any, list[str]] | None:
    """Find the overload that writes into given tensors and has a kernel of its own.

    Overloads without one allocate the result and copy it, which `_copy_results` does as well.
    """

    def inputs(schema: Any) -> list[tuple[str, str]]:
        return [(a.name, str(a.type)) for a in schema.arguments if not a.is_out]

    for name in kernel.overloadpacket.overloads():
        other = getattr(kernel.overloadpacket, name)
        outs = [a.name for a in other._schema.arguments if a.is_out]
        if (
            len(outs) == len(kernel._schema.returns) > 0
            and inputs(other._schema) == inputs(kernel._schema)
            and torch._C._dispatch_has_kernel_for_dispatch_key(other.name(), device.upper())
        ):
            return other, outs
    return None

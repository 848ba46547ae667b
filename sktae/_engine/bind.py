"""Giving recorded kernels fixed own, so that they can be called again and again."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from sktae._engine.record import Call, Unrecordable, memory, packet, tensors, written

# Their out= kernels resize a result that is a sum.
_WITHOUT_OUT = {"smooth_l1_loss", "huber_loss"}
# Their results take no more than the shape of their arguments.
_SHAPED = {
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
    """Gives results a place and kernels their arguments, once and for all.

    Memory is told apart by its storage, so a view, however it was taken, is a place in the memory
    of what it views. Memory that is read no more goes back to a pool, which keeps a replay in the
    cache.

    Parameters
    ----------
    calls : sequence of Call
        What was recorded.

    varying : sequence of tensors
        What will hold other values in a replay; all else that the calls did not make is constant.
    """

    def __init__(self, calls: Sequence[Call], varying: Sequence[Tensor]):
        self.calls = calls
        # What is changed in place must be made anew in each replay.
        changed = {memory(t) for call in calls for t in written(call)}
        self.live = {memory(t) for t in varying} | changed
        self.places: dict[int, Tensor] = {}
        self.pool: dict[tuple[int, torch.dtype], list[Tensor]] = {}

    def bind(
        self, results: Sequence[Tensor], wishes: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Callable[[], Any]]]:
        """Return where results will lie, the first ones as wished, and what brings them there."""
        calls = self._needed(self._live(), results)
        made = {memory(t) for call in calls for t in self._made(call)}
        self._grant(wishes, results, calls, made)
        lasting = set(self.places) | {memory(t) for t in results}
        mortal = made - lasting
        last = {memory(t): n for n, call in enumerate(calls) for t in _arguments(call)}
        bound: list[Callable[[], Any]] = []
        for n, call in enumerate(calls):
            dying = {memory(t) for t in _arguments(call) if last[memory(t)] == n} & mortal
            bound.append(self._bound(call, dying))
            for free in dying & self.places.keys():
                place = self.places.pop(free)
                self.pool.setdefault((place.numel(), place.dtype), []).append(place)
        found = [self._at(result) for result in results]
        for n, wish in enumerate(wishes):
            if found[n].data_ptr() != wish.data_ptr():
                bound.append(partial(wish.copy_, found[n]))
                found[n] = wish
        return found, bound

    def _grant(
        self,
        wishes: Sequence[Tensor],
        results: Sequence[Tensor],
        calls: Sequence[Call],
        made: set[int],
    ) -> None:
        """Let results be computed where they are wanted, if all that views them fits there."""
        used = [t for call in calls for t in (*_arguments(call), *tensors(call.result))]
        for result, wish in zip(results, wishes, strict=False):
            own = memory(result)
            views = [t for t in used if memory(t) == own]
            wanted = own in made - self.places.keys() and result.is_contiguous()
            if wanted and all(_fits(t, wish) for t in (result, *views)):
                self.places[own] = wish

    def _read(self, call: Call) -> list[Tensor]:
        """List the tensors whose values a call depends on."""
        return [] if packet(call.kernel) in _SHAPED else _arguments(call)

    def _made(self, call: Call) -> list[Tensor]:
        """List the results of a call that have memory of their own."""
        known = {memory(t) for t in _arguments(call)}
        return [t for t in tensors(call.result) if memory(t) not in known]

    def _live(self) -> Iterator[Call]:
        """Leave out views, and what is the same in every replay."""
        live = self.live
        made: set[int] = set()
        for call in self.calls:
            changed = {memory(t) for t in written(call)}
            if not changed <= made:
                raise Unrecordable(f"{call.kernel} changes in place what it did not make")
            new = {memory(t) for t in self._made(call)}
            made |= new
            read = {memory(t) for t in self._read(call)}
            if (new or changed) and (read | new) & live:
                live |= new
                yield call

    def _needed(self, calls: Iterator[Call], results: Sequence[Tensor]) -> list[Call]:
        """Leave out what no result depends on."""
        needed = {memory(t) for t in results}
        kept = []
        for call in reversed(list(calls)):
            if needed & {memory(t) for t in [*self._made(call), *written(call)]}:
                needed |= {memory(t) for t in self._read(call)}
                kept.append(call)
        return kept[::-1]

    def _at(self, tensor: Tensor) -> Tensor:
        """Return the tensor at its place: in bound memory, or where it has always been."""
        place = self.places.get(memory(tensor))
        if place is None:
            return tensor.detach()
        if not place.is_contiguous():  # a wish, which fits
            return place.view(tensor.shape)
        offset = place.storage_offset() + tensor.storage_offset()
        return place.as_strided(tensor.shape, tensor.stride(), offset)

    def _bound(self, call: Call, dying: set[int]) -> Callable[[], Any]:
        new = self._made(call)
        args = self._with_scalars(call) if new else call.args
        args, kwargs = tree_map_only(Tensor, self._at, (args, call.kwargs))
        if not new:
            return partial(call.kernel, *args, **kwargs)
        for result in new:
            self._place(call, result, dying)
        outs = [self._at(t) for t in tensors(call.result)]
        if call.kernel in _COPIES:
            return partial(outs[0].copy_, args[0])
        for function, names, more in _out_variants(call.kernel, outs[0].device.type):
            attempt = partial(
                function, *args, *more, **kwargs, **dict(zip(names, outs, strict=True))
            )
            try:
                attempt()
            except (TypeError, RuntimeError):  # not the arguments that this one takes
                continue
            return attempt
        return partial(_assign, outs, partial(call.kernel, *args, **kwargs))

    def _with_scalars(self, call: Call) -> tuple:
        """Read a number where a tensor holds the same constant everywhere, and numbers as tensors.

        Both are the fastest form of the same arithmetic.
        """
        result, given = call.result, tensors(call.args)
        if (
            torch.Tag.pointwise not in call.kernel.tags
            or any(t.dtype != result.dtype for t in given)
            or not any(t.shape == result.shape and memory(t) in self.live for t in given)
        ):
            return call.args

        def scalar(value: Any) -> Any:
            if isinstance(value, Tensor):
                fixed = value.numel() > 1 and memory(value) not in self.live
                uniform = fixed and bool((value == value.flatten()[0]).all())
                return value.flatten()[0].clone() if uniform else value
            if isinstance(value, int | float) and packet(call.kernel) in _ARITHMETIC:
                return torch.tensor(value, dtype=result.dtype, device=result.device)
            return value

        return tuple(map(scalar, call.args))

    def _place(self, call: Call, result: Tensor, dying: set[int]) -> None:
        own = memory(result)
        if own in self.places:
            return
        if torch.Tag.pointwise in call.kernel.tags:
            # Elementwise, so it may write over an argument that is read here for the last time.
            for old in dying & self.places.keys():
                views = [t for t in tensors(call.args) if memory(t) == old]
                if all(_alike(view, result) for view in views):
                    self.places[own] = self.places.pop(old)
                    return
        size = result.untyped_storage().nbytes() // result.element_size()
        free = self.pool.get((size, result.dtype))
        self.places[own] = (
            free.pop() if free else torch.empty(size, dtype=result.dtype, device=result.device)
        )


def _arguments(call: Call) -> list[Tensor]:
    return tensors([call.args, call.kwargs])


def _fits(tensor: Tensor, wish: Tensor) -> bool:
    """Tell whether a place can stand for all the memory that a tensor views."""
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    if not (tensor.numel() == wish.numel() == size):
        return False
    if wish.is_contiguous():
        return True
    try:
        wish.view(tensor.shape)
    except RuntimeError:
        return False
    return tensor.is_contiguous()


def _alike(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and a.stride() == b.stride()
        and a.untyped_storage().nbytes() == b.untyped_storage().nbytes()
    )


def _assign(places: Sequence[Tensor], function: Callable[[], Any]) -> None:
    for place, value in zip(places, tensors(function()), strict=True):
        place.copy_(value)


@cache
def _out_variants(kernel: Any, device: str) -> list[tuple[Any, list[str], tuple]]:
    """List what computes the same into given tensors: function, names of these, more arguments.

    Torch's own functions come first: they parse their arguments faster than overloads do.
    """
    name = packet(kernel)
    if name in _WITHOUT_OUT:
        return []
    if kernel is torch.ops.aten.relu.default:
        return [(torch.clamp_min, ["out"], (0,))]
    if kernel is torch.ops.aten.sum.default:
        return [(torch.sum, ["out"], ([],))]
    found: list[tuple[Any, list[str], tuple]] = []
    overload = _out_overload(kernel, device)
    if name in _ARITHMETIC or (overload and overload[1] == ["out"]):
        homes = (torch._C._VariableFunctions, torch._C._nn)
        found += [(getattr(home, name), ["out"], ()) for home in homes if hasattr(home, name)]
    if overload:
        found.append((overload[0]._op, overload[1], ()))
    return found


def _out_overload(kernel: Any, device: str) -> tuple[Any, list[str]] | None:
    """Find the overload that writes into given tensors and has a kernel of its own."""

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

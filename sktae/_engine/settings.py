"""Torch's ambient settings: a fit and its scores do not depend on them, and leave them alone.

A user may have set another default dtype or device, and may call a method where gradients are off
or where kernels compute in half precision. What follows from the parameters alone must come out in
any case. All that is set here concerns this thread only. The default dtype does not, so it is not
changed: a mode, of which each thread has its own, gives tensors a dtype as they are made.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

# The devices that kernels may run on in half precision.
_AUTOCAST = ("cpu", "cuda")


class FloatsOnCPU(TorchFunctionMode):
    """Within this context, new tensors are on the CPU, and those of floats are of float32.

    That is, where the call does not say anything else.
    """

    # Results are of integers unless there is a float among the arguments.
    _BY_VALUE = frozenset([torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor])
    _BY_VALUE |= {torch.full, torch.arange, torch.range}
    _INTEGERS = frozenset([torch.randint, torch.randperm, torch.tril_indices, torch.triu_indices])

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in _device_constructors():
            if kwargs.get("device") is None:
                given = args[0] if args else None
                kwargs["device"] = given.device if isinstance(given, Tensor) else "cpu"
            by_value = func in self._BY_VALUE and not _has_floats(args + tuple(kwargs.values()))
            if kwargs.get("dtype") is None and not by_value and func not in self._INTEGERS:
                kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)


def _has_floats(values: Any) -> bool:
    """Tell whether there are floats of Python, whose dtype is the default, in nested sequences."""
    return any(
        _has_floats(value)
        if isinstance(value, list | tuple)
        else isinstance(value, Real) and not isinstance(value, int | np.generic)
        for value in values
    )


def without_function_modes(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let torch skip its modes for functions while it computes one: they take longer than a kernel.

    That is right where there is no linear map, and where each new tensor is given its dtype and its
    device.
    """

    @wraps(function)
    def computed(*args: Any) -> Tensor:
        with torch._C.DisableTorchFunction():
            return function(*args)

    return computed


@contextmanager
def usual_settings() -> Iterator[None]:
    """Within this context, torch computes as it does if a user has set nothing.

    At the end, also after an error, all settings of this thread are what they were before. Ctrl-C
    may come while torch itself enters or leaves a context, which then remains half entered.
    """
    grad, nesting = torch.is_grad_enabled(), _set_autocast_nesting(0)
    autocast = {kind: torch.is_autocast_enabled(kind) for kind in _AUTOCAST}
    with ExitStack() as contexts:
        if torch.is_inference_mode_enabled():
            contexts.enter_context(torch.inference_mode(False))
        unusual = torch.get_default_dtype() != torch.float32
        if unusual or torch.get_default_device().type != "cpu":
            contexts.enter_context(FloatsOnCPU())
        modes = [stack.modes() for stack in _STACKS]
        try:
            _set(True, dict.fromkeys(autocast, False), 0)
            yield
        except BaseException as error:
            if torch.is_inference_mode_enabled():  # it ends with the last reference to it
                traceback.clear_frames(error.__traceback__)
            if isinstance(error, RuntimeError) and isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None  # torch's contexts could not be left
            raise
        finally:
            for stack, before in zip(_STACKS, modes, strict=True):
                stack.restore(before)
            _set(grad, autocast, nesting)


class _Stack(NamedTuple):
    """The modes of this thread that intercept functions, or kernels, as torch keeps them."""

    length: Callable[[], int]
    get: Callable[[int], Any]
    pop: Callable[[], Any]
    push: Callable[[Any], Any]

    def modes(self) -> list[Any]:
        return [self.get(place) for place in range(self.length())]

    def restore(self, modes: Sequence[Any]) -> None:
        if self.modes() != modes:
            while self.length():
                self.pop()
            for mode in modes:
                self.push(mode)


_STACKS = (
    _Stack(
        torch._C._len_torch_function_stack,
        torch._C._get_function_stack_at,
        torch._C._pop_torch_function_stack,
        torch._C._push_on_torch_function_stack,
    ),
    _Stack(
        torch._C._len_torch_dispatch_stack,
        torch._C._get_dispatch_stack_at,
        lambda: torch._C._pop_torch_dispatch_stack(None),
        torch._C._push_on_torch_dispatch_stack,
    ),
)


def _set(grad: bool, autocast: dict[str, bool], nesting: int) -> None:
    torch.set_grad_enabled(grad)
    for kind, enabled in autocast.items():
        torch.set_autocast_enabled(kind, enabled)
    _set_autocast_nesting(nesting)


def _set_autocast_nesting(depth: int) -> int:
    """Set how many contexts of autocast are open; return how many there were.

    Weights in half precision are kept until the last one is left. With one of the user around it, a
    fit would go on with the weights of its first step.
    """
    now = torch.autocast_increment_nesting()
    before = now - 1
    while now < depth:
        now = torch.autocast_increment_nesting()
    while now > depth:
        now = torch.autocast_decrement_nesting()
    return before

"""What the net needs to know of skorch's callbacks."""

import dis
from collections.abc import Iterable
from typing import Any

from skorch.callbacks import Callback


class StopTraining(Exception):
    """A callback asked for the end of the fit, at the event that it is raised with."""


def notify_all(
    callbacks: Iterable[tuple[str, Callback]], event: str, net: Any, arguments: dict[str, Any]
) -> None:
    """Pass an event to all callbacks, also if one of them ends the fit."""
    stop: BaseException | None = None
    for _, callback in callbacks:
        try:
            getattr(callback, event)(net, **arguments)
        except StopTraining as error:
            stop = error
        except KeyboardInterrupt as error:
            # skorch's callbacks end a fit by raising it. The user's Ctrl-C, which may come while a
            # callback runs, must not be mistaken for that.
            if event.startswith("on_train") or not _is_raised_by_statement(error):
                raise
            stop = error
    if stop is not None:
        raise StopTraining(event) from stop


def listens_to_batches(callback: Callback) -> bool:
    """Tell whether a callback does something at each batch."""
    return any(
        getattr(type(callback), hook) is not getattr(Callback, hook)
        for hook in ("on_batch_begin", "on_batch_end", "on_grad_computed")
    )


def _is_raised_by_statement(error: BaseException) -> bool:
    """Tell whether an exception comes from a `raise` statement, and not from a signal.

    The traceback ends at the instruction that ran last. For a callback that ends the fit, this is
    that of a `raise` statement; signals are noticed at calls and at the ends of loops.
    """
    last: Any = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def without_names(callbacks: Iterable[Any] | str | None) -> list[Any]:
    """Strip the names off skorch's list of callbacks."""
    if not callbacks or isinstance(callbacks, str):
        return []
    return [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks]

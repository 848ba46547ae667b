"""What a net says about itself before it is trained: its parameters and its callbacks."""

from collections.abc import Iterable
from typing import Any


def own_parameters(net: Any) -> dict[str, Any]:
    """Return the parameters of a net that are not the defaults of its class."""
    defaults = type(net)().get_params(deep=False)
    params = net.get_params(deep=False).items()
    return {n: v for n, v in params if n[0] != "_" and v is not defaults.get(n, ...)}


def without_names(callbacks: Iterable[Any] | str | None) -> list[Any]:
    """Strip the names off skorch's list of callbacks."""
    if not callbacks or isinstance(callbacks, str):
        return []
    return [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks]

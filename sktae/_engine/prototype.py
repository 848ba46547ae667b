"""Parameters of a net that is not trained, the prototype of others."""

from typing import Any

from sklearn.base import clone
from skorch.callbacks import Callback


def own_parameters(net: Any) -> dict[str, Any]:
    """Return the parameters that are not the defaults of the class."""
    defaults = type(net)().get_params(deep=False)
    params = net.get_params(deep=False).items()
    return {n: v for n, v in params if n[0] != "_" and v is not defaults.get(n, ...)}


def cloned_parameters(net: Any) -> dict[str, Any]:
    """Return the parameters of a clone.

    Callbacks are made anew, but what they write to, such as a TensorBoard writer, is the user's
    own: a copy could not be made of its locks, and nobody would look at it.
    """
    params = net.get_params(deep=False)
    callbacks = _made_anew(params.pop("callbacks", None))
    params = {name: clone(value, safe=False) for name, value in params.items()}
    return {"callbacks": callbacks, **params}


def _made_anew(callbacks: Any) -> Any:
    """Return callbacks with the same parameters: a list, perhaps with names, or one of them."""
    if isinstance(callbacks, list | tuple):
        return type(callbacks)(map(_made_anew, callbacks))
    if isinstance(callbacks, Callback):
        return type(callbacks)(**callbacks.get_params(deep=False))
    return callbacks

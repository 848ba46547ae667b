"""Values as JSON and arrays, and back: what a file of a model consists of.

Numbers, strings, None and lists are written as in JSON. Everything else is a JSON object with a
"kind". Arrays of numbers are kept beside the JSON, by name. Objects are written as their state, for
classes that are given by name only: a file cannot make objects of others, nor call a function.
"""

import functools
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from sktae._files import frames

# Types of arrays that a file holds as numbers; others are written as lists.
_NUMERIC = "biuf"
# Lists are nested less deep than this.
_DEPTH = 200

_NO_FUNCTIONS = (
    " Files hold no functions, since they hold no code: apply it to the rows before the estimator "
    "gets them, or pickle the estimator, with a function that a module defines by name."
)


class Encoder:
    """Writes values as JSON and arrays.

    Parameters
    ----------
    names : callable
        From a class to the name that stands for it, or None for one that files do not know.

    Attributes
    ----------
    arrays : dict of ndarray
        Arrays of numbers, by name.

    objects : list
        Objects, in the order of their numbers.
    """

    def __init__(self, names: Callable[[type], str | None]):
        self.names = names
        self.arrays: dict[str, np.ndarray] = {}
        self.objects: list[Any] = []
        self._seen: dict[int, Any] = {}
        self._kept: list[Any] = []  # so that no other object gets the id of one that was seen

    def encode(self, value: Any, path: str = "") -> Any:
        """Return a value as JSON. `path` says in errors where it was found."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"kind": "float", "value": str(value)}
        if type(value) is list:
            return [self.encode(v, f"{path}[{n}]") for n, v in enumerate(value)]
        if id(value) in self._seen:
            return self._seen[id(value)]
        self._kept.append(value)
        for types, kind, write in _PLAIN:
            if type(value) in types or (kind == "dtype" and isinstance(value, np.dtype)):
                return {"kind": kind, **write(self, value, path)}
        if isinstance(value, np.generic) and value.dtype.kind in _NUMERIC:
            item = self.encode(value.item(), path)
            return {"kind": "scalar", "dtype": value.dtype.str, "value": item}
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        if isinstance(value, type):
            return {"kind": "class", "name": self.names(value) or self._refuse(value, path)}
        return self._object(value, path)

    def _array(self, value: np.ndarray, path: str) -> dict[str, Any]:
        kinds = _NUMERIC + "OU"
        long = value.dtype.kind == "f" and value.itemsize > 8
        if type(value) is not np.ndarray or value.dtype.kind not in kinds or long:
            return self._refuse(value, path)
        if value.dtype.kind in "OU":
            items = [self.encode(v, path) for v in value.ravel().tolist()]
            shape = list(value.shape)
            return {"kind": "values", "dtype": value.dtype.str, "shape": shape, "items": items}
        name = str(len(self.arrays))
        # Rounding may depend on how an array lies in memory.
        columns = value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous
        stored = value.T if columns else value
        self.arrays[name] = np.ascontiguousarray(stored, stored.dtype.newbyteorder("=")).reshape(
            stored.shape
        )
        order, finite = "F" if columns else "C", bool(np.isfinite(value).all())
        node = {"kind": "array", "name": name, "order": order, "finite": finite}
        self._seen[id(value)] = node
        return node

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        number = len(self.objects)
        name = self.names(type(value)) or self._refuse(value, path)
        self._seen[id(value)] = {"kind": "same", "number": number}
        self.objects.append(value)
        path = f"{path}.{type(value).__name__}".lstrip(".")
        if isinstance(value, tuple):  # a named one
            items = [self.encode(entry, path) for entry in value]
            return {"kind": "named tuple", "class": name, "number": number, "items": items}
        state = value.__getstate__() or {}
        pairs = {key: self.encode(entry, f"{path}.{key}") for key, entry in state.items()}
        return {"kind": "object", "class": name, "number": number, "state": pairs}

    def _refuse(self, value: Any, path: str) -> Any:
        what = value if isinstance(value, type) else type(value)
        function = inspect.isroutine(value) or isinstance(value, np.ufunc | functools.partial)
        raise TypeError(
            f"A file cannot hold {path or 'this'}, which is {_shortened(value)} of "
            f"{what.__module__}.{what.__qualname__}.{_NO_FUNCTIONS * function}"
        )

    def _pairs(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        return {
            "items": [
                [self.encode(key, path), self.encode(entry, f"{path}[{key!r}]")]
                for key, entry in value.items()
            ]
        }

    def _tuple(self, value: tuple[Any, ...], path: str) -> dict[str, Any]:
        # Of a step, the name says more than its place beside it.
        named = len(value) > 1 and isinstance(value[0], str)
        places = [value[0] if named and n == 1 else n for n in range(len(value))]
        pairs = zip(places, value, strict=True)
        return {"items": [self.encode(v, f"{path}[{place!r}]") for place, v in pairs]}

    def _slice(self, value: slice, path: str) -> dict[str, Any]:
        ends = (value.start, value.stop, value.step)
        return {"items": [self.encode(end, path) for end in ends]}

    def _timestamp(self, value: pd.Timestamp, path: str) -> dict[str, Any]:
        return {"value": value.isoformat(), "unit": value.unit}

    def _time(self, value: pd.Period | pd.Timedelta, path: str) -> dict[str, Any]:
        return {"index": self.encode(pd.Index([value]), path)}

    def _index(self, value: pd.Index, path: str) -> dict[str, Any]:
        dtype = str(value.dtype)
        if not frames.has_numbers(dtype):
            self._refuse(value, path)
        return {"dtype": dtype, "numbers": self.encode(frames.numbers_of(value), path)}

    def _frame(self, value: pd.DataFrame, path: str) -> dict[str, Any]:
        return {"columns": self.encode(frames.columns_of(value), path)}

    def _dtype(self, value: np.dtype, path: str) -> dict[str, Any]:
        return {"value": value.str}

    def _random_state(self, value: np.random.RandomState, path: str) -> dict[str, Any]:
        return {"value": self.encode(value.get_state(legacy=False), path)}


_PLAIN: list[tuple[tuple[type, ...], str, Callable[..., dict[str, Any]]]] = [
    ((dict,), "dict", Encoder._pairs),
    ((tuple,), "tuple", Encoder._tuple),
    ((slice,), "slice", Encoder._slice),
    ((pd.Timestamp,), "timestamp", Encoder._timestamp),
    ((pd.Period, pd.Timedelta), "time", Encoder._time),
    (frames.INDEXES, "index", Encoder._index),
    ((pd.DataFrame,), "frame", Encoder._frame),
    ((np.dtype,), "dtype", Encoder._dtype),
    ((np.random.RandomState,), "random state", Encoder._random_state),
]


class Decoder:
    """Makes values of JSON and arrays.

    Parameters
    ----------
    classes : callable
        From a name to the class of which there may be objects; it raises for any other name.

    types : callable
        From a name to a class that may be a value by itself; it raises for any other name.

    arrays : mapping of ndarray
        Arrays of numbers, by name.

    Attributes
    ----------
    objects : dict
        Objects by their numbers.
    """

    def __init__(
        self,
        classes: Callable[[str], type],
        types: Callable[[str], type],
        arrays: Mapping[str, np.ndarray],
    ):
        self.classes, self.types, self.arrays = classes, types, dict(arrays)
        self.objects: dict[int, Any] = {}
        self._used: dict[str, np.ndarray] = {}

    def decode(self, node: Any) -> Any:
        """Return the value that JSON stands for."""
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if isinstance(node, list):
            return [self.decode(entry) for entry in node]
        kind, fields = node["kind"], {key: node[key] for key in node if key != "kind"}
        return _READERS[kind](self, **fields)  # unknown and missing fields are errors of the call

    def check_all_used(self) -> None:
        """Raise if there are arrays that no value uses."""
        if unused := self.arrays.keys() - self._used.keys():
            raise ValueError(f"no value uses the arrays {sorted(unused)[:5]}")

    def _float(self, value: str) -> float:
        if value not in ("nan", "inf", "-inf"):
            raise ValueError(f"{value!r} is no number")
        return float(value)

    def _scalar(self, dtype: str, value: Any) -> Any:
        return _numeric(dtype).type(self.decode(value))

    def _array(self, name: str, order: str, finite: bool) -> np.ndarray:
        if name not in self._used:
            if finite and not np.isfinite(self.arrays[name]).all():
                raise ValueError(f"the array {name!r} has values that are not finite")
            stored = self.arrays[name]
            self._used[name] = {"C": np.array(stored), "F": np.array(stored).T}[order]
        return self._used[name]

    def _values(self, dtype: str, shape: list[int], items: list[Any]) -> np.ndarray:
        if not re.fullmatch(r"\|O|[<>]U\d{1,6}", dtype):
            raise ValueError(f"{dtype!r} is no type of strings or objects")
        decoded = self.decode(items)
        if dtype != "|O":  # as wide as the longest, whatever the file says
            return np.array(list(map(str, decoded)), dtype=str).reshape(shape)
        values = np.empty(len(decoded), dtype=object)
        values[:] = decoded
        return values.reshape(shape)

    def _pairs(self, items: list[Any]) -> dict[Any, Any]:
        return {self.decode(key): self.decode(value) for key, value in items}

    def _tuple(self, items: list[Any]) -> tuple[Any, ...]:
        return tuple(self.decode(items))

    def _slice(self, items: list[Any]) -> slice:
        return slice(*self.decode(items))

    def _timestamp(self, value: str, unit: str) -> pd.Timestamp:
        return pd.Timestamp(value).as_unit(unit)

    def _time(self, index: Any) -> Any:
        return self.decode(index)[0]

    def _index(self, dtype: str, numbers: Any) -> pd.Index:
        return frames.to_index(dtype, self.decode(numbers))

    def _frame(self, columns: Any) -> pd.DataFrame:
        return frames.to_frame(self.decode(columns))

    def _dtype(self, value: str) -> np.dtype:
        return _numeric(value)

    def _random_state(self, value: Any) -> np.random.RandomState:
        state = np.random.RandomState()
        state.set_state(self.decode(value))
        return state

    def _class(self, name: str) -> type:
        return self.types(name)

    def _class_of(self, **fields: str) -> Any:
        if fields.keys() != {"class"}:  # which is a keyword, so it is no name of an argument
            raise ValueError(f"an object has other entries than its class: {sorted(fields)}")
        return self.classes(fields["class"])

    def _same(self, number: int) -> Any:
        return self.objects[number]

    def _named_tuple(self, number: int, items: list[Any], **fields: str) -> Any:
        self.objects[number] = value = self._class_of(**fields)(*self.decode(items))
        return value

    def _object(self, number: int, state: dict[str, Any], **fields: str) -> Any:
        cls = self._class_of(**fields)
        value = cls.__new__(cls)
        decoded = {name: self.decode(entry) for name, entry in state.items()}
        for name in decoded:
            if name.startswith("__") or callable(getattr(cls, name, None)):
                raise ValueError(f"{name!r} is no attribute of the state of {cls.__name__}")
        if hasattr(value, "__setstate__"):
            value.__setstate__(decoded)
        else:
            vars(value).update(decoded)
        self.objects[number] = value  # only now, so that no object holds itself
        return value


_READERS: dict[str, Callable[..., Any]] = {
    "float": Decoder._float,
    "scalar": Decoder._scalar,
    "array": Decoder._array,
    "values": Decoder._values,
    "dict": Decoder._pairs,
    "tuple": Decoder._tuple,
    "slice": Decoder._slice,
    "timestamp": Decoder._timestamp,
    "time": Decoder._time,
    "index": Decoder._index,
    "frame": Decoder._frame,
    "dtype": Decoder._dtype,
    "random state": Decoder._random_state,
    "class": Decoder._class,
    "same": Decoder._same,
    "named tuple": Decoder._named_tuple,
    "object": Decoder._object,
}


def to_text(node: Any) -> str:
    """Return JSON as text."""
    return json.dumps(node, allow_nan=False, separators=(",", ":"))


def from_text(text: str) -> Any:
    """Return the JSON of a text; what is nested too deep is refused."""
    depth = longest = 0
    for bracket in re.finditer(r'[\[{]|[\]}]|"(?:[^"\\]|\\.)*"', text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        longest = max(longest, depth)
    if longest > _DEPTH:
        raise ValueError(f"values are nested deeper than {_DEPTH}")
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _numeric(name: str) -> np.dtype:
    dtype = np.dtype(name)
    if dtype.kind not in _NUMERIC:
        raise ValueError(f"{name!r} is no type of numbers")
    return dtype


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

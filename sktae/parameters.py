"""Hyperparameters declared once: a field's type, range and default on one line.

scikit-learn asks that a constructor only stores its arguments, which is what a dataclass does. So
each subclass of `Declared` becomes a keyword-only dataclass, and the ranges that scikit-learn
validates at `fit` are read from the same annotations::

    class VariationalAutoencoder(BaseAutoencoder):
        beta: NonNegative = 1.0

A field that may also be given by position is a `dataclasses.field` with `kw_only=False`.
"""

import copy
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, Union

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions


class _Widths(HasMethods):
    """Constraint: a sequence of layer widths.

    A `HasMethods`, since scikit-learn's validation takes no constraints of unknown classes.
    """

    def __init__(self, may_be_empty: bool):
        super().__init__("__iter__")
        self.may_be_empty = may_be_empty

    def is_satisfied_by(self, val: Any) -> bool:
        if not isinstance(val, tuple | list | np.ndarray):
            return False
        counts = all(
            isinstance(width, Integral) and not isinstance(width, bool) and int(width) >= 1
            for width in val
        )
        return counts and (self.may_be_empty or len(val) > 0)

    def __str__(self) -> str:
        return f"a {'' if self.may_be_empty else 'non-empty '}sequence of ints >= 1"


Count = Annotated[int, Interval(Integral, 1, None, closed="left")]
NonNegativeCount = Annotated[int, Interval(Integral, 0, None, closed="left")]
Positive = Annotated[float, Interval(Real, 0, None, closed="neither")]
NonNegative = Annotated[float, Interval(Real, 0, None, closed="left")]
Fraction = Annotated[float, Interval(Real, 0, 1, closed="neither")]
Rate = Annotated[float, Interval(Real, 0, 1, closed="left")]
Share = Annotated[float, Interval(Real, 0, 1, closed="right")]
Contamination = Annotated[float, Interval(Real, 0, 0.5, closed="right")]
Table = Annotated[Any, "array-like"]
Seed = Annotated[int | np.random.RandomState | None, "random_state"]
Widths = Annotated[tuple[int, ...], _Widths(may_be_empty=True)]
SomeWidths = Annotated[tuple[int, ...], _Widths(may_be_empty=False)]


def constraints(hint: Any) -> list[Any]:
    """List the scikit-learn constraints, any of which a value of this type hint must satisfy."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return list(hint.__metadata__)
    if origin is Literal:
        return [StrOptions(set(typing.get_args(hint)))]
    if origin in (Union, types.UnionType):
        return [c for option in typing.get_args(hint) for c in constraints(option)]
    plain = {bool: "boolean", int: Integral, float: Real, types.NoneType: None}
    return [plain.get(hint, hint)]


def _resolve(hint: Any, cls: type) -> Any:
    """Evaluate a hint written as a string, also where it names something local to a function."""
    if not isinstance(hint, str):
        return hint
    names = vars(sys.modules[cls.__module__])
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals is names:
            try:
                return eval(hint, names, frame.f_locals)
            except NameError:  # perhaps a name of an enclosing function: look one frame further
                pass
        frame = frame.f_back
    return eval(hint, names)


@typing.dataclass_transform(kw_only_default=True, field_specifiers=(dataclasses.field,))
class Declared(BaseEstimator):
    """An estimator whose annotated class attributes are its hyperparameters."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {}
    # Where scikit-learn's HTML representation of our estimators links to.
    _doc_link_module: ClassVar = "sktae"
    _doc_link_template: ClassVar = "https://sktae.github.io/sktae/api/sktae.{estimator_name}.html"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = inspect.get_annotations(cls)
        hints = {name: _resolve(hint, cls) for name, hint in own.items()}
        fields = {n: h for n, h in hints.items() if ClassVar not in (h, typing.get_origin(h))}
        _refuse_mistakes(cls, fields)
        cls.__annotations__ = hints
        by_hand = "__init__" in cls.__dict__  # then it stays
        if by_hand:
            _refuse_keywords(cls)
        # scikit-learn prints and compares estimators in its own way.
        dataclasses.dataclass(init=not by_hand, repr=False, eq=False, kw_only=True)(cls)
        if not by_hand:  # the signature shows types, without their ranges
            cls.__init__.__annotations__ = typing.get_type_hints(cls.__init__)
            # Kept, since scikit-learn asks for it whenever it reads, copies or shows parameters.
            vars(cls.__init__)["__signature__"] = inspect.signature(cls.__init__)
        ranges: dict[str, Any] = {}
        for base in reversed(cls.__mro__[1:]):  # of all bases, in the order of dataclasses
            ranges |= vars(base).get("_parameter_constraints", {})
        own_ranges = {name: constraints(hint) for name, hint in fields.items()}
        cls._parameter_constraints = ranges | own_ranges


def plain_copy(estimator: Any) -> Any:
    """Copy an estimator, with NumPy scalars among its parameters as plain numbers.

    Searches over `np.arange` and the like set such scalars, which torch does not take everywhere.
    """
    plain = copy.copy(estimator)
    for name, value in vars(plain).items():
        if isinstance(value, np.generic):
            setattr(plain, name, value.item())
    return plain


def take_over(estimator: Any, fitted: Any) -> None:
    """Give an estimator what its plain copy has learned, in one step; its parameters stay."""
    estimator.__dict__ = vars(fitted) | estimator.get_params(deep=False)


def _refuse_keywords(cls: type) -> None:
    """Raise if a constructor takes parameters that scikit-learn cannot see, so not clone."""
    for parameter in inspect.signature(cls.__dict__["__init__"]).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            raise TypeError(
                f"{cls.__name__}.__init__ takes {parameter}, of which scikit-learn knows no names. "
                f"Leave the constructor out, and declare what is new as an annotated attribute, "
                f"such as `gamma: NonNegative = 1.0`."
            )


def _refuse_mistakes(cls: type, fields: Mapping[str, Any]) -> None:
    """Raise where a dataclass would silently do something else than what was meant."""
    for name in fields:
        if name.endswith("_"):
            raise TypeError(
                f"{cls.__name__}.{name}: names that end in '_' are fitted attributes, "
                f"set by fit; a hyperparameter must be named otherwise."
            )
        if name not in cls.__dict__:
            raise TypeError(
                f"{cls.__name__}.{name} has no default; every hyperparameter needs one."
            )
        default = cls.__dict__[name]
        if isinstance(default, dataclasses.Field):
            default = default.default
        if isinstance(default, list | dict | set | np.ndarray):
            raise TypeError(
                f"{cls.__name__}.{name} has the mutable default {default!r}, which all "
                f"instances would share; use a tuple or None."
            )
    inherited = {f.name for base in cls.__mro__[1:] for f in _fields_of(base)}
    for name in sorted(inherited & set(cls.__dict__) - set(fields)):
        raise TypeError(
            f"{cls.__name__}.{name} overrides a hyperparameter without its type and would be "
            f"ignored; write '{name}: <type> = {cls.__dict__[name]!r}'."
        )


def _fields_of(cls: type) -> tuple[Any, ...]:
    return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()

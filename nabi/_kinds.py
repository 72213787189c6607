"""The values that an annotation admits, and their names in messages."""

import collections.abc
import functools
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError

__all__ = ["Kind", "kinds_of"]

_MOST = 2**63
_LISTS = (
    collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection, collections.abc.Sized,
    list, tuple,
)  # fmt: skip
_PLAIN = (bool, int, float, str, type(None), list, tuple, dict)
_TEXT = (str, bytes, bytearray)
_PLURAL: dict[Any, str] = {str: "texts", int: "whole numbers", float: "numbers"}


@dataclass(frozen=True)
class Kind:
    """The values that an annotation admits: those that pass one of the tests, or any value without tests."""

    tests: tuple[Callable[[Any], bool], ...] = ()
    names: tuple[str, ...] = ()
    element: Any = None
    """For a list: the annotation of its elements."""
    number: type[int] | type[float] | type[bool] | None = None
    """For a number: the type that the function expects."""

    @property
    def looks(self) -> bool:
        """Whether `checked` has anything to check."""
        return bool(self.tests) or self.number is not None

    def checked(self, argument: str, value: Any) -> Any:
        """Return the value, NumPy numbers as Python's; `ArgumentError` for a value of another kind."""
        if type(value) in _PLAIN:
            pass
        elif self.number is not None and getattr(value, "ndim", None) == 0:
            value = _in_python(self.number, value)
        if self.tests and not any(test(value) for test in self.tests):
            expected = " or ".join(self.names)
            if self.number is int and _checks.as_whole(value, floats=False) is not None:
                expected = expected.replace("a whole number", "a whole number of at most 63 bits")
            if self.element is not None and isinstance(value, list | tuple):
                test, name = _SIMPLE[self.element]
                place = next((place for place, one in enumerate(value) if not test(one)), None)
                if place is not None:
                    given = _checks.short(value[place])
                    raise ArgumentError(f"{argument}[{place}]: expected {name}, got {given}")
            raise ArgumentError(f"{argument}: expected {expected}, got {_checks.short(value)}")
        return value


def kinds_of(function: Callable[..., Any]) -> dict[str, Kind]:
    """Return the kind of each parameter of a function; parameters without annotations take anything."""
    names = inspect.signature(function).parameters
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # a name imported only for type checkers
        hints = _one_by_one(function)
    return {name: _kind(hints.get(name, Any)) for name in names}


def _one_by_one(function: Callable[..., Any]) -> dict[str, Any]:
    found = {}
    for name, annotation in function.__annotations__.items():
        try:
            one = types.FunctionType((lambda: None).__code__, function.__globals__)
            one.__annotations__ = {name: annotation}
            found[name] = typing.get_type_hints(one)[name]
        except NameError:
            found[name] = Any
    return found


def _kind(hint: Any) -> Kind:
    typed = sys.modules.get("numpy.typing")
    if typed is not None and hint == typed.ArrayLike:
        return Kind((_is_array,), ("an array of numbers",))
    if hint is type(None):  # an unsupported argument; the function explains why
        return Kind()
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = typing.get_args(hint) if union else (hint,)
    tests: list[Callable[[Any], bool]] = []
    names: list[str] = []
    if any(map(_is_path, members)):
        tests.append(lambda value: isinstance(value, str | os.PathLike))
        names.append("a path")
        members = tuple(one for one in members if one is not str and not _is_path(one))
    for member in members:
        found = _test(member)
        if found is None:
            return Kind()
        tests.append(found[0])
        if found[1] not in names:
            names.append(found[1])
    if float in members and int in members:
        names = [name for name in names if name != "a whole number"]
    names.sort(key=lambda name: name == "None")
    elements = [(typing.get_args(one) or (None,))[0] for one in members if typing.get_origin(one) in _LISTS]
    element = elements[0] if len(elements) == 1 and elements[0] in _PLURAL else None
    number = next((one for one in (float, int, bool) if one in members), None)
    return Kind(tuple(tests), tuple(names), element, number)


def _is_path(hint: Any) -> bool:
    """Tell whether an annotation is for paths: os.PathLike, or a subclass such as pathlib.Path."""
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, os.PathLike)


def _test(hint: Any) -> tuple[Callable[[Any], bool], str] | None:
    """Return the test of one annotation and its name in messages; None if any value is valid."""
    if hint is None or hint is type(None):
        return (lambda value: value is None), "None"
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin = typing.get_origin(hint) or hint
    if origin is collections.abc.Callable:
        return callable, "a function"
    if origin in (collections.abc.Mapping, dict):
        return (lambda value: isinstance(value, Mapping)), "a dictionary"
    if origin in _LISTS:
        of = (typing.get_args(hint) or (Any,))[0]
        if of in _PLURAL:
            return functools.partial(_is_list_of, _SIMPLE[of][0]), f"a list of {_PLURAL[of]}"
        return _is_list, "a list"
    if getattr(origin, "__module__", "") == "numpy" and getattr(origin, "__name__", "") == "ndarray":
        return _is_array, "an array of numbers"
    own = isinstance(origin, type) and origin.__module__.startswith("nabi.")
    if own and not getattr(origin, "_is_protocol", False):
        article = "an" if origin.__name__[0] in "AEIOU" else "a"
        return (lambda value: isinstance(value, origin)), f"{article} {origin.__name__}"
    return None


def _in_python(number: type, value: Any) -> Any:
    """Convert a NumPy number or a tensor without axes to the expected type; return others unchanged."""
    if number is bool:
        return bool(value) if _is_flag(value) else value
    found = _checks.as_real(value) if number is float else _checks.as_whole(value, floats=False)
    return value if found is None else found


def _is_flag(value: Any) -> bool:
    """Tell whether a value is True or False, also NumPy's, or 1 or 0, which users write instead."""
    if getattr(value, "ndim", 0) != 0:
        return False
    return (
        isinstance(value, bool)
        or str(getattr(value, "dtype", "")) == "bool"
        or (_checks.as_whole(value, floats=False) in (0, 1))
    )


def _is_whole(value: Any) -> bool:
    number = _checks.as_whole(value, floats=True)
    return number is not None and -_MOST <= number < _MOST


def _is_real(value: Any) -> bool:
    return _checks.as_real(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, _TEXT) and getattr(value, "ndim", 1) != 0


def _is_list_of(test: Callable[[Any], bool], value: Any) -> bool:
    if not _is_list(value) or getattr(value, "ndim", 1) != 1:
        return False
    # An iterator can be read only once, so it is left for the function itself.
    return not isinstance(value, list | tuple) or all(map(test, value))


def _is_array(value: Any) -> bool:
    try:
        return sys.modules["numpy"].asarray(value).dtype.kind in "biuf"
    except (TypeError, ValueError, RuntimeError):  # rows of different lengths, or not numbers
        return False


_SIMPLE: dict[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (_is_flag, "True or False"),
    int: (_is_whole, "a whole number"),
    float: (_is_real, "a number"),
    str: (_is_text, "a text"),
}

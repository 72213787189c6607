"""Lookup of objects by name, class or config, shared by initializers and regularizers."""

import re
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any, TypeVar

from nabi.errors import ArgumentError, unknown_name

__all__ = ["find", "name_of_function", "snake_case", "to_config"]

Kind = TypeVar("Kind")


def snake_case(name: str) -> str:
    """Return a class name in the form of Keras' function names.

    >>> snake_case("GlorotUniform"), snake_case("SimpleRNN"), snake_case("MaxPooling1D"), snake_case("L1L2")
    ('glorot_uniform', 'simple_rnn', 'max_pooling1d', 'l1l2')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


def find(
    argument: str, given: object, known: Mapping[str, type[Kind]], aliases: Mapping[str, str]
) -> Kind | Callable[..., Any] | None:
    """Return the object for a name, config dictionary, class or callable.

    `known` maps class names to classes; their snake_case forms and the `aliases` are accepted too.
    `None` stays `None`, and a callable that is not a class is returned unchanged.
    Raises `UnknownNameError` for an unknown name and `ArgumentError` for anything else.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return _by_name(argument, given, known, aliases)()
    if isinstance(given, Mapping):
        if "class_name" not in given:
            raise ArgumentError(
                f"{argument}: expected a config with 'class_name' and 'config', got keys {sorted(given)}"
            )
        return _by_name(argument, given["class_name"], known, aliases)(**given.get("config", {}))
    if isinstance(given, type):
        created: Kind = given()
        return created
    if callable(given):
        return given
    raise ArgumentError(
        f"{argument}: expected a name, an object, a callable or a config dictionary, "
        f"got {given!r} of type {type(given).__name__}"
    )


def _by_name(
    argument: str, name: str, known: Mapping[str, type[Kind]], aliases: Mapping[str, str]
) -> type[Kind]:
    names = {snake_case(class_name): class_name for class_name in known} | dict(aliases)
    class_name = name if name in known else names.get(name)
    if class_name is None:
        raise unknown_name(argument, name, names)
    return known[class_name]


def name_of_function(value: object) -> str | None:
    """Return the name by which a function can be looked up; None for a lambda or another object.

    >>> name_of_function(snake_case), name_of_function(lambda: 0)
    ('snake_case', None)
    """
    if not isinstance(value, FunctionType | BuiltinFunctionType) or not value.__name__.isidentifier():
        return None
    return value.__name__ if "<locals>" not in value.__qualname__ else None


def to_config(argument: str, value: object) -> dict[str, Any] | None:
    """Describe an object as JSON-able `{"class_name", "config"}` for `find`; a function by name."""
    if value is None:
        return None
    name = name_of_function(value)
    if name is not None:
        return {"class_name": name, "config": {}}
    get_config = getattr(value, "get_config", None)
    if get_config is None:
        raise ArgumentError(
            f"{argument}: {value!r} has no get_config(), so it can't be written to a config; "
            "use a function defined with def, a class with get_config(), or one of the named ones"
        )
    return {"class_name": type(value).__name__, "config": get_config()}

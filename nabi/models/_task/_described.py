"""Dataclasses of plain values, to and from what JSON can hold."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from nabi.errors import ArgumentError

__all__ = ["Described", "check_fields", "reading_report"]


class Described:
    """Base of dataclasses of plain values, which check them when they are made."""

    _called: ClassVar[str] = "settings"
    """The name of such an object in messages."""

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, as JSON can hold them and gives them back: lists for tuples."""
        values: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return {name: list(one) if isinstance(one, tuple) else one for name, one in values.items()}

    @classmethod
    def from_dict(cls, described: Any) -> Self:
        """Make the object that `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        if not isinstance(described, dict) or sorted(described) != sorted(names):
            raise ArgumentError(f"{cls._called}: expected a dictionary with {', '.join(names)}")
        check_fields(cls, described, cls._called)
        return cls(**described)


def check_fields(kind: type, values: Mapping[str, Any], called: str) -> None:
    """Refuse values of other types than a dataclass has for its fields; a list will do for a tuple.

    Raises:
        ArgumentError: for such a value.
    """
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name in values and not _is_of(values[field.name], hints[field.name]):
            wanted = (
                field.type if isinstance(field.type, str) else getattr(field.type, "__name__", field.type)
            )
            raise ArgumentError(
                f"{called}.{field.name}: expected {wanted}, got {repr(values[field.name])[:80]}"
            )


def _is_of(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint) or hint, get_args(hint)
    if origin is UnionType:
        return any(_is_of(value, one) for one in parts)
    if origin in (list, tuple):
        return isinstance(value, list | tuple) and all(_is_of(one, parts[0]) for one in value)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is NoneType:
        return value is None
    return isinstance(value, origin)


@contextmanager
def reading_report() -> Iterator[None]:
    """Say of what fails inside that it is no report.

    Raises:
        ArgumentError: where what is described is something else.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ArgumentError(f"described: expected a report, as to_dict gives it ({problem})") from problem

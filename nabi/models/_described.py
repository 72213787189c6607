"""Dataclasses of plain values, to and from what JSON can hold."""

from dataclasses import asdict, fields
from typing import Any, ClassVar, Self

from nabi.errors import ArgumentError

__all__ = ["Described"]


class Described:
    """Base of dataclasses of plain values, which check them when they are made."""

    _called: ClassVar[str] = "settings"
    """The name of such an object in messages."""

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, as JSON can hold them."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, described: Any) -> Self:
        """Make the object that `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        if not isinstance(described, dict) or sorted(described) != sorted(names):
            raise ArgumentError(f"{cls._called}: expected a dictionary with {', '.join(names)}")
        return cls(**described)

"""Classes of few fields that never change, ready at once.

A frozen dataclass writes the source of its methods and compiles it whenever its module is loaded: half a
millisecond for each class, twenty times as long as Python needs for the class itself. The first call of a
layer loads some twenty of them. A record has the methods of this module instead; making one takes a few
microseconds longer, and `torch.compile` does not read how: for what is made seldom, and not in a call.
"""

from typing import Any, NoReturn, TypeVar, dataclass_transform

__all__ = ["record"]

_Class = TypeVar("_Class", bound=type[Any])


@dataclass_transform(eq_default=False, frozen_default=True)
def record(cls: _Class) -> _Class:
    """Make a class like `dataclass(frozen=True, eq=False, repr=False)`.

    Its annotated attributes are its fields, in their order; an attribute that the class gives a value is the
    field's default. Objects are compared by identity. What `cached_property` keeps is no field.

    >>> @record
    ... class Tile:
    ...     rows: int
    ...     vectors: int = 1
    >>> Tile(4).vectors, Tile(rows=4, vectors=2).rows
    (1, 4)
    >>> Tile(4).rows = 2
    Traceback (most recent call last):
    AttributeError: rows: a Tile does not change
    """
    kind: Any = cls
    kind._fields = tuple(vars(cls).get("__annotations__", {}))
    kind._defaults = {name: vars(cls)[name] for name in kind._fields if name in vars(cls)}
    kind.__init__, kind.__setattr__, kind.__delattr__ = _init, _set, _delete
    return cls


def _init(self: Any, *given: Any, **named: Any) -> None:
    kind = type(self)
    fields = kind._fields
    found = {**kind._defaults, **dict(zip(fields, given, strict=False)), **named}
    too_many = len(given) > len(fields) or not named.keys().isdisjoint(fields[: len(given)])
    if too_many or len(found) != len(fields) or not all(name in found for name in fields):
        values = f"{len(given)} values" + (f" and {', '.join(named)}" if named else "")
        raise TypeError(f"{kind.__name__}: expected {', '.join(fields)}, got {values}")
    self.__dict__.update(found)


def _set(self: Any, name: str, _: Any) -> NoReturn:
    raise AttributeError(f"{name}: a {type(self).__name__} does not change")


def _delete(self: Any, name: str) -> NoReturn:
    raise AttributeError(f"{name}: a {type(self).__name__} does not change")

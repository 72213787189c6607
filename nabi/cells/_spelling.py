"""Wrapped cells by name: `zoneout(gru)`, `residual(layer-norm(lstm))`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nabi.cells._wrappers import Wrapper
from nabi.errors import ArgumentError, unknown_name
from nabi.ir import Cell

__all__ = ["read", "wrapped"]

_MADE: dict[tuple[type[Wrapper], type[Cell]], type[Cell]] = {}


def wrapped(wrapper: type[Wrapper], kind: type[Cell]) -> type[Cell]:
    """Return what makes a wrapped cell from its units: `wrapped(Zoneout, GRU)(64)` is `Zoneout(GRU(64))`.

    Its arguments are those of both; one that both have belongs to the wrapper.
    """
    if (wrapper, kind) in _MADE:
        return _MADE[wrapper, kind]
    own = {field.name: field for field in dataclasses.fields(wrapper) if field.init and field.name != "cell"}
    others = {field.name: field for field in dataclasses.fields(kind) if field.name not in own}

    def make(cls: type[Cell], units: int, **arguments: Any) -> Cell:
        mine = {name: value for name, value in arguments.items() if name in own}
        return wrapper(kind(units, **{n: v for n, v in arguments.items() if n not in own}), **mine)

    name = f"{wrapper.__name__}({kind.__name__})"
    members: dict[str, Any] = {"__new__": make, "__doc__": wrapper.__doc__, "__module__": __name__}
    # What a kind of cell needs is asked before there is a cell.
    for asked in ("known_inputs", "needed_inputs", "needed_settings"):
        members[asked] = staticmethod(getattr(kind, asked))
    found = type(name, (wrapper,), members)
    found.__dataclass_fields__ = {**others, **own}  # type: ignore[attr-defined]
    return _MADE.setdefault((wrapper, kind), found)


def read(name: str, wrappers: Mapping[str, type[Wrapper]], find: Callable[[str], type[Cell]]) -> type[Cell]:
    """Return the class that a name with brackets stands for.

    Raises:
        ArgumentError: the brackets do not fit.
        UnknownNameError: a wrapper or the cell is unknown.
    """
    outer, _, rest = name.partition("(")
    if not rest.endswith(")") or not rest[:-1]:
        raise ArgumentError(f"cell: expected a name such as zoneout(gru), got {name!r}")
    if outer not in wrappers:
        raise unknown_name("cell: wrapper", outer, wrappers)
    return wrapped(wrappers[outer], find(rest[:-1]))

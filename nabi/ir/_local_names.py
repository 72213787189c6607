"""The names that a step gives to its values: those of its variables, and of the steps that it calls."""

from collections.abc import Iterator, Mapping
from typing import Any

from nabi.ir._composing import Composing
from nabi.ir._graph._nodes import Node, Trace

__all__ = ["local_names"]


def local_names(cell: Composing, trace: Trace) -> dict[int, str]:
    """Collect the variable names of the step, to print the equations as written.

    The values of a list are named with numbers: what a loop appends to `g` becomes `g1`, `g2`, ...
    """
    names: dict[int, str] = {}
    for frame, part in trace.frames.values():
        if frame.f_locals.get("self") is not (part.cell or cell):
            continue
        for name, value in _with_lists(frame.f_locals):
            if part.prefix:
                name = f"{name.removesuffix('_t')}_{part.prefix}"
            # If a step calls another one, its own name for a value is better than `h_t`, the final state.
            if isinstance(value, Node) and names.get(value.index, "").removesuffix("_t") in (
                "",
                *cell.states,
                cell.output,
            ):
                names[value.index] = name
    trace.frames.clear()
    return names


def _with_lists(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a frame, and those of its lists, unless a list's name begins with `_`."""
    for name, value in found.items():
        yield name, value
    for name, value in found.items():
        if isinstance(value, list) and not name.startswith("_"):
            numbered = [one for one in value if isinstance(one, Node) and one.arguments]
            yield from ((f"{name}{number}", one) for number, one in enumerate(numbered, 1))

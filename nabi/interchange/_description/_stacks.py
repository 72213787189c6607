"""Recurrent layers among named tensors, recognised by names and shapes.

Three ways of naming are known: torch's (`weight_ih_l0`), TensorFlow 1's (one kernel for input and state under
the name of a cell), and Keras' (`kernel`, `recurrent_kernel`, `bias`, or numbers in the order of these).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from nabi.interchange._tensorflow._cells import FoundCell, find_cells

__all__ = ["Stack", "find_stacks"]

Shapes = Mapping[str, tuple[int, ...]]

_TORCH = re.compile(
    r"^(?:(?P<path>.+)\.)?(?P<role>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?:_l(?P<layer>\d{1,4})(?P<reverse>_reverse)?)?$"
)
# A kernel for the input and one for the state stand beside each other, in Keras' files by number.
_KERAS = re.compile(
    r"^(?:(?P<path>.+)[./])?(?P<role>kernel|recurrent_kernel|bias|b_x|b_h|vars/[012])(?::0)?$"
)
_NUMBERED = {"vars/0": "kernel", "vars/1": "recurrent_kernel", "vars/2": "bias"}
_KINDS = {1: "RNN", 3: "GRU", 4: "LSTM"}
# Parts of a path that say nothing of the layer.
_INNER = re.compile(r"(?:[./](?:cell|lstm_cell|gru_cell|simple_rnn_cell))(?:_\d+)?$")
_FORWARD_FIRST = ("fw", "forward", "bw", "backward")
_DIRECTION = re.compile(r"(?P<before>.*?)[./]?(?P<which>forward|backward)(?P<after>_[a-z].*)?$")


@dataclass(frozen=True)
class Stack:
    """Recurrent layers of one kind, one on top of the other.

    Attributes:
        path: what the names of its tensors begin with.
        kind: "RNN", "GRU" or "LSTM"; for a stack of several kinds these, from the input up.
        inputs, units: widths; `units` of each layer where they differ.
        layers: their number.
        directions: 1 or 2.
        notes: peepholes, projection, where the reset gate is.
    """

    path: str
    kind: str
    inputs: int
    units: tuple[int, ...]
    layers: int = 1
    directions: int = 1
    notes: tuple[str, ...] = ()


def find_stacks(shapes: Shapes) -> list[Stack]:
    """Return the recurrent layers among tensors of these shapes, by name."""
    found = [*_of_torch(shapes), *_of_tensorflow(shapes), *_of_keras(shapes)]
    return sorted(found, key=lambda stack: stack.path)


def _of_torch(shapes: Shapes) -> Iterable[Stack]:
    groups: dict[str, dict[tuple[int, bool], dict[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        match = _TORCH.match(name)
        if match is not None:
            place = (int(match["layer"] or 0), match["reverse"] is not None)
            groups.setdefault(match["path"] or "", {}).setdefault(place, {})[match["role"]] = shape
    for path, parts in groups.items():
        first = parts.get((0, False), {})
        inner, outer = first.get("weight_hh", ()), first.get("weight_ih", ())
        if len(inner) != 2 or len(outer) != 2 or inner[0] != outer[0] or not inner[1]:
            continue
        projected = first.get("weight_hr")
        units = projected[1] if projected and len(projected) == 2 else inner[1]
        kind = _KINDS.get(inner[0] // units) if units and inner[0] % units == 0 else None
        if kind is not None:
            layers, directions = 1 + max(layer for layer, _ in parts), 1 + any(back for _, back in parts)
            notes = (f"projection to {projected[0]}",) if projected else ()
            yield Stack(path, kind, outer[1], (units,), layers, directions, notes)


def _of_tensorflow(shapes: Shapes) -> Iterable[Stack]:
    stacks: dict[str, list[FoundCell]] = {}
    for cell in find_cells(shapes):
        if cell.kind is not None:
            stacks.setdefault(cell.layer[0] if cell.layer else cell.path, []).append(cell)
    found = []
    for path, cells in stacks.items():
        kinds = [(cell.kind or "").upper() for cell in cells]
        units = [cell.units for cell in cells]
        notes = [note for cell in cells for note in _notes(cell)]
        found.append(
            Stack(
                path, _joined(kinds), cells[0].inputs, tuple(_once(units)), len(cells), 1, tuple(_once(notes))
            )
        )
    return _two_directions(found, re.compile(r"^(?P<before>.*?)/?\b(?P<which>fw|bw|FW|BW)\b(?P<after>/.*)?$"))


def _notes(cell: FoundCell) -> list[str]:
    notes = ["peepholes"] if cell.has_peepholes else []
    notes += [f"projection to {cell.outputs}"] if cell.has_projection else []
    return notes + (["reset before"] if cell.kind == "gru" else [])


def _of_keras(shapes: Shapes) -> Iterable[Stack]:
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        match = _KERAS.match(name)
        if match is not None:
            role = _NUMBERED.get(match["role"], match["role"])
            groups.setdefault(match["path"] or "", {})[role] = shape
    found = []
    for path, roles in groups.items():
        kernel, inner = roles.get("kernel", ()), roles.get("recurrent_kernel", ())
        if len(kernel) != 2 or len(inner) != 2 or kernel[1] != inner[1] or not inner[0]:
            continue
        gates, rest = divmod(inner[1], inner[0])
        if rest or gates not in _KINDS:
            continue
        notes: tuple[str, ...] = ()
        if gates == 3:
            after = len(roles.get("bias", ())) == 2 or "b_x" in roles
            notes = ("reset after",) if after else ("reset before",) if "bias" in roles else ()
        found.append(Stack(_INNER.sub("", path), _KINDS[gates], kernel[0], (inner[0],), 1, 1, notes))
    return _two_directions(found, _DIRECTION)


def _two_directions(stacks: list[Stack], pattern: re.Pattern[str]) -> list[Stack]:
    """Join two stacks that differ in the name of the direction alone."""
    joined: dict[tuple[str, str], dict[str, Stack]] = {}
    alone = []
    for stack in stacks:
        match = pattern.match(stack.path)
        if match is None:
            alone.append(stack)
        else:
            place = joined.setdefault((match["before"], match["after"] or ""), {})
            place[match["which"].lower()] = stack
    for (before, _), both in joined.items():
        pair = [both[which] for which in sorted(both, key=_FORWARD_FIRST.index)]
        first = pair[0]
        if len(pair) == 2 and all(
            replace(one, path="", units=()) == replace(first, path="", units=()) for one in pair
        ):
            units = tuple(_once([size for one in pair for size in one.units]))
            alone.append(replace(first, path=before, units=units, directions=2))
        else:
            alone += pair
    return alone


_Value = TypeVar("_Value", int, str)


def _once(values: list[_Value]) -> list[_Value]:
    """Return a value that all have, once; otherwise all."""
    return values[:1] if len(set(values)) == 1 else values


def _joined(kinds: list[str]) -> str:
    return ", ".join(_once(kinds))

"""The lines between two columns: each value has its own vertical track, so that lines do not overlap."""

from dataclasses import dataclass
from itertools import permutations

from nabi.targets.picture._graph import Box
from nabi.targets.picture._layering import Layout

__all__ = ["Wire", "make_wires"]

_EQUAL = 0.02
_NUDGE = 0.06


@dataclass
class Wire:
    """One value between two columns.

    Attributes:
        net: the box whose value it carries.
        start: height at which it leaves the left column.
        ends: heights at which it enters the right column, and whether with an arrow head.
        track: its vertical track between the columns, None if it is straight.
    """

    net: Box
    start: float
    ends: list[tuple[float, bool]]
    track: int | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest point."""
        heights = [self.start, *(end for end, _ in self.ends)]
        return min(heights), max(heights)


def make_wires(layout: Layout, column: int) -> tuple[list[Wire], int]:
    """Return the wires from a column to the next, and the number of vertical tracks.

    If two values swap places, no order of their tracks keeps them apart; the target of one of them is then
    moved slightly.
    """
    for _ in range(6):
        wires, bent = _order_wires(layout, column)
        heights = _clashes(bent)
        if not sum(_move(layout, column, height) for height in heights):
            break
    return wires, len(bent)


def _move(layout: Layout, column: int, height: float) -> bool:
    """Move the target that a wire enters at a height, if it is free to move."""
    moved = False
    for element in layout.columns[column + 1]:
        if element.box is None or element.box.round:
            if element.rank == 0 and abs(element.y - height) < _EQUAL:
                element.y -= _NUDGE
                moved = True
        elif element.box.kind != "sink":
            for place, (net, shift) in enumerate(element.inputs):
                if abs(element.y + shift - height) < _EQUAL:
                    element.inputs[place] = (net, shift - _NUDGE)
                    moved = True
    return moved


def _clashes(order: list[Wire]) -> list[float]:
    return [
        right.start
        for place, left in enumerate(order)
        for right in order[place + 1 :]
        if any(abs(end - right.start) < _EQUAL for end, _ in left.ends)
    ]


def _order_wires(layout: Layout, column: int) -> tuple[list[Wire], list[Wire]]:
    wires: dict[Box, Wire] = {}
    for start, end, shift in layout.edges(column):
        wire = wires.setdefault(start.net, Wire(start.net, start.y, []))
        wire.ends.append((end.y + shift, end.box is not None and end.box.kind != "sink"))
    bent = [wire for wire in wires.values() if any(abs(end - wire.start) > _EQUAL for end, _ in wire.ends)]
    bent = _best_order(bent)
    for track, wire in enumerate(bent):
        wire.track = track
    return list(wires.values()), bent


def _best_order(wires: list[Wire]) -> list[Wire]:
    if len(wires) <= 6:
        return list(min(permutations(wires), key=lambda order: _cost(list(order))))
    chosen: list[Wire] = []
    for wire in wires:
        tries = [[*chosen[:place], wire, *chosen[place:]] for place in range(len(chosen) + 1)]
        chosen = min(tries, key=_cost)
    return chosen


def _cost(order: list[Wire]) -> float:
    """Return the cost of an order: crossings, and a large penalty for overlapping lines of two values."""
    cost = 0.0
    for place, left in enumerate(order):
        for right in order[place + 1 :]:
            low, high = right.span
            for end, _ in left.ends:  # a line to the right of the left track crosses the right one
                cost += low - _EQUAL < end < high + _EQUAL
            low, high = left.span
            cost += low - _EQUAL < right.start < high + _EQUAL
    return cost + 100 * len(_clashes(order))

"""Vertical coordinates of the boxes: close to their neighbours, so that most lines are straight."""

from itertools import pairwise

from nabi.targets.picture._graph import Box, Graph
from nabi.targets.picture._layering import Element, Layout

__all__ = ["set_heights", "straighten"]

GAP = 0.17
PORT = 0.15


def set_heights(
    layout: Layout, graph: Graph, fixed: set[Element], lines: dict[Box, list[Element]], scale: float
) -> float:
    """Set the vertical position of every element and return the total height."""
    # A state enters and leaves at the same height: the first at the bottom, the others above.
    inner = layout.columns[1:-1]
    tallest = scale * max(sum(element.height + GAP for element in column) - GAP for column in inner)
    count = len(graph.before)
    apart = max(0.3, tallest / max(count - 1, 1) if count <= 2 else 0.3)
    for number, (before, after) in enumerate(zip(graph.before, graph.after, strict=True)):
        height = tallest / 2 - apart * (count - 1 - number) if count <= 2 or number else -tallest / 2
        if count == 1 and before not in lines:
            height = 0.0
        layout.at[before, 0].y = layout.at[after, len(layout.columns) - 1].y = height
        for element in lines.get(before, []):
            element.y = height
            fixed.add(element)
    bottom = layout.at[graph.before[0], 0].y if count > 1 or not lines else -tallest / 2
    for number, box in enumerate(graph.inputs):
        layout.at[box, 0].y = bottom - 0.3 * (number + 1)
    for column in inner:
        _spread(column, {element: [(element.y, 100.0 if element in fixed else 1.0)] for element in column})
    _relax(layout, fixed)
    _close_gap(layout, fixed)
    _relax(layout, fixed)
    every = [element for column in layout.columns for element in column]
    return max(e.y + e.height / 2 for e in every) - min(e.y - e.height / 2 for e in every)


def straighten(layout: Layout) -> None:
    """Remove small bends: lanes keep the height they come from, lines enter boxes where they arrive."""
    for number in range(1, len(layout.columns) - 1):
        column = layout.columns[number]
        for place, element in enumerate(column):
            if element.box is None:
                wish = layout.at[element.net, number - 1].y
                others = [column[other] for other in (place - 1, place + 1) if 0 <= other < len(column)]
                if all(abs(wish - other.y) >= other.height / 2 + 0.1 for other in others) and (
                    all((wish - other.y) * (element.y - other.y) > 0 for other in others)
                ):
                    element.y = wish
        for element in column:
            if element.box is None or element.box.round or element.box.ordered:
                continue
            for place, (net, _) in enumerate(element.inputs):
                shift = layout.at[net, number - 1].y - element.y
                ports = [other for position, (_, other) in enumerate(element.inputs) if position != place]
                if abs(shift) > element.height / 2 - 0.08:
                    continue
                if all(abs(shift - other) > 0.09 for other in ports):
                    element.inputs[place] = (net, shift)
                elif len(ports) == 1 and abs(shift) < 0.05:
                    # Make room for the other line on its side.
                    other_net, other = element.inputs[1 - place]
                    moved = shift + (0.15 if other > shift else -0.15)
                    element.inputs[place], element.inputs[1 - place] = (net, shift), (other_net, moved)


def _relax(layout: Layout, fixed: set[Element]) -> None:
    for _ in range(30):
        for order in (range(1, len(layout.columns) - 1), range(len(layout.columns) - 2, 0, -1)):
            for number in order:
                _settle(layout, number, fixed)
    for _ in range(6):
        for number in range(1, len(layout.columns) - 1):
            _settle(layout, number, fixed)


def _close_gap(layout: Layout, fixed: set[Element]) -> None:
    """Move the lines at the top down, close to the elements below."""
    upper = {element for element in fixed if element.rank < 0}
    rooms = []
    for column in layout.columns[1:-1]:
        for high, low in pairwise(column):
            if high in upper and low not in upper:
                rooms.append(high.y - low.y - (high.height + low.height) / 2 - GAP)
    down = min(rooms, default=0.0)
    nets = {element.net for element in upper}
    for element in fixed:
        ends = element.column in (0, len(layout.columns) - 1)
        if element in upper or (ends and (element.net in nets or {*element.net.reads} & nets)):
            element.y -= max(down, 0.0)


def _settle(layout: Layout, number: int, fixed: set[Element]) -> None:
    column = layout.columns[number]
    wishes: dict[Element, list[tuple[float, float]]] = {element: [] for element in column}
    for element in column:
        _set_ports(layout, element)
    for start, end, shift in layout.edges(number - 1):
        wishes[end].append((start.y - shift, 3.0 if end.box is None else 2.0 if end.box.round else 1.0))
    for start, end, shift in layout.edges(number):
        wishes[start].append((end.y + shift, 4.0 if end in fixed else 1.5 if start.box is None else 1.0))
    for element in column:
        if element in fixed:
            wishes[element] = [(element.y, 100.0)]
    _spread(column, {element: found or [(element.y, 0.1)] for element, found in wishes.items()})


def _set_ports(layout: Layout, element: Element) -> None:
    if element.box is None:
        return
    nets = [net for net, _ in element.inputs]
    if not element.box.ordered:
        nets.sort(key=lambda net: -layout.at[net, element.column - 1].y)
    middle = (len(nets) - 1) / 2
    step = min(PORT, (element.height - 0.1) / max(len(nets) - 1, 1)) if not element.box.round else 0.12
    element.inputs = [(net, (middle - place) * step) for place, net in enumerate(nets)]


def _spread(column: list[Element], wishes: dict[Element, list[tuple[float, float]]]) -> None:
    """Give each element of a column the height closest to its wishes (weighted medians) without overlap."""
    blocks: list[tuple[list[tuple[Element, float]], list[tuple[float, float]], float]] = []
    offset, previous = 0.0, None
    for element in column:
        if previous is not None:
            offset += (previous.height + element.height) / 2 + GAP
        previous = element
        members, wanted = [(element, offset)], [(wish + offset, weight) for wish, weight in wishes[element]]
        value = _median(wanted)
        # Heights must fall from top to bottom; elements that would violate this move together as a block.
        while blocks and blocks[-1][2] < value:
            before = blocks.pop()
            members, wanted = before[0] + members, before[1] + wanted
            value = _median(wanted)
        blocks.append((members, wanted, value))
    for members, _, value in blocks:
        for element, down in members:
            element.y = value - down


def _median(wanted: list[tuple[float, float]]) -> float:
    ordered = sorted(wanted)
    half, total = sum(weight for _, weight in ordered) / 2, 0.0
    for position, (value, weight) in enumerate(ordered):
        total += weight
        if abs(total - half) < 1e-9 and position + 1 < len(ordered):
            return (value + ordered[position + 1][0]) / 2
        if total > half:
            return value
    return ordered[-1][0]

"""The columns of a picture: each box is in the column after its inputs, with lanes for passing values."""

from dataclasses import dataclass, field

from nabi.targets.picture._graph import Box, Graph

__all__ = ["Element", "Layout", "find_lines", "make_columns"]


@dataclass(eq=False)
class Element:
    """A box in its column, or the lane of a value that passes through a column.

    Attributes:
        net: the box whose value it carries.
        box: the box itself, None for a lane.
        column: counted from the left.
        goes_on: whether the value is read in a later column.
        y: vertical position of its middle.
        rank: negative for elements above all others in every column, positive for those below.
        inputs: the values that enter from the left, from top to bottom, and their offsets from the middle.
    """

    net: Box
    box: Box | None
    column: int
    width: float
    height: float
    goes_on: bool = False
    y: float = 0.0
    rank: int = 0
    inputs: list[tuple[Box, float]] = field(default_factory=list)


@dataclass
class Layout:
    """Elements of each column from top to bottom; `corners` are (lane, circle) joined by a vertical line."""

    columns: list[list[Element]]
    corners: list[tuple[Element, Element]]
    at: dict[tuple[Box, int], Element]

    def edges(self, column: int) -> list[tuple[Element, Element, float]]:
        """Return the edges from a column to the next: start, end, and offset from the middle of the end."""
        found = []
        for element in self.columns[column + 1]:
            if element.box is None:
                found.append((self.at[element.net, column], element, 0.0))
            else:
                found += [(self.at[net, column], element, shift) for net, shift in element.inputs]
        return found


def make_columns(graph: Graph, size: dict[Box, tuple[float, float]]) -> Layout:
    sources = [*reversed(graph.before), *graph.inputs]
    depth = dict.fromkeys(sources, 0)
    for box in graph.boxes:
        for read in box.reads:
            depth.setdefault(read, 0)
        depth[box] = 1 + max((depth[read] for read in box.reads), default=0)
    readers: dict[Box, list[Box]] = {}
    for box in (*graph.boxes, *graph.after):
        for read in box.reads:
            readers.setdefault(read, []).append(box)
    last = 1 + max(depth.values())
    depth |= dict.fromkeys(graph.after, last)
    # A box that only rescales a state is placed next to its reader, not as early as possible.
    for box in reversed(graph.boxes):
        if len(box.reads) == 1 and depth[box.reads[0]] == 0 and not box.weights and box in readers:
            depth[box] = min(depth[reader] for reader in readers[box]) - 1
    columns: list[list[Element]] = [[] for _ in range(last + 1)]
    at: dict[tuple[Box, int], Element] = {}
    corners: list[tuple[Element, Element]] = []
    for box in (*sources, *graph.boxes, *reversed(graph.after)):
        element = Element(box, box, depth[box], *size[box])
        columns[depth[box]].append(element)
        at[box, depth[box]] = element
    for box in (*sources, *graph.boxes):
        element = at[box, depth[box]]
        ends = {depth[reader]: False for reader in readers.get(box, [])}
        for reader in readers.get(box, []):
            ends[depth[reader]] |= _second(reader, depth) is box
        for column in range(depth[box] + 1, max(ends, default=0) + 1):
            passes = column < max(ends)
            if passes or ends[column]:
                at[box, column] = Element(box, None, column, 0.0, 0.0, goes_on=passes)
                columns[column].append(at[box, column])
        element.goes_on = bool(ends)
    for box in graph.boxes:
        second = _second(box, depth)
        if second is not None:
            corners.append((at[second, depth[box]], at[box, depth[box]]))
    for box in (*graph.boxes, *graph.after):
        reads = [read for read in dict.fromkeys(box.reads) if read is not _second(box, depth)]
        at[box, depth[box]].inputs = [(read, 0.0) for read in reads]
    return Layout(columns, corners, at)


def _second(box: Box, depth: dict[Box, int]) -> Box | None:
    """Return the value that enters a circle from above or below: the one computed last."""
    reads = list(dict.fromkeys(box.reads))
    if not box.round or len(reads) != 2:
        return None
    first, second = reads
    # The line of a state passes through the circles on it.
    if first.kind == "source" or (first.round and not second.round):
        return second
    if second.kind == "source" or (second.round and not first.round):
        return first
    return first if depth[first] > depth[second] else second


def find_lines(layout: Layout, graph: Graph) -> dict[Box, list[Element]]:
    """Find the states that pass through the step on a line of their own, such as the cell of an LSTM.

    Such a line leads from the previous state through circles to the new state. Its elements are ranked, so
    that it is above everything else (the output's line is below, if other states have lines too).
    """
    lines: dict[Box, list[Element]] = {}
    count = len(graph.before)
    for number, (start, end) in enumerate(zip(graph.before, graph.after, strict=True)):
        line: list[Element] = []
        value, column = end.reads[0], len(layout.columns) - 2
        while column > 0:
            element = layout.at.get((value, column))
            if element is None:
                break
            line.append(element)
            if element.box is not None:
                if not element.inputs or element.box.kind not in ("map", "source"):
                    break
                value = element.inputs[0][0]
            column -= 1
        if column == 0 and value is start:
            lines[start] = line
            for element in line:
                element.rank = 1 if number == 0 and count > 1 else -1 - number
    return lines

"""Drawing the inside of one step into a rectangle of a figure."""

from typing import TYPE_CHECKING, Any

from nabi.targets.picture._graph import Box, Graph
from nabi.targets.picture._layering import Element, Layout
from nabi.targets.picture._layout import arrange
from nabi.targets.picture._style import FILLS, INPUT, LINE, PANEL, STATES, text_size
from nabi.targets.picture._wires import Wire, make_wires

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

__all__ = ["Step"]

LABEL, WEIGHTS, NAME = 12.0, 8.5, 9.5  # font sizes in points
CIRCLE = 0.34
_TRACK = 0.15
_INPUTS = 0.5  # between inputs that enter from below
_WIDTH = 1.4  # of lines, in points


class Step:
    """One step, laid out and ready to be drawn.

    Attributes:
        width: in inches, from where the states enter to where they leave.
        top, bottom: heights of the highest and the lowest point.
        states: the height at which each state enters and leaves, in the order of the cell's states.
        input_at: horizontal position at which each input enters from below.
        output_at: horizontal position at which the output leaves upwards.
    """

    def __init__(self, graph: Graph, readouts: int = 0) -> None:
        self.graph, self.readouts = graph, readouts
        everything = [*graph.boxes, *graph.before, *graph.inputs, *graph.after]
        self.layout: Layout = arrange(graph, {box: _size(box) for box in everything})
        self._place()
        self.colours: dict[Box, str] = dict.fromkeys(graph.inputs, INPUT)
        for number, (before, after) in enumerate(zip(graph.before, graph.after, strict=True)):
            colour = STATES[min(number, len(STATES) - 1)]
            self.colours[before] = colour
            self.colours.setdefault(after.reads[0], colour)
            self.colours[after] = colour
        elements = [element for column in self.layout.columns for element in column]
        self.top = max(element.y + element.height / 2 for element in elements)
        self.bottom = min(element.y - element.height / 2 for element in elements)
        self.states = [self.layout.at[box, 0].y for box in graph.before]

    def _place(self) -> None:
        """Set the left and right edge of every column, with room for names, vertical lines and arrows."""
        self.left: list[float] = []
        self.right: list[float] = []
        self.wires: list[tuple[list[Wire], float]] = []
        at = 0.0
        columns = self.layout.columns
        for number, column in enumerate(columns):
            width = max(element.width for element in column)
            if number == 0:
                width = 0.48 + _INPUTS * (len(self.graph.inputs) - 1)
            self.left.append(at)
            at += width
            self.right.append(at)
            if number == len(columns) - 1:
                break
            wires, tracks = make_wires(self.layout, number)
            named = [text_size(f"${e.box.name}$", NAME)[0] for e in column if e.box and e.box.name and number]
            label = max(named, default=0.0)
            self.wires.append((wires, at + (label + 0.16 if label else 0.1)))
            at += (label + 0.16 if label else 0.1) + _TRACK * max(tracks - 1, 0) + (0.24 if tracks else 0.12)
        self.width = at + 0.26
        self.input_at = [0.26 + _INPUTS * number for number in range(len(self.graph.inputs))]
        self.output_at = self.left[-1]

    def draw(self, axes: "Axes", x: float, y: float, top: float, bottom: float) -> None:
        """Draw the step with its left edge at `x` and height 0 at `y`; inputs enter from `bottom`."""
        self.axes, self.x, self.y = axes, x, y
        dots: list[tuple[float, float, str]] = []
        for number in range(len(self.layout.columns)):
            for element in self.layout.columns[number]:
                self._draw_lane(element, dots)
            if number < len(self.wires):
                for wire in self.wires[number][0]:
                    self._draw_wire(wire, number, dots)
        for lane, circle in self.layout.corners:
            middle = self._middle(circle)
            edge = circle.y + (CIRCLE / 2 if lane.y > circle.y else -CIRCLE / 2)
            self._line([(middle, lane.y), (middle, edge)], self._colour(lane.net), arrow=True)
            if lane.goes_on:
                dots.append((middle, lane.y, self._colour(lane.net)))
        for number, box in enumerate(self.graph.inputs):
            at = self.input_at[number]
            self._line([(at, bottom - y), (at, self.layout.at[box, 0].y)], INPUT)
        output = self.layout.at[self.graph.after[0], len(self.layout.columns) - 1]
        colour = self.colours[self.graph.after[0]]
        self._line([(self.output_at, output.y), (self.output_at, top - y)], colour)
        if not self.readouts:
            dots.append((self.output_at, output.y, colour))
        for dot_x, dot_y, colour in dots:
            axes.plot(x + dot_x, y + dot_y, "o", color=colour, markersize=3.6, zorder=3)
        for column in self.layout.columns[1:-1]:
            for element in column:
                if element.box is not None:
                    self._draw_box(element)

    def _middle(self, element: Element) -> float:
        return (self.left[element.column] + self.right[element.column]) / 2

    def _colour(self, net: Box) -> str:
        if net in self.colours:
            return self.colours[net]
        return FILLS[net.kind][1] if net.kind in ("gate", "candidate") else LINE

    def _line(self, points: list[tuple[float, float]], colour: str, arrow: bool = False) -> None:
        xs, ys = [self.x + a for a, _ in points], [self.y + b for _, b in points]
        # A border in the background colour separates a line from the lines it crosses.
        self.axes.plot(xs, ys, color=PANEL, linewidth=_WIDTH + 2.6, zorder=1, solid_capstyle="butt")
        self.axes.plot(xs, ys, color=colour, linewidth=_WIDTH, zorder=2, solid_capstyle="round")
        if arrow:
            self.axes.annotate(
                "",
                xy=(xs[-1], ys[-1]),
                xytext=(xs[-2], ys[-2]),
                arrowprops={
                    "arrowstyle": "-|>,head_length=0.52,head_width=0.22",
                    "color": colour,
                    "linewidth": 0,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
                zorder=3,
            )

    def _draw_lane(self, element: Element, dots: list[tuple[float, float, str]]) -> None:
        last = element.column == len(self.layout.columns) - 1
        if element.box is None:
            end = self.right[element.column] if element.goes_on else self._middle(element)
            self._line([(self.left[element.column], element.y), (end, element.y)], self._colour(element.net))
        elif element.column == 0:
            start = 0.0
            if element.box in self.graph.inputs:
                start = self.input_at[self.graph.inputs.index(element.box)]
            if element.goes_on:
                self._line([(start, element.y), (self.right[0], element.y)], self._colour(element.box))
        elif last and element.box not in self.graph.after[: self.readouts]:
            self._line([(self.left[-1], element.y), (self.width, element.y)], self._colour(element.box))

    def _draw_wire(self, wire: Wire, number: int, dots: list[tuple[float, float, str]]) -> None:
        colour, (_, first) = self._colour(wire.net), self.wires[number]
        start = self.layout.at[wire.net, number]
        from_x = self.right[number]
        if start.box is not None and number:
            from_x = self._middle(start) + start.width / 2
        if wire.track is None:
            for end, arrow in wire.ends:
                self._line([(from_x, wire.start), (self._end_x(number, end, arrow), end)], colour, arrow)
            return
        track = first + _TRACK * wire.track
        low, high = wire.span
        self._line([(track, low), (track, high)], colour)
        self._line([(from_x, wire.start), (track, wire.start)], colour)
        for end, arrow in wire.ends:
            self._line([(track, end), (self._end_x(number, end, arrow), end)], colour, arrow)
        points = {wire.start, *(end for end, _ in wire.ends)}
        for point in points:
            degree = (
                (point == wire.start)
                + any(end == point for end, _ in wire.ends)
                + (point > low)
                + (point < high)
            )
            if degree > 2:
                dots.append((track, point, colour))

    def _end_x(self, number: int, height: float, arrow: bool) -> float:
        if not arrow:
            return self.left[number + 1]
        for element in self.layout.columns[number + 1]:
            if element.box is not None and abs(element.y - height) <= element.height / 2:
                reach = element.width / 2
                if element.box.round:
                    reach = max(reach**2 - (height - element.y) ** 2, 0.0) ** 0.5
                return self._middle(element) - reach
        return self.left[number + 1]

    def _draw_box(self, element: Element) -> None:
        from matplotlib.patches import Circle, FancyBboxPatch

        box = element.box
        assert box is not None
        x, y = self.x + self._middle(element), self.y + element.y
        fill, edge = FILLS[box.kind]
        if box.round:
            patch: Patch = Circle((x, y), CIRCLE / 2, facecolor=fill, edgecolor=edge, linewidth=1.2, zorder=4)
        else:
            corner = (x - element.width / 2, y - element.height / 2)
            patch = FancyBboxPatch(
                corner,
                element.width,
                element.height,
                boxstyle="round,pad=0,rounding_size=0.07",
                facecolor=fill,
                edgecolor=edge,
                linewidth=1.2,
                zorder=4,
            )
        if box.value:
            patch.set_gid(f"value-{box.value}")
        self.axes.add_patch(patch)
        up = 0.1 if box.weights else 0.0
        style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 5}
        self.axes.text(x, y + up, f"${box.label}$", fontsize=LABEL, color="#1d242b", **style)
        if box.weights:
            self.axes.text(x, y - 0.13, _weights(box), fontsize=WEIGHTS, color="#39434d", **style)
        for place, (_, shift) in enumerate(element.inputs):
            if box.ordered:
                self.axes.text(
                    x - element.width / 2 + 0.04,
                    y + shift,
                    f"${'abc'[place]}$",
                    fontsize=7,
                    va="center",
                    zorder=5,
                )
        if box.name:
            self.axes.text(
                x + element.width / 2 + 0.06,
                y + 0.045,
                f"${box.name}$",
                fontsize=NAME,
                va="bottom",
                color=self._colour(box),
                zorder=5,
            )


def _weights(box: Box) -> str:
    return "$" + r"\;\;".join(box.weights) + "$"


def _size(box: Box) -> tuple[float, float]:
    if box.kind in ("source", "sink"):
        return 0.0, 0.0
    if box.round:
        return CIRCLE, CIRCLE
    width = text_size(f"${box.label}$", LABEL)[0]
    if box.weights:
        width = max(width, text_size(_weights(box), WEIGHTS)[0])
    if box.ordered:
        width += 0.24
    return width + 0.2, 0.5 if box.weights else 0.34

"""The picture of a network unrolled over time: one step in full, the others as boxes."""

import os
import re
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi import _checks
from nabi.drawing import check_suffix, text_settings, write_figure
from nabi.ir import LATEX, Program, symbol
from nabi.targets.picture._draw import Step
from nabi.targets.picture._graph import make_graph
from nabi.targets.picture._style import FILLS, INPUT, LEGEND, PANEL, STATES, text_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["unrolled"]

_SMALL, _BETWEEN, _MARGIN = 1.15, 0.62, 0.32  # inches
_MOST = 9  # maximum number of steps drawn; of more, the middle is left out


def unrolled(program: Program, steps: int, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """Draw a cell unrolled over time, from its equations alone.

    Time runs from left to right, with one box per step. One of them shows the computation in full: gates with
    their weights, elementwise operations, and the lines of the states. The weights are the same at every
    step.

    Args:
        program: the cell's equations, from `cell.program(input_size)`.
        steps: time steps, at least one. Of more than nine, the middle ones are left out.
        path: the file to write, .svg or .png.
        title: above the picture; the cell's name by default.

    Returns:
        The path.

    Raises:
        ArgumentError: `steps` is less than one, or another suffix.
        OutputError: the file cannot be written.

    Example:
        >>> import tempfile, nabi.cells
        >>> folder = tempfile.mkdtemp()
        >>> unrolled(nabi.cells.LSTM(units=5).program(input_size=3), 3, f"{folder}/lstm.svg").name
        'lstm.svg'
    """
    from matplotlib.figure import Figure

    steps = _checks.whole("steps", steps)
    check_suffix(path)
    name = type(program.cell).__name__
    title = f"{name} over {steps} time step{'s' if steps > 1 else ''}" if title is None else title
    with text_settings():
        picture = _Picture(program, steps)
        width, height = picture.size(title)
        figure = Figure(figsize=(width, height), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(0, height))
        axes.axis("off")
        picture.draw(axes, title)
        return write_figure(figure, path, title=title, description="\n".join(program.equations), dpi=200)


class _Picture:
    def __init__(self, program: Program, steps: int) -> None:
        # An output that is no state is drawn as the first one, which leaves the step but does not go on.
        self.readouts, self.program = program.readouts, program.as_states
        self.step = Step(make_graph(self.program), self.readouts)
        shown = list(range(1, steps + 1))
        self.full = (steps + 2) // 2 if steps > 1 else 1
        if steps > _MOST:
            shown = [1, 2, 3, 4, 0, steps - 1, steps]
            self.full = 3
        self.shown, self.steps = shown, steps
        # Leave room for the names of the states between the steps.
        names = [self._state(number, str(steps)) for number in range(len(program.state_names))]
        self.between = max(_BETWEEN, *(text_size(name, 11)[0] + 0.24 for name in names))
        self.top, self.bottom = self.step.top + 0.42, self.step.bottom - 0.3
        self.widths = [
            self.step.width if t == self.full else 0.5 if t == 0 else self._small_width() for t in shown
        ]

    def _small_width(self) -> float:
        return max(_SMALL, text_size(self._name(), 11)[0] + 0.3)

    def _name(self) -> str:
        return type(self.program.cell).__name__

    def _state(self, number: int, when: str) -> str:
        """Return the name of a state after a step: `h_{t}` with a number in place of `t`."""
        program = self.program
        output, own = program.outputs[number], program.state_names[number]
        if own in program.trace.delays:
            # The input, or an earlier one: x after a step is that of the step.
            steps = 0
            while output.operation == "state":
                output, steps = program.trace.delays[output.name], steps + 1
            name = symbol(output, LATEX)
            when = str(int(when) - steps) if when.isdigit() else f"{when}-{steps}" if steps else when
        else:
            name = symbol(output, LATEX, own)
        head, _, tail = name.rpartition("t}")
        return f"${head}{when}}}{tail}$"

    def size(self, title: str) -> tuple[float, float]:
        width = sum(self.widths) + self.between * (len(self.widths) + 1) + 2 * _MARGIN
        needed = max(text_size(title, 15)[0], text_size(self._shared(), 10)[0] + 0.2) + 2 * _MARGIN
        self.indent = max(0.0, (needed - width) / 2)
        height = self.top - self.bottom + 2 * 0.62 + (0.5 if title else 0.0) + 0.75 + 2 * 0.1
        self.base = 0.1 + 0.75 + 0.62 - self.bottom  # position of height 0 of a step
        return max(width, needed), height

    def draw(self, axes: "Axes", title: str) -> None:
        if title:
            width, height = axes.get_xlim()[1], axes.get_ylim()[1]
            axes.text(width / 2, height - 0.32, title, fontsize=15, ha="center", va="center", color="#1d242b")
        x = _MARGIN + self.indent
        self._states(axes, x, "0")
        for t, width in zip(self.shown, self.widths, strict=True):
            x += self.between
            if t == 0:
                axes.text(
                    x + width / 2,
                    self.base + (self.top + self.bottom) / 2,
                    "$\\cdots$",
                    fontsize=24,
                    ha="center",
                    va="center",
                    color="#59636e",
                )
            else:
                self._box(axes, x, width, t)
            x += width
            last = "" if t == 0 else str(t)
            self._states(axes, x, last)
        self._captions(axes)

    def _states(self, axes: "Axes", x: float, when: str) -> None:
        """Draw the arrows of the states from one step to the next, with their names."""
        for number, height in enumerate(self.step.states):
            if number < self.readouts:
                continue
            colour = STATES[min(number, len(STATES) - 1)]
            y = self.base + height
            _arrow(axes, (x, y), (x + self.between, y), colour)
            if when:
                label = self._state(number, when)
                axes.text(
                    x + self.between / 2 - 0.04,
                    y + 0.07,
                    label,
                    fontsize=11,
                    ha="center",
                    va="bottom",
                    color=colour,
                )

    def _box(self, axes: "Axes", x: float, width: float, t: int) -> None:
        from matplotlib.patches import FancyBboxPatch

        bottom, top = self.base + self.bottom, self.base + self.top
        full = t == self.full
        shape: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.14", "linewidth": 1.4}
        fill = PANEL if full else "#eceff3"
        area = FancyBboxPatch(
            (x, bottom), width, top - bottom, facecolor=fill, edgecolor="none", zorder=0, **shape
        )
        # Drawn above the borders of the lines, below the lines themselves.
        edge = FancyBboxPatch(
            (x, bottom), width, top - bottom, facecolor="none", edgecolor="#8a95a1", zorder=1.5, **shape
        )
        axes.add_patch(area)
        axes.add_patch(edge)
        inputs = [x + at for at in self.step.input_at] if full else [x + width / 2]
        output = x + (self.step.output_at if full else width / 2)
        for at in inputs[:1]:
            _arrow(axes, (at, bottom - 0.36), (at, bottom), INPUT)
            axes.text(at, bottom - 0.42, f"$x_{{{t}}}$", fontsize=12, ha="center", va="top", color=INPUT)
        _arrow(axes, (output, top), (output, top + 0.36), STATES[0])
        axes.text(
            output, top + 0.4, self._state(0, str(t)), fontsize=12, ha="center", va="bottom", color=STATES[0]
        )
        if full:
            self.step.draw(axes, x, self.base, top, bottom)
            for at, box in list(zip(inputs, self.step.graph.inputs, strict=True))[1:]:
                _arrow(axes, (at, bottom - 0.36), (at, bottom), INPUT)
                label = re.sub(r"(?<=[{,])t(?=\}$)", str(t), box.name)  # the number of the step, as beside x
                axes.text(at, bottom - 0.42, f"${label}$", fontsize=10, ha="center", va="top", color=INPUT)
            axes.text(
                x + 0.14,
                top - 0.12,
                f"one step in full, $t = {t}$",
                fontsize=9.5,
                ha="left",
                va="top",
                color="#59636e",
                zorder=6,
            )
            return
        middle = (bottom + top) / 2
        axes.text(
            x + width / 2, middle + 0.14, self._name(), fontsize=11, ha="center", va="center", color="#1d242b"
        )
        axes.text(
            x + width / 2, middle - 0.14, f"$t = {t}$", fontsize=10, ha="center", va="center", color="#59636e"
        )

    def _shared(self) -> str:
        names = [
            LATEX.symbol(family.name, "", tuple(family.name.split("_"))) for family in self.program.families
        ]
        families = ", ".join(f"${name}$" for name in names)
        count = f"{self.program.parameter_sum} numbers"
        fixed = sum(prod(one.shape) for one in self.program.families if not one.trained)
        learned = f", {fixed:,} of them fixed" if fixed else " to learn"
        return f"The same weights at every step: {families}.  {count}{learned}."

    def _captions(self, axes: "Axes") -> None:
        from matplotlib.patches import Rectangle

        middle = axes.get_xlim()[1] / 2
        if self.program.families:
            axes.text(middle, 0.52, self._shared(), fontsize=10, ha="center", va="center", color="#1d242b")
        kinds = [kind for kind in FILLS if any(box.kind == kind for box in self.step.graph.boxes)]
        sizes = [text_size(LEGEND[kind], 9)[0] + 0.62 for kind in kinds]
        x = middle - sum(sizes) / 2
        for kind, size in zip(kinds, sizes, strict=True):
            fill, edge = FILLS[kind]
            axes.add_patch(Rectangle((x, 0.14), 0.22, 0.15, facecolor=fill, edgecolor=edge, linewidth=1))
            axes.text(x + 0.3, 0.215, LEGEND[kind], fontsize=9, va="center", color="#39434d")
            x += size


def _arrow(axes: "Axes", start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>,head_length=0.35,head_width=0.16",
            "color": colour,
            "linewidth": 1.6,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )

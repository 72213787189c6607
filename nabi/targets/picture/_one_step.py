"""One step of a cell as SVG text, to stand inside a page that colours its boxes."""

import io
import re

from nabi.drawing import text_settings
from nabi.ir import Program
from nabi.targets.picture._draw import Step
from nabi.targets.picture._graph import make_graph
from nabi.targets.picture._style import FILLS, INPUT, LINE, PANEL, STATES, text_size

__all__ = ["one_step"]

_ENDS = 0.55  # inches of each line before it enters and after it leaves
_BELOW = 0.42
_INK, _SOFT = "#1d242b", "#39434d"
# What a page calls the colours of a picture, so that it can have others in the dark.
_COLOURS = {
    _INK: "ink",
    _SOFT: "soft",
    LINE: "line",
    PANEL: "panel",
    INPUT: "input",
    **{colour: f"state-{number}" for number, colour in enumerate(STATES)},
    **{fill: f"{kind}-fill" for kind, (fill, _) in FILLS.items()},
    **{edge: f"{kind}-edge" for kind, (_, edge) in FILLS.items() if edge != LINE},
}


def one_step(program: Program) -> str:
    """Return the inside of one step as an `<svg>` element, drawn from the equations alone.

    The shape of every value that the equations name has the id `value-NAME`, with the name as
    `nabi.ir.named_nodes` has it. Colours are custom properties (`var(--cell-ink)`, `--cell-panel`,
    `--cell-gate-fill`, ...), each with the colour of the other pictures where a page does not set it.

    Args:
        program: the cell's equations, from `cell.program(input_size)`.

    Example:
        >>> import nabi.cells
        >>> svg = one_step(nabi.cells.GRU(units=5).program(input_size=3))
        >>> svg.startswith("<svg"), 'id="value-z"' in svg
        (True, True)
    """
    from matplotlib.figure import Figure

    with text_settings():
        step = Step(make_graph(program.as_states), program.readouts)
        top, bottom = step.top + 0.3, step.bottom - 0.3
        width, height = step.width + 2 * _ENDS, top - bottom + 2 * _BELOW
        figure = Figure(figsize=(width, height), facecolor="none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(0, height))
        axes.axis("off")
        base = _BELOW - bottom
        step.draw(axes, _ENDS, base, base + top, base + bottom)
        boxes = list(zip(step.graph.before, step.graph.after, step.states, strict=True))
        for number, (before, after, y) in enumerate(boxes):
            if number < program.readouts:
                continue
            colour = STATES[min(number, len(STATES) - 1)]
            for x, box in ((0.0, before), (_ENDS + step.width, after)):
                axes.plot([x, x + _ENDS], [base + y] * 2, color=colour, linewidth=1.4, zorder=2)
                label = _fitting(box.name)
                axes.text(
                    x + _ENDS / 2, base + y + 0.05, label, fontsize=10, ha="center", va="bottom", color=colour
                )
        for at, box in zip(step.input_at, step.graph.inputs, strict=True):
            x = _ENDS + at
            axes.plot([x, x], [base + bottom - 0.12, base + bottom], color=INPUT, linewidth=1.4, zorder=2)
            axes.text(
                x, base + bottom - 0.15, f"${box.name}$", fontsize=11, ha="center", va="top", color=INPUT
            )
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    text = content.getvalue()
    # The element alone: without declarations, and without what says how it was made.
    text = re.sub(r"<(metadata|style).*?</\1>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, name in _COLOURS.items():
        text = re.sub(re.escape(colour) + r"\b", f"var(--cell-{name}, {colour})", text)
    return text.strip()


def _fitting(name: str) -> str:
    """Return the name of a state, if it has room beside its line."""
    label = f"${name}$"
    return label if text_size(label, 10)[0] < _ENDS + 0.1 else ""

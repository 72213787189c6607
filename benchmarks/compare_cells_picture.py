"""The picture of docs/comparing.md: error on the adding problem against the time of a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy import format_float_positional

from nabi.comparison import Task
from nabi.drawing import write_figure

__all__ = ["Dot", "draw"]

GROUPS = {
    "gates": ("#1f5fa8", {"lstm", "ablation", "gru", "few-gates"}),
    "linear in the state": ("#4a9d6f", {"linear", "state-space"}),
    "matrix states": ("#c1440e", {"matrix"}),
    "others": ("#8a8a8a", set()),
}
"""Colours, and the families of the catalogue that have them."""

RIGHT, LEFT, ABOVE, BELOW = (6, -3, "left"), (-6, -3, "right"), (0, 7, "center"), (0, -13, "center")
LABELS = {
    "echo-state": ABOVE,
    "simple-rnn": ABOVE,
    "lru": ABOVE,
    "s5": ABOVE,
    "s4d": ABOVE,
    "fast-weights": ABOVE,
    "ltc": BELOW,
    "typed-rnn": LEFT,
    "min-gru": (6, -2, "left"),
    "light-ru": LEFT,
    "minimal-rnn": BELOW,
    "mi-gru": RIGHT,
    "gru": LEFT,
    "lstm": RIGHT,
    "slstm": BELOW,
    "rum": BELOW,
    "layer-norm-lstm": RIGHT,
    "hyper-lstm": RIGHT,
    "aaren": RIGHT,
    "matrix-lstm": LEFT,
    "retnet": ABOVE,
    "rwkv-7": (2, 5, "left"),
    "mamba-2": (3, 5, "left"),
    "mamba": RIGHT,
    "shm": RIGHT,
    "kda": ABOVE,
}
"""Cells with a name beside their dot: how many points to the right and up it stands, and its alignment."""


@dataclass(frozen=True)
class Dot:
    """A cell: the milliseconds of a step, and its figure.

    `elsewhere` is whether it was timed on another machine than most cells.
    """

    name: str
    family: str | None
    milliseconds: float
    figure: float
    elsewhere: bool


def group_of(family: str | None) -> str:
    """Return the group of a family."""
    return next((name for name, (_, families) in GROUPS.items() if family in families), "others")


def draw(dots: Sequence[Dot], task: Task, path: Path) -> None:
    """Draw a dot for each cell, open where it was timed on another machine; both axes are logarithmic."""
    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    axes.axhline(task.baseline, color="#333333", linewidth=1, linestyle="--", zorder=1)
    axes.annotate(
        f"without memory: {task.baseline_of}",
        (0.995, task.baseline),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color="#333333",
    )
    for name, (colour, _) in GROUPS.items():
        own = [dot for dot in dots if group_of(dot.family) == name]
        axes.scatter(
            [dot.milliseconds for dot in own],
            [dot.figure for dot in own],
            s=26,
            facecolors=["white" if dot.elsewhere else colour for dot in own],
            edgecolors=colour,
            linewidths=0.9,
            alpha=0.75,
            label=name,
            zorder=2,
        )
    if any(dot.elsewhere for dot in dots):
        axes.scatter([], [], s=26, facecolors="white", edgecolors="#333333", label="timed on another machine")
    for dot in dots:
        if dot.name in LABELS:
            right, up, alignment = LABELS[dot.name]
            axes.annotate(
                dot.name,
                (dot.milliseconds, dot.figure),
                xytext=(right, up),
                textcoords="offset points",
                ha=alignment,
                fontsize=8,
                zorder=3,
            )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: format_float_positional(value, trim="-")))
        axis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.set_ylim(top=2 * task.baseline)
    axes.set(xlabel="milliseconds a step", ylabel=f"{task.measure.name}, test")
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    write_figure(figure, path, title="Error on the adding problem against the time of a step, for every cell")

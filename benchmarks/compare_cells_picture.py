"""The picture of docs/comparing.md: error on the adding problem against the time of a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

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

LABELS = {
    "simple-rnn": (0, 8, "center"),
    "lstm": (6, -3, "left"),
    "gru": (6, -3, "left"),
}
"""Cells with a name beside their dot: how many points it is moved to the right and up, and its alignment."""


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
            facecolors=["none" if dot.elsewhere else colour for dot in own],
            edgecolors=colour,
            linewidths=0.9,
            alpha=0.75,
            label=name,
            zorder=2,
        )
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
    axes.set(xlabel="milliseconds a step", ylabel=f"{task.measure.name}, test")
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    write_figure(figure, path, title="Error on the adding problem against the time of a step, for every cell")

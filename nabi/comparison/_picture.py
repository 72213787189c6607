"""Learning against time, drawn with matplotlib."""

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nabi.comparison._runs import Row, Run
from nabi.drawing import fonts_for, write_figure

__all__ = ["draw"]

_NAMED = 12  # cells with a colour of their own
_FAR_APART = 20  # how many times longer the slowest cell takes than the fastest, for a logarithmic axis


def draw(
    task: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: Sequence[Row],
    runs: Sequence[Run],
    path: str | os.PathLike[str],
) -> Path:
    """Draw the median of the figures of each cell's seeds, after each look, over the seconds of training.

    The best cells have colours and names; the others are grey.
    """
    import matplotlib
    from matplotlib.figure import Figure

    ranked = [row.cell for row in rows]
    colours = matplotlib.colormaps["tab20" if len(ranked) > 10 else "tab10"]
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    panel = figure.subplots()
    fonts = fonts_for(ranked)
    ends = []
    for place, cell in reversed(list(enumerate(ranked))):
        several = [run.looks for run in runs if run.cell == cell and run.looks]
        if not several:
            continue
        count = min(map(len, several))
        times = [statistics.median(looks[at].seconds for looks in several) for at in range(count)]
        figures = [statistics.median(looks[at].figure for looks in several) for at in range(count)]
        named = place < _NAMED
        ends.append(max(times))
        panel.plot(
            times,
            figures,
            color=colours(place) if named else "#c8c8c8",
            linewidth=1.8 if named else 0.8,
            marker="o" if count == 1 else None,
            label=fonts.write(cell) if named else None,
            zorder=3 if named else 1,
        )
    panel.axhline(task["baseline"], color="#555555", linewidth=1, linestyle="--", zorder=2)
    panel.annotate(
        task["baseline_of"],
        (1.0, task["baseline"]),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        fontsize=8,
        color="#555555",
    )
    if task["smaller_is_better"] and task["measure"] == "mean squared error":
        panel.set_yscale("log")
    if ends and max(ends) > _FAR_APART * min(ends) > 0:
        panel.set_xscale("log")  # or one slow cell presses all others against the axis
    panel.set(xlabel="seconds of training", ylabel=f"{task['measure']}, validation")
    panel.set_title(f"{task['name']}, {settings['units']} units", loc="left", fontsize=11)
    panel.grid(color="#e4e4e4", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    handles, labels = panel.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles[::-1], labels[::-1], loc="outside right upper", frameon=False,
            prop={"family": list(fonts.families), "size": 9},
        )  # fmt: skip
    return write_figure(figure, path, title=f"Learning against time: {task['name']}")

"""Numbers that were estimated against the right ones, as a picture."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nabi.drawing import check_suffix, fonts_for, write_figure

__all__ = ["report_picture"]


def report_picture(
    path: str | os.PathLike[str], title: str, truth: Sequence[float], said: Sequence[float], rows: int
) -> Path:
    """Draw a point for each row, and the line on which all would be right.

    Args:
        path: the file to write.
        title: above it.
        truth: right numbers.
        said: what was estimated.
        rows: how many there are, of which the points may be a part.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    fonts = fonts_for([title])
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    axes = figure.subplots()
    both = np.array([*truth, *said])
    low, high = float(both.min()), float(both.max())
    room = 0.04 * (high - low) or 1.0
    ends = low - room, high + room
    axes.plot(ends, ends, color="#888888", linewidth=1.0, zorder=1)
    axes.scatter(truth, said, s=14, color="#2a6fb0", alpha=0.5, linewidths=0, zorder=2)
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="right", ylabel="estimated")
    axes.grid(color="#e8e8e8", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(truth) < rows:
        axes.set_title(f"{len(truth):,} of the {rows:,} rows, drawn at random", fontsize=9, color="#555555")
    written = "\n".join(map(fonts.write, title.split("\n")))
    figure.suptitle(written, fontsize=11, fontfamily=list(fonts.families), parse_math=False)
    return write_figure(figure, path, title=title)

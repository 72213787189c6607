"""A report as a picture."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.drawing import Fonts, check_suffix, fonts_for, write_figure

__all__ = ["report_picture"]

_LONGEST_LABEL = 24
_LARGEST = 18.0  # inches
_FEW = 15  # labels
_FIGURES = 4  # of a count; with more it is written smaller


def report_picture(
    path: str | os.PathLike[str],
    title: str,
    by_label: Sequence[tuple[str, float, float, float, int]],
    confusion: Sequence[Sequence[int]] | None,
) -> Path:
    """Draw the confusion matrix; where there is none, precision, recall and F1 of each label.

    Args:
        path: the file to write.
        title: above it.
        by_label: label, precision, recall, F1 and rows of each.
        confusion: `confusion[true][said]` counts rows.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    labels = [label for label, *_ in by_label]
    fonts = fonts_for([*labels, title])
    shown = [_short(fonts.write(label)) for label in labels]
    if confusion is None:
        figure = Figure(figsize=(7.5, 1.4 + 0.42 * len(labels)), layout="constrained")
        _bars(figure.subplots(), by_label, shown, fonts)
    else:
        size = min(4.2 + 0.36 * len(labels), _LARGEST)
        figure = Figure(figsize=(size + 0.9, size), layout="constrained")
        _matrix(figure, np.array(confusion), shown, fonts)
    written = "\n".join(map(fonts.write, title.split("\n")))
    figure.suptitle(written, fontsize=12, fontfamily=list(fonts.families), parse_math=False)
    return write_figure(figure, path, title=title)


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def _matrix(figure: Any, counts: npt.NDArray[Any], labels: list[str], fonts: Fonts) -> None:
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    # As large as a place of the matrix allows: three figures fill nine tenths of it.
    room = 0.4 * 72 * 0.8 * figure.get_figwidth() / len(labels)
    size = min(10.0, max(4.0, room))
    for true, row in enumerate(counts):
        for said, count in enumerate(row):
            if count:
                colour = "white" if shares[true, said] > 0.55 else "#8c1d18" if true != said else "black"
                number = f"{count:,}"
                fits = min(size, max(3.0, room * _FIGURES / len(number)))
                axes.text(said, true, number, ha="center", va="center", fontsize=fits, color=colour)
    style = {"fontsize": max(size, 6.0), "fontfamily": list(fonts.families), "parse_math": False}
    upright = max(map(len, labels)) * len(labels) <= 40
    axes.set_xticks(range(len(labels)), labels, rotation=0 if upright else 90, **style)
    axes.set_yticks(range(len(labels)), labels, **style)
    if len(labels) > _FEW:
        # Far from its name a place is found by lines between the labels, and by names at both ends.
        axes.tick_params(top=True, labeltop=True, right=True, labelright=True, length=2)
        between = np.arange(len(labels) - 1) + 0.5
        axes.set_xticks(between, minor=True)
        axes.set_yticks(between, minor=True)
        axes.grid(which="minor", color="#e8e8e8", linewidth=0.5)
        axes.tick_params(which="minor", length=0)
    axes.set(xlabel="said", ylabel="right")
    figure.colorbar(image, label="share of the rows of a label", shrink=0.8)


def _bars(
    axes: Any, by_label: Sequence[tuple[str, float, float, float, int]], labels: list[str], fonts: Fonts
) -> None:
    places = np.arange(len(labels))
    _, *figures, counts = zip(*by_label, strict=True)
    looks = (("precision", "#9ecae1", -0.27), ("recall", "#6baed6", 0.0), ("F1", "#08519c", 0.27))
    for values, (name, colour, offset) in zip(figures, looks, strict=True):
        axes.barh(places + offset, values, 0.25, color=colour, label=name)
    rows = [f"{label}  ({count:,})" for label, count in zip(labels, counts, strict=True)]
    axes.set_yticks(places, rows, fontfamily=list(fonts.families), parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))

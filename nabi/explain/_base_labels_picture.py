"""Labels along a sequence of DNA as a picture."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nabi._public import public
from nabi.drawing import check_suffix, write_figure
from nabi.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["base_labels_picture"]

_COLOURS = ("#e08214", "#3b6ea5", "#c9ced6", "#5aa469", "#8c5aa4", "#b3444d", "#d9b44a", "#4aa3b3")
_INCHES, _INCHES_A_BASE, _NARROWEST, _WIDEST = 1.5, 0.045, 7.0, 22.0
_LETTERS_UP_TO = 150


@public
def base_labels_picture(
    sequence: str,
    readings: Mapping[str, npt.ArrayLike],
    labels: Sequence[str],
    path: str | os.PathLike[str],
    *,
    truth: Sequence[str] | None = None,
    title: str = "",
) -> Path:
    """Draw how probable each label is along a sequence, one panel for each reading of it.

    Args:
        sequence: T bases; they are written below up to a length of 150.
        readings: probabilities `[T, labels]` of every base by the name of who says so, such as a network.
        labels: in the order of the columns, 8 at most.
        path: the file to write, .png or .svg.
        truth: the right label of every base; a strip above the panels.
        title: above the picture.

    Raises:
        ArgumentError: for another suffix, no readings, an unknown label, and more than 8 labels.
        ShapeError: for probabilities or labels that are not one for each base.
        OutputError: if the file cannot be written.

    >>> import tempfile
    >>> base_labels_picture("ACGT", {"network": [[0.9, 0.1]] * 4}, ["exon", "intron"],
    ...                     tempfile.mkdtemp() + "/labels.svg").name
    'labels.svg'
    """
    place = check_suffix(path)
    told = _checked(sequence, readings, labels, truth)
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = len(told) + (truth is not None)
    width = min(max(len(sequence) * _INCHES_A_BASE, _NARROWEST), _WIDEST)
    heights = ([0.22] if truth is not None else []) + [1.0] * len(told)
    figure = Figure(figsize=(width, 1.0 + _INCHES * sum(heights)), layout="constrained")
    panels = figure.subplots(rows, 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    if truth is not None:
        right = np.eye(len(labels))[[list(labels).index(one) for one in truth]]
        _stack(panels[0], right)
        panels[0].set(yticks=[])
        panels[0].set_ylabel("right", rotation=0, ha="right", va="center")
    for panel, (name, values) in zip(panels[rows - len(told) :], told.items(), strict=True):
        _stack(panel, values)
        panel.set(yticks=[0, 0.5, 1])
        panel.set_ylabel(name)
    last = panels[-1]
    if len(sequence) <= _LETTERS_UP_TO:
        last.set_xticks(np.arange(len(sequence)) + 0.5, list(sequence), fontsize=6)
        last.tick_params(axis="x", length=0)
    else:
        last.set_xlabel("base")
    handles = [Patch(color=colour, label=name) for name, colour in zip(labels, _COLOURS, strict=False)]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(labels), frameon=False)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return write_figure(figure, place, title=title)


def _stack(panel: "Axes", values: npt.NDArray[np.float64]) -> None:
    """Fill a panel with the labels on top of each other, each as high as it is probable."""
    edges = np.arange(len(values) + 1)
    below = np.zeros(len(values))
    for column, colour in zip(values.T, _COLOURS, strict=False):
        panel.stairs(below + column, edges, baseline=below, fill=True, color=colour, linewidth=0)
        below = below + column
    panel.set(xlim=(0, len(values)), ylim=(0, 1))
    panel.spines[["top", "right"]].set_visible(False)


def _checked(
    sequence: str,
    readings: Mapping[str, npt.ArrayLike],
    labels: Sequence[str],
    truth: Sequence[str] | None,
) -> dict[str, npt.NDArray[np.float64]]:
    if not readings or not sequence:
        raise ArgumentError("readings: expected probabilities of one base or more, got none")
    if not 0 < len(labels) <= len(_COLOURS):
        raise ArgumentError(f"labels: expected 1 to {len(_COLOURS)}, got {len(labels)}")
    told = {name: np.asarray(values, dtype=np.float64) for name, values in readings.items()}
    for name, values in told.items():
        if values.shape != (len(sequence), len(labels)):
            raise ShapeError(
                f"readings[{name!r}]: expected the shape ({len(sequence)}, {len(labels)}), got {values.shape}"
            )
    if truth is not None:
        if len(truth) != len(sequence):
            raise ShapeError(f"truth: expected {len(sequence)} labels, got {len(truth)}")
        for one in truth:
            if one not in labels:
                raise ArgumentError(f"truth: expected one of {', '.join(labels)}, got {one!r}")
    return told

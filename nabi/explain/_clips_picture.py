"""Clips as strips of frames, with what a classifier says after each."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.data import clip_frames
from nabi.drawing import check_suffix, fonts_for, write_figure
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import ClipClassifier

__all__ = ["clips_picture"]

_SIDE, _GAP, _HEAD, _FOOT, _TITLE, _MARGIN = 0.86, 0.08, 0.26, 0.36, 0.45, 0.25  # inches
_RIGHT, _WRONG, _UNKNOWN = "#1e7d4f", "#c0392b", "#404040"
_LINE = 0.11  # inches
_LONGEST_LABEL = 16


@public
def clips_picture(
    model: "ClipClassifier",
    clips: Sequence[Any],
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    most: int = 12,
) -> Path:
    """Draw clips, a row of frames each; under a frame stands what the model says if the clip ends there.

    Args:
        model: a trained classifier.
        clips: files, folders or arrays, as the model takes them.
        path: the file to write, .svg or .png.
        labels: the right labels: what is right is then green, what is wrong red.
        title: above the picture.
        most: frames of a clip that are drawn, evenly spaced.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix, no clips, and another number of labels than clips.
        OutputError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    most = _checks.whole("most", most, 2)
    if not len(clips):
        raise ArgumentError("clips: expected clips to draw, got none")
    if labels is not None and len(labels) != len(clips):
        raise ArgumentError(f"labels: expected one for each of {len(clips)} clips, got {len(labels)}")
    names = model.labels.names
    size, longest = model.settings.image_size, model.settings.most_frames
    told = [clip_frames(f"clips[{row}]", clip, size, longest).frames for row, clip in enumerate(clips)]
    fonts = fonts_for([*names, *(labels or ()), title or ""])
    columns = min(max(map(len, told)), most)
    row_height = _HEAD + _SIDE + _FOOT
    width = 2 * _MARGIN + columns * (_SIDE + _GAP)
    height = (_TITLE if title else 0.1) + len(told) * row_height + 0.1
    figure = Figure(figsize=(width, height))
    texts: dict[str, Any] = {"fontfamily": list(fonts.families), "parse_math": False}
    if title:
        place = (_MARGIN / width, 1 - 0.25 / height)
        figure.text(*place, fonts.write(title), fontsize=12, va="center", **texts)
    said_at_the_end = []
    for number, frames in enumerate(told):
        probabilities = model.steps(frames)
        right = None if labels is None else str(labels[number])
        top = height - (_TITLE if title else 0.1) - number * row_height
        last = names[int(probabilities[-1].argmax())]
        said_at_the_end.append(last)
        head = f"{last}" if right in (None, last) else f"{last} (right: {right})"
        figure.text(
            _MARGIN / width,
            (top - _HEAD / 2) / height,
            fonts.write(head),
            fontsize=9,
            va="center",
            color=_colour(last, right),
            **texts,
        )
        chosen = np.linspace(0, len(frames) - 1, min(len(frames), most)).round().astype(int)
        for column, frame in enumerate(chosen):
            left = _MARGIN + column * (_SIDE + _GAP)
            bottom = top - _HEAD - _SIDE
            axes = figure.add_axes((left / width, bottom / height, _SIDE / width, _SIDE / height))
            axes.set_axis_off()
            axes.imshow(frames[frame])
            best = int(probabilities[frame].argmax())
            colour = _colour(names[best], right)
            # One below the other; a written line has no breaks.
            for line, text in enumerate((_short(names[best]), f"{probabilities[frame, best]:.0%}")):
                place = ((left + _SIDE / 2) / width, (bottom - 0.03 - line * _LINE) / height)
                figure.text(
                    *place, fonts.write(text), fontsize=6.5, ha="center", va="top", color=colour, **texts
                )
    said = f"{len(told)} clips, frame by frame; at the end the model says: {', '.join(said_at_the_end)}"
    return write_figure(figure, path, title=title or "Clips", description=said[:500])


def _colour(said: str, right: str | None) -> str:
    return _UNKNOWN if right is None else _RIGHT if said == right else _WRONG


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…"

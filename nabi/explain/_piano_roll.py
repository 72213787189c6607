"""Music as a piano roll picture."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.data import LOWEST, roll_of
from nabi.drawing import check_suffix, fonts_for, write_figure
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["piano_roll_picture"]

_COMPOSED, _PRIMER = "#3b6ea5", "#e08214"
_BLACK_KEYS, _BAR, _OCTAVE = "#f3f4f6", "#b8bec6", "#d9dde3"
_BARS_IN_A_ROW = 12
_INCHES_A_BAR, _INCHES_A_KEY = 1.05, 0.075
_FEWEST_KEYS = 20
_MOST_ROWS = 24


@public
def piano_roll_picture(
    frames: Iterable[Iterable[int]],
    path: str | os.PathLike[str],
    *,
    primer: int = 0,
    steps_per_beat: int = 1,
    beats_per_bar: int = 4,
    title: str = "",
) -> Path:
    """Draw music as a piano roll, twelve bars in a row: time from left to right, pitch upwards.

    A pitch that sounds in consecutive frames is one long note. At most 24 rows are drawn; the title says if
    music is cut off.

    Args:
        frames: the MIDI pitches that sound at each step, from 21 to 108.
        path: the file to write, .png or .svg.
        primer: how many of the frames were given; they have another colour.
        steps_per_beat: frames per beat.
        beats_per_bar: beats per bar.
        title: above the picture.

    Raises:
        ArgumentError: for another suffix, no frames, pitches that are not piano keys, numbers below 1.
        OutputError: if the file cannot be written.

    >>> import tempfile
    >>> cadence = [[55, 59, 62, 67], [48, 55, 60, 64]]
    >>> piano_roll_picture(cadence, tempfile.mkdtemp() + "/cadence.svg", primer=1).name
    'cadence.svg'
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    roll = roll_of(frames)
    if not len(roll):
        raise ArgumentError("frames: expected frames to draw, got none")
    steps_per_beat = _checks.whole("steps_per_beat", steps_per_beat)
    beats_per_bar = _checks.whole("beats_per_bar", beats_per_bar)
    bar = steps_per_beat * beats_per_bar
    bars = -(-len(roll) // bar)
    in_a_row = min(bars, _BARS_IN_A_ROW)
    rows = min(-(-bars // in_a_row), _MOST_ROWS)
    low, high = _range(roll)
    size = max(6.5, 0.9 + in_a_row * _INCHES_A_BAR), 0.8 + rows * ((high - low) * _INCHES_A_KEY + 0.45)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, squeeze=False)[:, 0]
    for row, panel in enumerate(panels):
        begin = row * in_a_row * bar
        _draw(panel, roll, (begin, begin + in_a_row * bar), (low, high), bar, primer)
    panels[-1].set_xlabel("bar")
    figure.supylabel("pitch", fontsize=10)
    if rows * in_a_row < bars:
        title = f"{title}: " * bool(title) + f"the first {rows * in_a_row} of {bars} bars"
    fonts = fonts_for([title])
    if title:
        families = list(fonts.families)
        panels[0].set_title(
            fonts.write(title), loc="left", fontsize=11, fontfamily=families, parse_math=False
        )
    if primer:
        from matplotlib.patches import Patch

        handles = [Patch(color=_PRIMER, label="given"), Patch(color=_COMPOSED, label="composed")]
        figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False)
    return write_figure(figure, path, title=title or "piano roll")


def _range(roll: Any) -> tuple[int, int]:
    """Return the range of pitches to draw, a little wider than what sounds."""
    keys = np.flatnonzero(roll.any(0))
    low, high = (int(keys[0]), int(keys[-1])) if len(keys) else (39, 39)
    spare = max(4, _FEWEST_KEYS - (high - low))
    return LOWEST + low - spare // 2, LOWEST + high + spare // 2 + 1


def _draw(
    panel: "Axes", roll: Any, steps: tuple[int, int], pitches: tuple[int, int], bar: int, primer: int
) -> None:
    (begin, end), (low, high) = steps, pitches
    for pitch in range(low, high):
        if pitch % 12 in (1, 3, 6, 8, 10):
            panel.axhspan(pitch - 0.5, pitch + 0.5, color=_BLACK_KEYS, linewidth=0, zorder=0)
        if pitch % 12 == 0:
            panel.axhline(pitch - 0.5, color=_OCTAVE, linewidth=0.8, zorder=1)
    for line in range(begin, end + 1, bar):
        panel.axvline(line, color=_BAR, linewidth=0.8, zorder=1)
    for first, last, colour in ((begin, primer, _PRIMER), (max(begin, primer), end, _COMPOSED)):
        for start, length, pitch in _notes(roll[first : min(last, end)]):
            panel.barh(
                pitch,
                length - 0.08,
                height=0.84,
                left=first + start + 0.04,
                color=colour,
                linewidth=0,
                zorder=2,
            )
    panel.set(xlim=(begin, end), ylim=(low - 0.5, high - 0.5))
    marks = [pitch for pitch in range(low, high) if pitch % 12 == 0]
    panel.set_yticks(marks, [f"C{pitch // 12 - 1}" for pitch in marks], fontsize=9)
    bars = range(begin, end, bar)
    panel.set_xticks(list(bars), [str(line // bar + 1) for line in bars], fontsize=9)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


def _notes(roll: Any) -> list[tuple[int, int, int]]:
    """Return the first step, the number of steps and the pitch of every note."""
    notes = []
    padded = np.pad(roll.astype(np.int8), ((1, 1), (0, 0)))
    for key in np.flatnonzero(roll.any(0)):
        change = np.diff(padded[:, key])
        for start, stop in zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True):
            notes.append((int(start), int(stop - start), int(key) + LOWEST))
    return notes

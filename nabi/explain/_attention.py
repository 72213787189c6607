"""Attention of a translator, as a picture and in the terminal."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from rich.table import Table
from rich.text import Text

from nabi._public import public
from nabi.drawing import Fonts, check_suffix, fonts_for, write_figure
from nabi.errors import ArgumentError, ShapeError

__all__ = ["Aligned", "attention_picture", "attention_text"]

Weights = npt.NDArray[np.float64]

_WORD = "▁"  # prefix of the first piece of a word
_CONTINUED = "‑"  # shown before the other pieces; a non-breaking hyphen
_LONGEST = 18  # maximum characters shown of a piece
_SIDE, _LEAST_SIDE, _WIDEST = 0.38, 0.21, 10.0  # of a cell in inches, and of all cells together
_POINTS, _LEAST_POINTS = 11.0, 7.0
_GREY = "#8a939c"
_SHADES = " ░▒▓█"
_STRONGEST, _WORTH_NAMING = 3, 0.1


class Aligned(Protocol):
    """An attention: a row of weights over the source pieces for each target piece, `[T, S]`."""

    @property
    def source(self) -> Sequence[str]:
        """The S pieces read."""

    @property
    def target(self) -> Sequence[str]:
        """The T pieces written."""

    @property
    def weights(self) -> Any:
        """Array or tensor `[T, S]`; each row sums to 1."""


@public
def attention_picture(attention: Aligned, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """Draw attention weights: the source above, the target at the side, darker for larger weights.

    Pieces that continue a word have a hyphen before them. Characters that no installed font has are
    transliterated: Hangul by its sound.

    Args:
        attention: the result of `Translator.attention`, or any object with `source`, `target` and `weights`.
        path: the file to write, .svg or .png.
        title: above the picture; none by default.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix, and if there are no pieces to draw.
        ShapeError: for weights that are not `[T, S]`.
        OutputError: if the file cannot be written.

    >>> import pathlib, tempfile
    >>> from types import SimpleNamespace
    >>> seen = SimpleNamespace(
    ...     source=["▁a", "▁dog"], target=["▁ein", "▁Hund"], weights=[[0.9, 0.1], [0.2, 0.8]]
    ... )
    >>> attention_picture(seen, pathlib.Path(tempfile.mkdtemp()) / "seen.svg").name
    'seen.svg'
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    weights = _weights(attention)
    fonts = fonts_for([*attention.source, *attention.target, title or "", _CONTINUED])
    source, target = _names(attention.source, fonts), _names(attention.target, fonts)
    side = min(_SIDE, max(_LEAST_SIDE, _WIDEST / max(weights.shape)))
    points = max(_LEAST_POINTS, _POINTS * min(1.0, side / 0.3))
    inch = points / 72
    # Letters are about half as wide as the font is high; Hangul and the like are square.
    left = 0.25 + inch * max(map(_width, target))
    above = 0.2 + inch * max(map(_width, source)) * 0.87 + inch * 0.5
    head = 0.0 if title is None else 0.42
    below = 0.45 if fonts.missing else 0.2
    right = max(0.75, inch * _width(source[-1]) * 0.5 + 0.1)
    rows, columns = weights.shape
    width, height = left + side * columns + right, head + above + side * rows + below
    width = max(width, 2.6)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, below / height, side * columns / width, side * rows / height))
    image = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    _write_names(axes, source, target, points, fonts)
    _draw_key(
        figure, image, (left + side * columns + 0.14) / width, below / height, side * rows, width, height
    )
    if title is not None:
        figure.text(
            0.12 / width, 1 - 0.24 / height, fonts.write(title), fontsize=12, va="center",
            fontfamily=list(fonts.families), parse_math=False,
        )  # fmt: skip
    if fonts.missing:
        note = "No font on this machine has some of the characters: they are spelt out."
        figure.text(0.12 / width, 0.12 / height, note, fontsize=7, color=_GREY)
    described = f"{' '.join(source)} / {' '.join(target)}"
    return write_figure(figure, path, title=title or "attention", description=described[:500])


@public
def attention_text(attention: Aligned) -> Table:
    """Return a `rich` table: for each target piece, the attention over the source and its strongest pieces.

    The middle column has a character for each source piece, darker for larger weights.

    Raises:
        ArgumentError: if there are no pieces.
        ShapeError: for weights that are not `[T, S]`.
    """
    weights = _weights(attention)
    source, target = _names(attention.source, None), _names(attention.target, None)
    table = Table(box=None, pad_edge=False)
    table.add_column("written", no_wrap=True)
    table.add_column("where it looked", no_wrap=True)
    table.add_column("at", overflow="fold")
    for name, row in zip(target, weights, strict=True):
        shades = "".join(_SHADES[min(int(weight * len(_SHADES)), len(_SHADES) - 1)] for weight in row)
        named = [
            f"{source[place]} {row[place]:.2f}"
            for place in np.argsort(-row, kind="stable").tolist()[:_STRONGEST]
            if row[place] >= _WORTH_NAMING
        ]
        table.add_row(Text(name), Text(f"|{shades}|"), Text(", ".join(named)))
    return table


def _weights(attention: Aligned) -> Weights:
    weights = np.asarray(attention.weights, dtype=np.float64)
    expected = (len(attention.target), len(attention.source))
    if weights.shape != expected:
        raise ShapeError(
            f"attention: expected weights of shape {list(expected)}, got {list(weights.shape)}; there is a "
            "row for each target piece, a column for each source piece"
        )
    if 0 in expected:
        raise ArgumentError("attention: expected pieces to show, got none")
    return weights


def _names(pieces: Sequence[str], fonts: Fonts | None) -> list[str]:
    """Return pieces as shown: without the mark of a new word, with a hyphen if they continue a word."""
    marked = any(piece.startswith(_WORD) for piece in pieces)
    names = []
    for piece in pieces:
        shown = piece.removeprefix(_WORD)
        if marked and not piece.startswith(_WORD) and shown[:1].isalnum():
            shown = _CONTINUED + shown
        shown = " ".join(shown.split()) if fonts is None else fonts.write(shown)
        names.append((shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…") or "·")
    return names


def _width(name: str) -> float:
    """Return the approximate width of a name, as a multiple of the font size."""
    return sum(1.0 if ord(character) >= 0x1100 and character.isalpha() else 0.6 for character in name)


def _write_names(axes: Any, source: list[str], target: list[str], points: float, fonts: Fonts) -> None:
    axes.xaxis.tick_top()
    axes.set_xticks(
        range(len(source)), source, rotation=60, ha="left", va="baseline", rotation_mode="anchor",
        fontsize=points,
    )  # fmt: skip
    axes.set_yticks(range(len(target)), target, fontsize=points)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set(fontfamily=list(fonts.families), parse_math=False)
    axes.tick_params(length=0, pad=4)
    # Thin white lines between the cells.
    axes.set_xticks(np.arange(len(source) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(target) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_color("#c3cad1")


def _draw_key(
    figure: Any, image: Any, left: float, bottom: float, room: float, width: float, height: float
) -> None:
    """Draw the colour bar beside the cells."""
    tall = min(room, 1.4)
    axes = figure.add_axes((left, bottom + (room - tall) / height, 0.11 / width, tall / height))
    key = figure.colorbar(image, cax=axes, ticks=[0, 0.5, 1])
    key.ax.tick_params(labelsize=7, length=2, pad=2)
    key.outline.set_visible(False)

"""A reading as a picture: the text with coloured tokens, and the probability over the text."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi._public import public
from nabi.drawing import Fonts, check_suffix, fonts_for, write_figure

if TYPE_CHECKING:
    from nabi.explain._reading import Reading

__all__ = ["reading_picture"]

_WIDTH, _MARGIN = 11.0, 0.5  # inches
_POINTS, _SMALL, _LINE = 10.5, 8.0, 0.27
_FOR, _AGAINST = (0.12, 0.42, 0.72), (0.80, 0.30, 0.05)
_GREY = "#8a939c"
_MOST_NAMED_STEPS = 40
_JUMPS = 6


@public
def reading_picture(reading: "Reading", path: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """Draw how a classifier read a text.

    The text is above: blue tokens count for the label, orange ones against it, in proportion to the strength
    of the colour. The probability of the label after each token is below, with the tokens at its largest
    jumps; with more than two labels, the next two are drawn as well.

    Args:
        reading: the result of `read_text`.
        path: the file to write, .svg or .png.
        title: above the picture; the decision by default.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix.
        OutputError: if the file cannot be written.

    Characters that no installed font has are transliterated: Hangul by its sound.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    if title is None:
        title = f"Label {reading.label}, probability {reading.probability:.3f}"
    fonts = fonts_for([reading.text, title, *reading.labels])
    lines = _lines(reading, fonts)
    text_height = _LINE * len(lines)
    names = _names_of_steps(reading, fonts)
    below = 0.55 if names is None else 0.25 + 0.87 * max(map(_Ruler(fonts, _SMALL), names))
    heights = {"title": 0.75, "text": text_height, "between": 0.45, "curve": 2.3, "below": below}
    if fonts.missing:
        heights["below"] += 0.25
    height = sum(heights.values())
    figure = Figure(figsize=(_WIDTH, height))
    top = height - heights["title"]
    family = list(fonts.families)
    figure.text(
        _MARGIN / _WIDTH, 1 - 0.32 / height, fonts.write(title), fontsize=14, va="center",
        fontfamily=family, parse_math=False,
    )  # fmt: skip
    _draw_key(figure, reading, height, fonts)
    _draw_lines(figure, lines, top, height, family)
    axes = figure.add_axes(
        (0.75 / _WIDTH, heights["below"] / height, (_WIDTH - 0.75 - 1.6) / _WIDTH, heights["curve"] / height)
    )
    _draw_curve(axes, reading, fonts, names)
    if fonts.missing:
        note = "No font on this machine has some of the characters: they are spelt out."
        figure.text(_MARGIN / _WIDTH, 0.12 / height, note, fontsize=_SMALL, color=_GREY)
    return write_figure(figure, path, title=title, description=reading.text[:500])


# The text ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """A piece of a line: its text, its start and width in inches, and its share of the strongest attribution;
    None for text that the network did not read."""

    text: str
    start: float
    width: float
    share: float | None


def _lines(reading: "Reading", fonts: Fonts) -> list[list[_Piece]]:
    """Break the text into lines, between words if possible."""
    room = _WIDTH - 2 * _MARGIN
    measure = _Ruler(fonts, _POINTS)
    space = measure(" ")
    lines: list[list[_Piece]] = [[]]
    place = 0.0
    for spaced, word in _words(reading, fonts):
        widths = [measure(text) for text, _ in word]
        if place and spaced:
            place += space
        if place and place + sum(widths) > room and (spaced or place + widths[0] > room):
            lines.append([])
            place = 0.0
        for (text, share), width in zip(word, widths, strict=True):
            if place and place + width > room:
                lines.append([])
                place = 0.0
            lines[-1].append(_Piece(text, place, min(width, room), share))
            place += width
    return lines


def _words(reading: "Reading", fonts: Fonts) -> Iterator[tuple[bool, list[tuple[str, float | None]]]]:
    """Yield runs of adjacent tokens, and whether there is space before them."""
    strongest = max(float(np.abs(reading.attributions).max()), 1e-12)
    if reading.unread_first:
        yield False, [(f"({reading.unread:,} tokens before this are not read) …", None)]
    word: list[tuple[str, float | None]] = []
    spaced, end = True, reading.tokens[0].start
    for token, attribution in zip(reading.tokens, reading.attributions.tolist(), strict=True):
        if token.start > end or not token.text.strip():
            if word:
                yield spaced, word
            spaced, word = True, []
        shown = fonts.write(token.text)
        if shown:
            word.append((shown, attribution / strongest))
        end = max(end, token.end)
    if word:
        yield spaced, word
    if reading.unread and not reading.unread_first:
        yield True, [(f"… ({reading.unread:,} more tokens are not read)", None)]


class _Ruler:
    """Measures texts in inches, in the font used for drawing."""

    _DOTS = 720.0  # per inch; at a lower resolution, letters are aligned to whole dots

    def __init__(self, fonts: Fonts, points: float) -> None:
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.font_manager import FontProperties

        self._font = FontProperties(family=list(fonts.families), size=points)
        self._renderer: Any = RendererAgg(10, 10, self._DOTS)  # type: ignore[no-untyped-call]
        self._known: dict[str, float] = {}

    def __call__(self, text: str) -> float:
        if text not in self._known:
            width = self._renderer.get_text_width_height_descent(text, self._font, ismath=False)[0]
            self._known[text] = float(width) / self._DOTS
        return self._known[text]


def _draw_lines(figure: Any, lines: list[list[_Piece]], top: float, height: float, family: list[str]) -> None:
    from matplotlib.patches import Rectangle

    for number, line in enumerate(lines):
        middle = top - _LINE * (number + 0.5)
        for piece in line:
            left = (_MARGIN + piece.start) / _WIDTH
            if piece.share is not None:
                corner = (left, (middle - 0.44 * _LINE) / height)
                box = Rectangle(
                    corner, piece.width / _WIDTH, 0.88 * _LINE / height, color=_colour(piece.share),
                    linewidth=0, transform=figure.transFigure,
                )  # fmt: skip
                figure.add_artist(box)
            dark = piece.share is not None and abs(piece.share) > 0.62
            figure.text(
                left, (middle - 0.02) / height, piece.text, fontsize=_POINTS, va="center", parse_math=False,
                fontfamily=family, color="white" if dark else _GREY if piece.share is None else "black",
            )  # fmt: skip


def _colour(share: float) -> tuple[float, ...]:
    """Return the colour of a share: white for 0, full colour for 1 or -1."""
    strength = min(abs(share), 1.0) ** 0.8
    return tuple(1 - strength * (1 - part) for part in (_FOR if share > 0 else _AGAINST))


def _draw_key(figure: Any, reading: "Reading", height: float, fonts: Fonts) -> None:
    """Draw the colour bar, right above the text."""
    import matplotlib.colors

    strongest = float(np.abs(reading.attributions).max())
    axes = figure.add_axes((1 - (_MARGIN + 2.9) / _WIDTH, 1 - 0.33 / height, 2.6 / _WIDTH, 0.13 / height))
    scale = matplotlib.colors.ListedColormap([_colour(share) for share in np.linspace(-1, 1, 201)])
    axes.imshow(np.linspace(-1, 1, 201)[None], aspect="auto", cmap=scale, extent=(-1, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1], [f"{-strongest:.2g}", "0", f"+{strongest:.2g}"], fontsize=8)
    axes.tick_params(length=2, pad=1)
    axes.spines[:].set_visible(False)
    label = _short(fonts.write(reading.label), 24)
    axes.set_title(
        f"what a token adds to the log-odds of {label}", fontsize=8, pad=3, loc="right",
        fontfamily=list(fonts.families), parse_math=False,
    )  # fmt: skip


# The probability --------------------------------------------------------------------------------------------


def _names_of_steps(reading: "Reading", fonts: Fonts) -> list[str] | None:
    """Return the labels of the curve's steps; None if there are too many."""
    if len(reading.tokens) > _MOST_NAMED_STEPS:
        return None
    return [_short(fonts.write(token.text) or "·", 14) for token in reading.tokens]


def _draw_curve(axes: Any, reading: "Reading", fonts: Fonts, names: list[str] | None) -> None:
    family = list(fonts.families)
    steps = np.arange(len(reading.tokens) + 1)
    whole = np.concatenate([reading.before[None], reading.probabilities])
    followed = reading.labels.index(reading.label)
    others = [number for number in np.argsort(-whole[-1], kind="stable").tolist() if number != followed]
    # With two labels, the other curve is the mirror image.
    others = others[:2] if len(others) > 1 else []
    for number, colour in zip(others, ("#9aa5b1", "#c3cad1"), strict=False):
        axes.plot(steps, whole[:, number], color=colour, linewidth=1.2)
    axes.plot(steps, whole[:, followed], color=_FOR, linewidth=2.0, marker="." if len(steps) < 60 else "")
    ends: list[tuple[int, Any]] = [(followed, _FOR), *zip(others, ("#6d7883", "#9aa5b1"), strict=False)]
    for height, (number, colour) in zip(_apart([float(whole[-1, n]) for n, _ in ends]), ends, strict=True):
        axes.text(
            1.01, height, f"{_short(fonts.write(reading.labels[number]), 14)}: {whole[-1, number]:.2f}",
            transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=colour, fontfamily=family,
            parse_math=False,
        )  # fmt: skip
    axes.set_ylim(0, 1.0)
    axes.set_xlim(0, max(len(reading.tokens), 1))
    axes.set_ylabel("probability", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#e8eaed", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if names is not None:
        axes.set_xticks(steps[1:], names, rotation=60, ha="right", rotation_mode="anchor", fontsize=_SMALL)
        for tick in axes.get_xticklabels():
            tick.set(fontfamily=family, parse_math=False)
        return
    axes.set_xlabel("tokens read", fontsize=9)
    _name_jumps(
        axes, whole[:, followed], [_short(fonts.write(token.text), 14) for token in reading.tokens], family
    )


def _name_jumps(axes: Any, curve: Any, shown: list[str], family: list[str]) -> None:
    """Write the tokens at the largest changes, without overlap."""
    changes = np.diff(curve)
    named: list[int] = []
    for place in np.argsort(-np.abs(changes), kind="stable").tolist():
        if len(named) == _JUMPS or abs(changes[place]) < 0.02:
            break
        if all(abs(place - other) > len(shown) / 16 for other in named):
            named.append(place)
    for place in named:
        level = float(curve[place + 1])
        below = level > 0.5
        axes.annotate(
            shown[place], (place + 1, level), (0, -13 if below else 13), textcoords="offset points",
            ha="center", va="top" if below else "bottom", fontsize=8, fontfamily=family, parse_math=False,
            color=_FOR if changes[place] > 0 else _AGAINST,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "color": _GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 1},
        )  # fmt: skip


def _apart(heights: list[float], least: float = 0.085) -> list[float]:
    """Return the heights of names beside the curve, moved apart so that none overlap."""
    result = list(heights)
    order = sorted(range(len(heights)), key=lambda number: heights[number])
    for lower, upper in pairwise(order):
        result[upper] = max(result[upper], result[lower] + least)
    excess = max(max(result) - 1.0, 0.0)
    return [height - excess for height in result]


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"

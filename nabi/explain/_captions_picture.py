"""Attention of a captioner as a picture: each image, and beside it a map for every word."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi._public import public
from nabi.drawing import Fonts, check_suffix, fonts_for, write_figure
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nabi.models import CaptionAttention

__all__ = ["CaptionedImage", "captions_picture"]

_SIDE, _GAP, _ABOVE, _BELOW, _TITLE, _MARGIN = 0.86, 0.06, 0.22, 0.30, 0.45, 0.25  # inches
_WRONG = "#c0392b"
_DARK = (24, 28, 52)
_MOST_WORDS, _NARROWEST = 16, 7.5
_FAINTEST = 0.12  # Visibility of an image region with no attention.


class CaptionedImage(NamedTuple):
    """An image, its caption, and the captioner's attention for each word."""

    image: npt.NDArray[np.uint8]
    """`[height, width, 3]`, red, green and blue from 0 to 255."""
    caption: str
    attention: "CaptionAttention"
    expected: str | None = None
    """The correct caption; None if unknown."""


@public
def captions_picture(
    captioned: Sequence[CaptionedImage], path: str | os.PathLike[str], *, title: str | None = None
) -> Path:
    """Draw images with captions, a row for each: the image, then the attention map of each word.

    The lighter a region, the more it contributed to the word. A wrong caption is red and followed by the
    correct one. At most the first 16 words are shown.

    Args:
        captioned: the images to draw.
        path: the file to write, .svg or .png.
        title: above the picture.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix, and if there is nothing to draw.
        OutputError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    if not captioned:
        raise ArgumentError("captioned: expected images with captions, got none")
    fonts = fonts_for(
        [one.caption + (one.expected or "") + "".join(one.attention.words) for one in captioned]
    )
    words = min(max(len(one.attention.words) for one in captioned), _MOST_WORDS)
    row = _ABOVE + _SIDE + _BELOW
    width = max(2 * _MARGIN + (words + 1) * (_SIDE + _GAP), _NARROWEST)
    height = (_TITLE if title else 0.1) + len(captioned) * row + 0.1
    figure = Figure(figsize=(width, height))
    if title:
        figure.text(_MARGIN / width, 1 - 0.25 / height, title, fontsize=12, va="center", parse_math=False)
    for number, one in enumerate(captioned):
        top = height - (_TITLE if title else 0.1) - number * row
        bottom = top - _ABOVE - _SIDE
        for place in range(min(len(one.attention.words), _MOST_WORDS) + 1):
            left = _MARGIN + place * (_SIDE + _GAP)
            axes = figure.add_axes((left / width, bottom / height, _SIDE / width, _SIDE / height))
            axes.set_axis_off()
            if not place:
                axes.imshow(one.image)
            else:
                _draw_word(axes, one, place - 1, fonts)
        _write_caption(figure, one, fonts, (_MARGIN / width, (bottom - 0.12) / height))
    said = "; ".join(one.caption for one in captioned)
    return write_figure(figure, path, title=title or "Captions", description=said[:500])


def _draw_word(axes: "Axes", one: CaptionedImage, number: int, fonts: Fonts) -> None:
    weights = one.attention.weights[number].astype(np.float64)
    share = weights / max(float(weights.max()), 1e-12)
    height, width = one.image.shape[:2]
    rows = np.arange(height) * share.shape[0] // height
    columns = np.arange(width) * share.shape[1] // width
    clear = (_FAINTEST + (1 - _FAINTEST) * share[rows][:, columns])[..., None]
    axes.imshow((clear * one.image + (1 - clear) * _DARK).astype(np.uint8))
    word = fonts.write(one.attention.words[number])
    axes.set_title(word, fontsize=8, pad=2, fontfamily=list(fonts.families), parse_math=False)


def _write_caption(figure: object, one: CaptionedImage, fonts: Fonts, place: tuple[float, float]) -> None:
    wrong = one.expected is not None and one.caption != one.expected
    text = fonts.write(one.caption)
    if wrong:
        text += f"   (right: {fonts.write(str(one.expected))})"
    colour = _WRONG if wrong else "black"
    figure.text(  # type: ignore[attr-defined]
        *place, text, fontsize=9, va="center", color=colour, fontfamily=list(fonts.families), parse_math=False
    )

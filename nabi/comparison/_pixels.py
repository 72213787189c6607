"""Pictures of digits, read pixel by pixel. They are drawn here, so the task needs no files."""

from functools import lru_cache
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.comparison._task import Batch, Task, accuracy
from nabi.errors import ArgumentError

__all__ = ["pixels"]

# Faces that come with matplotlib.
_FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
    "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10",
)  # fmt: skip
_LARGE = 28  # pixels of the pictures that others are made from
_TURN, _SLANT, _SIZE, _SHIFT, _NOISE = 0.15, 0.2, 0.1, 0.05, 0.05
"""By how much a digit is turned (in radians), slanted, made larger or smaller, moved (as a share of the side)
and made noisy, at most or, of the noise, usually."""


def pixels(length: int = 144) -> Task:
    """Return sequential pixels (Le et al. 2015): name a digit after reading its picture pixel by pixel.

    The pictures are digits of eleven printed faces, turned, slanted, scaled and moved at random, with noise;
    new ones for every batch. `length` is the number of pixels.

    Raises:
        ArgumentError: `length` is no square, or below 64.
    """
    length = _checks.whole("length", length, least=64)
    side = isqrt(length)
    if side * side != length:
        raise ArgumentError(
            f"length: expected a square, the pixels of a picture, such as {side**2}, got {length}"
        )

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        digits, faces = generator.integers(0, 10, count), generator.integers(0, len(_FACES), count)
        pictures = _distorted(_printed()[faces, digits], side, generator)
        return pictures.reshape(count, length, 1), digits

    return Task(
        "pixels", f"digits drawn from the seed, {side} × {side} pixels", length, length, draw, features=1,
        outputs=10, measure=accuracy, baseline=0.1, baseline_of="guessing among 10 digits",
    )  # fmt: skip


@lru_cache(maxsize=1)
def _printed() -> npt.NDArray[np.float32]:
    """Return the digits of all faces, `[faces, 10, rows, columns]`, from 0 to 1, in the middle."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = np.zeros((len(_FACES), 10, _LARGE, _LARGE), np.float32)
    for row, face in enumerate(_FACES):
        font = ImageFont.truetype(str(folder / f"{face}.ttf"), round(1.2 * _LARGE))
        for digit in range(10):
            picture = Image.new("L", (_LARGE, _LARGE))
            middle = (_LARGE / 2, _LARGE / 2)
            left, top, right, bottom = font.getbbox(str(digit))
            place = (middle[0] - (left + right) / 2, middle[1] - (top + bottom) / 2)
            ImageDraw.Draw(picture).text(place, str(digit), fill=255, font=font)
            found[row, digit] = np.asarray(picture, np.float32) / 255
    return found


def _distorted(
    pictures: npt.NDArray[np.float32], side: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return pictures `[B, side, side]` of turned, slanted, scaled and moved digits."""
    count = len(pictures)

    def between(limit: float) -> npt.NDArray[Any]:
        return generator.uniform(-limit, limit, (count, 1, 1))

    turn, slant, size = between(_TURN), between(_SLANT), 1 + between(_SIZE)
    # Where in the large picture each pixel is read, from -1 to 1.
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    x, y = x + slant * y, np.broadcast_to(y, (count, side, side))
    across = size * (np.cos(turn) * x - np.sin(turn) * y) + between(2 * _SHIFT)
    down = size * (np.sin(turn) * x + np.cos(turn) * y) + between(2 * _SHIFT)
    found = _between_pixels(pictures, (down + 1) / 2 * _LARGE - 0.5, (across + 1) / 2 * _LARGE - 0.5)
    noise = generator.normal(0, _NOISE, found.shape)
    return np.clip(found + noise, 0, 1).astype(np.float32)


def _between_pixels(
    pictures: npt.NDArray[np.float32], down: npt.NDArray[Any], across: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Read pictures between their pixels, which are 0 outside (bilinear interpolation)."""
    framed = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    last = framed.shape[1] - 1
    down, across = (np.clip(one + 1, 0, last - 1e-3) for one in (down, across))
    top, left = down.astype(int), across.astype(int)
    low, right = down - top, across - left
    rows = np.arange(len(pictures))[:, None, None]
    found: npt.NDArray[np.float32] = (
        framed[rows, top, left] * (1 - low) * (1 - right)
        + framed[rows, top, left + 1] * (1 - low) * right
        + framed[rows, top + 1, left] * low * (1 - right)
        + framed[rows, top + 1, left + 1] * low * right
    )
    return found

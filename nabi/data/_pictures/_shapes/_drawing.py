"""Drawing a scene as an image."""

import colorsys
import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nabi.data._pictures._shapes._scenes import Scene

__all__ = ["draw"]

Pixels = npt.NDArray[np.uint8]

# Hue in degrees, saturation, value: from and to.
_TONES = {
    "red": ((-8, 6), (0.75, 1.0), (0.65, 0.95)),
    "orange": ((22, 34), (0.80, 1.0), (0.88, 1.0)),
    "yellow": ((50, 62), (0.70, 1.0), (0.85, 1.0)),
    "green": ((105, 145), (0.55, 1.0), (0.40, 0.80)),
    "blue": ((212, 232), (0.65, 1.0), (0.55, 1.0)),
    "purple": ((272, 288), (0.50, 0.85), (0.45, 0.75)),
    "pink": ((325, 342), (0.30, 0.55), (0.90, 1.0)),
    "brown": ((20, 30), (0.55, 0.80), (0.30, 0.48)),
    "black": ((0, 360), (0.0, 0.15), (0.02, 0.12)),
    "white": ((0, 360), (0.0, 0.04), (0.94, 1.0)),
}
# Width of a shape, as a share of a third of the image.
_WIDTHS = {"small": (0.48, 0.60), "large": (0.82, 0.96)}
_FINER = 8  # A mask is drawn this many times larger, for a smooth edge.
_CONTRAST = 90.0  # Minimum RGB distance between a shape and the background.
_NOISE = 4.0


def draw(scene: Scene, image_size: int, random: np.random.Generator) -> Pixels:
    """Draw a scene `[image_size, image_size, 3]`, with random exact positions, sizes and tones.

    The background is a random, slightly tinted grey that contrasts with every shape.
    """
    third = image_size / 3
    tones = [_tone(thing.kind.colour, random) for thing in scene.things]
    while True:
        background = random.uniform(20, 245) + random.uniform(-10, 10, size=3)
        if all(np.linalg.norm(tone - background) > _CONTRAST for tone in tones):
            break
    picture = background + random.normal(0, _NOISE, (image_size, image_size, 3))
    for thing, tone in zip(scene.things, tones, strict=True):
        low, high = _WIDTHS[thing.size]
        width = max(round(third * random.uniform(low, high)), 3)
        # It stays within its third of the image.
        room = third - width
        top, left = (
            min(max(round(third * place + room * random.uniform(0, 1)), 0), image_size - width)
            for place in (thing.row, thing.column)
        )
        share = _mask(thing.kind.shape, width)[..., None]
        there = picture[top : top + width, left : left + width]
        there += share * (tone + random.normal(0, _NOISE, (width, width, 3)) - there)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _tone(colour: str, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the RGB values of a random tone of a colour, from 0 to 255."""
    hue, saturation, value = (random.uniform(*between) for between in _TONES[colour])
    return 255 * np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value))


@lru_cache(maxsize=1024)
def _mask(shape: str, width: int) -> npt.NDArray[np.float64]:
    """Return how much of each pixel a shape covers, `[width, width]`, from 0 to 1."""
    from PIL import Image, ImageDraw

    size = width * _FINER
    image = Image.new("L", (size, size))
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((0, 0, size - 1, size - 1), fill=255)
    else:
        pen.polygon([(x * (size - 1), y * (size - 1)) for x, y in _corners(shape)], fill=255)
    fine = np.asarray(image, dtype=np.float64) / 255
    shares: npt.NDArray[np.float64] = fine.reshape(width, _FINER, width, _FINER).mean((1, 3))
    return shares


def _corners(shape: str) -> list[tuple[float, float]]:
    """Return the corners of a shape in the unit square."""
    if shape == "square":
        return [(0.04, 0.04), (0.96, 0.04), (0.96, 0.96), (0.04, 0.96)]
    if shape == "triangle":
        return [(0.5, 0.0), (1.0, 0.95), (0.0, 0.95)]
    if shape == "diamond":
        return [(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)]
    if shape == "cross":
        a, b = 0.34, 0.66
        return [
            (a, 0.0), (b, 0.0), (b, a), (1.0, a), (1.0, b), (b, b),
            (b, 1.0), (a, 1.0), (a, b), (0.0, b), (0.0, a), (a, a),
        ]  # fmt: skip
    assert shape == "star"
    points = []
    for number in range(10):
        reach = 0.52 if number % 2 == 0 else 0.21
        angle = math.pi * (number / 5 - 0.5)
        points.append((0.5 + reach * math.cos(angle), 0.53 + reach * math.sin(angle)))
    return [(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in points]

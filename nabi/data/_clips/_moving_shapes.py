"""Clips of a moving shape: the motion is the class, and no single frame shows it."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["MOTIONS", "MovingShapes", "make_moving_shapes"]

Pixels = npt.NDArray[np.uint8]

MOTIONS = ("left", "right", "up", "down", "growing", "shrinking", "clockwise", "counterclockwise")
"""Each followed by the same with time reversed."""

_SHAPES = ("triangle", "bar", "cross", "arrow", "star")
_FINER = 4  # Shapes are drawn so many times larger, for smooth edges and motions of parts of a pixel.
# From and to: frames of a clip; and a frame's share of the width, of all sizes, and degrees of a circle.
_FRAMES, _SPEED, _GROWTH, _TURN = (8, 16), (0.04, 0.10), (0.05, 0.12), (20.0, 45.0)
_RADIUS = (0.14, 0.34)  # Of the smallest and the largest shape, as a share of the frame.
_CONTRAST = 90.0  # RGB distance between a shape and the background at least.
_NOISE = 6.0


class MovingShapes(NamedTuple):
    """Clips and the motion in each."""

    clips: list[Pixels]
    """Each `[T, size, size, 3]`."""
    labels: list[str]


def make_moving_shapes(count: int, size: int, random: np.random.Generator) -> MovingShapes:
    """Draw clips, about as many of each motion.

    A shape has a place, a size and an angle, which may be anything in the first frame. It goes straight on or
    in a circle, or changes its size, by the same amount in each frame. Who leaves the frame on the right
    comes in on the left, and the largest size is followed by the smallest. So every single frame of every
    motion is distributed in the same way, and says nothing of the motion; and a motion and its reverse have
    the same frames in another order. Of a circle, two frames say no more than of a straight line.
    """
    motions = random.permutation(np.arange(count) % len(MOTIONS))
    clips = [_draw_clip(int(motion), size, random) for motion in motions]
    return MovingShapes(clips, [MOTIONS[motion] for motion in motions])


def _draw_clip(motion: int, size: int, random: np.random.Generator) -> Pixels:
    frames = int(random.integers(_FRAMES[0], _FRAMES[1] + 1))
    background, colour = _two_colours(random)
    corners = _corners(_SHAPES[int(random.integers(len(_SHAPES)))])
    x, y, phase, angle = random.uniform(size=4)
    kind, sign = motion // 2, -1 if motion % 2 == 0 else 1
    steps = np.arange(frames)
    places, phases = np.full((frames, 2), (x, y)), np.full(frames, phase)
    speed, growth = random.uniform(*_SPEED), random.uniform(*_GROWTH)
    turn, direction = math.radians(random.uniform(*_TURN)), 2 * math.pi * random.uniform()
    if kind < 2:
        places[:, kind] += sign * speed * steps
    elif kind == 2:
        phases -= sign * growth * steps
    else:
        # Rows go down, so that growing angles are clockwise. The centre is where the first place is (x, y).
        angles = direction - sign * turn * steps
        ring = np.stack([np.cos(angles), np.sin(angles)], 1) * speed / turn
        places += ring - ring[0]
    low, high = _RADIUS
    drawn = [
        _cover(corners, place % 1, low + (high - low) * (one % 1), 2 * math.pi * angle, size)
        for place, one in zip(places, phases, strict=True)
    ]
    share = np.stack(drawn)[..., None]
    pixels = background + share * (colour - background)
    pixels += random.normal(0, _NOISE, pixels.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _two_colours(
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    while True:
        one, other = random.uniform(10, 245, (2, 3))
        if np.linalg.norm(one - other) > _CONTRAST:
            return one, other


def _cover(
    corners: npt.NDArray[np.float64],
    place: npt.NDArray[np.float64],
    radius: float,
    angle: float,
    size: int,
) -> npt.NDArray[np.float64]:
    """Return how much of each pixel a shape covers, `[size, size]`; what leaves comes in opposite."""
    from PIL import Image, ImageDraw

    fine = size * _FINER
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = corners @ np.array([[cosine, sine], [-sine, cosine]]) * radius + place
    image = Image.new("L", (fine, fine))
    pen = ImageDraw.Draw(image)
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            moved = (turned + np.array((across, down))) * fine
            if (moved.max(0) > 0).all() and (moved.min(0) < fine).all():
                pen.polygon([(float(x), float(y)) for x, y in moved], fill=255)
    whole = np.asarray(image, dtype=np.float64) / 255
    shares: npt.NDArray[np.float64] = whole.reshape(size, _FINER, size, _FINER).mean((1, 3))
    return shares


def _corners(shape: str) -> npt.NDArray[np.float64]:
    """Return the corners of a shape in the unit circle; its centre is where it turns."""
    if shape == "triangle":
        return _ring([1.0] * 3)
    if shape == "star":
        return _ring([1.0, 0.4] * 5)
    if shape == "bar":
        return np.array([(-0.95, -0.3), (0.95, -0.3), (0.95, 0.3), (-0.95, 0.3)])
    if shape == "cross":
        a, b = 0.28, 0.92
        return np.array([
            (-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a),
            (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a),
        ])  # fmt: skip
    assert shape == "arrow"
    return np.array([
        (0.0, -1.0), (0.75, -0.1), (0.3, -0.1), (0.3, 0.9), (-0.3, 0.9), (-0.3, -0.1), (-0.75, -0.1),
    ])  # fmt: skip


def _ring(radii: list[float]) -> npt.NDArray[np.float64]:
    angles = np.arange(len(radii)) * 2 * math.pi / len(radii)
    corners: npt.NDArray[np.float64] = np.array(radii)[:, None] * np.stack(
        [np.sin(angles), -np.cos(angles)], 1
    )
    return corners

"""Points drawn at random: sizes that no one chose, so that no one can have tuned for them.

The seed follows from the release. Whoever changes the version adds a line to `SEEDS`; without one the
benchmark doesn't start, and a test fails. So the points stay the same within a release, where they can be
compared, and are new ones for the next.
"""

import math
import random

import nabi
from benchmarks.layers.points import CELLS, KINDS, SHAPES, Point

__all__ = ["MOST_NUMBERS", "MOST_OPERATIONS", "NUMBER", "RANGES", "SEEDS", "draw", "release_seed"]

SEEDS = {"0.1.0": 20_261_130}
"""The seed of each release: a new one with every version."""

NUMBER = 60
"""How many points are drawn unless told otherwise."""

RANGES = {"B": (1, 256), "T": (1, 5000), "D": (1, 512), "H": (4, 1024)}
"""From where to where each size goes; its logarithm is uniform."""

MOST_OPERATIONS = 4_000_000_000
"""Floating-point operations of one inference call: 8 ms at 500 GFLOP/s. What is above is drawn anew."""

MOST_NUMBERS = 2**24
"""Numbers in the input and in the output together, 64 MiB: seven processes hold them at once."""


def release_seed() -> int:
    """Return the seed of this release.

    Raises:
        SystemExit: the version has none yet.
    """
    try:
        return SEEDS[nabi.__version__]
    except KeyError:
        raise SystemExit(
            f"SEEDS in benchmarks/layers/random_points.py: expected a line for version {nabi.__version__}, "
            f"got {', '.join(SEEDS)}; a new release has a new seed"
        ) from None


def draw(number: int = NUMBER, seed: int | None = None) -> list[Point]:
    """Return random points, cells and kinds in turn, none of them on the fixed grid.

    Args:
        number: how many.
        seed: of the draw; that of the release by default.

    >>> [point.kind for point in draw(4)]
    ['inference', 'inference', 'inference', 'training']
    """
    source = random.Random(release_seed() if seed is None else seed)
    cells, found = list(CELLS), {}
    while len(found) < number:
        turn = len(found)
        shape = tuple(size(source, *RANGES[axis]) for axis in "BTDH")
        point = Point(cells[turn % len(cells)], shape, KINDS[turn // len(cells) % len(KINDS)])
        if shape not in SHAPES and fits(point):
            found[point.name] = point
    return list(found.values())


def size(source: random.Random, low: int, high: int) -> int:
    """Draw a whole number between two, both included, its logarithm uniform."""
    return min(high, math.floor(math.exp(source.uniform(math.log(low), math.log(high + 1)))))


def fits(point: Point) -> bool:
    batch, time, inputs, units = point.shape
    forward = Point(point.cell, point.shape, "inference").operations
    return forward <= MOST_OPERATIONS and batch * time * (inputs + units) <= MOST_NUMBERS

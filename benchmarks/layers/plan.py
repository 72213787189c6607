"""What a run measures, in which order: points of the grid, random ones, busy ones, the other parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.layers.points import BUSY_SHAPES, Point, choose, grid
from benchmarks.layers.random_points import draw
from benchmarks.layers.results import Results
from benchmarks.layers.sections import OTHERS

__all__ = ["ONLY_POINTS", "PARTS", "Job", "jobs", "slot"]

PARTS = ("caps", "points", "random", "busy", *(name for name in OTHERS if name != "caps"))
ONLY_POINTS = ("caps", "points")
"""What is measured with fewer threads than the most."""
BUSY_RANDOM = 6
"""How many of the random points are measured on a busy machine too: one of each cell and kind of work."""


@dataclass(frozen=True)
class Job:
    """A part of the benchmark, or a point of one that consists of points."""

    part: str
    point: Point | None = None

    @property
    def name(self) -> str:
        return f"{self.part}: {self.point.name}" if self.point else self.part.replace("_", " ")


def jobs(parts: list[str], about: dict[str, Any], only: list[str] | None, *, quick: bool) -> Iterator[Job]:
    """Yield what the chosen parts consist of.

    Args:
        parts: names of `PARTS`.
        about: settings of the parts `random` and `busy`.
        only: texts of which a point's name must contain one; None for all points.
        quick: two points of each part.
    """
    drawn = draw(about["random"]["number"], about["random"]["seed"])
    beside = grid(BUSY_SHAPES) + drawn[:BUSY_RANDOM]
    points = {
        "points": choose(quick=quick),
        "random": drawn[:2] if quick else drawn,
        "busy": beside[:2] if quick else beside,
    }
    for part in PARTS:
        if part in parts and part in points:
            chosen = [p for p in points[part] if not only or any(each in p.name for each in only)]
            yield from (Job(part, point) for point in chosen)
        elif part in parts:
            yield Job(part)


def slot(results: Results, part: str, about: dict[str, Any]) -> dict[str, Any]:
    """Return where the points of a part are kept in the results; the random ones are those of one draw."""
    if part == "points":
        points: dict[str, Any] = results["points"]
        return points
    kept = results.get(part, {})
    if {key: kept.get(key) for key in about[part]} != about[part]:
        kept = {**about[part], "points": {}}
    results[part] = kept
    found: dict[str, Any] = kept["points"]
    return found

"""The contents of an image, and its one caption."""

from typing import NamedTuple

__all__ = ["COLOURS", "PLACES", "SHAPES", "SIZES", "Kind", "Scene", "Thing"]

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross")
SIZES = ("small", "large")

PLACES = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the middle", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)
"""The name of a place in an image, by row and column."""


class Kind(NamedTuple):
    """A colour and a shape."""

    colour: str
    shape: str


class Thing(NamedTuple):
    """A shape in an image, in one of three rows and three columns."""

    kind: Kind
    size: str
    row: int
    column: int

    def __str__(self) -> str:
        article = "an" if self.size[0] in "aeiou" else "a"
        return f"{article} {self.size} {self.kind.colour} {self.kind.shape}"


class Scene(NamedTuple):
    """One thing, or two in the same row or the same column.

    The contents determine the caption: the upper of two things comes first, or the left one of two in a row.

    >>> print(Scene((Thing(Kind("red", "star"), "small", 0, 2),)))
    a small red star at the top right
    >>> print(Scene((Thing(Kind("red", "star"), "small", 2, 1), Thing(Kind("blue", "cross"), "large", 0, 1))))
    a large blue cross above a small red star
    """

    things: tuple[Thing, ...]

    def __str__(self) -> str:
        first, *others = sorted(self.things, key=lambda thing: (thing.row, thing.column))
        if not others:
            return f"{first} {PLACES[first.row][first.column]}"
        between = "above" if first.column == others[0].column else "to the left of"
        return f"{first} {between} {others[0]}"

"""What a picture shows, and the one sentence that is said of it."""

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
"""What a place in a picture is called, by row and column."""


class Kind(NamedTuple):
    """A colour and a shape."""

    colour: str
    shape: str


class Thing(NamedTuple):
    """A shape in a picture, in one of three rows and three columns."""

    kind: Kind
    size: str
    row: int
    column: int

    def __str__(self) -> str:
        article = "an" if self.size[0] in "aeiou" else "a"
        return f"{article} {self.size} {self.kind.colour} {self.kind.shape}"


class Scene(NamedTuple):
    """One thing, or two in the same row or the same column.

    What is said of it is determined by what there is: of two things the upper one comes first, or of two in a
    row the left one.

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

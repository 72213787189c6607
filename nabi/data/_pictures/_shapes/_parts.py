"""Scenes for training, validation and test, each part with its own combinations."""

import numpy as np

from nabi.data._pictures._shapes._scenes import COLOURS, SHAPES, SIZES, Kind, Scene, Thing

__all__ = ["PARTS", "kinds", "make_scenes"]

PARTS = ("training", "validation", "test")
_FIRST_COLOURS = {"validation": 0, "test": 5}
_TWO_THINGS = 0.7  # Share of the scenes with two things.
_NEW_KIND = 0.5  # Share of these, outside the training part, with a kind exclusive to the part.


def kinds(part: str) -> tuple[Kind, ...]:
    """Return the kinds exclusive to a part; for the training part, all that the others do not have.

    Validation and test have six each: one of each shape, each in a different colour.

    >>> [" ".join(kind) for kind in kinds("test")]
    ['purple circle', 'pink square', 'brown triangle', 'black diamond', 'white star', 'red cross']
    >>> len(kinds("training"))
    48
    """
    if part == "training":
        taken = {*kinds("validation"), *kinds("test")}
        every = (Kind(colour, shape) for colour in COLOURS for shape in SHAPES)
        return tuple(kind for kind in every if kind not in taken)
    first = _FIRST_COLOURS[part]
    return tuple(Kind(COLOURS[(first + number) % len(COLOURS)], shape) for number, shape in enumerate(SHAPES))


def _part_of_pair(one: Kind, other: Kind) -> str:
    """Return the part of a pair of training kinds: a tenth of them are in validation, a tenth in test."""
    known = kinds("training")
    low, high = sorted((known.index(one), known.index(other)))
    return {0: "validation", 1: "test"}.get((7 * low + 3 * high) % 10, "training")


def make_scenes(part: str, count: int, seed: int) -> list[Scene]:
    """Draw random scenes.

    Seven in ten have two things. The training part has only its own kinds; a tenth of their pairs is reserved
    for the validation part, and a tenth for the test part. In the other parts, a single thing is of a kind
    exclusive to the part; half of the scenes with two things have one or two of these kinds, the others a
    pair of training kinds reserved for the part.
    """
    random = np.random.default_rng([seed, PARTS.index(part)])
    return [_make_scene(part, random) for _ in range(count)]


def _make_scene(part: str, random: np.random.Generator) -> Scene:
    two = random.random() < _TWO_THINGS
    own, known = kinds(part), kinds("training")
    if not two:
        row, column = random.integers(3, size=2)
        return Scene((_thing(_one_of(own, random), int(row), int(column), random),))
    if part != "training" and random.random() < _NEW_KIND:
        pair = [_one_of(own, random), _one_of(own + known, random)]
        if random.random() < 0.5:
            pair.reverse()
    else:
        while True:
            pair = [_one_of(known, random), _one_of(known, random)]
            if _part_of_pair(*pair) == part:
                break
    shared = int(random.integers(3))
    first, second = sorted(random.choice(3, 2, replace=False).tolist())
    places = [(first, shared), (second, shared)]
    if random.random() < 0.5:
        places = [(column, row) for row, column in places]
    return Scene(tuple(_thing(kind, *place, random) for kind, place in zip(pair, places, strict=True)))


def _one_of(some: tuple[Kind, ...], random: np.random.Generator) -> Kind:
    return some[int(random.integers(len(some)))]


def _thing(kind: Kind, row: int, column: int, random: np.random.Generator) -> Thing:
    return Thing(kind, SIZES[int(random.integers(2))], row, column)

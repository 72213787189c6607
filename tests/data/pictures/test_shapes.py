"""Made pictures: sentences that are true of them, and parts that share no combination."""

import re

import numpy as np
import pytest

from nabi.data._pictures._shapes import COLOURS, SHAPES, Kind, Scene, Thing, draw, kinds, make_scenes
from nabi.datasets import shapes
from nabi.errors import ArgumentError

PARTS = ("training", "validation", "test")


def pairs(scenes) -> set[frozenset[Kind]]:
    return {frozenset(thing.kind for thing in scene.things) for scene in scenes if len(scene.things) == 2}


def test_kinds_are_divided_among_the_parts() -> None:
    divided = [set(kinds(part)) for part in PARTS]
    assert [len(one) for one in divided] == [48, 6, 6]
    assert set.union(*divided) == {Kind(colour, shape) for colour in COLOURS for shape in SHAPES}
    for held in divided[1:]:
        # Each shape and each of these colours is known from other kinds.
        assert len({kind.shape for kind in held}) == len({kind.colour for kind in held}) == 6
    assert {kind.colour for kind in divided[0]} == set(COLOURS)
    assert {kind.shape for kind in divided[0]} == set(SHAPES)


def test_no_part_shows_what_is_new_in_another() -> None:
    training, validation, test = (make_scenes(part, 3000, seed=5) for part in PARTS)
    shown = [
        {thing.kind for scene in scenes for thing in scene.things} for scenes in (training, validation, test)
    ]
    assert shown[0] == set(kinds("training"))
    assert shown[1] == {*kinds("training"), *kinds("validation")}
    assert shown[2] == {*kinds("training"), *kinds("test")}
    known_pairs = pairs(training)
    for scenes in (validation, test):
        for scene in scenes:
            new_kind = {thing.kind for thing in scene.things} - shown[0]
            assert new_kind or pairs([scene]) - known_pairs
    assert not pairs(validation) & pairs(test)
    assert 0.67 < np.mean([len(scene.things) == 2 for scene in training]) < 0.73


def test_a_sentence_is_true_of_its_scene_and_of_no_other() -> None:
    thing = r"a (small|large) (\w+) (\w+)"
    for scene in make_scenes("training", 500, seed=1):
        text = str(scene)
        two = re.fullmatch(rf"{thing} (above|to the left of) {thing}", text)
        if two is None:
            one = scene.things[0]
            assert len(scene.things) == 1
            assert re.fullmatch(rf"{thing} (at|on|in) the .+", text)
            assert text.startswith(f"a {one.size} {one.kind.colour} {one.kind.shape} ")
            assert ("left" in text, "right" in text) == (one.column == 0, one.column == 2)
            assert ("top" in text, "bottom" in text) == (one.row == 0, one.row == 2)
            continue
        first, second = scene.things
        if (two[1], two[2], two[3]) != (first.size, *first.kind):
            first, second = second, first
        assert (two[1], two[2], two[3]) == (first.size, *first.kind)
        assert (two[5], two[6], two[7]) == (second.size, *second.kind)
        if two[4] == "above":
            assert first.column == second.column
            assert first.row < second.row
        else:
            assert first.row == second.row
            assert first.column < second.column


def test_a_thing_is_drawn_in_its_place_and_colour() -> None:
    for shape in SHAPES:
        for row, column in ((0, 0), (1, 2), (2, 1)):
            one = Scene((Thing(Kind("red", shape), "large", row, column),))
            picture = draw(one, 48, np.random.default_rng(3)).astype(int)
            red = (picture[..., 0] - picture[..., 1] > 100) & (picture[..., 0] - picture[..., 2] > 100)
            rows, columns = np.nonzero(red)
            assert len(rows) > 20
            assert {*(rows // 16)} == {row}
            assert {*(columns // 16)} == {column}
    widths = [
        np.ptp(np.nonzero(draw(Scene((Thing(Kind("black", "square"), size, 1, 1),)), 96,
                               np.random.default_rng(n)).sum(2) < 200)[0])
        for size in ("small", "large") for n in range(20)
    ]  # fmt: skip
    assert max(widths[:20]) + 5 < min(widths[20:])


def test_the_data_come_from_a_seed() -> None:
    first, again, other = (shapes.load_data(6, 2, 2, seed=seed) for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.images, same.images)
        assert one.captions == same.captions
        assert (one.images != different.images).any()
    assert first[0].images.shape == (6, 48, 48, 3)
    assert first[0].images.dtype == np.uint8
    # More pictures begin with the same ones.
    np.testing.assert_array_equal(shapes.load_data(9, 2, 2, seed=1)[0].images[:6], first[0].images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"training": 0}, "training: expected a whole number of at least 1, got 0"),
        ({"test": 1.5}, r"test: expected a whole number, got 1\.5"),
        ({"image_size": 16}, "image_size: expected a whole number of at least 24, got 16"),
        ({"seed": -1}, r"seed: expected a whole number from 0 to 2\*\*63 - 1, got -1"),
    ],
)
def test_wrong_numbers_are_refused(arguments, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        shapes.load_data(**arguments)

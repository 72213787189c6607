"""Clips of motions: what they show, and what no single frame shows."""

import numpy as np
import pytest

from nabi.data import MOTIONS
from nabi.data._clips import _moving_shapes
from nabi.datasets import moving_shapes
from nabi.errors import ArgumentError


def test_the_same_seed_gives_the_same_clips() -> None:
    one, other = moving_shapes.load_data(8, 8, 3), moving_shapes.load_data(8, 8, 3)
    for a, b in zip(one, other, strict=True):
        assert a.labels == b.labels
        assert all(map(np.array_equal, a.clips, b.clips))
    training, validation, _ = one
    assert sorted(training.labels) == sorted(MOTIONS)
    assert not any(np.array_equal(a, b) for a in training.clips for b in validation.clips)
    assert all(8 <= len(clip) <= 16 and clip.shape[1:] == (32, 32, 3) for clip in training.clips)
    assert moving_shapes.load_data(8, 1, 1, seed=1)[0].labels != training.labels


@pytest.mark.parametrize(("name", "value"), [("training", 0), ("image_size", 8), ("seed", -1)])
def test_wrong_numbers(name: str, value: int) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: expected"):
        moving_shapes.load_data(**{name: value})


@pytest.fixture
def drawn(monkeypatch):
    """Where, how large and how turned each shape is, instead of pixels."""
    seen = []

    def cover(corners, place, radius, angle, size):
        seen.append((*place, radius, angle))
        return np.zeros((size, size))

    monkeypatch.setattr(_moving_shapes, "_cover", cover)

    def clips(motion: str, count: int, seed: int = 0):
        random = np.random.default_rng(seed)
        found = []
        for _ in range(count):
            seen.clear()
            _moving_shapes._draw_clip(MOTIONS.index(motion), 8, random)
            found.append(np.array(seen))
        return found

    return clips


# The column that changes, and by which sign.
WAYS = {
    "left": (0, -1),
    "right": (0, 1),
    "up": (1, -1),
    "down": (1, 1),
    "growing": (2, 1),
    "shrinking": (2, -1),
}


def changes_of(clip):
    """What changes from frame to frame, where going around is going on."""
    ranges = np.array([1, 1, 0.2, 2 * np.pi])
    changes = np.diff(clip, axis=0) / ranges
    return changes - np.round(changes)


@pytest.mark.parametrize("motion", WAYS)
def test_a_motion_changes_one_thing_by_the_same_amount(drawn, motion: str) -> None:
    column, sign = WAYS[motion]
    for clip in drawn(motion, 20):
        changes = changes_of(clip)
        np.testing.assert_allclose(np.delete(changes, column, 1), 0, atol=1e-9)
        assert (changes[:, column] * sign > 0.03).all()
        assert np.ptp(changes[:, column]) < 1e-9


@pytest.mark.parametrize(("motion", "sign"), [("clockwise", 1), ("counterclockwise", -1)])
def test_a_circle_turns_by_the_same_angle(drawn, motion: str, sign: int) -> None:
    for clip in drawn(motion, 20):
        changes = changes_of(clip)
        np.testing.assert_allclose(changes[:, 2:], 0, atol=1e-9)
        x, y = changes[:, :2].T
        assert np.ptp(np.hypot(x, y)) < 1e-9
        # Rows go down, so that growing angles are clockwise.
        turns = np.angle((x[1:] + 1j * y[1:]) / (x[:-1] + 1j * y[:-1]), deg=True) * sign
        assert np.ptp(turns) < 1e-6
        assert 20 <= turns[0] <= 45


def test_a_frame_has_the_same_distribution_in_all_motions(drawn) -> None:
    """Of the first, of the last, and of any frame: place, size and angle are uniform."""
    for motion in MOTIONS:
        clips = drawn(motion, 400, seed=3)
        for frame in (0, -1):
            x, y, radius, angle = np.array([clip[frame] for clip in clips]).T
            for values in (x, y, (radius - 0.14) / 0.2, angle / (2 * np.pi) % 1):
                ordered = np.sort(values)
                distance = np.abs(ordered - (np.arange(400) + 0.5) / 400).max()
                assert distance < 0.1, (motion, frame)  # Kolmogorov and Smirnov: 0.1 has p = 0.0007


def test_pixels_follow(monkeypatch) -> None:
    """An arrow that turns clockwise points right a quarter later; what leaves comes in opposite."""
    corners = _moving_shapes._corners("arrow")
    middle = np.array([0.5, 0.5])
    up = _moving_shapes._cover(corners, middle, 0.4, 0.0, 40)
    right = _moving_shapes._cover(corners, middle, 0.4, np.pi / 2, 40)
    assert np.abs(np.rot90(up, -1) - right).mean() < 0.02
    assert up[:20].sum() > up[20:].sum()  # its head is wide
    at_the_edge = _moving_shapes._cover(corners, np.array([0.0, 0.5]), 0.4, 0.0, 40)
    np.testing.assert_allclose(np.roll(at_the_edge, 20, 1), up, atol=0.3)
    assert at_the_edge.sum() == pytest.approx(up.sum(), rel=0.03)

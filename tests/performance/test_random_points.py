"""Points that no one chose."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import nabi
from benchmarks.layers import random_points
from benchmarks.layers.plan import BUSY_RANDOM, PARTS, jobs, slot
from benchmarks.layers.points import CELLS, KINDS, SHAPES, Point
from benchmarks.layers.random_points import (
    MOST_NUMBERS,
    MOST_OPERATIONS,
    NUMBER,
    RANGES,
    SEEDS,
    draw,
    release_seed,
)

ABOUT = {
    "random": {"number": 60, "seed": 1, "rounds": 5},
    "busy": {"seed": 1, "rounds": 5, "milliseconds": 1},
}


def test_every_release_has_a_seed_of_its_own(monkeypatch):
    assert release_seed() == SEEDS[nabi.__version__]
    assert len(set(SEEDS.values())) == len(SEEDS)
    monkeypatch.setattr(random_points.nabi, "__version__", "99.0")
    with pytest.raises(SystemExit, match=r"SEEDS .*expected a line for version 99\.0"):
        draw()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_points_are_within_the_stated_ranges_and_not_on_the_grid(seed):
    points = draw(24, seed)
    assert points == draw(24, seed)
    assert points[:6] == draw(6, seed)
    assert len({point.name for point in points}) == 24
    assert not {point.shape for point in points} & set(SHAPES)
    for point in points:
        assert all(
            low <= each <= high for each, (low, high) in zip(point.shape, RANGES.values(), strict=True)
        )
        batch, time, inputs, units = point.shape
        assert Point(point.cell, point.shape, "inference").operations <= MOST_OPERATIONS
        assert batch * time * (inputs + units) <= MOST_NUMBERS
    both = {(point.cell, point.kind) for point in points[:6]}
    assert both == {(cell, kind) for cell in CELLS for kind in KINDS}


def test_the_points_of_this_release_have_odd_widths_and_reach_far():
    points = draw()
    assert len(points) == NUMBER >= 60
    assert sum(point.shape[3] % 8 != 0 for point in points) > NUMBER / 2
    assert any(point.is_large for point in points)
    assert any(point.shape[1] > 1000 for point in points)
    assert {point.kind for point in points} == set(KINDS)


def test_a_run_consists_of_the_chosen_parts():
    everything = list(jobs(list(PARTS), ABOUT, None, quick=False))
    assert [job.part for job in everything if job.point is None] == [
        "caps", "variants", "ragged", "song", "memory", "first_call", "imports",
    ]  # fmt: skip
    busy = [job.point for job in everything if job.part == "busy"]
    assert len(busy) == 4 * len(CELLS) * len(KINDS) + BUSY_RANDOM
    assert sum(job.part == "random" for job in everything) == 60
    some = list(jobs(["points", "random"], ABOUT, ["gru/training"], quick=False))
    assert {job.point.cell for job in some} == {"gru"}
    assert {job.part for job in some} == {"points", "random"}


def test_random_points_of_another_draw_are_not_mixed():
    results = {"points": {}}
    slot(results, "random", ABOUT)["a"] = {}
    assert slot(results, "random", ABOUT) == {"a": {}}
    other = {**ABOUT, "random": {**ABOUT["random"], "seed": 2}}
    assert slot(results, "random", other) == {}
    assert results["random"] == {"number": 60, "seed": 2, "rounds": 5, "points": {}}

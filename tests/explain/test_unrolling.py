"""What unrolling costs: the static graph grows with time, the dynamic one does not."""

import subprocess
import sys

import pytest

from nabi.errors import ArgumentError, OutputError, UnknownNameError
from nabi.explain import Unrolling, unrolling_memory, unrolling_picture


@pytest.fixture(scope="module")
def measured():
    return unrolling_memory([20, 400], units=64, inputs=8, batch=16)


@pytest.mark.rotates(days=3)
def test_the_static_graph_grows_and_the_dynamic_does_not(measured):
    found = {(each.kind, each.steps): each for each in measured}
    assert list(found) == [("static", 20), ("static", 400), ("dynamic", 20), ("dynamic", 400)]
    assert found["dynamic", 20].graph_nodes == found["dynamic", 400].graph_nodes < 20
    per_step = (found["static", 400].graph_nodes - found["static", 20].graph_nodes) / 380
    assert per_step == int(per_step) >= 1


def test_memory_is_measured(measured):
    found = {(each.kind, each.steps): each for each in measured}
    # The gradient needs at least the states of every step: 400 · 16 · 64 numbers of four bytes, twice.
    for kind in ("static", "dynamic"):
        assert found[kind, 400].peak_bytes > 2 * 400 * 16 * 64 * 4
        assert found[kind, 400].peak_bytes > 2 * found[kind, 20].peak_bytes
    assert found["static", 400].peak_bytes > found["dynamic", 400].peak_bytes
    assert all(each.seconds > 0 for each in measured)


@pytest.mark.parametrize("length", [0, -1, 1.5, True])
def test_wrong_lengths(length):
    with pytest.raises(ArgumentError, match=r"lengths.*: expected a whole number"):
        unrolling_memory([10, length])


def test_unknown_cell():
    with pytest.raises(UnknownNameError, match="did you mean 'lstm'"):
        unrolling_memory([10], cell="lstmm")


def test_picture(tmp_path):
    made = [
        Unrolling(kind, steps, steps * 10 if kind == "static" else 6, steps * 2**20, 0.1)
        for kind in ("static", "dynamic")
        for steps in (10, 100)
    ]
    text = unrolling_picture(made, tmp_path / "u.svg", title="Unrolling").read_text()
    for label in ["static", "dynamic", "Unrolling", "nodes of the autograd graph"]:
        assert f"<!-- {label} -->" in text
    with pytest.raises(ArgumentError, match="at least one"):
        unrolling_picture([], tmp_path / "u.svg")
    with pytest.raises(ArgumentError, match=r"\.svg or \.png"):
        unrolling_picture(made, tmp_path / "u.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="path: cannot write"):
        unrolling_picture(made, tmp_path / "file" / "u.svg")


def test_the_peak_of_a_large_parent_is_not_counted():
    """Linux hands the parent's peak on to a program it starts."""
    held = bytes([1]) * 2**30
    code = "from nabi.explain import peak_memory; print(peak_memory())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2**23 < int(run.stdout) < len(held)

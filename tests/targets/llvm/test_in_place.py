"""Few steps in all read the weights where they lie: the same results, whatever their layout."""

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from nabi import cells
from nabi.cells import Cell
from nabi.native import threads as _threads
from nabi.targets.llvm._binder import _bound

from .sweep import CELLS, Data, Setting, eager, native, worst

pytestmark = pytest.mark.rotates(days=4)

LAYOUTS = [
    Setting(batch=1, steps=5, valid="lengths"),
    Setting(batch=1, steps=6, side_by_side=False, all_states=True, reverse=True),
    Setting(batch=7, steps=2, all_states=True),
    Setting(batch=3, steps=3, side_by_side=False, valid="lengths"),
]


@pytest.fixture(autouse=True)
def always_in_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read weights in place whatever that costs, and bind all kernels anew."""
    monkeypatch.setattr(_bound, "_SUMMING", 0.0)
    _bound.bound_forward.cache_clear()
    yield
    _bound.bound_forward.cache_clear()


def check(cell: Cell, features: int, setting: Setting, dtype: torch.dtype) -> None:
    data = Data.draw(cell, features, setting, seed=3)
    truth, found = eager(data), native(data, dtype)
    of_outputs, of_gradients = (1e-10, 1e-10) if dtype is torch.float64 else (1e-6, 1e-5)
    assert worst(found.outputs, truth.outputs)[0] <= of_outputs
    assert worst(found.inference, truth.inference)[0] <= of_outputs
    assert worst(found.gradients, truth.gradients)[0] <= of_gradients


@pytest.mark.parametrize("number", range(len(CELLS)), ids=lambda n: f"{n}-{type(CELLS[n]).__name__}")
def test_every_cell(number: int) -> None:
    units, features = ((7, 4), (33, 9))[number // 2 % 2]
    dtype = (torch.float64, torch.float32)[number // 4 % 2]
    check(dataclasses.replace(CELLS[number], units=units), features, LAYOUTS[number % len(LAYOUTS)], dtype)


@pytest.mark.parametrize("setting", LAYOUTS, ids=["lengths", "turned", "rows", "turned rows"])
@pytest.mark.parametrize("units", [64, 200, 256])
def test_long_sums_and_full_tiles(units: int, setting: Setting) -> None:
    """Sums of up to 192 terms are formed in one go, longer ones in pieces of 128 with a rest or without."""
    check(cells.GRU2014(units), 3, setting, torch.float32)


def test_only_few_steps_are_read_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    program = cells.LSTM(7).program(400)
    for batch, steps, in_place in ((1, 8, True), (4, 6, True), (2, 13, False), (20, 20, False)):
        sizes = batch, batch * steps, steps
        compiled = _bound.bind_forward(
            program, torch.float64, (True,) * 3, (0,), False, False, *sizes
        ).compiled
        # Packed are the weights of the input and those of the state.
        assert len(compiled.kernel.weights.sizes) == (0 if in_place else 2), (batch, steps)


@pytest.mark.parametrize("setting", LAYOUTS, ids=["lengths", "turned", "rows", "turned rows"])
def test_threads_change_no_bit(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Data.draw(cells.PeepholeLSTM(70, full=True), 5, setting, seed=1)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(_threads, "threads_for", lambda work, threads=threads: threads)
        monkeypatch.setattr(_threads, "pays", lambda *_: True)
        found.append(native(data, torch.float32).all())
    for other in found[1:]:
        for name, value in found[0].items():
            assert torch.equal(value, other[name]), name

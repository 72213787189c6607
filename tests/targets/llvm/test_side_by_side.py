"""Sums that lie side by side have the bits of sums in vectors of their own."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nabi import cells, nn
from nabi.cells import Cell
from nabi.native import host, threads as _threads
from nabi.native._code import _cache
from nabi.targets import _run
from nabi.targets.llvm import _compiled
from nabi.targets.llvm._binder import _bound
from nabi.targets.llvm._plan import _forward
from nabi.targets.llvm._plan._forward import ForwardKernel

from ...native.machines import needs_native

pytestmark = [needs_native, pytest.mark.rotates(days=2)]

BATCH, STEPS = 7, 3
# Vectors that a gate fills besides one lane of a further one, and inputs: sums in one go and in pieces, lines
# of one part and of several, with and without sums that are put aside.
CASES = [(cells.GRU, 1, 3), (cells.GRU, 1, 200), (cells.GRU, 2, 3), (cells.GRU, 2, 200), (cells.LSTM, 2, 200)]


@pytest.fixture(autouse=True)
def new_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep and find no code, as its key does not say where sums lie."""
    monkeypatch.setenv("NABI_CACHE_SIZE", "0")
    forget(monkeypatch)
    yield
    monkeypatch.undo()
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "_loaded", {})
    for cached in (_run._passes, _bound.bound_forward, _compiled.forward_kernel):
        cached.cache_clear()


def results(layer: nn.RNN, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What a layer gives without and with states, by one thread and by two."""
    monkeypatch.setattr(_threads, "pays", lambda *_: True)
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(_threads, "threads_for", lambda work, threads=threads: threads)
        with torch.no_grad():
            output, states = layer(x)
            found += [output, layer(x, states)[0]]
    return found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_results_have_the_same_bits(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, whole, inputs = CASES[number]
    torch.manual_seed(number)
    layer = nn.RNN(kind(units(whole)), input_size=inputs)
    x = torch.randn(BATCH, STEPS, inputs)
    # What one gate makes of infinite sums is finite, and no zero is multiplied by one.
    x[0, 0, 0], x[1, 0, 0] = torch.inf, -torch.inf
    with monkeypatch.context() as patch:
        patch.setattr(_forward, "side_by_side", lambda *_, **__: None)
        wanted = results(layer, x, monkeypatch)
    forget(monkeypatch)
    assert lie_side_by_side(layer.cell, inputs)
    for value, other in zip(results(layer, x, monkeypatch), wanted, strict=True):
        assert value.isfinite().all()
        assert torch.equal(value, other)


def units(whole: int) -> int:
    return whole * host().lanes("float32") + 1


def lie_side_by_side(cell: Cell, inputs: int) -> bool:
    program = cell.program(inputs)
    kernel = ForwardKernel(program, "float32", host(), False, (), False, (True,) * 4, False)
    return all(tile.places is not None for tile in kernel.tiles.values())

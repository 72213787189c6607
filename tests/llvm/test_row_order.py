"""Layouts in native code; what they are is tested in `tests/scan/test_layout.py`."""

import pytest
import torch

from nabi.scan._layout import batch_rows
from nabi.targets import _batches, gather, rows_of_lengths, rows_of_mask, spread
from nabi.targets.llvm import _row_order
from nabi.targets.llvm._compiler import emit_object
from nabi.targets.llvm._machine import OTHER_MACHINES, NativeError, is_supported
from nabi.targets.llvm._objects import undefined_symbols

pytestmark = pytest.mark.skipif(not is_supported(), reason="no native code on this machine")

CPU = torch.device("cpu")


def test_what_torch_lays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.tensor([[True, False, True], [True, True, True]])
    assert rows_of_lengths((2, 3), 3, False, CPU) is not None
    assert rows_of_mask(mask, False) is not None
    assert rows_of_lengths((2, 3), 3, False, torch.device("meta")) is None
    assert rows_of_mask(mask.to("meta"), False) is None
    with torch._subclasses.FakeTensorMode():
        assert rows_of_lengths((2, 3), 3, False, CPU) is None
    seen = []
    torch.func.vmap(lambda each: seen.append(rows_of_mask(each, False)) or each)(mask[None])
    assert seen == [None]
    monkeypatch.setenv("NABI_NATIVE", "0")
    assert rows_of_lengths((2, 3), 3, False, CPU) is None
    assert rows_of_mask(mask, False) is None


def test_torch_does_what_could_not_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so once, and the results are the same."""
    mask = torch.tensor([[True, False, True], [True, True, True]])

    def run() -> list[torch.Tensor]:
        rows = batch_rows(2, 3, mask=mask, resets=None, reverse=False, truncate=None, device=CPU)
        found = gather(torch.arange(12.0).view(2, 3, 2), rows)
        return [found, spread(found, rows, (2, 3, 2), False)]

    def fail() -> None:
        raise NativeError("module: wrong")

    expected = run()
    monkeypatch.setattr(_row_order, "make_ready", fail)
    _batches._native.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="module: wrong") as warned:
            found = run()
        assert len(warned) == 1
        assert rows_of_mask(mask, False) is None
    finally:
        _batches._native.cache_clear()
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", OTHER_MACHINES)
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    assert undefined_symbols(emit_object(_row_order.write(machine), machine)) <= {"nabi_yield", "_fltused"}

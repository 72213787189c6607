"""Batches in native code: rows copied by a table, and where layouts come from.

What layouts are is tested in `tests/scan/test_layout.py`.
"""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi.kernels import _row_layout
from nabi.kernels._code import _row_layout as code
from nabi.kernels._code._row_layout_writer import write
from nabi.native import OTHER_MACHINES, NativeError, _fallback, threads as _threads
from nabi.scan._layout import batch_rows
from nabi.targets import Rows, gather, rows_of_lengths, rows_of_mask, spread

from ..native.machines import called_by, needs_native

pytestmark = needs_native

CPU = torch.device("cpu")
WIDTHS = [1, 3, 16, 17, 63, 64, 65, 200]  # below a vector, vectors and a rest, several at a time and a rest


def native_gather(values: Tensor, table: Tensor, count: int) -> Tensor:
    return _row_layout.copy_to_rows(code.addresses(), values, table, count)


def native_spread(rows: Tensor, table: Tensor, shape: Sequence[int], time_major: bool) -> Tensor:
    return _row_layout.copy_from_rows(code.addresses(), rows, table, shape, time_major)


def bits(values: Tensor) -> Tensor:
    return values.contiguous().view(torch.int32)


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(0, 6),
    time=st.integers(0, 7),
    width=st.sampled_from(WIDTHS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    kind=st.sampled_from(["batch-major", "time-major", "wide", "every other", "expanded", "packed"]),
    time_major=st.booleans(),
    threads=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_copies_are_those_of_an_index(
    batch: int,
    time: int,
    width: int,
    dtype: torch.dtype,
    kind: str,
    time_major: bool,
    threads: int,
    seed: int,
) -> None:
    """Any table: rows in any order, steps without one; what such a step holds is never read."""
    generator = torch.Generator().manual_seed(seed)
    packed = kind == "packed"
    size = batch * time
    valid = torch.ones(size, dtype=torch.bool) if packed else torch.rand(size, generator=generator) < 0.6
    place = valid.nonzero().squeeze(1)
    place = place[torch.randperm(len(place), generator=generator)]
    table = torch.full((size,), -1)
    table[place] = torch.arange(len(place))

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    x = {
        "batch-major": lambda: random(batch, time, width),
        "time-major": lambda: random(time, batch, width).transpose(0, 1),
        "wide": lambda: random(batch, time, width + 3)[..., 2:-1],
        "every other": lambda: random(batch, time, 2 * width)[..., ::2],
        "expanded": lambda: random(time, width).expand(batch, time, width),
        "packed": lambda: random(size, width),
    }[kind]()
    expected = x.reshape(-1, width)[place]
    if kind not in ("expanded", "packed"):
        x[~valid.view(batch, time)] = torch.nan
    shape = x.shape
    scattered = torch.zeros(size, width, dtype=dtype)
    scattered[place] = expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "threads_for", lambda work: threads)
        rows = native_gather(x, table, len(place))
        back = native_spread(rows, table, shape, time_major)
    assert torch.equal(bits(rows), bits(expected))
    assert torch.equal(bits(back), bits(scattered.view(shape)))
    assert not back._is_view()
    if not packed:
        assert (back.transpose(0, 1) if time_major else back).is_contiguous()


def test_not_a_number_keeps_its_bits() -> None:
    patterns = torch.tensor([0x7F800001, 0x7FC12345, -1, 1, -(2**31)], dtype=torch.int32)
    x = patterns.view(torch.float32).expand(3, 5).contiguous()
    rows = native_gather(x, torch.tensor([2, 0, 1]), 3)
    assert torch.equal(rows.view(torch.int32), patterns.expand(3, 5))


def test_large_results_use_their_memory_again() -> None:
    rows, table = torch.ones(1000, 256), torch.arange(1000)
    table[::2] = -1
    first = native_spread(rows, table, (10, 100, 7), False)
    at = first.data_ptr()
    first += 1
    del first
    second = native_spread(rows, table, (10, 100, 7), False)
    assert second.data_ptr() == at
    assert second.sum() == 500 * 256


def test_what_torch_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same results where native code does not run: other types, tensors that only pretend, turned off."""
    rows = Rows([2, 2, 1], 2, place=torch.tensor([3, 0, 4, 1, 5]))
    x = torch.arange(12.0).view(2, 3, 2)
    expected = gather(x, rows)
    assert expected.tolist() == x.view(6, 2)[[3, 0, 4, 1, 5]].tolist()
    batch = spread(expected, rows, x.shape, False)
    assert batch.tolist() == [[[0, 1], [2, 3], [0, 0]], [[6, 7], [8, 9], [10, 11]]]

    def both() -> tuple[Tensor, Tensor]:
        found = gather(x, rows)
        return found, spread(found, rows, x.shape, True)

    # The imaginary part of a conjugate is a tensor whose memory holds other signs than its numbers.
    turned = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert turned.is_neg()
    assert torch.equal(gather(turned, rows), expected)
    halves = gather(x.half(), rows)
    assert torch.equal(halves, expected.half())
    assert torch.equal(spread(halves, rows, x.shape, False), batch.half())
    mapped = torch.func.vmap(lambda values: gather(values, rows))(torch.stack((x, 2 * x)))
    assert torch.equal(mapped[1], 2 * expected)
    monkeypatch.setenv("NABI_NATIVE", "0")
    monkeypatch.delattr(_row_layout, "copy_to_rows")
    for one, two in zip(both(), (expected, batch), strict=True):
        assert torch.equal(one, two)
        assert not one._is_view()


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
    monkeypatch.setattr(code, "addresses", fail)
    monkeypatch.setattr(_row_layout, "_ready", {})
    monkeypatch.setattr(_fallback, "_failed", set())
    with pytest.warns(RuntimeWarning, match="module: wrong") as warned:
        found = run()
    assert len(warned) == 1
    assert rows_of_mask(mask, False) is None
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("name", OTHER_MACHINES)
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    assert called_by(write(machine), machine) <= {"nabi_yield", "_fltused"}

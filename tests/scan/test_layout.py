"""Where lengths, masks and packed data put their steps, against loops that say it plainly."""

import gc
import os
from collections.abc import Iterator
from itertools import pairwise

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from nabi import cells, nn
from nabi.kernels import _remembered, in_batch_order, in_row_order
from nabi.native._code._machine import is_supported
from nabi.scan import _layout, scan
from nabi.scan._layout import batch_rows, mask_of, packed_rows
from nabi.targets import Rows

from .conftest import make_case

CPU = torch.device("cpu")


def lay_out(
    time: int, *, mask: Tensor | None = None, lengths: tuple[int, ...] | None = None, reverse: bool = False
) -> Rows:
    batch = len(mask) if lengths is None and mask is not None else len(lengths or ())
    return batch_rows(
        batch, time, mask=mask, resets=None, reverse=reverse, truncate=None, device=CPU, lengths=lengths
    )


def check(rows: Rows, valid: list[list[int]], time: int) -> None:
    """Compare rows with the valid steps of every sequence, in the order in which they are computed."""
    batch = len(valid)
    order = sorted(range(batch), key=lambda b: -len(valid[b]))
    places = [
        [b * time + valid[b][k] for b in order if k < len(valid[b])]
        for k in range(max(map(len, valid), default=0))
    ]
    assert rows.batch == batch
    if valid and time > 1 and all(steps == list(range(time)) for steps in valid):
        assert rows.place is None  # nothing has to be copied
    assert [active for active in rows.active if active] == [len(step) for step in places]
    flat = [place for step in places for place in step]
    if rows.place is None:  # every step of every sequence, in order
        assert flat == [b * time + t for t in range(time) for b in range(batch)]
        assert rows.order is None
        return
    assert rows.place.tolist() == flat
    assert (list(range(batch)) if rows.order is None else rows.order.tolist()) == order
    table = rows.table(batch * time).tolist()
    assert [table[place] for place in flat] == list(range(len(flat)))
    assert table.count(-1) == batch * time - len(flat)
    assert rows.table(batch * time) is rows.table(batch * time)
    states = torch.arange(2.0 * batch).view(batch, 2)
    assert in_row_order(states, rows).tolist() == states[order].tolist()
    assert torch.equal(in_batch_order(in_row_order(states, rows), rows), states)


@pytest.fixture(params=["native", "torch"], autouse=True, scope="module")
def _target(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything here once in native code and once on torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "" if request.param == "native" else "0")
        _layout._sorted.cache_clear()
        yield
    _layout._sorted.cache_clear()


sizes = st.integers(0, 7).flatmap(
    lambda time: st.tuples(st.just(time), st.lists(st.integers(0, time), max_size=6))
)


@settings(max_examples=150, deadline=None)
@given(case=sizes, reverse=st.booleans())
def test_lengths(case: tuple[int, list[int]], reverse: bool) -> None:
    time, lengths = case
    valid = [list(range(n))[:: -1 if reverse else 1] for n in lengths]
    rows = lay_out(time, lengths=tuple(lengths), reverse=reverse)
    check(rows, valid, time)
    mask = mask_of(tuple(lengths), time, CPU)
    assert mask.tolist() == [[t < n for t in range(time)] for n in lengths]
    check(lay_out(time, mask=mask, reverse=reverse), valid, time)


@settings(max_examples=150, deadline=None)
@given(
    case=sizes.flatmap(
        lambda case: st.lists(
            st.lists(st.booleans(), min_size=case[0], max_size=case[0]), min_size=1, max_size=6
        )
    ),
    reverse=st.booleans(),
    time_major=st.booleans(),
)
def test_masks(case: list[list[bool]], reverse: bool, time_major: bool) -> None:
    """Any pattern, those of lengths among them."""
    time = len(case[0])
    mask = torch.tensor(case, dtype=torch.bool).view(len(case), time)
    mask = mask.t().contiguous().t() if time_major else mask
    valid = [[t for t in range(time) if row[t]][:: -1 if reverse else 1] for row in case]
    check(lay_out(time, mask=mask, reverse=reverse), valid, time)


@given(lengths=st.lists(st.integers(1, 6), max_size=6), limit=st.integers(1, 12))
def test_steps_in_pieces(lengths: list[int], limit: int) -> None:
    """As many steps as fit, at least one, and no step left out."""
    rows = lay_out(6, lengths=tuple(lengths))
    assert rows.offset.tolist() == [sum(rows.active[:k]) for k in range(len(rows.active) + 1)]
    starts = rows.chunks(limit).tolist()
    assert starts[0] == 0
    assert starts[-1] == len(rows.active)
    for start, stop in pairwise(starts):
        count = sum(rows.active[start:stop])
        assert stop - start == 1 or count <= limit or not rows.active
        assert stop == len(rows.active) or count + rows.active[stop] > limit
    assert len(starts) >= 2


@given(lengths=st.lists(st.integers(1, 6), max_size=6))
def test_packed_data(lengths: list[int]) -> None:
    """Turned round, the last step of every sequence is where the first one was."""
    lengths.sort(reverse=True)
    steps = [(b, k) for k in range(max(lengths, default=0)) for b in range(len(lengths)) if k < lengths[b]]
    sizes = torch.tensor(
        [sum(n > k for n in lengths) for k in range(max(lengths, default=0))], dtype=torch.int64
    )
    forward = packed_rows(sizes, reverse=False, device=CPU)
    assert (forward.active, forward.place) == (sizes.tolist(), None)
    backward = packed_rows(sizes, reverse=True, device=CPU)
    assert backward.active == sizes.tolist()
    assert backward.place is not None
    assert backward.place.tolist() == [steps.index((b, lengths[b] - 1 - k)) for b, k in steps]


def test_a_layout_is_kept_for_the_next_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.inference_mode():
        rows = lay_out(5, lengths=(3, 5, 0))
    assert lay_out(5, lengths=(3, 5, 0)) is rows
    assert rows.place is not None
    assert not rows.place.is_inference()  # else nobody could use it outside
    assert lay_out(5, lengths=(3, 5, 0), reverse=True) is not rows
    assert lay_out(6, lengths=(3, 5, 0)) is not rows
    monkeypatch.setattr(_layout, "_REMEMBERED", 17)
    again = lay_out(6, lengths=(3, 5, 1))
    assert lay_out(6, lengths=(3, 5, 1)) is not again  # what is large is not kept
    packed = torch.tensor([9, 9])
    assert packed_rows(packed, reverse=False, device=CPU) is not packed_rows(
        packed, reverse=False, device=CPU
    )


def test_results_lie_as_the_input_does() -> None:
    """So that neither a layer of time-major data nor the gradient of its input is copied once more."""
    case = make_case(cells.GRU(5), batch=3, time=4)
    x = case.x.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    for values, is_time_major in ((case.x, False), (x, True)):
        output = scan(case.program, values, case.states, case.weights, lengths=[4, 2, 0])[0]
        (gradient,) = torch.autograd.grad(output.sum(), values)
        if is_supported() and not os.environ["NABI_NATIVE"]:
            for found in (output, gradient):
                assert (found.transpose(0, 1) if is_time_major else found).is_contiguous()
        output.mul_(2)  # autograd forbids this for a view that a function made
        assert not output[2].any()


def test_states_that_are_left_out_need_no_order() -> None:
    case = make_case(cells.LSTM(5), batch=4, time=6)
    zeros = [torch.zeros_like(state) for state in case.states]
    found, expected = (
        scan(case.program, case.x, states, case.weights, lengths=[2, 6, 0, 5]) for states in (None, zeros)
    )
    for one, two in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert torch.equal(one, two)
    for one, two in zip(
        *(torch.autograd.grad(r[0].sum(), case.weights) for r in (found, expected)), strict=True
    ):
        assert torch.equal(one, two)


def test_layouts_of_long_sequences_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes memory by its steps; those of 256 requests to a server would take gigabytes."""
    monkeypatch.setattr(_remembered, "_SHORT", 200)
    monkeypatch.setattr(_remembered, "_LONG", 300)
    layer = nn.RNN(cells.SimpleRNN(1), 1, batch_first=True)

    def kept(first: int, count: int) -> int:
        with torch.no_grad():
            for time in range(first, first + count):
                layer(torch.zeros(1, time, 1))
        gc.collect()
        lengths = {len(one.active) for one in gc.get_objects() if type(one) is Rows}
        return len(lengths & set(range(first, first + count)))

    assert kept(201, 12) <= _remembered._FEW
    assert kept(301, 3) == 0
    assert kept(151, 12) == 12

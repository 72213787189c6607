"""A prepared program: to the last bit what a single run gives, whatever happens between two steps."""

from typing import Any

import pytest
import torch

from nabi import cells
from nabi.kernels import Rows
from nabi.native.addresses import lay_out
from nabi.native.memory import working_memory
from nabi.scan._layout import batch_rows
from nabi.targets import prepare, run_backward, run_forward
from nabi.targets.llvm._binder import _bound

CELLS = {
    "lstm": cells.LSTM(17),
    "gru": cells.GRU(16),
    "2014": cells.GRU2014(9),
    "peephole": cells.PeepholeLSTM(5),
    "norm": cells.LayerNormLSTM(8),
}


def plain(batch: int, time: int, reverse: bool = False) -> Rows:
    return batch_rows(
        batch, time, mask=None, resets=None, reverse=reverse, truncate=None, device=torch.device("cpu")
    )


def drawn(program: Any, dtype: torch.dtype, turned: bool) -> list[torch.Tensor]:
    """Weights, matrices transposed as Keras-style layers have them or not."""
    found = []
    for family in program.families:
        values = torch.randn(family.shape, dtype=dtype) / 3
        found.append(values.t().contiguous().t() if turned and values.dim() == 2 else values)
    return found


def once(
    program: Any, rows: Rows, x: Any, initial: Any, families: Any, keep: Any, given: Any, finals: Any
) -> list[torch.Tensor]:
    states, ends, record = run_forward(program, rows, x, initial, families, (), keep=keep, save=True)
    cotangents = [given[keep.index(i)] if i in keep else None for i in range(len(initial))]
    found = run_backward(
        program, rows, record, families, cotangents, finals,
        need_input=True, need_initial=False, need_families=(True,) * len(families),
    )  # fmt: skip
    return [*(s for s in states if s is not None), *ends, found.x, *found.families]


@pytest.mark.parametrize("native", ["1", "0"])
@pytest.mark.parametrize(("batch", "keep", "reverse"), [(1, (), False), (6, (0,), True)])
@pytest.mark.parametrize("name", CELLS)
def test_steps_are_those_of_single_runs(
    name: str, batch: int, keep: tuple[int, ...], reverse: bool, native: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    torch.manual_seed(0)
    program = CELLS[name].program(3, training=True)
    rows = plain(batch, 5, reverse)
    families = drawn(program, torch.float32, turned=batch == 1)
    initial = tuple(torch.randn(batch, width) for width in program.state_widths)
    run = None
    for turn in range(3):
        x = torch.randn(rows.count, 3)
        given = [torch.randn(rows.count, program.state_widths[i]) for i in keep]
        finals = [torch.randn(batch, width) if turn else None for width in program.state_widths]
        if run is None:
            need = (True,) * len(families)
            batches = x.view(batch, 5, 3)
            run = prepare(program, batches, initial, families, keep=keep, need_families=need, new_finals=True)
        states, ends = run.forward(rows, x, initial)
        dx, gradients = run.backward(given, finals, need_input=True)
        expected = once(program, rows, x, initial, families, keep, given, finals)
        for one, other in zip([*states, *ends, dx, *gradients], expected, strict=True):
            assert torch.equal(one, other)
        for family in families:
            family.numpy()[...] *= 0.9  # seen at the next step, though no version counter tells
        initial = ends
        working_memory(lay_out({"more": 1 << (20 + turn)}, 1))  # another layer's: it lies elsewhere now


def test_threads_may_be_more_or_fewer_at_the_next_step(monkeypatch: Any) -> None:
    monkeypatch.setattr(_bound._threads, "threads_for", lambda work: threads[0])
    monkeypatch.setattr(_bound._threads, "pays", lambda *_: True)
    threads = [1]
    program = cells.LSTM(40).program(3, training=True)
    rows = plain(2, 4)
    families = drawn(program, torch.float32, turned=False)
    x, initial = torch.randn(rows.count, 3), (torch.randn(2, 40), torch.randn(2, 40))
    needed = (True,) * len(families)
    run = prepare(program, x.view(2, 4, 3), initial, families, keep=(), need_families=needed)
    found = []
    for threads[0] in (1, 2, 2, 1):
        _, ends = run.forward(rows, x, initial)
        dx, gradients = run.backward((), ends, need_input=False)
        assert dx is None
        found.append([g.clone() for g in gradients])
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


def test_only_what_is_needed_has_a_gradient() -> None:
    program = cells.SimpleRNN(4).program(3, training=True)
    rows = plain(1, 2)
    families = drawn(program, torch.float64, turned=True)
    x, initial = torch.randn(2, 3).double(), (torch.zeros(1, 4).double(),)
    needed = (False, True, False)
    run = prepare(program, x.view(1, 2, 3), initial, families, keep=(), need_families=needed)
    _, ends = run.forward(rows, x, initial)
    _, gradients = run.backward((), ends, need_input=False)
    assert [gradient is not None for gradient in gradients] == [False, True, False]


@pytest.mark.parametrize("stay", [False, True])
def test_only_final_states_that_somebody_keeps_stay(stay: bool) -> None:
    program = cells.SimpleRNN(4).program(3, training=True)
    rows = plain(2, 3)
    families = drawn(program, torch.float32, turned=False)
    start, needed = (torch.zeros(2, 4),), (True,) * 3
    x = torch.randn(rows.count, 3)
    run = prepare(program, x.view(2, 3, 3), start, families, keep=(0,), need_families=needed, new_finals=stay)
    (kept,), (final,) = run.forward(rows, x, start)
    before = final.clone()
    run.backward([torch.randn(rows.count, 4)], (None,), need_input=True)
    (again,), (later,) = run.forward(rows, 2 * x, (before,))
    assert again.data_ptr() == kept.data_ptr()
    assert torch.equal(final, before) is stay
    assert (later.data_ptr() == final.data_ptr()) is not stay

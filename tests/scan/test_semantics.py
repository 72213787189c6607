"""What lengths, masks, resets, reversal, truncation and states mean; for the kernel and the definition."""

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.scan import loop, sample_noise, scan, scan_packed, static_scan, step

from ..examples import examples
from .conftest import ALL_CELLS, Case, make_case, through_definition

pytestmark = pytest.mark.rotates(days=3)


def run(case: Case, x: Tensor | None = None, states: Any = "own", **options: Any) -> list[Tensor]:
    """All states at every step, then the final states."""
    output, final, every = scan(
        case.program,
        case.x if x is None else x,
        case.states if states == "own" else states,
        case.weights,
        noise=case.noise,
        return_all_states=True,
        **options,
    )
    assert every is not None
    assert every[0] is output
    return [*every, *final]


def gradients(results: list[Tensor], case: Case, x: Tensor, seed: int = 7) -> tuple[Tensor, ...]:
    """Gradients of everything learned, for random cotangents of every result."""
    generator = torch.Generator().manual_seed(seed)
    cotangents = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    return torch.autograd.grad(
        results,
        [x, *case.states, *case.weights],
        cotangents,
        allow_unused=True,
        materialize_grads=True,
        retain_graph=True,
    )


def close(found: Any, expected: Any) -> None:
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-10)


@settings(max_examples=examples(60), deadline=None)
@given(
    cell=st.sampled_from(ALL_CELLS),
    training=st.booleans(),
    batch=st.integers(1, 5),
    time=st.integers(1, 7),
    kind=st.sampled_from(["all", "lengths", "mask"]),
    reverse=st.booleans(),
    with_resets=st.booleans(),
    truncate=st.sampled_from([None, 1, 2, 3]),
    seed=st.integers(0, 1000),
)
def test_the_kernel_agrees_with_the_definition(
    cell: Cell,
    training: bool,
    batch: int,
    time: int,
    kind: str,
    reverse: bool,
    with_resets: bool,
    truncate: int | None,
    seed: int,
) -> None:
    """Results and gradients; what lies in the padding is NaN."""
    case = make_case(cell, batch, time, training=training, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    options: dict[str, Any] = {"reverse": reverse, "truncate": truncate}
    valid = torch.ones(batch, time, dtype=torch.bool)
    if kind == "lengths":
        options["lengths"] = torch.randint(0, time + 1, (batch,), generator=generator)
        valid = torch.arange(time)[None] < options["lengths"][:, None]
    elif kind == "mask":
        options["mask"] = valid = torch.rand(batch, time, generator=generator) < 0.6
    if with_resets:
        options["resets"] = torch.rand(batch, time, generator=generator) < 0.4
    x = torch.where(valid[..., None], case.x.detach(), torch.nan).requires_grad_()
    with through_definition():
        expected = run(case, x, **options)
        expected_gradients = gradients(expected, case, x)
    found = run(case, x, **options)
    close(found, expected)
    close(gradients(found, case, x), expected_gradients)
    assert all(value.isfinite().all() for value in [*found, *gradients(run(case, x, **options), case, x)])
    with torch.no_grad():
        close(run(case, x, **options), expected)


@pytest.mark.parametrize("cell", ALL_CELLS, ids=repr)
def test_static_and_dynamic_unrolling_give_the_same(cell: Cell) -> None:
    case = make_case(cell, training=True)
    dynamic = run(case)
    outputs, final = static_scan(
        case.program, list(case.x.unbind(1)), case.states, case.weights, noise=case.noise
    )
    close([torch.stack(outputs, 1), *final], [dynamic[0], *dynamic[len(final) :]])
    grads = torch.autograd.grad(sum((o**2).sum() for o in outputs), case.learned, retain_graph=True)
    close(grads, torch.autograd.grad((dynamic[0] ** 2).sum(), case.learned))


@pytest.mark.parametrize("cell", [cells.LSTM(5), cells.GRU(5), cells.PeepholeLSTM(5)], ids=repr)
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_are_the_sequences_cut_short(cell: Cell, reverse: bool) -> None:
    case = make_case(cell, batch=4, time=6)
    found = run(case, lengths=[6, 1, 0, 3], reverse=reverse)
    n = len(case.states)
    for row, length in enumerate([6, 1, 0, 3]):
        alone = Case(
            case.program,
            case.x[row : row + 1, :length],
            [state[row : row + 1] for state in case.states],
            case.weights,
            (),
        )
        expected = run(alone, reverse=reverse)
        for one, two in zip(found[:n], expected[:n], strict=True):
            torch.testing.assert_close(one[row, :length], two[0])
            assert not one[row, length:].any()
        close([final[row] for final in found[n:]], [final[0] for final in expected[n:]])
    close([final[2] for final in found[n:]], [state[2] for state in case.states])


def test_a_mask_is_the_sequence_without_the_masked_steps() -> None:
    case = make_case(cells.LSTM(5), batch=1, time=6)
    mask = torch.tensor([[False, True, True, False, True, False]])
    short = Case(case.program, case.x[:, [1, 2, 4]], case.states, case.weights, ())
    for reverse in (False, True):
        found, expected = run(case, mask=mask, reverse=reverse), run(short, reverse=reverse)
        close([found[0][:, [1, 2, 4]], *found[2:]], [expected[0], *expected[2:]])


@pytest.mark.parametrize("cell", ALL_CELLS, ids=repr)
def test_time_can_be_split(cell: Cell) -> None:
    case = make_case(cell, time=7)
    whole = run(case)
    n = len(case.states)
    first = run(Case(case.program, case.x[:, :3], case.states, case.weights, ()))
    second = run(Case(case.program, case.x[:, 3:], first[n:], case.weights, ()))
    joined = [torch.cat((a, b), 1) for a, b in zip(first[:n], second[:n], strict=True)] + second[n:]
    close(joined, whole)
    close(gradients(joined, case, case.x), gradients(whole, case, case.x))


def test_reversing_twice_is_reversing_the_input() -> None:
    case = make_case(cells.GRU(5))
    flipped = Case(case.program, case.x.flip(1), case.states, case.weights, ())
    found, expected = run(case, reverse=True), run(flipped)
    close([found[0].flip(1), found[1]], expected)


def test_the_order_of_the_batch_does_not_matter() -> None:
    case = make_case(cells.LSTM(5), batch=5)
    order = torch.tensor([3, 0, 4, 2, 1])
    lengths = torch.tensor([2, 6, 0, 5, 6])
    moved = Case(case.program, case.x[order], [s[order] for s in case.states], case.weights, ())
    found, expected = run(moved, lengths=lengths[order]), run(case, lengths=lengths)
    close(found, [value[order] for value in expected])


def test_resets_start_a_new_sequence() -> None:
    case = make_case(cells.LSTM(5), batch=2, time=6)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[:, 4] = True
    zeros = [torch.zeros_like(state) for state in case.states]
    first = run(Case(case.program, case.x[:, :4], case.states, case.weights, ()))
    second = run(Case(case.program, case.x[:, 4:], zeros, case.weights, ()))
    found = run(case, resets=resets)
    close([found[0], *found[2:]], [torch.cat((first[0], second[0]), 1), *second[2:]])
    # In reverse the state becomes zero between step 4 and step 3.
    later = run(Case(case.program, case.x[:, 4:], case.states, case.weights, ()), reverse=True)
    earlier = run(Case(case.program, case.x[:, :4], zeros, case.weights, ()), reverse=True)
    found = run(case, resets=resets, reverse=True)
    close([found[0], *found[2:]], [torch.cat((earlier[0], later[0]), 1), *earlier[2:]])


def test_no_gradient_crosses_a_reset_or_the_end_of_a_piece() -> None:
    case = make_case(cells.LSTM(5), batch=2, time=6)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[:, 3] = True
    for options in ({"resets": resets}, {"truncate": 3}):
        output = scan(case.program, case.x, case.states, case.weights, **options)[0]
        dx, *dstates = torch.autograd.grad(output[:, 5].sum(), [case.x, *case.states], allow_unused=True)
        assert not dx[:, :3].any()
        assert dx[:, 3:].abs().amin() > 0
        assert all(d is None or not d.any() for d in dstates)
    whole = run(case)
    close(run(case, truncate=3), whole)


@pytest.mark.parametrize("shape", [(3, 0), (0, 4), (0, 0)])
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"truncate": 2}], ids=repr)
def test_no_time_and_no_batch_are_fine(shape: tuple[int, int], options: dict[str, Any]) -> None:
    case = make_case(cells.LSTM(5), *shape)
    found = run(case, **options)
    assert found[0].shape == (*shape, 5)
    if shape[1] == 0:
        close(found[2:], case.states)
    grads = torch.autograd.grad(
        sum(value.sum() for value in found), case.learned, allow_unused=True, materialize_grads=True
    )
    assert [g.shape for g in grads] == [v.shape for v in case.learned]
    found = run(case, lengths=torch.zeros(shape[0], dtype=torch.long))
    close(found[2:], case.states)


def test_all_sequences_may_be_empty() -> None:
    case = make_case(cells.GRU(5), batch=3, time=4)
    found = run(case, lengths=[0, 0, 0])
    assert not found[0].any()
    close(found[1:], case.states)
    dx, dh, *weights = gradients(found, case, case.x)
    assert not dx.any()
    assert dh.abs().sum() > 0
    assert not any(w.any() for w in weights)


def test_final_states_do_not_share_memory_with_the_output() -> None:
    case = make_case(cells.GRU(5))
    with torch.no_grad():
        output, (h,), _ = scan(case.program, case.x, case.states, case.weights)
        before = output.clone()
        h.zero_()
    assert torch.equal(output, before)


def test_float32_and_float64_agree() -> None:
    for cell in ALL_CELLS:
        wide = make_case(cell, seed=3)
        narrow = Case(
            wide.program,
            wide.x.detach().float(),
            [s.detach().float() for s in wide.states],
            [w.detach().float() for w in wide.weights],
            (),
        )
        found = scan(narrow.program, narrow.x, narrow.states, narrow.weights)[0]
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found.double(), scan(wide.program, wide.x, wide.states, wide.weights)[0], atol=1e-4, rtol=1e-4
        )


def test_packed_data_is_what_torch_packs() -> None:
    case = make_case(cells.LSTM(5), batch=4, time=6)
    lengths = [6, 4, 4, 1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(case.x, lengths, batch_first=True)
    for reverse in (False, True):
        data, final, every = scan_packed(
            case.program, packed.data, packed.batch_sizes, case.states, case.weights,
            reverse=reverse, return_all_states=True,
        )  # fmt: skip
        assert every is not None
        expected = run(case, lengths=lengths, reverse=reverse)
        padded = torch.nn.utils.rnn.pad_packed_sequence(
            torch.nn.utils.rnn.PackedSequence(data, packed.batch_sizes), batch_first=True
        )[0]
        close([padded, *final], [expected[0], *expected[2:]])
        found_gradients = gradients([padded, *final], case, case.x)
        close(found_gradients, gradients([expected[0], *expected[2:]], case, case.x))
        with through_definition():
            again = scan_packed(
                case.program, packed.data, packed.batch_sizes, case.states, case.weights, reverse=reverse
            )
        close([again[0], *again[1]], [data, *final])


def test_per_step_noise_follows_packed_rows() -> None:
    case = make_case(cells.ZoneoutLSTM(5), batch=3, time=4, training=True)
    lengths = [4, 2, 1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(case.x, lengths, batch_first=True)
    noise = [torch.nn.utils.rnn.pack_padded_sequence(n, lengths, batch_first=True).data for n in case.noise]
    for reverse in (False, True):
        _, final, _ = scan_packed(
            case.program,
            packed.data,
            packed.batch_sizes,
            case.states,
            case.weights,
            noise=noise,
            reverse=reverse,
        )
        expected = run(case, lengths=lengths, reverse=reverse)
        close(final, expected[2:])
    drawn = sample_noise(case.program, 3, -7)
    assert [n.shape for n in drawn] == [(7, 5), (7, 5)]


def test_one_step_after_the_other_is_the_whole_sequence() -> None:
    case = make_case(cells.GRU2014(5))
    states: Any = case.states
    outputs = []
    for x in case.x.unbind(1):
        states = step(case.program, x, states, case.weights)
        outputs.append(states[0])
    close([torch.stack(outputs, 1), states[0]], run(case))


@pytest.mark.parametrize("reverse", [False, True])
def test_any_torch_function_can_be_run_over_time(reverse: bool) -> None:
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(3, 5).double()
    program = cells.LSTM(5).program(3)
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh]
    case = make_case(cells.LSTM(5))
    mask = torch.rand(4, 6) < 0.6
    resets = torch.rand(4, 6) < 0.3
    options: dict[str, Any] = {"mask": mask, "resets": resets, "reverse": reverse}
    output, final, every = loop(lambda x, h, c: cell(x, (h, c)), case.x, case.states, **options)
    expected = scan(program, case.x, case.states, weights, return_all_states=True, **options)
    assert expected[2] is not None
    close([output, *final, *every], [expected[0], *expected[1], *expected[2]])

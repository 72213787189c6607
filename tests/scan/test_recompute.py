"""Computing saved values again must change nothing but the memory."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

import nabi.nn
from nabi import cells
from nabi.errors import ArgumentError
from nabi.scan import sample_noise, scan

from ..examples import examples

pytestmark = pytest.mark.rotates(days=3)

KINDS = [
    cells.LSTM(5),
    cells.GRU2014(5),
    cells.LayerNormLSTM(5),
    cells.ZoneoutLSTM(5),
    cells.LSTM(5, recurrent_dropout=0.3),
]


@settings(max_examples=examples(30), deadline=None)
@given(
    cell=st.sampled_from(KINDS),
    time=st.integers(0, 9),
    length=st.integers(1, 10),
    ragged=st.booleans(),
    with_resets=st.booleans(),
    reverse=st.booleans(),
    truncate=st.sampled_from([None, 2]),
)
def test_recomputing_gives_the_same_gradients(
    cell: cells.LSTM,
    time: int,
    length: int,
    ragged: bool,
    with_resets: bool,
    reverse: bool,
    truncate: int | None,
) -> None:
    torch.manual_seed(time * 11 + length)
    program = cell.program(3, training=True)
    weights = [torch.randn(f.shape, dtype=torch.float64).requires_grad_() for f in program.families]
    x = torch.randn(4, time, 3, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(4, 5, dtype=torch.float64, requires_grad=True) for _ in program.state_widths]
    noise = sample_noise(program, 4, time, dtype=torch.float64, device=x.device)
    lengths = torch.tensor([time, time // 2, 0, time // 3]) if ragged else None
    resets = torch.rand(4, time) < 0.3 if with_resets else None
    found = []
    for recompute in (None, length):
        output, final, _ = scan(
            program, x, states, weights, noise=noise, lengths=lengths, resets=resets,
            reverse=reverse, truncate=truncate, recompute=recompute,
        )  # fmt: skip
        total = (output * output).sum() + sum((value.sin() for value in final), torch.zeros(())).sum()
        found.append([output, *final, *torch.autograd.grad(total, [x, *states, *weights])])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-10, atol=1e-11)


def test_less_is_kept() -> None:
    """Between the passes a module that recomputes holds the states of a few steps."""
    kept = []
    for recompute in (None, 16):
        rnn = nabi.nn.RNN(cells.LSTM(32), 8, recompute=recompute, dtype=torch.float64)
        output, _ = rnn(torch.randn(4, 256, 8, dtype=torch.float64, requires_grad=True))
        node = output.grad_fn
        assert node is not None
        record = node.record  # type: ignore[attr-defined]
        if recompute is None:
            # i, f, g, o and the cell state of every step; the output is the caller's.
            kept.append(256 * 4 * 32 * 5)
        else:
            kept.append(sum(state.numel() for states in record.states for state in states))
    assert kept[1] * 20 < kept[0]


def test_the_number_of_steps_is_checked() -> None:
    with pytest.raises(
        ArgumentError, match="recompute: expected a whole number of at least 1 or None, got 0"
    ):
        nabi.nn.RNN(cells.LSTM(5), 3, recompute=0)
    program = cells.LSTM(5).program(3)
    weights = [torch.zeros(family.shape) for family in program.families]
    with pytest.raises(
        ArgumentError, match="recompute: expected a whole number of at least 1 or None, got -1"
    ):
        scan(program, torch.zeros(1, 2, 3), None, weights, recompute=-1)

"""Steps with prepared weights are the steps of the definition."""

import os

import pytest
import torch

from nabi import cells
from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.scan import PreparedStep, scan, step
from tests.cells.sampling import cells_of_today

pytestmark = pytest.mark.rotates(days=3)

CELLS = [name for name in cells_of_today() if not cells.get(name).needed_settings(9, 5)]


def weights_of(program: Program, dtype: torch.dtype, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(f.shape, generator=generator, dtype=dtype) / 3 for f in program.families]


# Each cell in one data type, or in both: it is compiling that takes time.
DTYPES = (torch.float32, torch.float64)
PAIRS = [
    (name, dtype)
    for at, name in enumerate(CELLS)
    for number, dtype in enumerate(DTYPES)
    if number == at % 2 or os.environ.get("NABI_TEST_AGREEMENT") == "all"
]


@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_steps_agree_with_the_definition(name: str, dtype: torch.dtype) -> None:
    """Batches that change size on the way: few rows, many rows, few again; each size twice."""
    program = cells.get(name)(units=9).program(input_size=5)
    parameters = weights_of(program, dtype)
    prepared = PreparedStep(program, parameters)
    generator = torch.Generator().manual_seed(1)
    for batch in (1, 3, 20, 1, 20, 5):
        states = prepared.start(batch)
        expected = states
        for _ in range(3):
            x = torch.randn(batch, 5, generator=generator, dtype=dtype)
            extra = {
                one.name: torch.rand(
                    batch, *([one.width] if one.width else []), generator=generator, dtype=dtype
                )
                for one in program.inputs[1:]
                if one.default is None and one.name != "position"
            }
            found = prepared(x, states, extra)
            wanted = step(program, x, expected, parameters, extra=extra)
            # An output that is no state comes before them.
            states, expected = found[program.readouts :], wanted[program.readouts :]
            for own, other in zip(found, wanted, strict=True):
                torch.testing.assert_close(own, other, atol=1e-5 if dtype is torch.float32 else 1e-12, rtol=0)


def test_steps_are_those_of_scan_to_the_last_bit() -> None:
    program = cells.LSTM(33).program(input_size=7)
    parameters = weights_of(program, torch.float32)
    prepared = PreparedStep(program, parameters)
    # A sequence alone of eight steps or fewer is read otherwise: there the weights are not packed.
    for batch in (1, 4, 6):
        x = torch.randn(batch, 12, 7, generator=torch.Generator().manual_seed(2))
        states = prepared.start(batch)
        for t in range(12):
            states = prepared(x[:, t], states)
        _, finals, _ = scan(program, x, None, parameters)
        assert all(torch.equal(own, other) for own, other in zip(states, finals, strict=True))


def test_large_weights_are_shared_between_threads() -> None:
    program = cells.GRU(300).program(input_size=600)
    parameters = weights_of(program, torch.float32)
    prepared = PreparedStep(program, parameters)
    x, before = torch.randn(8, 600), torch.get_num_threads()
    found = []
    try:
        for threads in (2, 1, 2):
            torch.set_num_threads(threads)
            states = prepared.start(8)
            for _ in range(20):
                states = prepared(x, states)
            found.append(states[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_weights_are_those_of_the_beginning_and_states_are_not_changed() -> None:
    program = cells.GRU(4).program(input_size=2)
    parameters = weights_of(program, torch.float32)
    prepared = PreparedStep(program, parameters)
    x, start = torch.ones(1, 2), prepared.start(1)
    first = prepared(x, start)
    kept = first[0].clone()
    parameters[0].zero_()
    prepared(x, first)
    assert torch.equal(first[0], kept)
    assert torch.equal(prepared(x, start)[0], kept)
    assert not start[0].any()


def test_views_and_inference_mode_are_fine() -> None:
    program = cells.SimpleRNN(4).program(input_size=3)
    parameters = weights_of(program, torch.float32)
    turned = [p.T.contiguous().T if p.dim() == 2 else p for p in parameters]
    x = torch.randn(3, 2).T
    with torch.inference_mode():
        prepared = PreparedStep(program, turned)
        h = prepared(x, prepared.start(2))[0]
    torch.testing.assert_close(h, step(program, x, None, parameters)[0])


def test_steps_are_taken_without_native_code_too(monkeypatch: pytest.MonkeyPatch) -> None:
    program = cells.LayerNormLSTM(4).program(input_size=3)
    parameters = [p.requires_grad_() for p in weights_of(program, torch.float32)]
    x = torch.ones(2, 3)
    native = PreparedStep(program, parameters)
    monkeypatch.setenv("NABI_NATIVE", "0")
    plain = PreparedStep(program, parameters)
    for own, other in zip(plain(x, plain.start(2)), native(x, native.start(2)), strict=True):
        torch.testing.assert_close(own, other)
        assert not own.requires_grad


def test_what_does_not_fit_is_refused() -> None:
    program = cells.LSTM(4).program(input_size=3)
    parameters = weights_of(program, torch.float32)
    prepared = PreparedStep(program, parameters)
    with pytest.raises(ShapeError, match=r"x: expected shape \[batch, 3\], got \(2, 4\)"):
        prepared(torch.zeros(2, 4), prepared.start(2))
    with pytest.raises(ShapeError, match=r"states: expected shape \(2, 4\), got \(1, 4\)"):
        prepared(torch.zeros(2, 3), prepared.start(1))
    with pytest.raises(ShapeError, match=r"states: expected shape \(3, 4\), got \(2, 4\)"):
        prepared(torch.zeros(3, 3), prepared(torch.zeros(2, 3), prepared.start(2)))  # what it gave last, too
    with pytest.raises(ArgumentError, match="states: expected 2, got 1"):
        prepared(torch.zeros(2, 3), prepared.start(2)[:1])
    with pytest.raises(ArgumentError, match=r"got torch\.float64"):
        prepared(torch.zeros(2, 3, dtype=torch.float64), prepared.start(2))
    noisy = cells.LSTM(4, recurrent_dropout=0.5).program(input_size=3, training=True)
    with pytest.raises(ArgumentError, match="random numbers"):
        PreparedStep(noisy, parameters)

"""Outputs that are no states in cells that also read further inputs, earlier inputs and older states."""

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import nabi.nn
from nabi.cells import RecurrentDropout, Residual
from nabi.ir import Cell, find_program
from nabi.ir._recipe import make_again
from nabi.ir.functions import exp, sigmoid, tanh
from nabi.scan import PreparedStep, scan, static_scan, step


class Everything(Cell):
    """An output of a width of its own, inputs of a step and of a sequence, earlier inputs and states."""

    output = "y"
    states = ("h", "c")
    static_size: int = 2

    def delays(self) -> dict[str, int]:
        return {"h": 2}

    def state_width(self, name: str) -> int:
        return 3 if name == "y" else self.units

    def step(self, x: Any, h: Any, c: Any, *, delta: Any = 1.0, static: Any) -> Any:
        return equations(self, x, h, c, self.delay(h, 2), self.previous(x), delta, static)


class Spelled(Cell):
    """The same with every value that is handed on as a state, and one row of inputs at every step."""

    states = ("y", "h", "c", "h_2", "x1")
    static_size: int = 2
    sequence_inputs = ()

    def state_width(self, name: str) -> int:
        return {"y": 3, "x1": 4}.get(name, self.units)

    def step(
        self, x: Any, y: Any, h: Any, c: Any, h_2: Any, x1: Any, *, delta: Any = 1.0, static: Any
    ) -> Any:
        return *equations(self, x, h, c, h_2, x1, delta, static), h, x


def equations(
    cell: Cell, x: Any, h: Any, c: Any, older: Any, before: Any, delta: Any, static: Any
) -> tuple[Any, ...]:
    gate = sigmoid(cell.affine("g", s=static))
    c = 0.9 * c * exp(-delta) + gate * tanh(cell.affine("c", x, x1=before, d=older))
    h = tanh(c + cell.diagonal("h", "h", h))
    return cell.linear("y", "o", h, units=3) + cell.linear("y", "k", static, units=3), h, c


class Diagonal(Cell):
    """No product in the loop, and an output that depends on the sequence alone beside its states."""

    output = "y"
    static_size: int = 5

    def step(self, x: Any, h: Any, *, static: Any) -> Any:
        h = sigmoid(self.bias("f")) * h + self.affine("h", x, self.previous(x))
        return tanh(static), h


PROGRAM = Everything(5).program(4)
GENERATOR = torch.Generator().manual_seed(3)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def drawn(names: list[str], shapes: list[tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: normal(*shape).requires_grad_() for name, shape in zip(names, shapes, strict=True)}


@pytest.mark.parametrize("options", [{}, {"lengths": [6, 0, 3]}, {"reverse": True, "lengths": [2, 6, 5]}])
def test_it_is_the_cell_with_all_of_it_as_states(options: dict[str, Any]) -> None:
    other = Spelled(5).program(4)
    weights = drawn([f.name for f in PROGRAM.families], [f.shape for f in PROGRAM.families])
    assert set(weights) == {family.name for family in other.families}
    x, delta, static = normal(3, 6, 4).requires_grad_(), normal(3, 6).exp(), normal(3, 2).requires_grad_()
    found = scan(
        PROGRAM, x, None, [weights[f.name] for f in PROGRAM.families],
        extra={"delta": delta, "static": static}, return_all_states=True, **options,
    )  # fmt: skip
    wanted = scan(
        other, x, None, [weights[f.name] for f in other.families],
        extra={"delta": delta, "static": static.unsqueeze(1).expand(-1, 6, -1)}, return_all_states=True,
        **options,
    )  # fmt: skip
    assert PROGRAM.state_names == other.state_names[1:] == ("h", "c", "h_2", "x1")
    for one, two in zip(
        (found[0], *found[1], *found[2]), (wanted[0], *wanted[1][1:], *wanted[2][1:]), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
    cotangents = normal(*found[0].shape), normal(*found[1][0].shape)
    leaves = [x, static, *weights.values()]
    first = torch.autograd.grad([found[0], found[1][0]], leaves, cotangents)
    second = torch.autograd.grad([wanted[0], wanted[1][1]], leaves, cotangents)
    for one, two in zip(first, second, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-11)


def test_steps_are_those_of_the_scan() -> None:
    weights = [normal(*family.shape) for family in PROGRAM.families]
    x, delta, static = normal(3, 4, 4), normal(3, 4).exp(), normal(3, 2)
    output, finals, _ = scan(PROGRAM, x, None, weights, extra={"delta": delta, "static": static})
    outputs, last = static_scan(
        PROGRAM, list(x.unbind(1)), None, weights, extra={"delta": delta, "static": static}
    )
    prepared = PreparedStep(PROGRAM, weights)
    now: tuple[Tensor, ...] | None = None
    by_hand = prepared.start(3)
    for t in range(4):
        extra = {"delta": delta[:, t], "static": static}
        one, *rest = step(PROGRAM, x[:, t], now, weights, extra=extra)
        two, *more = prepared(x[:, t], by_hand, extra)
        now, by_hand = tuple(rest), tuple(more)
        for found in (one, two, outputs[t]):
            torch.testing.assert_close(found, output[:, t], rtol=0, atol=1e-12)
    assert now is not None
    for states in (now, by_hand, last):
        for state, final in zip(states, finals, strict=True):
            torch.testing.assert_close(state, final, rtol=0, atol=1e-12)


def test_an_output_of_the_sequence_alone() -> None:
    program = Diagonal(5).program(3)
    weights = [normal(*family.shape) for family in program.families]
    static = normal(2, 5)
    output, _, _ = scan(program, normal(2, 6, 3), None, weights, extra={"static": static})
    torch.testing.assert_close(output, static.tanh().unsqueeze(1).expand(-1, 6, -1))


@pytest.mark.parametrize("cell", [Everything(5), Diagonal(5)])
def test_every_form_of_a_program_is_found_again(cell: Cell) -> None:
    program = cell.program(4)
    part = program.at_every_step
    assert part.at_every_step is part
    assert part.as_states is program.as_states.at_every_step
    assert part.readouts == 1
    assert not part.as_states.readouts
    lowered = [] if program.lowered is None else [program.lowered.program]
    for one in (program, program.as_states, part, part.as_states, *lowered):
        assert pickle.loads(pickle.dumps(one)) is one
        assert find_program(one.key) is one
        assert make_again(one.recipe, Cell) is one


class Inner(Cell):
    output = "y"

    def step(self, x: Any, h: Any) -> Any:
        h = 0.5 * h + self.affine("h", self.previous(x))
        return tanh(h), h


class Outer(Cell):
    """A cell around one with an output and an earlier input of its own."""

    def step(self, x: Any, h: Any) -> Any:
        y, h = self.inner(Inner(self.units), x, h, name="inner")
        return h + 0.1 * y


def test_a_cell_within_a_cell_has_its_output_and_earlier_input() -> None:
    program = Outer(2).program(3)
    assert program.state_names == ("h", "x1")
    weights = [normal(*family.shape) for family in program.families]
    x = normal(2, 5, 3)
    output, _, _ = scan(program, x, None, weights)
    h, before = torch.zeros(2, 2, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    named = dict(zip([family.name for family in program.families], weights, strict=True))
    matrix, bias = named["W_inner_x1"], named["b_inner"]
    for t in range(5):
        h = 0.5 * h + before @ matrix.T + bias
        h, before = h + 0.1 * h.tanh(), x[:, t]
        torch.testing.assert_close(output[:, t], h)


class Sum(Cell):
    """Two products before the loop, one added to the other."""

    mark_size: int = 5

    def step(self, x: Any, h: Any, *, mark: Any) -> Any:
        return tanh(0.5 * h + self.affine("h", x, h, m=mark))


def test_products_of_two_inputs_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Sum(4).program(3)
    weights = {family.name: normal(*family.shape) for family in program.families}
    x, mark = normal(2, 6, 3), normal(2, 6, 5)
    monkeypatch.setenv("NABI_NATIVE", "0")
    output, _, _ = scan(program, x, None, list(weights.values()), extra={"mark": mark})
    h = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(6):
        total = x[:, t] @ weights["W_x"].T + mark[:, t] @ weights["W_m"].T + h @ weights["W_h"].T
        h = torch.tanh(0.5 * h + total + weights["b"])
        torch.testing.assert_close(output[:, t], h)


@pytest.mark.parametrize("cell", [Everything(5), Diagonal(5)])
def test_torch_compile_traces_it(cell: Cell) -> None:
    rnn = nabi.nn.RNN(cell, input_size=4)
    x, static = torch.randn(2, 6, 4), torch.randn(2, cell.input_width("static", 4) or 1)
    compiled = torch.compile(lambda x, s: rnn(x, static=s)[0], backend="aot_eager", fullgraph=True)
    output = compiled(x, static)
    torch.testing.assert_close(output, rnn(x, static=static)[0])
    output.sum().backward()
    assert all(weight.grad is not None for weight in rnn.parameters())


class Earlier(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.affine("h", x, h, self.previous(x)))


def test_wrappers_of_a_cell_with_an_earlier_input() -> None:
    assert Residual(Earlier(4)).program(4).state_names == ("h", "x1")
    drawn = RecurrentDropout(Earlier(4), rate=0.5).program(4, training=True).noises
    assert [noise.name for noise in drawn] == ["d_h"]

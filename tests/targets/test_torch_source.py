"""A cell's plain PyTorch twin: its source is executed and compared with the cell."""

from typing import Any

import pytest
import torch

import nabi.nn
from nabi import cells
from nabi.cells import GRU, LSTM, Cell, Dilated, Highway, LayerNorm, Residual, WeightNorm, Zoneout
from nabi.errors import ArgumentError
from nabi.ir import derived, elementwise, initial
from nabi.ir.functions import (
    cumulative_sum,
    exp,
    fold,
    maximum,
    mean,
    repeat,
    select,
    shift,
    sigmoid,
    smallest,
    softmax,
    step,
    tanh,
    total,
)
from nabi.targets.torch_source import module_source

from ..cells.sampling import CLASSIC, cells_of_today

UNITS, INPUTS = 6, 4
OTHERS = [name for name in cells.names() if name not in CLASSIC]


def twin_of(cell: Cell, width: int = INPUTS) -> Any:
    """The twin's module, made of its source alone, with the weights of a module of nabi's after one seed."""
    source = module_source(cell.program(width))
    space: dict[str, Any] = {}
    exec(compile(source, "twin.py", "exec"), space)
    assert "nabi" not in {name.partition(".")[0] for name in space}
    return space[type(cell).__name__]()


def compare(cell: Cell, width: int = INPUTS, steps: int = 5) -> None:
    """Compare initial values, outputs, final states and gradients."""
    torch.manual_seed(1)
    rnn = nabi.nn.RNN(cell, width)
    torch.manual_seed(1)
    twin = twin_of(cell, width)
    for (name, one), (other, right) in zip(twin.state_dict().items(), rnn.state_dict().items(), strict=True):
        assert name == other
        torch.testing.assert_close(one, right, msg=name)
    rnn, twin = rnn.double().eval(), twin.double()
    with torch.no_grad():
        for weight in rnn.parameters():
            weight += torch.rand_like(weight) / 5
    twin.load_state_dict(rnn.state_dict())
    x = torch.randn(3, steps, width, dtype=torch.float64, requires_grad=True)
    more = {}
    for one in cell.program(width).inputs[1:]:
        if one.name != "position":
            shape = (3,) if one.per_sequence else (3, steps)
            more[one.name] = torch.rand(*shape, *([one.width] if one.width else []), dtype=torch.float64)
    output, states = rnn(x, **more)
    found, finals = twin(x, **more)
    torch.testing.assert_close(found, output, atol=1e-10, rtol=1e-10)
    for final, state in zip(finals, states, strict=True):
        torch.testing.assert_close(final.flatten(1), state[0], atol=1e-10, rtol=1e-10)
    weights = torch.randn_like(output)
    own = [(output * weights).sum(), [x, *rnn.parameters()]]
    for got, right in zip(
        torch.autograd.grad((found * weights).sum(), [x, *twin.parameters()], allow_unused=True),
        torch.autograd.grad(*own, allow_unused=True),
        strict=True,
    ):
        assert (got is None) == (right is None) or not (right if got is None else got).any()
        if got is not None and right is not None:
            torch.testing.assert_close(got, right, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", [*CLASSIC[:4], *cells_of_today(OTHERS, 12)])
def test_cells_of_the_catalogue(name: str) -> None:
    kind = cells.get(name)
    compare(kind(UNITS, **kind.needed_settings(UNITS, INPUTS)))


@pytest.mark.parametrize("name", ["matrix-lstm", "mamba-2", "retnet", "deltanet"])
def test_several_heads(name: str) -> None:
    compare(cells.get(name)(8, heads=2))


@pytest.mark.parametrize(
    "cell",
    [
        Zoneout(LSTM(UNITS)), LayerNorm(GRU(UNITS)), WeightNorm(LSTM(UNITS)), Residual(GRU(INPUTS)),
        Highway(GRU(INPUTS)), Dilated(GRU(UNITS), 2),
    ],
    ids=lambda cell: type(cell).__name__,
)  # fmt: skip
def test_wrapped_cells(cell: Cell) -> None:
    compare(cell)


soft_clip = elementwise("soft_clip_of_a_twin", lambda v: v / (1 + abs(v) ** 3) ** (1 / 3))


def halved(v):
    """A derived matrix by a function of one's own."""
    return one_half(v) + v.T * HALF


def one_half(v):
    return v * HALF


HALF = 0.5


class Everything(Cell):
    """Operations, initial values and names that no cell of the catalogue has in this way."""

    output = "y"
    states = ("h", "t", "state")

    def initial_state(self, name):
        return {
            "h": initial.Learned(),
            "t": float("-inf"),
            "state": initial.Values(tuple(range(self.units))),
        }[name]

    def step(self, x, h, t, state, *, delta=2.0, lambda_, position):
        W = self.affine(
            "h", x, h, derived={"h": derived.Computed(halved)}, init={"b": initial.Linspace(-1, 1)}
        )
        torch = maximum(0.5, soft_clip(W)) - 2.5 * smallest(W)
        t = maximum(t, self.affine("t", self.previous(x), lambda_=lambda_, init={"x1": "identity"}))
        F = cumulative_sum(softmax(t), 3, reverse=True) + fold(repeat(shift(torch, -2), 2), 2)
        h = select(mean(F) < F, 1.0, 0.1) * tanh(F) + sigmoid(position - 2) * h
        state = (
            step(state - 1, "triangle") * h - (delta - 1) * exp(-state) * total(h) ** 2 / (h * h + 1) ** 0.5
        )
        return self.linear("y", "h", h, units=self.units, init="orthogonal") + 1, h, t, state

    def input_width(self, name, input_size):
        return 2 if name == "lambda_" else super().input_width(name, input_size)


def test_operations_names_and_initial_values_that_the_catalogue_has_not() -> None:
    compare(Everything(UNITS))


shadowing = elementwise("len", lambda v: v / (2 + abs(v)))


class F(Cell):
    """Names that are no identifiers, or that the source reads itself (\"\"\"quoted\"\"\")."""

    states = ("torch", "len", "self", "len_")

    def step(self, x, h, s, m, n, *, range=1.0):
        soft_clip_of_a_twin = soft_clip(self.affine("f-1", x, h=h))
        low = self.linear("a b", "h", h, units=2)
        super = self.affine("in", k=low, init={"k": halves_of}) + shadowing(s)
        m = tanh(m + soft_clip_of_a_twin * range)
        return super * soft_clip_of_a_twin, m - s, m, n + self.bias("math", "nn")

    def input_width(self, name, input_size):
        return self.units


def halves_of(shape, generator):
    import torch

    return torch.rand(shape, generator=generator) / 2


def test_names_that_are_no_identifiers_or_shadow_what_the_source_reads() -> None:
    source = module_source(F(UNITS).program(INPUTS))
    space: dict[str, Any] = {}
    exec(compile(source, "twin.py", "exec"), space)
    rnn, twin = nabi.nn.RNN(F(UNITS), INPUTS), space["F_"]()
    assert "W_h_a b_l0" in twin.state_dict()
    twin.load_state_dict(rnn.state_dict())
    x, more = torch.randn(2, 4, INPUTS), torch.rand(2, 4, UNITS)
    output, states = rnn(x, range=more)
    found, finals = twin(x, range_=more)
    torch.testing.assert_close(found, output)
    torch.testing.assert_close(torch.stack(finals), torch.cat(states))


def test_inputs_that_may_be_left_out() -> None:
    rnn, twin = nabi.nn.RNN(cells.CfC(UNITS, backbone=3), INPUTS), twin_of(cells.CfC(UNITS, backbone=3))
    twin.load_state_dict(rnn.state_dict())
    x = torch.randn(2, 3, INPUTS)
    torch.testing.assert_close(twin(x)[0], rnn(x)[0])


def test_a_sequence_in_two_parts() -> None:
    twin, x = twin_of(cells.get("mamba-2")(UNITS)), torch.randn(2, 6, INPUTS)
    whole, _ = twin(x)
    first, state = twin(x[:, :2])
    torch.testing.assert_close(torch.cat([first, twin(x[:, 2:], state)[0]], 1), whole)


def test_what_cannot_be_written() -> None:
    class Own(Cell):
        def step(self, x, h):
            return self.affine("h", x, h, derived={"h": derived.Computed(lambda v: v + len(OTHERS))})

    with pytest.raises(ArgumentError, match=r"--as torch: W_hh is computed by a function that reads more"):
        module_source(Own(UNITS).program(INPUTS))
    with pytest.raises(
        ArgumentError, match=r"expected a step in which nothing is drawn, got one that draws d_"
    ):
        module_source(LSTM(UNITS, recurrent_dropout=0.5).program(INPUTS, training=True))

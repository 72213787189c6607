"""Cells with axes in native code, held against torch: every cell, odd sizes, lengths, states of all kinds."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

import nabi.nn
from nabi import cells
from nabi.cells import Cell
from nabi.ir import LEAVES, Program
from nabi.ir.functions import (
    cos,
    flat,
    join,
    largest,
    maximum,
    norm,
    outer,
    part,
    read,
    sigmoid,
    softmax,
    split,
    tanh,
    total,
    vector,
)
from nabi.kernels import Rows
from nabi.native import host
from nabi.targets import eager
from nabi.targets.llvm._heads import _run
from nabi.targets.llvm._heads._places import places_of
from nabi.targets.llvm._heads._plan import HeadsKernel
from nabi.targets.llvm._heads._stages import computed, shared

from .axis_programs import RandomAxes

NAMES = [name for name in cells.names() if issubclass(cells.get(name), cells.MatrixCell)]
HEADS = {"dss": 1, "s4d": 1, "mamba": 1, "ttt": 2}
"""Where three heads of six keys and four values are not possible."""
ROWS = {
    "even": Rows([2] * 19, 2),
    "uneven": Rows([6, 5, 2, 1, 1], 7),
}


class Odd(Cell):
    """States that stay, that pass on what another was, that share a value; parts, joins, maxima."""

    states = ("y", "S", "before", "still", "twin", "n")

    def state_shape(self, name: str) -> tuple[int, ...]:
        matrix = (2, 3, 5)
        shapes = {"S": matrix, "before": matrix, "still": matrix, "twin": matrix, "n": (2, 3)}
        return shapes.get(name, (10,))

    def step(self, x: Any, y: Any, S: Any, before: Any, still: Any, twin: Any, n: Any) -> Any:
        k = split(self.affine("k", units=6, bias="k", k=x), 2, 3)
        v = split(self.affine("v", x), 2, 5)
        k = join(part(k, 2, 3), maximum(part(k, 0, 2), -0.5)) + softmax(n, -1)
        new = tanh(0.9 * S + outer(k, norm(v, -1)) + 0.1 * before + 0.1 * still * twin)
        n_t = 0.5 * n + k + vector(0.1, 0.2) * largest(S, 2)
        return flat(read(new, cos(n)) / (1 + total(n * n, -1))), new, S, still, new, n_t


class OfRows(Cell):
    """A sum over all heads in the loop: a whole row is one head."""

    states = ("y", "S")

    def state_shape(self, name: str) -> tuple[int, ...]:
        return (2, 3, 4) if name == "S" else (12,)

    def step(self, x: Any, y: Any, S: Any) -> Any:
        gate = sigmoid(split(self.affine("g", x), 3, 4))
        S = 0.5 * S + 0.1 * softmax(S, 0)
        return flat(gate * total(S, 0)), S


class Fed(Cell):
    """What was read goes through a matrix and back into the state: the loop multiplies weights."""

    states = ("h", "S")

    def state_shape(self, name: str) -> tuple[int, ...]:
        return (2, 2, 3) if name == "S" else (6,)

    def step(self, x: Any, h: Any, S: Any) -> Any:
        k = split(self.linear("k", "k", x, units=4), 2, 2)
        S = 0.9 * S + outer(k, split(tanh(self.affine("v", x, h)), 2, 3))
        return flat(read(S, k)), S


CASES: list[Cell] = [
    *(cells.get(name)(12, heads=HEADS.get(name, 3), keys=6) for name in NAMES),
    cells.RWKV6(12, heads=3, keys=6, rank=3, token_shift=True),
    cells.RWKV7(12, heads=3, keys=6, token_shift=True),
    cells.GatedDeltaNet(32, heads=2),
    cells.MatrixLSTM(7),
    cells.Mamba2(160, heads=1, keys=4, convolution=1),
    cells.M2RNN(12, heads=2, use_bias=False),
    Odd(10),
    OfRows(12),
    Fed(6),
    cells.FastWeights(7, loops=2),
    cells.NRU(17, side=4),
    cells.NTM(9, rows=5, width=3),
    cells.DNC(6, rows=4, width=3, reads=2),
    cells.MIST(6),
]


def data(program: Program, rows: Rows, dtype: torch.dtype) -> tuple[Tensor, tuple[Tensor, ...], list[Tensor]]:
    torch.manual_seed(0)
    x = torch.randn(rows.count, program.input_size, dtype=dtype)
    states = tuple(torch.randn(rows.batch, width, dtype=dtype) * 0.4 for width in program.state_widths)
    if isinstance(program.cell, cells.NTM | cells.DNC):  # which take logarithms of weights of rows
        states = tuple(state.abs().clamp(max=0.9) for state in states)
    return x, states, [torch.randn(f.shape, dtype=dtype) * 0.4 for f in program.families]


def relative(found: Tensor | None, want: Tensor | None) -> float:
    if want is None or not want.numel():
        return 0.0
    assert found is not None
    return float((found - want).abs().max() / (1e-9 + want.abs().max()))


def compare(program: Program, laid: Rows, dtype: torch.dtype, most: float, keep: tuple[int, ...]) -> None:
    """Hold native code against torch's kernel: states, gradients, inference."""
    program = program.lowered.program if program.lowered else program
    x, states, weights = data(program, laid, dtype)
    need = {"need_input": True, "need_families": (True,) * len(weights)}
    want, want_finals, kept = eager.run_forward(program, laid, x, states, weights, (), keep=keep, save=True)
    found, finals, record = _run.run_forward(program, laid, x, states, weights, (), keep=keep, save=True)
    plain, plain_finals, none = _run.run_forward(program, laid, x, states, weights, (), keep=keep, save=False)
    assert none is None
    for one, two, three in zip(
        (*want, *want_finals), (*found, *finals), (*plain, *plain_finals), strict=True
    ):
        assert relative(two, one) <= most
        assert relative(three, one) <= most
    of_rows = [None if value is None else torch.randn_like(value) for value in want]
    of_finals = [torch.randn_like(value) for value in want_finals]
    assert record is not None
    truth = eager.run_backward(program, laid, kept, weights, of_rows, of_finals, **need)  # type: ignore[arg-type]
    dx, initial, gradients = _run.run_backward(program, laid, record, weights, of_rows, of_finals, **need)  # type: ignore[arg-type]
    for two, one in zip((dx, *initial, *gradients), (truth.x, *truth.initial, *truth.families), strict=True):
        assert relative(two, one) <= most


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("cell", CASES, ids=repr)
@torch.no_grad()
def test_native_code_computes_what_torch_does(cell: Cell, rows: str) -> None:
    program = cell.program(5)
    if rows == "even":
        compare(program, ROWS[rows], torch.float64, 1e-12, tuple(range(len(program.state_names))))
    else:
        compare(program, ROWS[rows], torch.float32, 2e-4, (0,))


def test_heads_are_divided_or_rows_are() -> None:
    for name, case in zip(NAMES, CASES, strict=False):
        # The convolution of Mamba-2 and the traces of FFM are not divided among heads.
        one = name in ("ffm", "mamba-2")
        assert places_of(case.program(5)).heads.count == (1 if one else HEADS.get(name, 3))
    assert places_of(OfRows(12).program(5)).heads.count == 1
    assert places_of(Fed(6).program(5)).heads.count == 1
    assert "it reads more than x" in _run.can_run(cells.MCLSTM(6).program(5))


@torch.no_grad()
def test_the_derivative_adds_up_no_long_product_again() -> None:
    program = cells.get("mist")(units=32).program(input_size=32).as_states
    kernel = HeadsKernel(program, "float32", host(), "backward", given=(0,))
    again = [one for name, one in kernel.products.items() if name.startswith("replay")]
    assert not [one for one in again if one.length >= 16]
    left = kernel.places.forward.products
    assert left
    assert {node.index for node in left} <= {node.index for node in kernel.inputs}


def test_what_two_parts_outside_the_loop_need_is_computed_once() -> None:
    program = cells.get("ffm")(units=32).program(input_size=32).as_states
    late = _run._late_products(program)
    assert late  # a normalisation reads them, and so does its derivative
    there = (*late, *(node for node in program.derivative.nodes if node.operation in LEAVES))
    later = _run._gradient_nodes(program, (), True, (True,) * len(program.families))
    pre = _run._pre(program)
    more = shared(there, pre, later, ())
    then = computed(later, (*there, *more))
    doubled = [n for i, n in computed(pre, there).items() if i in then and n.operation in ("mean", "sqrt")]
    assert not doubled


def test_more_rows_go_together_where_weights_are_large() -> None:
    """Sixteen and one at first, later seven and fewer."""
    program = cells.NRU(300).program(5)
    kernels = [HeadsKernel(program, "float64", host(), one, given=(0,)) for one in ("forward", "backward")]
    assert [kernel.together for kernel in kernels] == [16, 16]
    compare(program, Rows([17, 7, 4, 1], 17), torch.float64, 1e-9, (0,))


def run(rnn: nabi.nn.RNN, x: Tensor, **options: Any) -> list[Tensor]:
    x = x.clone().requires_grad_()
    output, state = rnn(x, **options)
    (output.square().sum() + sum(value.sum() for value in state)).backward()
    found = [output, *state, x.grad, *(p.grad for p in rnn.parameters())]
    rnn.zero_grad()
    return [value.detach().clone() for value in found if value is not None]


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (cells.GatedDeltaNet(8, heads=2), {}),
        (cells.GatedDeltaNet(8, heads=2), {"lengths": [7, 4, 0]}),
        (cells.RWKV6(8, heads=2, rank=3), {"lengths": [3, 7, 1]}),
        (cells.MatrixLSTM(8, heads=2), {"both": True}),
        (cells.MatrixLSTM(8, heads=2), {"truncate": 3}),
        (cells.KDA(8, heads=2, rank=3), {"resets": True}),
        (cells.MatrixLSTM(8, heads=2), {"resets": True, "lengths": [7, 2, 5], "truncate": 2}),
        (Fed(6), {"both": True}),
        (Fed(6), {"resets": True, "lengths": [7, 2, 5], "truncate": 2}),
        (cells.FastWeights(6), {"lengths": [4, 7, 0]}),
    ],
    ids=repr,
)
def test_a_layer_is_the_same_in_native_code(
    cell: Cell, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nabi.native import _fallback

    torch.manual_seed(3)
    options = dict(options)
    rnn = nabi.nn.RNN(cell, input_size=4, bidirectional=options.pop("both", False)).double()
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    if options.get("resets") is True:
        options["resets"] = torch.rand(3, 7) < 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls = []
        native = _run.run_backward
        monkeypatch.setattr(_run, "run_backward", lambda *a, **k: calls.append(1) or native(*a, **k))
        found = run(rnn, x, **options)
        assert calls
        monkeypatch.setattr(_fallback, "is_available", lambda: False)
        want = run(rnn, x, **options)
    for one, two in zip(found, want, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("cell", [cells.GatedDeltaNet(64, heads=4), cells.NRU(64), cells.NRU(300)], ids=repr)
def test_two_threads_compute_the_same(cell: Cell) -> None:
    """Seven rows of one thread are four and three together, or all of them with large weights; those of two
    threads are three and four."""
    torch.manual_seed(0)
    rnn = nabi.nn.RNN(cell, input_size=8)
    x = torch.randn(7, 70, 8)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(run(rnn, x))
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(found[0][:6], found[1][:6], strict=True):
        assert torch.equal(one, two)


def test_second_derivatives_go_through_the_definition() -> None:
    rnn = nabi.nn.RNN(cells.DeltaNet(4, heads=2), input_size=2).double()
    x = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: rnn(x)[0], (x,))


def test_a_layer_learns() -> None:
    """Recall of a value by its key, which a vector state of this size cannot do."""
    torch.manual_seed(0)
    rnn = nabi.nn.RNN(cells.DeltaNet(16, heads=1), input_size=12)
    out = torch.nn.Linear(16, 4)
    optimizer = torch.optim.Adam([*rnn.parameters(), *out.parameters()], lr=0.01)
    losses = []
    for _ in range(150):
        keys = torch.stack([torch.randperm(8)[:5] for _ in range(16)])
        values = torch.randint(4, (16, 5))
        x = torch.cat((torch.eye(8)[keys], torch.eye(4)[values]), -1)
        asked = torch.randint(5, (16,))
        query = torch.cat((torch.eye(8)[keys[torch.arange(16), asked]], torch.zeros(16, 4)), -1)
        output, _ = rnn(torch.cat((x, query[:, None]), 1))
        loss = torch.nn.functional.cross_entropy(out(output[:, -1]), values[torch.arange(16), asked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.5 * sum(losses[:20]) / 20


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("seed", range(8))
@torch.no_grad()
def test_random_programs(seed: int) -> None:
    """Eight of many: `for seed in range(1000): test_random_programs(seed)` takes four minutes."""
    program = RandomAxes(4, seed=100 + seed, heads=1 + seed % 3, products=seed // 2 % 3).program(4)
    assert not _run.can_run(program)
    compare(program, Rows([6, 5, 5, 1, 1], 6), torch.float64, 1e-9, (0, 1, 2, 3, 4))

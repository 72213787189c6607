"""Kernels of steps whose loop holds no product: which steps these are, and threads."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.ir.functions import exp, mean, sigmoid, tanh
from nabi.native import threads as _threads
from nabi.nn import RNN
from nabi.scan import scan, static_scan
from nabi.targets.llvm import _compiled
from nabi.targets.llvm._plan import _kinds
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward
from nabi.targets.llvm._plan._kinds import goes_in_chunks
from nabi.targets.llvm._plan._strata import strata_of

from ...native.machines import needs_native
from .sweep import CELLS, Calls, Data, Layered, MinimalGatedUnit, Setting, Spiral, eager, native, worst

pytestmark = pytest.mark.rotates(days=2)


class Direct(Cell):
    """The input itself goes into the state, whose cotangent is the input's; another holds a gate of it."""

    states = ("h", "u")

    def step(self, x: Any, h: Any, u: Any) -> Any:
        return 0.9 * h + x + 0.5 * u, tanh(self.affine("u", x))


class Forgetful(Cell):
    """An LSTM that reads its input of the step before, with an output read from the state."""

    output = "y"
    states = ("h", "c")

    def state_width(self, name: str) -> int:
        return 3 if name == "y" else self.units

    def step(self, x: Any, h: Any, c: Any) -> Any:
        i = sigmoid(self.affine("i", x, h, self.previous(x)))
        c = 0.9 * c + i * tanh(self.affine("c", x, h))
        return self.linear("y", "c", c, units=3), tanh(c) * i, c


class Irregular(Cell):
    """Numbers and rows beside the input, one of them of an earlier step, one unread, one that is counted."""

    output = "y"
    states = ("h", "c")
    mark_size: int = 4
    unread_size: int = 3

    def state_width(self, name: str) -> int:
        return 3 if name == "y" else self.units

    def step(self, x: Any, h: Any, c: Any, *, delta: Any, mark: Any, position: Any, unread: Any = 0.0) -> Any:
        share = sigmoid(self.affine("g", m=mark) + 0.1 * position)
        h = exp(-delta) * h + share * self.affine("h", x, self.previous(mark), m=mark)
        c = 0.5 * c + h + delta
        return self.linear("y", "o", h * delta, units=3) + mean(c), h, c


class Unread(Cell):
    """The input itself is not read."""

    def step(self, x: Any, h: Any, *, delta: Any) -> Any:
        return h * exp(-delta) + self.affine("h", e=delta)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
def test_which_steps_have_no_product_in_their_loop(cell: Cell) -> None:
    program = cell.program(4, training=True).as_states
    assert (strata_of(program) is not None) == isinstance(cell, cells.IndRNN | Spiral | Layered)


class Leak(Cell):
    """No product."""

    def step(self, x: Any, h: Any) -> Any:
        return 0.9 * h + 0.1 * x


class Memoryless(Cell):
    """No loop."""

    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.affine("h", x))


@pytest.mark.parametrize(
    ("cell", "few", "many"),
    [
        (cells.LRU(4), True, False),
        (cells.RWKV4(4), True, False),
        (cells.HGRN(4), True, False),
        (cells.IndRNN(4), True, False),
        (cells.SRU(4), True, False),
        (Leak(4), False, False),
        (Memoryless(4), False, False),
        (cells.GRU(4), False, False),
    ],
    ids=repr,
)
def test_which_steps_go_in_chunks(cell: Cell, few: bool, many: bool) -> None:
    program = cell.program(4)
    program = (program.lowered.program if program.lowered else program).as_states
    assert [goes_in_chunks(program, few_rows) for few_rows in (True, False)] == [few, many]


@needs_native
@pytest.mark.parametrize("cell", [Leak(5), Memoryless(5), cells.SRU(5)], ids=repr)
def test_steps_that_gain_nothing_are_right_all_the_same(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kinds, "goes_in_chunks", lambda program, few_rows: strata_of(program) is not None)
    setting = Setting(batch=6, steps=7, valid="lengths", resets=True)
    data = Data.draw(cell, 5, setting)
    assert worst(native(data, torch.float64).all(), eager(data).all())[0] < 1e-10


def test_the_kinds_of_states() -> None:
    found = strata_of(Spiral(3).program(4).as_states)
    assert found is not None
    assert (found.readouts, found.loop, found.shifted) == ((0,), (1, 2), (3, 4))
    assert strata_of(Forgetful(3).program(4).as_states) is None  # a product of its loop reads its state
    assert strata_of(MinimalGatedUnit(3).program(4)) is None


def test_what_depends_on_weights_alone_is_computed_once() -> None:
    found = strata_of(Spiral(3).program(4).as_states)
    assert found is not None
    loop = found.forward(save=False)[1]
    waiting = [node for one in loop.passes for node in one.stores]
    computed = {}
    while waiting:
        node = waiting.pop()
        if node.index not in computed and not loop.at_hand(node):
            computed[node.index] = node
            waiting.extend(node.arguments)
    assert computed
    assert all(node.has_rows for node in computed.values())
    # size * cos(angle) and size * sin(angle) of the step; the derivative reads their factors, too.
    assert {"mul", "cos", "sin"} <= {node.operation for node in found.once}
    assert all(node.has_rows for node in found.values.saved)


@needs_native
@pytest.mark.parametrize("need_input", [True, False])
def test_gains_and_inputs_share_the_products_of_their_cotangents(need_input: bool) -> None:
    """The keys, values and receptances of RWKV-4 read mixtures of an input and the one before."""
    cell = cells.RWKV4(5)
    program = cell.program(3)
    found = strata_of(program.as_states)
    assert found is not None
    assert found.backward.input is not None
    stages = [found.backward.end, *found.backward.shifted.values(), found.backward.input]
    assert [sum(len(one.sums) for one in stage.passes) for stage in stages] == [3, 0, 0]
    layer = RNN(cell, 3).double()
    x = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=need_input)
    weights = [getattr(layer, f"{family.name}_l0") for family in program.families]
    wanted = [*layer.parameters(), *([x] if need_input else [])]
    outputs = [layer(x)[0], torch.stack(list(static_scan(program, list(x.unbind(1)), None, weights)[0]), 1)]
    cotangents = torch.randn_like(outputs[0])
    got, expected = (torch.autograd.grad(output, wanted, cotangents) for output in outputs)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@needs_native
@pytest.mark.parametrize("few", [True, False])
def test_kernels_of_both_kinds_are_used(few: bool) -> None:
    program = Spiral(3).program(4).as_states
    options = (True,) * len(program.families)
    forward = _compiled.forward_kernel(program, torch.float32, False, (0,), False, options, few)
    backward = _compiled.backward_kernel(
        program, torch.float32, (0,), (0,), False, False, options, True, True, few
    )
    assert isinstance(forward.kernel, ChunkedForward) is few
    assert isinstance(backward.kernel, ChunkedBackward) is few


@needs_native
@pytest.mark.parametrize(("cell", "features"), [(Direct(5), 5), (Forgetful(5), 4)])
def test_steps_beside_the_sweep(cell: Cell, features: int) -> None:
    for setting in (Setting(3, 9, "lengths"), Setting(1, 5, resets=True, truncate=2, all_states=True)):
        data = Data.draw(cell, features, setting)
        truth, found = eager(data), native(data, torch.float64)
        assert worst(found.all(), truth.all())[0] < 1e-10, setting


@needs_native
@pytest.mark.parametrize("cell", [Irregular(7), Unread(33)], ids=repr)
@pytest.mark.parametrize(
    ("batch", "steps", "options"),
    [
        (3, 9, {"lengths": [4, 0, 9]}),
        (1, 300, {}),
        (4, 5, {"truncate": 2, "reverse": True, "return_all_states": True}),
    ],
)
def test_further_inputs(
    cell: Cell, batch: int, steps: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = cell.program(5)
    assert strata_of(program.as_states) is not None
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    inputs = {given.name: normal(batch, steps, given.width or 1) for given in program.inputs}
    weights = [normal(*family.shape) for family in program.families]
    extra = {name: value for name, value in inputs.items() if name not in ("x", "position")}
    monkeypatch.delenv("NABI_NATIVE", raising=False)
    calls, results = Calls(monkeypatch), []
    for way in ("1", "0"):
        monkeypatch.setenv("NABI_NATIVE", way)
        output, finals, every = scan(program, inputs["x"], None, weights, extra=extra, **options)
        found = [output, *finals, *(every or ())]
        cotangents = [torch.cos(torch.arange(1.0, one.numel() + 1).double()).view_as(one) for one in found]
        leaves = [inputs["x"], *extra.values(), *weights]
        gradients = torch.autograd.grad(
            found, leaves, cotangents, allow_unused=True, materialize_grads=True
        )  # fmt: skip
        results.append([*found, *gradients])
    assert (calls.forward, calls.backward) == (1, 1)
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10 * (1 + float(two.detach().abs().max())))


@needs_native
@pytest.mark.parametrize(("batch", "steps"), [(4, 160), (1, 700)])
def test_threads_change_no_bit(batch: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Several chunks of sequences that threads share, and one whose units they share.
    data = Data.draw(Spiral(33), 9, Setting(batch, steps, "lengths"))
    results = []
    for threads in (1, 2):
        monkeypatch.setattr(_threads, "threads_for", lambda work, threads=threads: threads)
        monkeypatch.setattr(_threads, "pays", lambda *_: True)
        results.append(native(data, torch.float32).all())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


@needs_native
def test_no_steps_give_initial_states_and_zero_gradients() -> None:
    program = Spiral(3).program(4)
    weights = [torch.randn(family.shape, requires_grad=True) for family in program.families]
    states = [torch.randn(2, width, requires_grad=True) for width in program.state_widths]
    output, finals, _ = scan(program, torch.zeros(2, 0, 4), states, weights)
    assert output.shape == (2, 0, 3)
    assert all(map(torch.equal, finals, states))
    found = torch.autograd.grad(
        sum((final.sum() for final in finals), torch.zeros(())), [*states, *weights],
        allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    ones: list[Tensor] = list(found[: len(states)])
    assert all(torch.equal(one, torch.ones_like(one)) for one in ones)
    assert not any(gradient.any() for gradient in found[len(states) :])

"""Everything that torch does with an operator: derivatives of every order and kind, vmap, compile."""

import gc
import weakref
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.autograd import forward_ad

from nabi import cells
from nabi.cells import Cell
from nabi.scan import scan

from .conftest import ALL_CELLS, Case, make_case

pytestmark = pytest.mark.rotates(days=3)


def function(case: Case, **options: Any) -> Any:
    n = len(case.states)

    def run(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        output, final, _ = scan(case.program, x, tensors[:n], tensors[n:], noise=case.noise, **options)
        return (output, *final)

    return run


@pytest.mark.parametrize("cell", ALL_CELLS, ids=repr)
def test_gradients_of_every_cell(cell: Cell) -> None:
    case = make_case(cell, batch=2, time=3, training=True)
    assert torch.autograd.gradcheck(function(case, lengths=[3, 1]), case.learned)


@pytest.mark.parametrize("cell", [cells.LSTM(2), cells.GRU2014(2), cells.LayerNormLSTM(2)], ids=repr)
@pytest.mark.parametrize("options", [{}, {"lengths": [2, 0]}, {"reverse": True}], ids=repr)
def test_double_backward_and_forward_mode(cell: Cell, options: dict[str, Any]) -> None:
    case = make_case(cell, batch=2, time=2, features=2)
    assert torch.autograd.gradgradcheck(function(case, **options), case.learned)
    assert torch.autograd.gradcheck(
        function(case, **options), case.learned, check_forward_ad=True, check_backward_ad=False
    )


def test_a_third_derivative() -> None:
    case = make_case(cells.SimpleRNN(2), batch=1, time=3, features=1)
    x = case.x
    value = function(case)(*case.learned)[0].sum()
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)

    def plain(x: Tensor) -> Tensor:
        h = case.states[0]
        w_x, w_h, b = case.weights
        total = torch.zeros((), dtype=x.dtype)
        for t in range(3):
            h = torch.tanh(x[:, t] @ w_x.T + h @ w_h.T + b)
            total = total + h.sum()
        return total

    expected = plain(x)
    for _ in range(3):
        (expected,) = torch.autograd.grad(expected.sum(), x, create_graph=True)
    torch.testing.assert_close(value, expected)


def test_forward_mode_is_not_silently_zero() -> None:
    case = make_case(cells.LSTM(3))
    with forward_ad.dual_level():
        x = forward_ad.make_dual(case.x, torch.ones_like(case.x))
        output = function(case)(x, *case.states, *case.weights)[0]
        tangent = forward_ad.unpack_dual(output).tangent
    assert tangent is not None
    assert tangent.abs().amin() > 0


def test_functional_transforms() -> None:
    case = make_case(cells.GRU(3), batch=4)
    run = function(case)
    rest = (*case.states, *case.weights)
    whole = run(case.x, *rest)[0]
    alone = torch.func.vmap(lambda x, h: run(x[None], h[None], *case.weights)[0][0])(case.x, case.states[0])
    torch.testing.assert_close(alone, whole)

    def loss(w: Tensor, x: Tensor, h: Tensor) -> Tensor:
        return run(x[None], h[None], w, *case.weights[1:])[0].pow(2).sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(
        case.weights[0], case.x, case.states[0]
    )
    (total,) = torch.autograd.grad(whole.pow(2).sum(), case.weights[0])
    torch.testing.assert_close(each.sum(0), total)
    jacobian = torch.func.jacrev(lambda x: run(x, *rest)[1])(case.x)
    torch.testing.assert_close(torch.func.jacfwd(lambda x: run(x, *rest)[1])(case.x), jacobian)


def test_lengths_may_be_mapped_over() -> None:
    case = make_case(cells.LSTM(3), batch=3, time=4)
    lengths = torch.tensor([4, 0, 2])
    expected = scan(case.program, case.x, case.states, case.weights, lengths=lengths)[0]

    def one(x: Tensor, h: Tensor, c: Tensor, length: Tensor) -> Tensor:
        return scan(case.program, x[None], (h[None], c[None]), case.weights, lengths=length[None])[0][0]

    torch.testing.assert_close(torch.func.vmap(one)(case.x, *case.states, lengths), expected)


@pytest.mark.parametrize("cell", [cells.LSTM(3), cells.GRU2014(3), cells.ZoneoutLSTM(3)], ids=repr)
@pytest.mark.parametrize(
    "options", [{}, {"lengths": torch.tensor([3, 0])}, {"reverse": True}, {"truncate": 2}], ids=repr
)
def test_compiled_code_sees_one_node_and_gives_the_same(cell: Cell, options: dict[str, Any]) -> None:
    torch.compiler.reset()
    case = make_case(cell, batch=2, time=4, training=True)
    graphs = []

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append([str(node.target) for node in graph.graph.nodes if node.op == "call_function"])
        from torch._dynamo.backends.debugging import aot_eager

        return aot_eager(graph, inputs)

    compiled = torch.compile(function(case, **options), fullgraph=True, backend=count)
    found, expected = compiled(*case.learned), function(case, **options)(*case.learned)
    cotangents = [torch.randn_like(value) for value in expected]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, case.learned, cotangents),
        torch.autograd.grad(expected, case.learned, cotangents),
    )
    assert [sum("nabi.scan" in name for name in names) for names in graphs] == [1]


def test_other_lengths_of_time_and_batch_are_not_compiled_again() -> None:
    torch.compiler.reset()
    graphs = []

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    case = make_case(cells.LSTM(3))

    @torch.compile(fullgraph=True, backend=count, dynamic=True)
    def run(x: Tensor, *weights: Tensor) -> Tensor:
        return scan(case.program, x, None, weights)[0]

    for batch, time in ((4, 6), (5, 9), (2, 3), (7, 11)):
        x = torch.randn(batch, time, 3, dtype=torch.float64)
        torch.testing.assert_close(run(x, *case.weights), scan(case.program, x, None, case.weights)[0])
    assert len(graphs) == 1


@pytest.mark.parametrize("masked", [False, True])
def test_the_operator_passes_torch_s_own_checks(masked: bool) -> None:
    case = make_case(cells.GRU(3), batch=2, time=3)
    mask = torch.tensor([[True, False, True], [False, False, False]]) if masked else None
    arguments = (
        case.x, case.states, case.weights, [], mask, None, None, case.program.key, masked, None, masked,
    )  # fmt: skip
    torch.library.opcheck(torch.ops.nabi.scan.default, arguments)

    def run(x: Tensor, h: Tensor, *weights: Tensor) -> Any:
        return tuple(torch.ops.nabi.scan(x, [h], list(weights), *arguments[3:]))

    assert torch.autograd.gradcheck(run, case.learned)
    assert torch.autograd.gradgradcheck(run, case.learned)


@pytest.mark.parametrize("options", [{}, {"lengths": [1, 2, 3, 0]}, {"recompute": 2}, {"reverse": True}])
def test_an_output_may_be_changed_in_place(options: dict[str, Any]) -> None:
    case = make_case(cells.LSTM(3))
    wanted = torch.autograd.grad(
        (function(case, **options)(*case.learned)[0] * 2).square().sum(), case.learned
    )
    output = function(case, **options)(*case.learned)[0]
    output.mul_(2)
    found = torch.autograd.grad(output.square().sum(), case.learned, retain_graph=True)
    torch.testing.assert_close(found, wanted)
    again = torch.autograd.grad(output.square().sum(), case.learned)
    torch.testing.assert_close(again, wanted)


@pytest.mark.parametrize("which", range(4))
def test_changing_what_a_layer_reads_is_noticed(which: int) -> None:
    case = make_case(cells.LSTM(3))
    learned = [value.detach().clone() for value in case.learned]
    leaf = learned[-1].requires_grad_()
    output = function(case)(*learned)[0]
    learned[which].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(output.sum(), leaf)


def test_a_graph_is_freed_with_its_output() -> None:
    case = make_case(cells.LSTM(3))
    for options in ({}, {"lengths": [1, 2, 3, 0]}):
        outputs = function(case, **options)(*case.learned)
        node = weakref.ref(outputs[0].grad_fn)
        gc.disable()
        try:
            del outputs
            assert node() is None
        finally:
            gc.enable()


def test_a_gradient_that_nobody_wants_is_not_computed() -> None:
    case = make_case(cells.LSTM(3))
    x = case.x.detach()
    frozen = [weight.detach() for weight in case.weights[1:]]
    output = scan(case.program, x, None, [case.weights[0], *frozen])[0]
    output.sum().backward()
    assert case.weights[0].grad is not None
    assert torch.isfinite(case.weights[0].grad).all()


def test_under_autocast_a_scan_keeps_the_type_of_its_weights() -> None:
    case = make_case(cells.LSTM(3), dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = (case.x @ torch.eye(3)).relu()
        assert x.dtype == torch.bfloat16
        output = scan(case.program, x, None, case.weights)[0]
        assert output.dtype == torch.float32
        output.sum().backward()
    assert case.x.grad is not None


def test_a_graph_can_be_gone_through_twice_when_it_is_kept_and_not_otherwise() -> None:
    case = make_case(cells.LSTM(3))
    output = function(case, lengths=[6, 2, 0, 4])(*case.learned)[0]
    first = torch.autograd.grad(output.sum(), case.learned, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(output.sum(), case.learned), first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        output.sum().backward()


def test_what_the_backward_pass_needed_is_freed_by_it() -> None:
    """A loss that is kept until the next one is made must not keep the activations with it."""
    case = make_case(cells.LSTM(3))
    loss = function(case)(*case.learned)[0].sum()
    node = loss.grad_fn.next_functions[0][0]
    kept = weakref.ref(node.record)
    assert kept() is not None
    loss.backward()
    assert kept() is None


def test_checkpointing_saves_the_activations_memory() -> None:
    case = make_case(cells.LSTM(3))
    run = function(case, lengths=[6, 2, 0, 4])
    expected = torch.autograd.grad(run(*case.learned)[0].sum(), case.learned)
    output = torch.utils.checkpoint.checkpoint(run, *case.learned, use_reentrant=False)[0]
    assert output.grad_fn.record is None
    torch.testing.assert_close(torch.autograd.grad(output.sum(), case.learned), expected)

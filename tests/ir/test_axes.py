"""Values with axes: shapes, broadcasting, derivatives beside torch's, and errors that quote the equation."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi.errors import CellError
from nabi.ir import Cell, Program, Trace, verify_nodes
from nabi.ir._graph._axes import broadcast_shape
from nabi.ir._graph._axis_operations import AXIS_OPERATIONS
from nabi.ir._graph._nodes import Node, current_trace, needed
from nabi.ir.functions import (
    exp,
    flat,
    join,
    largest,
    mean,
    norm,
    outer,
    part,
    read,
    softmax,
    split,
    tanh,
    total,
    vector,
)
from nabi.scan import scan
from nabi.targets import eager

HEADS, KEYS, VALUES = 2, 3, 4


class Everything(Cell):
    """Every operation on axes once, all of them in the way of a gradient."""

    states = ("h", "S", "n")

    def state_shape(self, name: str) -> tuple[int, ...]:
        return {"S": (HEADS, KEYS, VALUES), "n": (HEADS, KEYS)}.get(name, (HEADS * VALUES,))

    def step(self, x: Any, h: Any, S: Any, n: Any) -> Any:
        k = split(self.linear("k", "k", x, units=HEADS * KEYS), HEADS, KEYS)
        v = split(self.affine("v", x, h), HEADS, VALUES)
        scale = exp(-split(self.linear("s", "s", x, units=HEADS), HEADS))
        k = join(part(k, 1, KEYS), part(k, 0, 1)) + softmax(n, 1)
        S = scale * S + outer(k, v - read(S, norm(k, -1)))
        S = tanh(S - self.blocks("S", "S", S))
        n = n + k * split(vector(1, 2), HEADS) + largest(S, 2)
        y = read(S, n) / (1 + total(n * n, 1)) + mean(norm(S, 0), 1)
        return flat(y + largest(softmax(S, 1), 1)), S, n


def data(cell: Cell, dtype: torch.dtype = torch.float64) -> tuple[Program, Any, Any, Any]:
    torch.manual_seed(1)
    program = cell.program(5)
    weights = [(torch.randn(f.shape, dtype=dtype) * 0.4).requires_grad_() for f in program.families]
    states = [(torch.randn(3, w, dtype=dtype) * 0.3).requires_grad_() for w in program.state_widths]
    return program, torch.randn(3, 4, 5, dtype=dtype, requires_grad=True), states, weights


def test_gradients_are_those_of_torch_and_of_numbers() -> None:
    program, x, states, weights = data(Everything(HEADS * VALUES))

    def run(*tensors: torch.Tensor) -> Any:
        x, (h, S, n), weights = tensors[0], tensors[1:4], tensors[4:]
        _, finals, every = scan(program, x, [h, S, n], list(weights), return_all_states=True)
        return (*every, *finals)

    leaves = (x, *states, *weights)
    torch.autograd.gradcheck(run, leaves, eps=1e-6, atol=1e-5)


def test_a_step_is_written_in_numbers() -> None:
    program, x, states, weights = data(Everything(HEADS * VALUES))
    step = eager.step_function(program)
    _, S, n = (value.detach().unflatten(-1, axes) for value, axes in zip(
        step(x[:, 0], states, weights, ()), program.state_shapes, strict=True
    ))  # fmt: skip
    named = dict(zip((family.name for family in program.families), weights, strict=True))
    with torch.no_grad():
        k = (x[:, 0] @ named["W_k"].T).unflatten(-1, (HEADS, KEYS))
        scale = (-(x[:, 0] @ named["W_s"].T)).exp()
        h, old, old_n = (s.unflatten(-1, axes) for s, axes in zip(states, program.state_shapes, strict=True))
        v = (x[:, 0] @ named["W_x"].T + named["b"] + h @ named["W_h"].T).unflatten(-1, (HEADS, VALUES))
        k = torch.cat((k[..., 1:], k[..., :1]), -1) + old_n.softmax(-1)
        new = scale[..., None, None] * old
        unit = torch.nn.functional.layer_norm(k, (KEYS,), eps=1e-5)
        new = new + torch.einsum("bhk,bhv->bhkv", k, v - torch.einsum("bhkv,bhk->bhv", old, unit))
        R = named["R_S"].reshape(HEADS, VALUES, VALUES)
        new = (new - torch.einsum("bhkv,hvw->bhkw", new, R)).tanh()
        want_n = old_n + k * torch.tensor([1.0, 2.0])[:, None] + new.amax(-1)
    torch.testing.assert_close(S, new)
    torch.testing.assert_close(n, want_n)


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3))
@settings(deadline=None, max_examples=60)
def test_axes_are_aligned_from_the_first(shapes: list[tuple[int, ...]]) -> None:
    rank = max(map(len, shapes))
    try:
        want = tuple(torch.broadcast_shapes(*[s + (1,) * (rank - len(s)) for s in shapes]))
    except RuntimeError:
        want = None
    assert broadcast_shape(shapes) == want


@pytest.mark.parametrize("row", AXIS_OPERATIONS, ids=lambda row: row.name)
def test_every_operation_is_in_every_target(row: Any) -> None:
    from nabi.targets.onnx._axes import is_on_axes

    assert is_on_axes(row.name)
    assert row.derivative is not None or row.decomposition is not None


def trace_of(function: Any) -> Node:
    trace = Trace("test")
    token = current_trace.set(trace)
    try:
        found: Node = function(trace.leaf("state", "a", 12), trace.leaf("state", "S", 24, (2, 3, 4)))
        return found
    finally:
        current_trace.reset(token)


@pytest.mark.parametrize(
    ("function", "axes"),
    [
        (lambda a, S: split(a, 3, 4), (3, 4)),
        (lambda a, S: flat(split(a, 3, 4)), (12,)),
        (lambda a, S: total(S, 0), (3, 4)),
        (lambda a, S: total(S, -1), (2, 3)),
        (lambda a, S: total(S), ()),
        (lambda a, S: total(a, 0), ()),
        (lambda a, S: part(S, 1, 3), (2, 3, 2)),
        (lambda a, S: join(S, S, S), (2, 3, 12)),
        (lambda a, S: read(S, split(part(a, 0, 6), 2, 3)), (2, 4)),
        (lambda a, S: split(part(a, 0, 2), 2) * S, (2, 3, 4)),
        (lambda a, S: largest(a), ()),
    ],
)
def test_axes_of_results(function: Any, axes: tuple[int, ...]) -> None:
    assert trace_of(function).axes == axes


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, S: split(a, 5, 2), "split of .*expected sizes whose product is 12"),
        (lambda a, S: split(a, 12.0), "split of .*expected sizes"),
        (lambda a, S: a * S, "mul of a\\[12\\] and S\\[2 × 3 × 4\\]: the axes do not fit"),
        (lambda a, S: part(S, 2, 5), "part of .*0 <= start < stop <= 4"),
        (lambda a, S: join(a, S), "only the last axis may differ"),
        (lambda a, S: outer(a, S), "the axes before the last differ"),
        (lambda a, S: read(S, a), "expected a query of 2 × 3"),
        (lambda a, S: total(S, 3), "axis: expected a whole number from -3 to 2, got 3"),
        (lambda a, S: flat(total(S)), "flat: .* has no axes"),
        (lambda a, S: split(1.0, 1), "split: expected a value of the step with units, got a number"),
        (lambda a, S: vector(), "vector: expected numbers"),
    ],
)
def test_errors_quote_the_equation(function: Any, message: str) -> None:
    with pytest.raises(CellError, match=message):
        trace_of(function)


def test_a_step_must_keep_the_axes_of_its_states() -> None:
    class Turned(Cell):
        states = ("S",)

        def state_shape(self, name: str) -> tuple[int, ...]:
            return (2, 3)

        def step(self, x: Any, S: Any) -> Any:
            return split(flat(S), 3, 2)

    with pytest.raises(CellError, match=r"«return split.*the new S has the axes 3 × 2, the state has 2 × 3"):
        Turned(6).program(3)


def test_the_axes_of_a_state_are_its_width() -> None:
    class Wrong(Cell):
        def state_shape(self, name: str) -> tuple[int, ...]:
            return (2, 3)

        def state_width(self, name: str) -> int:
            return 7

        def step(self, x: Any, h: Any) -> Any:
            return h

    with pytest.raises(CellError, match=r"state_shape\('h'\): expected a tuple of positive sizes"):
        Wrong(6).program(3)


def test_blocks_takes_heads() -> None:
    class Wrong(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return self.blocks("h", "h", h)

    with pytest.raises(CellError, match="blocks takes a value of heads"):
        Wrong(6).program(3)


def test_a_broken_graph_is_found() -> None:
    trace = Trace("test")
    S = trace.leaf("state", "S", 6, (2, 3))
    wrong = trace.make("axis_sum", (S,), 3, axes=(3,), details=(1,))
    with pytest.raises(CellError, match="the axes do not fit"):
        verify_nodes("test", (S, wrong))
    verify_nodes("test", needed([trace.reduce_axis("axis_sum", S, 1)]))

"""Every operation of the table: its torch rendering, its decomposition and its derivative, against torch."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from nabi.ir import OPERATIONS, Node, Operation, Program, Trace, apply, functions, operation
from nabi.ir._graph._axis_operations import AXIS_OPERATIONS
from nabi.ir._graph._nodes import needed
from nabi.targets.eager._render import expression
from nabi.targets.eager._with_derivative import with_derivative

# What other tests add has tests of its own; operations on axes have details: see test_axes.py.
BUILT_IN = [row for row in OPERATIONS.values() if not row.definition and row not in AXIS_OPERATIONS]
PRIMITIVE = [row for row in BUILT_IN if row.derivative is not None]
DECOMPOSED = [row for row in BUILT_IN if row.decomposition is not None]
POSITIVE = {"log", "sqrt", "power"}


def leaves(trace: Trace, arity: int, width: int | None = 4) -> list[Node]:
    return [trace.leaf("state", name, width) for name in "abc"[:arity]]


def evaluate(nodes: list[Node | None], given_values: dict[int, torch.Tensor]) -> list[torch.Tensor | None]:
    """Compute nodes with torch, one after the other, straight from the table."""
    known = dict(given_values)
    for node in needed(nodes):
        if node.index in known:
            continue
        if node.operation == "constant":
            known[node.index] = torch.tensor(node.value, dtype=torch.float64)
            continue
        names = {argument.index: f"v{argument.index}" for argument in node.arguments}
        names.update({a.index: repr(a.value) for a in node.arguments if a.operation == "constant"})
        space = {f"v{a.index}": known[a.index] for a in node.arguments}
        space |= {"torch": torch, "with_derivative": with_derivative}
        known[node.index] = eval(expression(node, names), space)
    return [known[node.index] if node is not None else None for node in nodes]


def values_for(row: Operation, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(3, 4, dtype=torch.float64, generator=generator) for _ in range(row.arity)]
    if row.name in POSITIVE:
        values = [value.abs() + 0.1 for value in values]
    if row.name == "div":
        values[1] = values[1].abs() + 0.5
    if row.name == "select":
        values[0] = (values[0] > 0).double()
    return values


@pytest.mark.parametrize("row", PRIMITIVE, ids=lambda row: row.name)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_derivative_is_what_torch_computes(row: Operation, seed: int) -> None:
    trace = Trace("test")
    spreads = row.name == "spread"
    arguments = leaves(trace, row.arity, None if spreads else 4)
    if row.across is not None:
        arguments = [arguments[0], trace.constant(2.0)]
    result = trace.spread(arguments[0], 4) if spreads else apply(row.name, *arguments)
    cotangent = trace.leaf("cotangent", "d", result.width)
    assert row.derivative is not None
    parts = list(row.derivative(cotangent, result, *arguments))
    values = [value[:, : 1 if spreads else 4].requires_grad_() for value in values_for(row, seed)]
    values = values[:1] if row.across is not None else values
    given_values = {node.index: value for node, value in zip(arguments, values, strict=False)}
    (expected,) = evaluate([result], given_values)
    assert expected is not None
    d = torch.randn(expected.shape, dtype=torch.float64)
    wanted = (
        torch.autograd.grad(expected, values, d, allow_unused=True)
        if expected.requires_grad
        else [None] * len(values)
    )
    found = evaluate(parts, {**{i: v.detach() for i, v in given_values.items()}, cotangent.index: d})
    for part, want in zip(found, wanted, strict=row.across is None):
        got = torch.zeros_like(values[0]) if part is None else part.expand_as(values[0])
        torch.testing.assert_close(
            got, torch.zeros_like(got) if want is None else want, atol=1e-12, rtol=1e-12
        )


@pytest.mark.parametrize("row", DECOMPOSED, ids=lambda row: row.name)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_decomposition_means_the_same(row: Operation, seed: int) -> None:
    trace = Trace("test")
    arguments = leaves(trace, row.arity)
    assert row.decomposition is not None
    values = {node.index: value for node, value in zip(arguments, values_for(row, seed), strict=True)}
    whole, parts = evaluate([apply(row.name, *arguments), row.decomposition(*arguments)], values)
    torch.testing.assert_close(parts, whole, atol=1e-12, rtol=1e-12)


def test_activations_are_those_of_torch() -> None:
    x = torch.linspace(-9, 9, 37, dtype=torch.float64)[None]
    own = {
        "exponential": torch.exp,
        "hard_sigmoid": torch.nn.functional.hardsigmoid,
        "hard_sigmoid_keras2": lambda v: (0.2 * v + 0.5).clamp(0, 1),
        "hard_tanh": torch.nn.functional.hardtanh,
        "leaky_relu": lambda v: torch.nn.functional.leaky_relu(v, 0.2),
        "linear": lambda v: v,
        "softmax": lambda v: torch.softmax(v, -1),
        "swish": torch.nn.functional.silu,
    }
    added = {row.name for row in OPERATIONS.values() if row.definition}
    for name, function in functions.ACTIVATIONS.items():
        if name in added:
            continue
        trace = Trace("test")
        leaf = trace.leaf("state", "x", 37)
        (found,) = evaluate([function(leaf)], {leaf.index: x})
        reference = own.get(name) or getattr(torch.nn.functional, name)
        torch.testing.assert_close(found, reference(x), msg=name)


def test_a_program_is_differentiated_through_decompositions() -> None:
    from nabi.cells import SimpleRNN

    program: Program = SimpleRNN(4, activation="softsign").program(3)
    used = {node.operation for node in program.derivative.nodes}
    assert "softsign" not in used
    assert "abs" in used
    assert operation("softsign").derivative is None

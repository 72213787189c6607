"""Sums and shifts along the units: against numpy, and their derivatives as the reversed maps."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from nabi.errors import CellError
from nabi.ir import Cell
from nabi.ir.functions import cumulative_sum, fold, repeat, shift, softmax, tanh, total
from nabi.scan import scan
from nabi.targets.eager import step_function

# Units, and the number that the operation is called with: below, at and above the lanes of a vector.
CASES: dict[str, tuple[Any, Any, list[tuple[int, int]]]] = {
    "sum": (
        lambda v, n: cumulative_sum(v, n),
        lambda v, n: v.reshape(len(v), -1, n).cumsum(1).reshape(v.shape),
        [(7, 1), (33, 1), (12, 3), (40, 20), (34, 17), (16, 16)],
    ),
    "reversed sum": (
        lambda v, n: cumulative_sum(v, n, reverse=True),
        lambda v, n: v.reshape(len(v), -1, n)[:, ::-1].cumsum(1)[:, ::-1].reshape(v.shape),
        [(7, 1), (33, 1), (12, 3), (40, 20)],
    ),
    "shift": (
        lambda v, n: shift(v, n),
        lambda v, n: np.stack(
            [
                np.concatenate([np.zeros(n), r[: len(r) - n]])
                if n >= 0
                else np.concatenate([r[-n:], np.zeros(-n)])
                for r in v
            ]
        ),
        [(7, 1), (7, -3), (33, 17), (33, -20), (5, 0)],
    ),
    "repeat": (lambda v, n: repeat(v, n), lambda v, n: v.repeat(n, 1), [(7, 2), (3, 19), (17, 1)]),
    "fold": (
        lambda v, n: fold(v, n),
        lambda v, n: v.reshape(len(v), -1, n).sum(2),
        [(8, 2), (38, 19), (5, 1)],
    ),
}
EACH = [(name, *case) for name, (_, _, cases) in CASES.items() for case in cases]


class Mapped(Cell):
    """The operation on a value of the step, and on the state."""

    kind: str = "sum"
    number: int = 1
    inputs: int = 1

    states = ("y", "h")

    def state_width(self, name: str) -> int:
        return self.inputs if name == "h" else self.units

    def step(self, x: Any, y: Any, h: Any) -> Any:
        operation = CASES[self.kind][0]
        return operation(x + h, self.number) + 0.5 * operation(tanh(h), self.number), 0.3 * h + x


def cell_of(name: str, width: int, number: int) -> Mapped:
    units = {"repeat": width * number, "fold": width // (number or 1)}.get(name, width)
    return Mapped(units, name, number, width)


def run(cell: Mapped, x: torch.Tensor, cotangent: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    h = torch.ones(x.shape[0], cell.inputs, dtype=x.dtype, requires_grad=True)
    y = torch.zeros(x.shape[0], cell.units, dtype=x.dtype)
    output, _, _ = scan(cell.program(cell.inputs), x, [y, h], ())
    return [output.detach(), *torch.autograd.grad(output, [x, h], cotangent)]


@pytest.mark.parametrize(("name", "width", "number"), EACH)
def test_native_code_and_the_eager_kernel_give_the_numbers_of_numpy(
    name: str, width: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = cell_of(name, width, number)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 2, width, generator=generator, dtype=torch.float64)
    cotangent = torch.randn(3, 2, cell.units, generator=generator, dtype=torch.float64)
    monkeypatch.setenv("NABI_NATIVE", "0")
    eager = run(cell, x, cotangent)
    monkeypatch.delenv("NABI_NATIVE")
    for found, expected in zip(run(cell, x, cotangent), eager, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    h = np.ones((3, width))
    for t in range(2):
        row = x[:, t].numpy()
        wanted = CASES[name][1](row + h, number) + 0.5 * CASES[name][1](np.tanh(h), number)
        np.testing.assert_allclose(eager[0][:, t].numpy(), wanted, rtol=1e-13, atol=1e-13)
        h = 0.3 * h + row


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(EACH), seed=st.integers(0, 10_000))
def test_the_derivative_is_the_transposed_map(case: tuple[str, int, int], seed: int) -> None:
    name, width, number = case
    cell = cell_of(name, width, number)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, width, generator=generator, dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, width, dtype=torch.float64)
    y, _ = step_function(cell.program(width))(
        x, [torch.zeros(1, cell.units, dtype=torch.float64), zero], (), ()
    )
    d = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    (back,) = torch.autograd.grad(y, x, d)
    torch.testing.assert_close((d * y).sum(), (back * x).sum())
    derivative = cell.program(width).derivative
    operations = {node.operation for node in derivative.nodes if node.reads_cotangent}
    assert operations & {"cumulative_sum", "reverse_cumulative_sum", "shift", "repeat", "fold"}


def test_a_shift_by_chunks_and_a_sum_of_a_softmax() -> None:
    class Both(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return shift(x, -1, chunk=3) + cumulative_sum(softmax(h)) + 0 * total(h)

    x = torch.arange(6.0)[None]
    (found,) = step_function(Both(6).program(6))(x, [torch.zeros(1, 6)], (), ())
    expected = torch.tensor([3.0, 4, 5, 0, 0, 0]) + torch.arange(1.0, 7) / 6
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: cumulative_sum(x, 4), "6 units are no whole number of chunks of 4"),
        (lambda x: cumulative_sum(x, 0), "no whole number of chunks of 0"),
        (lambda x: shift(x, 6), "6 units cannot be shifted by 6"),
        (lambda x: repeat(x, 0), "units cannot be repeated 0 times"),
        (lambda x: fold(x, 4), "6 units are no whole number of chunks of 4"),
        (lambda x: cumulative_sum(total(x)), "one number for all units"),
        (lambda x: shift(x, x), "expected a number"),
    ],
)
def test_what_does_not_fit_is_an_error(call: Any, message: str) -> None:
    class Wrong(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return h + call(x)

    with pytest.raises(CellError, match=message):
        Wrong(6).program(6)

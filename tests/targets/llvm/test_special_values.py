"""Every operation and whole layers on numbers of all sizes, infinities, NaN and denormals, against torch.

Native code is compared with the definition: the same equations as torch's functions, differentiated by torch.
docs/native.md says what is promised; where the definition itself is less exact, float64 tells what is right.
`NABI_RANDOM_LAYERS` says how many random layers are drawn.
"""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.ir import OPERATIONS, Program, apply
from nabi.ir.functions import ACTIVATIONS
from nabi.scan import scan
from nabi.targets.eager import step_function

from ...native.elementwise import compiled, native_lanes, spacing
from ...native.machines import needs_native
from ...native.test_math import exactly

pytestmark = needs_native

DTYPES = [torch.float32, torch.float64]
ARRAYS = {torch.float32: np.float32, torch.float64: np.float64}
WIDTH = 48
# What a layer's equations can be written with.
UNARY = [
    "neg", "sigmoid", "tanh", "relu", "exp", "sqrt", "log", "abs", "softplus", "erf", "hard_sigmoid",
    "hard_tanh", "softsign", "elu", "selu", "gelu", "silu", "leaky_relu", "sin", "cos",
]  # fmt: skip
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum"]
# Errors of results in units in the last place, as docs/native.md promises them. None: those of a formula, as
# in torch, which are small beside its largest term and not beside the result.
ULP = {
    "neg": 0.0, "relu": 0.0, "abs": 0.0, "add": 0.5, "sub": 0.5, "mul": 0.5, "div": 0.5, "maximum": 0.0,
    "minimum": 0.0, "sqrt": 0.5, "log": 1.0, "exp": 2.0, "sigmoid": 6.0, "tanh": 3.0, "softplus": 3.0,
    "erf": 3.0, "sin": 2.5, "cos": 2.5, "elu": 3.0, "selu": 5.0, "softsign": 1.5, "leaky_relu": 1.0,
    "hard_tanh": 0.0, "hard_sigmoid": None, "gelu": None, "silu": None,
}  # fmt: skip
_EDGES = [
    math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 0.5, -0.5, 2.0, 6.0, 20.0, -20.0,
    88.7, -88.7, -87.3, -103.9, 709.7, -708.4, -745.1, 1e38, -1e38, 1e-38,
]  # fmt: skip


def grid(dtype: torch.dtype, seed: int, count: int = 3000) -> Tensor:
    """Numbers of every exponent and both signs, many where functions change, and the edges, `[N, WIDTH]`."""
    g, form = np.random.default_rng(seed), np.finfo(ARRAYS[dtype])
    sizes = np.ldexp(g.uniform(1, 2, count), g.integers(form.minexp - form.nmant, form.maxexp, count))
    near = [g.normal(0, scale, count // 8) for scale in (1e-3, 0.1, 1, 5, 30, 100, 700)]
    ends = [form.max, form.tiny, form.smallest_subnormal]
    edges = np.array([*_EDGES, *ends, *(-end for end in ends)])
    found = np.concatenate([sizes * g.choice([-1.0, 1.0], count), *near, edges, edges])
    g.shuffle(found)
    with np.errstate(over="ignore"):
        found = found.astype(ARRAYS[dtype])
    return torch.from_numpy(found[: len(found) // WIDTH * WIDTH].reshape(-1, WIDTH))


def program_of(name: str) -> Program:
    """A cell whose new state is one operation of its input and, if it takes two, its state."""

    class Probe(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return apply(name, *(x, h)[: OPERATIONS[name].arity])

    return Probe(WIDTH).program(WIDTH)


def values_and_gradients(
    program: Program, x: Tensor, state: Tensor, cotangent: Tensor, native: bool
) -> list[Tensor]:
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    if native:
        y = scan(program, x[:, None], [state], [])[0][:, 0]
    else:
        (y,) = step_function(program)(x, [state], [], ())
    gradients = torch.autograd.grad(y, [x, state], cotangent, allow_unused=True, materialize_grads=True)
    return [y.detach(), *gradients]


def kinds(values: Tensor) -> Tensor:
    """Which are numbers, NaN, and infinite in either direction."""
    return values.isnan() + 2 * (values == math.inf) + 3 * (values == -math.inf)


def draw(name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    x, state = grid(dtype, 0), grid(dtype, 1)
    state.view(-1)[::7] = x.view(-1)[::7]  # equal numbers, of which maximum takes either
    cotangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
    if name in ("sigmoid", "silu") and dtype == torch.float64:  # torch's is 0 where exp(-x) is infinite
        x = torch.where(x.isfinite() & (x <= -700.0), -1.0, x)
    if name in ("sin", "cos"):
        x = torch.where(x.abs() < 2.0**49, x, 1.0)
    if name == "div":
        # A derivative is a product and a quotient; torch forms them in another order, which counts only where
        # one of both is too large or too small for the type.
        form, parts = torch.finfo(dtype), [x, 1.0 / state, x / state, cotangent / state, x / state / state]
        possible = torch.stack([(p.abs() < form.max / 8) & (p.abs() > 8 * form.tiny) for p in parts]).all(0)
        special = ~(x.isfinite() & state.isfinite())
        x, state = torch.where(possible | special, x, 3.0), torch.where(possible | special, state, 7.0)
    return x, state, cotangent


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY + BINARY)
def test_an_operation_over_the_whole_range(name: str, dtype: torch.dtype) -> None:
    program, data = program_of(name), draw(name, dtype)
    found = values_and_gradients(program, *data, native=True)
    wanted = values_and_gradients(program, *data, native=False)
    exact = [value.double() for value in data]
    truth = values_and_gradients(program, *exact, native=False)
    if name == "gelu":  # torch's 2 x is infinite before it is halved, and its 1 + erf NaN at infinity
        wanted[0] = torch.where(data[0] > 1e30, data[0], wanted[0])
    form = torch.finfo(dtype)
    # What follows from NaN is NaN; a derivative at NaN is a matter of choice.
    numbers = ~(data[0].isnan() | (data[1].isnan() & (OPERATIONS[name].arity > 1)))
    for place, (value, other, right) in enumerate(zip(found, wanted, truth, strict=True)):
        where = torch.ones_like(numbers) if place == 0 else numbers
        differ = (kinds(value) != kinds(other)) & where
        assert not differ.any(), (
            place,
            data[0][differ][:3],
            data[1][differ][:3],
            value[differ],
            other[differ],
        )
        finite = where & value.isfinite() & right.isfinite()
        error = (value.double() - right).abs()[finite]
        # A step of the definition's own rounding, and of a term as large as the cotangent.
        slack = 4 * (other.double() - right).abs()[finite] + 8 * float(form.smallest_normal) * form.eps
        size = right.abs()[finite] if place == 0 else torch.maximum(right.abs(), exact[2].abs())[finite]
        assert (error <= 64 * form.eps * size + slack).all(), (place, float((error - slack).max()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in UNARY + BINARY if ULP[name] is not None])
def test_results_are_as_exact_as_promised(name: str, dtype: torch.dtype) -> None:
    x, state, cotangent = draw(name, dtype)
    value = values_and_gradients(program_of(name), x, state, cotangent, native=True)[0]
    if dtype == torch.float32:
        exact = [x.double(), state.double()][: OPERATIONS[name].arity]
        source = OPERATIONS[name].torch.format("a", "b", like="a")
        right = eval(source, {"torch": torch, "a": exact[0], "b": exact[-1]}).numpy()
        if name == "sigmoid":  # torch's is 0 where exp(-x) is infinite
            right = np.where(x.double().numpy() < -700, 0.0, right)
    elif name in ("elu", "tanh", "sigmoid", "exp", "log", "erf"):
        x = x.ravel()[:400]
        value = value.ravel()[:400]
        function = {"elu": lambda a: a if a > 0 else exactly("expm1", a)}.get(name)
        function = function or (lambda a: exactly(name, a))
        right = np.array([float(function(a)) if math.isfinite(a) and (name != "log" or a > 0) else math.nan
                          for a in x.tolist()])  # fmt: skip
    else:
        pytest.skip("in float64 torch's own errors are as large; tests/native/test_math.py has sixty digits")
    value = value.double().numpy()
    finite = np.isfinite(value) & np.isfinite(right) & (np.abs(right) < float(torch.finfo(dtype).max))
    error = np.abs(value[finite] - right[finite]) / spacing(right[finite], str(dtype)[6:])
    assert error.max() <= ULP[name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["max", "sum", "mean"])
def test_reductions_let_nothing_through(reduction: str, dtype: torch.dtype) -> None:
    class Probe(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return h + apply(reduction, x)

    for width in (1, 3, 8, 17):
        program = Probe(width).program(width)
        for special in (math.nan, math.inf, -math.inf):
            x = torch.randn(width, width, dtype=dtype)
            x.fill_diagonal_(special)  # in every lane once
            state = torch.zeros(width, width, dtype=dtype)
            found = scan(program, x[:, None], [state], [])[0][:, 0]
            (wanted,) = step_function(program)(x, [state], [], ())
            assert torch.equal(kinds(found), kinds(wanted)), (width, special)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expm1_against_sixty_digits(dtype: str) -> None:
    from nabi.native._code._math import expm1

    g, form = np.random.default_rng(5), np.finfo(dtype)
    sizes = np.ldexp(g.uniform(1, 2, 400), g.integers(form.minexp - form.nmant, 10, 400))
    x = np.concatenate([-sizes, sizes, g.normal(0, 1, 200), g.normal(0, 30, 200)]).astype(dtype)
    found = compiled(expm1, 1, dtype, native_lanes(dtype))(x)
    for argument, value in zip(x.tolist(), found.tolist(), strict=True):
        right = exactly("expm1", argument)
        if math.isinf(value):
            assert right > float(form.max)
        else:
            error = float(abs(right - value)) / float(spacing(np.array(float(right)), dtype))
            assert error <= 3.0, (argument, value)


# Whole layers.

NUMBER = int(os.environ.get("NABI_RANDOM_LAYERS", "192"))
DRAWS = 16
"""Layers that are drawn of each program, because it is compiling that takes time."""

# Their products are finite: which sum of infinite terms is NaN depends on its order, which nobody promises.
SPECIAL = {
    torch.float32: [1e-40, -1e-45, 1e18, -1e17, 1e12, 88.5, -88.5, -103.0, 1e-30, 1e-38],
    torch.float64: [1e-310, -5e-324, 1e150, -1e149, 1e100, 709.5, -709.5, -745.0, 1e-300],
}
EVERYWHERE = [math.nan, math.inf, -math.inf, 0.0, -0.0, 20.0, 20.5, 1.0, -1.0, 3.0, -3.0]


def random_cell(g: np.random.Generator) -> Cell:
    units = int(g.integers(1, 21))

    # Exponentials of exponentials magnify every rounding, and torch's gelu is NaN at infinity.
    # What other tests add to the language is not among those that are drawn.
    added = {row.name for row in OPERATIONS.values() if row.definition}
    names = [name for name in ACTIVATIONS if name not in {"softmax", "exponential", "gelu"} | added]
    activation, gate = str(g.choice(names)), str(g.choice(["sigmoid", "hard_sigmoid"]))
    makers: list[Callable[[], Cell]] = [
        lambda: cells.SimpleRNN(units, activation=activation),
        lambda: cells.LSTM(units, activation=activation, recurrent_activation=gate),
        lambda: cells.GRU(units, activation=activation, recurrent_activation=gate),
        lambda: cells.GRU2014(units),
        lambda: cells.GRULecture(units),
        lambda: cells.LayerNormLSTM(units),
        lambda: cells.ProjectedLSTM(units, projection=1 + units // 2, cell_clip=0.8, projection_clip=0.5),
        lambda: cells.PeepholeLSTM(units, full=True),
        lambda: cells.CoupledLSTM(units),
        lambda: cells.IndRNN(units),
    ]
    return makers[int(g.integers(len(makers)))]()


class Layer:
    """A layer drawn at random, with special numbers in its input, its states or its weights."""

    def __init__(self, program: Program, dtype: torch.dtype, g: np.random.Generator) -> None:
        self.program = program
        self.reverse = bool(g.integers(2))
        batch, time = int(g.integers(1, 14)), int(g.integers(1, 5))

        def normal(*shape: int) -> Tensor:
            return torch.from_numpy(g.normal(size=shape)).to(dtype)

        self.x = normal(batch, time, program.input_size)
        self.states = [normal(batch, width) for width in program.state_widths]
        self.weights = [normal(*f.shape) / f.shape[-1] ** 0.5 for f in program.families]
        # The variance of layer normalisation overflows long before its argument does.
        huge = [] if type(program.cell) is cells.LayerNormLSTM else SPECIAL[dtype]
        place = [[self.x], self.states, self.weights][int(g.integers(3))]
        for _ in range(int(g.integers(4))):
            flat = place[int(g.integers(len(place)))].view(-1)
            flat[int(g.integers(len(flat)))] = float(g.choice([*EVERYWHERE, *huge]))
        self.lengths = g.integers(0, time + 1, batch)
        self.lengths[0] = time
        if g.integers(2):
            self.lengths[:] = time
        # No one reads what is behind the end of a sequence.
        behind = np.arange(time) >= self.lengths[:, None]
        self.x[torch.from_numpy(behind)] = float(g.choice([math.nan, math.inf, 1e38]))
        self.cotangents = [normal(batch, time, program.state_widths[0]), *map(torch.clone, self.states)]

    def run(self, dtype: torch.dtype, native: bool) -> list[Tensor]:
        x, *rest = [t.to(dtype).clone().requires_grad_() for t in (self.x, *self.states, *self.weights)]
        states, weights = rest[: len(self.states)], rest[len(self.states) :]
        if native:
            lengths = None if (self.lengths == self.x.shape[1]).all() else torch.from_numpy(self.lengths)
            output, finals, _ = scan(self.program, x, states, weights, lengths=lengths, reverse=self.reverse)
        else:
            output, finals = self._definition(x, states, weights)
        cotangents = [c.to(dtype) for c in self.cotangents]
        gradients = torch.autograd.grad(
            [output, *finals], [x, *rest], cotangents, allow_unused=True, materialize_grads=True
        )
        return [output.detach(), *(final.detach() for final in finals), *gradients]

    def _definition(
        self, x: Tensor, states: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Run each step of the sequences that have it; what the others hold goes into no operation."""
        step, ends = step_function(self.program), list(states)
        outputs = [torch.zeros_like(states[0])] * x.shape[1]
        for t in reversed(range(x.shape[1])) if self.reverse else range(x.shape[1]):
            rows = torch.from_numpy(np.flatnonzero(self.lengths > t))
            new = step(x[rows, t], [state[rows] for state in ends], weights, ())
            ends = [state.index_copy(0, rows, after) for state, after in zip(ends, new, strict=True)]
            outputs[t] = outputs[t].index_copy(0, rows, new[0])
        return torch.stack(outputs, 1), ends


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("seed", range(-(-NUMBER // DRAWS)))
def test_random_layers_with_special_values(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_LLVM_EFFORT", "0")  # or most of the time would go into compiling
    g = np.random.default_rng(seed)
    dtype = DTYPES[seed % 2]
    program = random_cell(g).program(int(g.integers(1, 19)))
    eps = torch.finfo(dtype).eps
    for number in range(DRAWS):
        layer = Layer(program, dtype, g)
        found, wanted = layer.run(dtype, native=True), layer.run(dtype, native=False)
        truth = layer.run(torch.float64, native=False)
        for place, (value, other, right) in enumerate(zip(found, wanted, truth, strict=True)):
            case = (number, place, program.cell)
            assert torch.equal(kinds(value), kinds(other)), case
            finite = value.isfinite() & right.isfinite()
            if finite.any():
                size = float(right[finite].abs().max())
                slack = 20 * float((other.double() - right)[finite].abs().max())
                # In float64 the definition rounds as the kernel does: no slack tells how much that is.
                allowed = (300 if dtype is torch.float32 else 3000) * eps * size + slack
                assert float((value.double() - right)[finite].abs().max()) <= allowed, case

"""Every cell as ONNX, run by ONNX Runtime, beside the definition: lengths, initial states, directions."""

from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nabi import cells
from nabi.ir import Cell
from nabi.ir.functions import (
    cumulative_sum,
    fold,
    frac,
    largest,
    leaky_relu,
    maximum,
    mean,
    minimum,
    norm,
    repeat,
    rounded,
    select,
    shift,
    sigmoid,
    sign,
    softmax,
    softplus,
    step,
    stop_gradient,
    tanh,
    total,
)
from nabi.scan import scan
from nabi.targets.onnx import (
    DOMAIN,
    Direction,
    Graph,
    GraphScope,
    Model,
    OperatorSet,
    ValueInfo,
    encoded,
    recognise,
    write_layer,
)
from tests.cells.sampling import cells_of_today

pytestmark = pytest.mark.rotates(days=2)

FLOAT, INT32 = 1, 6
INPUTS, UNITS, BATCH, TIME = 3, 5, 4, 7


class MinimalGatedUnit(Cell):
    """The six lines of a user (Zhou et al. 2016)."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        candidate = tanh(self.affine("h", x, h=f * h))
        return (1 - f) * h + f * candidate


class Clipped(cells.PeepholeLSTM):
    """ONNX's clip: every sum is bounded, peepholes included."""

    limit: float = 0.5

    def look(self, gate: str, x: Any, h: Any, c: Any) -> Any:
        return minimum(maximum(super().look(gate, x, h, c), -self.limit), self.limit)

    def step(self, x: Any, h: Any, c: Any) -> Any:
        i = sigmoid(self.look("i", x, h, c))
        f = sigmoid(self.look("f", x, h, c))
        g = tanh(minimum(maximum(self.affine("c", x, h), -self.limit), self.limit))
        c_new = f * c + i * g
        return sigmoid(self.look("o", x, h, c_new)) * tanh(c_new), c_new


class InputCoupled(cells.LSTM):
    """Coupled the way ONNX writes it: f is what i leaves."""

    def step(self, x: Any, h: Any, c: Any) -> Any:
        i = sigmoid(self.affine("i", x, h) + self.diagonal("i", "c", c))
        c_new = (1 - i) * c + i * tanh(self.affine("c", x, h))
        return sigmoid(self.affine("o", x, h) + self.diagonal("o", "c", c_new)) * tanh(c_new), c_new


class Written(cells.GRU):
    """A GRU as some papers write it, with functions that ONNX has by other names."""

    def step(self, x: Any, h: Any) -> Any:
        z = maximum(minimum(0.2 * self.affine("z", x, h) + 0.5, 1.0), 0.0)
        r = maximum(minimum(0.2 * self.affine("r", x, h) + 0.5, 1.0), 0.0)
        n = 1.7159 * tanh(0.6666 * self.affine("h", x, h=r * h))
        return n + z * (h - n)


class Everything(Cell):
    """Operations of many kinds: reductions, conditions, scalars, states of other widths, a constant state."""

    states: ClassVar[tuple[str, ...]] = ("h", "s", "k")

    def state_width(self, name: str) -> int:
        return {"h": self.units, "s": 2, "k": self.units}[name]

    def step(self, x: Any, h: Any, s: Any, k: Any) -> Any:
        attention = softmax(self.affine("a", x, h))
        level = mean(h) + total(self.linear("v", "x", x) * h)
        chosen = select(h > 0.1, attention * level, leaky_relu(h - x_share(self, x)))
        s_new = tanh(self.linear("s", "u", norm(chosen), units=2)) + (s != 0) * 0.5
        return (
            softplus(chosen) - 0.5 * self.gain("h", "y"),
            s_new,
            sigmoid(self.bias("k")) + 0 * self.bias("k"),
        )


def x_share(cell: Cell, x: Any) -> Any:
    return sigmoid(cell.linear("w", "x", x))


class Jumping(Cell):
    """Jumps with declared derivatives, powers, and maps along the units."""

    states: ClassVar[tuple[str, ...]] = ("h", "v")

    def step(self, x: Any, h: Any, v: Any) -> Any:
        v = 0.9 * v + self.affine("v", x, h) - stop_gradient(h)
        s = step(v - 0.1, "atan", 2.0) + rounded(3 * v, "straight_through") + sign(v) * frac(v)
        opened = cumulative_sum(softmax(v)) + cumulative_sum(shift(v, 1), reverse=True)
        wide = cumulative_sum(repeat(v, 4), 2) + cumulative_sum(repeat(v, 4), 2, reverse=True)
        return tanh(s + opened + largest(v) * fold(wide, 4)), (abs(v) + 0.1) ** 1.3


class Delayed(Cell):
    """A state that is passed on, and an input that is kept: no value of the step at all."""

    states: ClassVar[tuple[str, ...]] = ("h", "last")

    def state_width(self, name: str) -> int:
        return INPUTS

    def step(self, x: Any, h: Any, last: Any) -> Any:
        return last, x


def built_in() -> list[Cell]:
    found: list[Cell] = []
    for name in cells_of_today():
        kind = cells.get(name)
        more: dict[str, Any] = {"projection": 3} if name == "projected-lstm" else {}
        program = (cell := kind(units=UNITS, **{**kind.needed_settings(UNITS, INPUTS), **more})).program(
            INPUTS
        )
        # Weights that are computed from others are computed before a layer is written; cells that read more
        # than x: tests/interchange/onnx/test_further_inputs.py.
        if not program.derived and len(program.inputs) == 1:
            found.append(cell)
    return found


CELLS = [
    *built_in(),
    cells.PeepholeLSTM(UNITS, full=True),
    cells.ProjectedLSTM(UNITS, projection=3, cell_clip=0.5, projection_clip=0.2),
    cells.GRU(UNITS, use_bias=False),
    cells.LSTM(UNITS, recurrent_activation="hard_sigmoid", activation="softsign"),
    cells.CoupledLSTM(UNITS, recurrent_activation="hard_sigmoid", activation="elu"),
    cells.GRULecture(UNITS, recurrent_activation="tanh"),
    cells.SimpleRNN(UNITS, activation="leaky_relu"),
    cells.SimpleRNN(UNITS, activation="linear"),
    cells.LSTM(UNITS, activation="gelu"),
    cells.GRU2014(UNITS, activation="selu"),
    Clipped(UNITS),
    InputCoupled(UNITS),
    Written(UNITS),
    MinimalGatedUnit(UNITS),
    Everything(UNITS),
    Jumping(UNITS),
    cells.Zoneout(cells.Dilated(cells.LayerNorm(cells.GRU(UNITS)), 2), 0.2),
    cells.AttentionWindow(cells.SimpleRNN(UNITS), 3),
    Delayed(UNITS),
    cells.GatedDeltaNet(6, heads=2, keys=4),
    cells.RetNet(8, heads=2),
    cells.Mamba2(6, heads=3, keys=2),
    cells.M2RNN(6, heads=2, keys=4),
]
OPERATORS = {
    "SimpleRNN": "RNN",
    "IndRNN": "RNN",
    "LSTM": "LSTM",
    "CoupledLSTM": "LSTM",
    "Clipped": "LSTM",
    "InputCoupled": "LSTM",
    "GRU": "GRU",
    "GRU2014": "GRU",
    "Written": "GRU",
}


def drawn(cell: Cell, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(f.shape, generator=generator) * 0.5 for f in cell.program(INPUTS).families]


def model_of(
    cell: Cell,
    weights: list[list[torch.Tensor]],
    ways: list[bool],
    *,
    lengths: bool,
    states: bool,
    opset: int,
) -> onnx.ModelProto:
    """A file with one layer: `x`, `lengths`, initial states in; outputs and final states out."""
    # In a file, an output that is no state is written as the first of the states.
    program, graph = cell.program(INPUTS).as_states, GraphScope(opset)
    inputs = [ValueInfo.of(graph.name("x"), FLOAT, ["time", "batch", INPUTS])]
    if lengths:
        inputs.append(ValueInfo.of(graph.name("lengths"), INT32, ["batch"]))
    directions = []
    for number, (own, reverse) in enumerate(zip(weights, ways, strict=True)):
        first = None
        if states:
            first = tuple(graph.name(f"{name}_{number}") for name in program.state_names)
            pairs = zip(first, program.state_widths, strict=True)
            inputs += [ValueInfo.of(name, FLOAT, ["batch", width]) for name, width in pairs]
        directions.append(Direction(program, tuple(w.numpy() for w in own), reverse, first))
    results = write_layer(graph, directions, "x", "lengths" if lengths else None, "layer")
    names = [name for y, last in results for name in (y, *last)]
    widths = [width for _ in results for width in (program.state_widths[0], *program.state_widths)]
    outputs = []
    for number, (name, width) in enumerate(zip(names, widths, strict=True)):
        is_sequence = number % (1 + len(program.state_names)) == 0
        outputs.append(ValueInfo.of(name, FLOAT, [*(["time"] if is_sequence else []), "batch", width]))
    functions = list(graph.functions.values())
    opsets = [OperatorSet("", opset), *([OperatorSet(DOMAIN, 1)] if functions else [])]
    message = Model(
        ir_version=8,
        graph=Graph(graph.nodes, "test", graph.initializers, "", inputs, outputs),
        opset_import=opsets,
        functions=functions,
    )
    return onnx.load_from_string(b"".join(encoded(message)))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def check(
    cell: Cell, ways: list[bool], *, lengths: bool, states: bool, opset: int = 17, seed: int = 0
) -> onnx.ModelProto:
    program = cell.program(INPUTS).as_states
    weights = [drawn(cell, seed + number) for number in range(len(ways))]
    model = model_of(cell, weights, ways, lengths=lengths, states=states, opset=opset)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(BATCH, TIME, INPUTS, generator=generator)
    count = torch.tensor([TIME, 3, 0, 1]) if lengths else None
    feeds = {"x": x.transpose(0, 1).contiguous().numpy()}
    expected: list[torch.Tensor] = []
    if count is not None:
        feeds["lengths"] = count.int().numpy()
    for number, (own, reverse) in enumerate(zip(weights, ways, strict=True)):
        first = None
        if states:
            first = tuple(torch.randn(BATCH, width, generator=generator) for width in program.state_widths)
            feeds |= {
                f"{name}_{number}": one.numpy() for name, one in zip(program.state_names, first, strict=True)
            }
        output, final, _ = scan(program, x, first, own, lengths=count, reverse=reverse)
        expected += [output.transpose(0, 1), *final]
    found = session(model).run(None, feeds)
    for one, wanted in zip(found, expected, strict=True):
        # Beside the largest, since a small number may be the difference of large ones (NRU).
        largest = float(wanted.abs().max())
        np.testing.assert_allclose(one, wanted.numpy(), rtol=1e-5, atol=max(1e-5, 1e-6 * largest))
    return model


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_a_cell_gives_the_same_numbers(cell: Cell) -> None:
    # Where a function is given no states, they are zeros; a file gives it those that a cell declares.
    zeros = cell.program(INPUTS).starts_with_zeros
    for lengths, states in ((False, not zeros), (True, True)):
        check(cell, [False], lengths=lengths, states=states)
    model = check(cell, [False, True], lengths=True, states=True)
    check(cell, [True], lengths=False, states=True, opset=22)
    kinds = [node.op_type for node in model.graph.node if node.op_type in ("RNN", "LSTM", "GRU")]
    if recognise(cell.program(INPUTS)) is None:
        assert not kinds
        assert [f.name for f in model.functions] == [
            f"{type(cell).__name__}WithLengths", f"{type(cell).__name__}ReverseWithLengths",
        ]  # fmt: skip
        assert [n.op_type for n in model.functions[0].node].count("Scan") == 1
    else:
        assert kinds == [OPERATORS.get(type(cell).__name__, kinds[0])]
        assert not model.functions


@pytest.mark.parametrize(
    ("cell", "attributes"),
    [
        (cells.GRU(UNITS), {"linear_before_reset": 1}),
        (cells.GRU2014(UNITS), {"linear_before_reset": 0}),
        (cells.CoupledLSTM(UNITS), {"input_forget": 1}),
        (InputCoupled(UNITS), {"input_forget": 1}),
        (Clipped(UNITS, limit=0.25), {"clip": 0.25}),
        (
            cells.LSTM(UNITS, recurrent_activation="hard_sigmoid", activation="leaky_relu"),
            {
                "activations": [b"HardSigmoid", b"LeakyRelu", b"LeakyRelu"],
                "activation_alpha": pytest.approx([1 / 6, 0.2, 0.2]),
                "activation_beta": [0.5],
            },
        ),
        (
            Written(UNITS),
            {
                "activations": [b"HardSigmoid", b"ScaledTanh"],
                "activation_alpha": pytest.approx([0.2, 1.7159]),
                "activation_beta": pytest.approx([0.5, 0.6666]),
                "linear_before_reset": 0,
            },
        ),
    ],
    ids=repr,
)
def test_attributes_of_operators(cell: Cell, attributes: dict[str, Any]) -> None:
    model = model_of(cell, [drawn(cell, 0)], [False], lengths=False, states=False, opset=17)
    (node,) = [node for node in model.graph.node if node.op_type in ("RNN", "LSTM", "GRU")]
    found = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    assert found.pop("hidden_size") == UNITS
    assert found.pop("direction") == b"forward"
    assert found == attributes


def test_peepholes_are_diagonal_or_no_operator() -> None:
    model = model_of(
        cells.PeepholeLSTM(UNITS), [drawn(cells.PeepholeLSTM(UNITS), 0)], [False],
        lengths=False, states=False, opset=17,
    )  # fmt: skip
    (node,) = [node for node in model.graph.node if node.op_type == "LSTM"]
    assert node.input[7] == "layer_P"
    assert recognise(cells.PeepholeLSTM(UNITS, full=True).program(INPUTS)) is None


def test_one_operator_runs_both_directions() -> None:
    model = check(cells.LSTM(UNITS), [False, True], lengths=True, states=False)
    (node,) = [node for node in model.graph.node if node.op_type == "LSTM"]
    assert {a.name: a.s for a in node.attribute}["direction"] == b"bidirectional"


def test_gates_with_shared_weights_stay_one() -> None:
    """A minimal gated unit is a GRU whose two gates are the same; that would hold every weight twice."""
    assert recognise(MinimalGatedUnit(UNITS).program(INPUTS)) is None

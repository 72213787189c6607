"""Random models of nabi and inputs for them, from a seed: what the tests and the long comparison run."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from nabi import cells, layers as L, models, nn
from nabi.ir import Cell
from nabi.ir.functions import (
    ACTIVATIONS,
    activation,
    maximum,
    minimum,
    norm,
    select,
    sigmoid,
    tanh,
    total,
)

from .running import Written, shake

__all__ = ["LIMIT", "Difference", "RandomCell", "compare", "compare_module"]

LIMIT = 1e-5

_GATES = ("sigmoid", "hard_sigmoid", "tanh", "softsign")
_CELLS = (
    cells.LSTM,
    cells.PeepholeLSTM,
    cells.CoupledLSTM,
    cells.ZoneoutLSTM,
    cells.LayerNormLSTM,
    cells.GRU,
    cells.GRU2014,
    cells.GRULecture,
)
# Their growth over time leaves too few digits to compare.
_TAME = sorted(
    set(ACTIVATIONS)
    - {"exponential", "linear", "relu", "selu", "elu", "leaky_relu", "gelu", "swish", "silu", "softplus"}
)


class RandomCell(Cell):
    """A cell whose equations are drawn from a seed: gates, norms, conditions, clips, reset states."""

    seed: int = 0

    def step(self, x: Any, h: Any) -> Any:
        draw = np.random.default_rng(self.seed)
        values = [h]
        for number in range(int(draw.integers(1, 4))):
            name = f"g{number}"
            old = values[int(draw.integers(len(values)))]
            sums = self.affine(name, x, h=old) if draw.random() < 0.7 else self.linear(name, "u", old)
            kind = int(draw.integers(5))
            if kind == 0:
                sums = self.gain(name, "n") * norm(sums)
            elif kind == 1:
                sums = minimum(maximum(sums, -0.7), 0.7)
            elif kind == 2:
                sums = sums + self.diagonal(name, "d", h)
            elif kind == 3:
                sums = select(sums > 0.1, sums, 0.3 * sums) + total(old * old) * 0.01
            gate = sigmoid(self.affine(f"{name}o", x, h))
            value = activation(str(draw.choice(_TAME)))(sums)
            values.append(gate * value + (1 - gate) * h if draw.random() < 0.6 else gate * value)
        return tanh(values[-1])


def random_cell(draw: np.random.Generator, units: int) -> Cell:
    """A cell of nabi with random settings, or one of random equations."""
    kind = int(draw.integers(len(_CELLS) + 3))
    bias = bool(draw.random() < 0.8)
    if kind < len(_CELLS):
        return _CELLS[kind](
            units,
            use_bias=bias,
            activation=str(draw.choice(_TAME)),
            recurrent_activation=str(draw.choice(_GATES)),
        )
    if kind == len(_CELLS):
        return cells.SimpleRNN(units, use_bias=bias, activation=str(draw.choice(_TAME)))
    if kind == len(_CELLS) + 1:
        return cells.ProjectedLSTM(units, projection=2, cell_clip=0.8, use_bias=bias)
    return RandomCell(units, use_bias=bias, seed=int(draw.integers(1 << 30)))


def _recurrent(draw: np.random.Generator, sequences: bool) -> Any:
    options: dict[str, Any] = {"return_sequences": sequences}
    layer = L.RNN(
        random_cell(draw, int(draw.integers(1, 6))),
        go_backwards=bool(draw.random() < 0.3),
        zero_output_for_mask=bool(draw.random() < 0.3),
        **options,
    )
    if draw.random() < 0.4:
        layer.go_backwards = False
        return L.Bidirectional(layer, merge_mode=str(draw.choice(["concat", "sum", "mul", "ave"])))
    return layer


def random_model(draw: np.random.Generator, inputs: int) -> tuple[models.Sequential, bool]:
    """A Sequential on `[B, T, inputs]`, or on codes below 6."""
    codes = bool(draw.random() < 0.4)
    stack: list[Any] = [L.Input((None,)) if codes else L.Input((None, inputs))]
    if codes:
        stack.append(L.Embedding(6, int(draw.integers(1, 5)), mask_zero=bool(draw.random() < 0.7)))
    elif draw.random() < 0.6:
        stack.append(L.Masking())
    for _ in range(int(draw.integers(1, 4))):
        stack.append(_between(draw) if draw.random() < 0.4 else _recurrent(draw, True))
    end = int(draw.integers(4))
    ends: list[Any] = [
        L.GlobalMaxPooling1D(),
        L.GlobalAveragePooling1D(),
        L.TimeDistributed(L.Dense(2)),
        _recurrent(draw, False),
    ]
    return models.Sequential([*stack, ends[end], L.Dense(2, activation="softmax")]), codes


def _between(draw: np.random.Generator) -> Any:
    choices: list[Any] = [
        L.Dense(3, activation="tanh"),
        L.LayerNormalization(),
        L.Dropout(0.3),
        L.BatchNormalization(),
        L.Conv1D(
            3, int(draw.integers(1, 4)), padding=str(draw.choice(["same", "causal"])), activation="tanh"
        ),
        L.MaxPooling1D(2, 1, "same"),
        L.AveragePooling1D(2, 1, "same"),
        L.Activation("softsign"),
    ]
    return choices[int(draw.integers(len(choices)))]


class Difference(NamedTuple):
    """The largest difference between nabi and ONNX Runtime, and the largest that roundings explain."""

    found: float
    allowed: float


def _difference(found: list[Any], wanted: list[Any], exact: Callable[[], list[Any]]) -> Difference:
    """Compare; where float32 is not enough, such as for norms of small sums, nabi's own error counts too."""

    def largest(one: list[Any], other: list[Any]) -> float:
        assert [a.shape for a in one] == [b.shape for b in other]
        return max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(one, other, strict=True))

    difference = largest(found, wanted)
    if difference < LIMIT:
        return Difference(difference, LIMIT)
    right = exact()
    return Difference(largest(found, right), LIMIT + 10 * largest(wanted, right))


def compare(seed: int, path: Any) -> Difference:
    """Compare nabi and ONNX Runtime for the Sequential of a seed."""
    draw = np.random.default_rng(seed)
    torch.manual_seed(seed)
    inputs, batch, time = (int(draw.integers(1, 5)) for _ in range(3))
    model, codes = random_model(draw, inputs)
    shake(model, seed)
    if codes:
        x: Any = draw.integers(0, 6, (batch, time + 1))
    else:
        x = draw.normal(size=(batch, time + 1, inputs)).astype(np.float32)
        x[draw.random((batch, time + 1)) < 0.3] = 0
    written = Written(model, path, opset=int(draw.integers(17, 23)))
    with torch.no_grad():
        wanted = model(torch.as_tensor(x)).numpy()
    found = written.run(input=x)["output"]
    assert all(torch.equal(written.own().tensors[f"weights/{n}"], w) for n, w in model.state_dict().items())

    def exact() -> list[Any]:
        return [model.double()(torch.as_tensor(x)).detach().numpy()]

    return _difference([found], [wanted], exact)


def compare_module(seed: int, path: Any) -> Difference:
    """Compare a stack of random cells with lengths, states and both directions."""
    draw = np.random.default_rng(seed)
    torch.manual_seed(seed)
    inputs, units, batch, time, layers = (int(draw.integers(1, 5)) for _ in range(5))
    both = bool(draw.random() < 0.5)
    module: Any = nn.RNN(
        random_cell(draw, units),
        inputs,
        min(layers, 3),
        bidirectional=both,
        batch_first=bool(draw.random() < 0.5),
    )
    shake(module.eval(), seed)
    stateful, lengths = not both and bool(draw.random() < 0.5), bool(draw.random() < 0.7)
    written = Written(module, path, stateful=stateful, lengths=lengths, opset=int(draw.integers(17, 23)))
    x = torch.from_numpy(draw.normal(size=(batch, time, inputs)).astype(np.float32))
    x = x if module.batch_first else x.transpose(0, 1).contiguous()
    count = torch.from_numpy(draw.integers(0, time + 1, batch)) if lengths else None
    feeds: dict[str, Any] = {"input": x.numpy()}
    if count is not None:
        feeds["lengths"] = count.int().numpy()
    state = None
    if stateful:
        given = [
            torch.from_numpy(draw.normal(size=(module.num_layers, batch, one["width"])).astype(np.float32))
            for one in written.states
        ]
        feeds |= {one["input"]: value.numpy() for one, value in zip(written.states, given, strict=True)}
        state = tuple(given)

    def outputs() -> list[Any]:
        dtype = next(module.parameters()).dtype
        first = None if state is None else tuple(one.to(dtype) for one in state)
        with torch.no_grad():
            output, last = module(x.to(dtype), first, lengths=count)
        return [one.numpy() for one in (output, *last)]

    wanted = outputs()

    def exact() -> list[Any]:
        module.double()
        return outputs()

    return _difference(list(written.run(**feeds).values()), wanted, exact)

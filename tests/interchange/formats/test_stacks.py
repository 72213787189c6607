"""Recurrent layers are recognised among tensors: torch's and Keras' own modules name them."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import layers, nn
from nabi.interchange._description._stacks import Stack, find_stacks


def shapes_of(module: torch.nn.Module, prefix: str = "") -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": tuple(value.shape) for name, value in module.state_dict().items()}


@settings(deadline=None)
@given(
    kind=st.sampled_from(["RNN", "LSTM", "GRU"]),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    layers_=st.integers(1, 3),
    both=st.booleans(),
    bias=st.booleans(),
    data=st.data(),
)
def test_torchs_modules(
    kind: str, sizes: tuple[int, int], layers_: int, both: bool, bias: bool, data: st.DataObject
) -> None:
    inputs, units = sizes
    more: dict[str, Any] = {}
    if kind == "LSTM" and units > 1 and data.draw(st.booleans()):
        more["proj_size"] = data.draw(st.integers(1, units - 1))
    module = getattr(torch.nn, kind)(
        inputs, units, num_layers=layers_, bidirectional=both, bias=bias, device="meta", **more
    )
    shapes = shapes_of(module, "encoder.rnn.") | shapes_of(torch.nn.Linear(3, 4), "head.")
    notes = (f"projection to {more['proj_size']}",) if more else ()
    assert find_stacks(shapes) == [
        Stack("encoder.rnn", kind, inputs, (units,), layers_, 1 + both, notes),
    ]


def test_several_modules_and_cells_of_torchs() -> None:
    shapes = shapes_of(torch.nn.GRU(2, 3), "b.") | shapes_of(torch.nn.LSTMCell(4, 5), "a.")
    assert find_stacks(shapes) == [Stack("a", "LSTM", 4, (5,)), Stack("b", "GRU", 2, (3,))]
    assert [stack.path for stack in find_stacks(shapes_of(nn.GRU(2, 3)))] == [""]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.SimpleRNN(3), Stack("x", "RNN", 2, (3,))),
        (layers.LSTM(3), Stack("x", "LSTM", 2, (3,))),
        (layers.LSTM(3, use_bias=False), Stack("x", "LSTM", 2, (3,))),
        (layers.GRU(3), Stack("x", "GRU", 2, (3,), notes=("reset after",))),
        (layers.GRU(3, reset_after=False), Stack("x", "GRU", 2, (3,), notes=("reset before",))),
        (layers.Bidirectional(layers.LSTM(3)), Stack("x", "LSTM", 2, (3,), directions=2)),
        (layers.Dense(3), None),
    ],
)
def test_layers_in_keras_layout(layer: Any, expected: Stack | None) -> None:
    layer.build((None, None, 2))
    assert find_stacks(shapes_of(layer, "x.")) == ([] if expected is None else [expected])


def test_names_of_keras_weight_files() -> None:
    shapes = {
        "layers/lstm/cell/vars/0": (2, 12),
        "layers/lstm/cell/vars/1": (3, 12),
        "layers/lstm/cell/vars/2": (12,),
        "layers/bidirectional/forward_layer/cell/vars/0": (3, 12),
        "layers/bidirectional/forward_layer/cell/vars/1": (4, 12),
        "layers/bidirectional/forward_layer/cell/vars/2": (2, 12),
        "layers/bidirectional/backward_layer/cell/vars/0": (3, 12),
        "layers/bidirectional/backward_layer/cell/vars/1": (4, 12),
        "layers/bidirectional/backward_layer/cell/vars/2": (2, 12),
        "layers/dense/vars/0": (8, 1),
        "layers/dense/vars/1": (1,),
        # Keras 2
        "lstm_1/lstm_1/lstm_cell_3/kernel:0": (2, 8),
        "lstm_1/lstm_1/lstm_cell_3/recurrent_kernel:0": (2, 8),
        "lstm_1/lstm_1/lstm_cell_3/bias:0": (8,),
        "bi/bi/backward_gru/gru_cell/kernel:0": (2, 6),
        "bi/bi/backward_gru/gru_cell/recurrent_kernel:0": (2, 6),
        "bi/bi/forward_gru/gru_cell/kernel:0": (2, 6),
        "bi/bi/forward_gru/gru_cell/recurrent_kernel:0": (2, 6),
    }
    assert find_stacks(shapes) == [
        Stack("bi/bi", "GRU", 2, (2,), directions=2),
        Stack("layers/bidirectional", "GRU", 3, (4,), directions=2, notes=("reset after",)),
        Stack("layers/lstm", "LSTM", 2, (3,)),
        Stack("lstm_1/lstm_1", "LSTM", 2, (2,)),
    ]


@pytest.mark.parametrize(
    "shapes",
    [
        {"weight_ih_l0": (12, 3), "weight_hh_l0": (10, 3)},
        {"weight_ih_l0": (10, 3), "weight_hh_l0": (10, 4)},
        {"weight_ih_l0": (12,), "weight_hh_l0": (12, 4)},
        {"weight_hh_l0": (0, 0), "weight_ih_l0": (0, 0)},
        {"kernel": (2, 10), "recurrent_kernel": (3, 10)},
        {"kernel": (2, 0), "recurrent_kernel": (0, 0)},
        {"my_weight_ih_l0": (12, 3), "my_weight_hh_l0": (12, 3)},
    ],
)
def test_what_is_no_recurrent_layer(shapes: dict[str, tuple[int, ...]]) -> None:
    assert find_stacks(shapes) == []

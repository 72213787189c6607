"""Building a Sequential: shapes, counts, summary, names, copies."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import nabi.layers as layers
from nabi.backend import clear_session
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.layers import GRU, LSTM, Dense, Dropout, Embedding, Input, SimpleRNN, TimeDistributed
from nabi.models import Model, Sequential

LECTURES = [
    (lambda: Sequential([SimpleRNN(10, input_shape=[4, 1]), Dense(1)]), [120, 11], "(10 + 1 + 1) × 10"),
    (lambda: Sequential([SimpleRNN(2, input_shape=(4, 1)), Dense(1)]), [8, 3], "(2 + 1 + 1) × 2"),
    (
        lambda: Sequential(
            [SimpleRNN(3, input_shape=(4, 1), return_sequences=True), TimeDistributed(Dense(1))]
        ),
        [15, 4],
        "(3 + 1 + 1) × 3",
    ),
    (lambda: Sequential([SimpleRNN(10, input_shape=(4, 3)), Dense(2)]), [140, 22], "(10 + 3 + 1) × 10"),
]


@pytest.mark.parametrize(("make", "counts", "first_sum"), LECTURES)
def test_parameter_counts_of_the_lectures(make: object, counts: list[int], first_sum: str) -> None:
    assert callable(make)
    model = make()
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert [layer.count_params() for layer in model.layers] == counts
    assert model.count_params() == model.parameter_count == sum(counts)
    assert f"Total parameters: {sum(counts)} ({counts[0]} + {counts[1]})" in text
    for count, layer in zip(counts, model.layers, strict=True):
        line = next(
            line for line in lines if line.lstrip().startswith(f"{layer.name} ({type(layer).__name__})")
        )
        assert f" {count} " in line
        assert line.endswith(f"= {count}")
    assert model.layers[0].parameter_sum() == f"{first_sum} = {counts[0]}"


def test_the_shapes_of_a_sequence_model() -> None:
    model = LECTURES[2][0]()
    assert model.output_shapes() == [(None, 4, 3), (None, 4, 1)]
    assert model.output_shape == (None, 4, 1)
    assert model.input_shape == (None, 4, 1)


def test_summary_is_printed_and_fits_a_width(capsys: pytest.CaptureFixture[str]) -> None:
    LECTURES[0][0]().summary()
    printed = capsys.readouterr().out
    assert "(None, 10)" in printed
    assert "Trainable: 131" in printed
    LECTURES[0][0]().summary(line_length=60)
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 60


def test_summary_before_the_shapes_are_known() -> None:
    lines: list[str] = []
    Sequential([LSTM(3), Dense(1)]).summary(print_fn=lines.append)
    assert sum("?" in line for line in lines) == 2
    assert "unknown until" in lines[-1]


def test_frozen_layers_are_counted_apart() -> None:
    model = Sequential([LSTM(3, input_shape=(4, 1)), Dense(1)])
    model.layers[0].trainable = False
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert lines[-2:] == ["Trainable: 4", "Not trainable: 60"]
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(np.ones((2, 4, 1)), np.ones(2), verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, True, False, False]


@pytest.mark.parametrize(
    "first",
    [
        lambda: [LSTM(3, input_shape=(4, 2))],
        lambda: [LSTM(3, input_shape=[4, 2])],
        lambda: [LSTM(3, input_dim=2, input_length=4)],
        lambda: [LSTM(3, batch_input_shape=(None, 4, 2))],
        lambda: [Input(shape=(4, 2)), LSTM(3)],
        lambda: [layers.InputLayer(shape=(4, 2)), LSTM(3)],
        lambda: [Sequential([LSTM(3, input_shape=(4, 2))])],
    ],
)
def test_every_way_of_saying_the_input_shape(first: object) -> None:
    assert callable(first)
    stack = first()
    model = Sequential([*stack, Dense(1)])
    added = Sequential()
    for layer in [*first(), Dense(1)]:
        added.add(layer)
    for made in (model, added):
        assert made.built
        assert made.input_shape == (None, 4, 2)
        assert made.output_shape == (None, 1)
        assert made.count_params() == 76
    assert all(not isinstance(layer, layers.InputLayer) for layer in model.layers)


def test_deferred_weights_come_with_the_first_data() -> None:
    model = Sequential([GRU(3), Dense(1)])
    assert not model.built
    assert model.output_shape is None
    with pytest.raises(ArgumentError, match="is not built"):
        model.count_params()
    assert model.predict(np.ones((5, 4, 2))).shape == (5, 1)
    assert model.count_params() == Sequential([GRU(3, input_shape=(4, 2)), Dense(1)]).count_params()
    explicit = Sequential([GRU(3), Dense(1)])
    explicit.build((None, 7, 2))
    assert explicit.output_shapes() == [(None, 3), (None, 1)]


def test_pop_takes_the_last_layer_away() -> None:
    model = Sequential([Dense(4, input_dim=3), Dense(2)])
    assert isinstance(model.pop(), Dense)
    assert model.output_shape == (None, 4)
    model.add(Dense(5))
    assert model.count_params() == 16 + 25
    model.pop()
    model.pop()
    assert model.output_shape is None
    with pytest.raises(ArgumentError, match=r"pop: .* has no layers"):
        model.pop()


def test_layers_by_name_and_place() -> None:
    clear_session()
    model = Sequential([LSTM(2, input_shape=(3, 1)), Dense(1), Dense(1, name="last")])
    assert [layer.name for layer in model.layers] == ["lstm", "dense", "last"]
    assert model.name == "sequential"
    assert model.get_layer("dense") is model.get_layer(index=1) is model.layers[1]
    with pytest.raises(UnknownNameError, match="name: 'dens' is not known; did you mean 'dense'"):
        model.get_layer("dens")
    with pytest.raises(ArgumentError, match="index: expected one of sequential's 3 layers, got 3"):
        model.get_layer(index=3)


def test_what_cannot_be_added() -> None:
    with pytest.raises(ArgumentError, match=r"^layer: expected a layer or a torch module, got 'lstm'$"):
        Sequential(["lstm"])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match=r"layers: expected a list or None, got Dense"):
        Sequential(Dense(1))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="the name 'same' is already used"):
        Sequential([Dense(1, name="same"), Dense(1, name="same")])
    with pytest.raises(ArgumentError, match="expected at most one Input"):
        Sequential([Dense(1), Input(shape=(2,))])
    with pytest.raises(ShapeError, match="expected one output per layer in a Sequential, got several"):
        Sequential([LSTM(2, input_shape=(3, 1), return_state=True)])
    with pytest.raises(ShapeError, match=r"inputs: lstm.* expected 3 axes"):
        Sequential([Dense(2, input_dim=3), LSTM(2)])
    with pytest.raises(ArgumentError, match="has no layers; add some"):
        Sequential().predict(np.ones((2, 2)))


def test_weights_are_given_and_taken_in_the_order_of_keras() -> None:
    model = Sequential([LSTM(3, input_shape=(4, 2)), Dense(1)])
    weights = model.get_weights()
    assert [weight.shape for weight in weights] == [(2, 12), (3, 12), (12,), (3, 1), (1,)]
    other = Sequential([LSTM(3, input_shape=(4, 2)), Dense(1)])
    other.set_weights(weights)
    x = np.random.default_rng(0).normal(size=(5, 4, 2))
    assert np.array_equal(model.predict(x), other.predict(x))
    with pytest.raises(ShapeError, match="expected 5 arrays, got 4"):
        other.set_weights(weights[:-1])


def test_a_call_does_not_train_unless_told_to() -> None:
    model = Sequential([Dropout(0.5, input_shape=(100,))])
    x = torch.ones(2, 100)
    assert torch.equal(model(x), x)
    assert not torch.equal(model(x, training=True), x)
    assert torch.equal(model(np.ones((2, 100))), x)


@given(
    st.lists(st.sampled_from(["dense", "lstm", "gru", "dropout"]), min_size=1, max_size=4), st.integers(1, 3)
)
@settings(max_examples=25, deadline=None)
def test_the_shape_foreseen_is_the_shape_of_the_outputs(kinds: list[str], batch: int) -> None:
    made = {
        "dense": lambda: Dense(3), "dropout": lambda: Dropout(0.1),
        "lstm": lambda: LSTM(2, return_sequences=True), "gru": lambda: GRU(4, return_sequences=True),
    }  # fmt: skip
    model = Sequential([Input(shape=(5, 2)), *(made[kind]() for kind in kinds)])
    foreseen = model.output_shape
    assert foreseen is not None
    assert model.predict(np.zeros((batch, 5, 2))).shape == (batch, *foreseen[1:])


def trained() -> Sequential:
    model = Sequential([LSTM(3, input_shape=(4, 2)), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.ones((2, 4, 2)), [0, 1], verbose=0)
    return model


def test_a_deep_copy_trains_by_itself() -> None:
    model = trained()
    twin = copy.deepcopy(model)
    x, y = np.random.default_rng(0).normal(size=(6, 4, 2)), [0, 1, 2, 0, 1, 2]
    before = model.get_weights()
    history = twin.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert history.history["loss"] == model.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"]


def test_a_model_can_be_pickled_between_processes() -> None:
    model = trained()
    again = pickle.loads(pickle.dumps(model))
    x = np.random.default_rng(0).normal(size=(6, 4, 2))
    assert np.array_equal(again.predict(x), model.predict(x))


def test_a_model_is_a_torch_module(tmp_path: Path) -> None:
    model = Sequential([Embedding(5, 3), LSTM(2), Dense(1)])
    model.predict(np.zeros((1, 4), dtype=int))
    assert len(list(model.parameters())) == 6
    state = model.state_dict()
    model.load_state_dict(state)
    assert model.double().predict(np.zeros((2, 4), dtype=int)).dtype == np.float64


def test_a_model_of_ones_own_is_a_layer_too() -> None:
    class Residual(Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [Dense(3, "tanh"), Dense(3)]

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs = inputs
            for block in self.blocks:
                outputs = block(outputs)
            return inputs + outputs

    model = Sequential([Residual(), Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(np.eye(3), np.arange(3.0), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.count_params() == 12 + 12 + 4
    assert [len(layer.layers) for layer in model.layers if isinstance(layer, Model)] == [2]

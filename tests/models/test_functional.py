"""Functional models: graphs of calls, what lies between inputs and outputs, and what is refused."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import nabi
from nabi import layers
from nabi.errors import ArgumentError
from nabi.layers import GRU, LSTM, Dense, Embedding, Layer
from nabi.models import Functional, Model, Sequential

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(6, 4)).astype("float32"), RANDOM.normal(size=(6, 3)).astype("float32")
WORDS = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])


def pair() -> tuple[Any, Any]:
    return nabi.Input((4,), name="a"), nabi.Input((3,), name="b")


def two_in_two_out() -> Model:
    a, b = pair()
    both = Dense(5, "tanh", name="both")(layers.concatenate([a, b]))
    return nabi.Model([a, b], [Dense(2, "softmax", name="kind")(both), Dense(1, name="size")(both)])


def test_a_layer_on_an_input_gives_shapes_and_has_its_weights() -> None:
    x = nabi.Input((None, 3), batch_size=2, dtype="float64", name="x")
    assert (x.shape, x.ndim, x.dtype, x.name) == ((2, None, 3), 3, torch.float64, "x")
    lstm = LSTM(4, return_sequences=True, return_state=True)
    output, h, c = lstm(x)
    assert (output.shape, h.shape, c.shape) == ((2, None, 4), (2, 4), (2, 4))
    assert (output.name, c.name) == (lstm.name, f"{lstm.name}[2]")
    assert lstm.count_params() == 4 * (4 + 3 + 1) * 4
    assert lstm.output == (output, h, c)
    assert lstm.input is x


def test_model_is_what_lies_between() -> None:
    model = two_in_two_out()
    assert isinstance(model, Functional)
    assert [layer.name for layer in model.layers][-3:] == ["both", "kind", "size"]
    assert model.count_params() == (7 + 1) * 5 + (5 + 1) * 2 + 6
    assert model.output_shape == [(None, 2), (None, 1)]
    assert model.input_names == ["a", "b"]
    kind, size = model([A, torch.as_tensor(B)])
    hidden = model.get_layer("both")(torch.cat([torch.as_tensor(A), torch.as_tensor(B)], 1))
    torch.testing.assert_close(kind, model.get_layer("kind")(hidden))
    torch.testing.assert_close(size, model.get_layer("size")(hidden))
    by_name = model({"b": B, "a": A})
    assert torch.equal(by_name[0], kind)
    assert [one.shape for one in model.predict([A, B], batch_size=4)] == [(6, 2), (6, 1)]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_graph_is_what_its_calls_are(data: Any) -> None:
    """Layers called at random: the model gives what the calls give, and so do its copies."""
    a, b = nabi.Input((3,), name="a"), nabi.Input((3,), name="b")
    symbols: list[Any] = [a, b]
    values: list[Any] = [torch.randn(4, 3), torch.randn(4, 3)]
    known = [Dense(3, "tanh"), layers.Add(), layers.Maximum(), Sequential([Dense(3)])]
    for _ in range(data.draw(st.integers(1, 8))):
        layer = data.draw(st.sampled_from(known))
        count = 2 if isinstance(layer, layers.Add | layers.Maximum) else 1
        chosen = [data.draw(st.integers(0, len(symbols) - 1)) for _ in range(count)]
        for where in (symbols, values):
            given = [where[number] for number in chosen]
            where.append(layer(given if count == 2 else given[0]))
    numbers = data.draw(st.lists(st.integers(0, len(symbols) - 1), min_size=1, max_size=3))
    model = nabi.Model([a, b], [symbols[number] for number in numbers])
    again = Functional.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    assert again.get_config() == model.get_config()
    for one in (model, copy.deepcopy(model), again):
        found = one([values[0], values[1]])
        for number, output in zip(numbers, found if len(numbers) > 1 else [found], strict=True):
            torch.testing.assert_close(output, values[number])


def test_structures_come_back_as_they_were_given() -> None:
    a, b = pair()
    out = Dense(2)(a)
    assert isinstance(nabi.Model(a, out).predict(A), np.ndarray)
    assert isinstance(nabi.Model([a], [out]).predict([A]), np.ndarray)
    assert set(nabi.Model({"first": a}, {"out": out}).predict({"first": A})) == {"out"}
    several = nabi.Model({"one": a, "two": b}, {"x": out, "y": b})
    found = several.predict({"two": B, "one": A})
    assert {name: value.shape for name, value in found.items()} == {"x": (6, 2), "y": (6, 3)}
    assert several.input_names == ["one", "two"]
    assert several.output_names == ["x", "y"]


def test_a_shared_layer_has_its_weights_once() -> None:
    a, b = nabi.Input((3,)), nabi.Input((3,))
    words, reader = Embedding(9, 4), LSTM(5)
    model = nabi.Model([a, b], layers.Subtract()([reader(words(a)), reader(words(b))]))
    assert model.count_params() == 9 * 4 + 4 * (5 + 4 + 1) * 5
    assert np.allclose(model.predict([WORDS, WORDS]), 0)
    assert model.output_shape == (None, 5)


def test_a_penalty_of_a_shared_layer_counts_at_every_call() -> None:
    a, b = nabi.Input((4,)), nabi.Input((4,))
    dense = Dense(3, activity_regularizer="l2")
    inner = Sequential([dense])
    model = nabi.Model([a, b], layers.Add()([inner(a), inner(b)]))
    for _ in range(2):
        model([A, 2 * A])
        expected = 0.01 * (dense(A).square().sum() + dense(2 * A).square().sum()) / len(A)
        model([A, 2 * A])
        loss = model.regularization_loss()
        assert loss is not None
        torch.testing.assert_close(loss, expected)


def test_sub_models() -> None:
    a, b = pair()
    both = Dense(5, "tanh")(layers.Concatenate(name="joined")([a, b]))
    whole = nabi.Model([a, b], Dense(2)(both))
    front = nabi.Model([a, b], both)
    back = nabi.Model(both, whole.output)
    hidden = front.predict([A, B])
    np.testing.assert_allclose(back.predict(hidden), whole.predict([A, B]), rtol=1e-5, atol=1e-6)
    assert [type(layer).__name__ for layer in back.layers] == ["InputLayer", "Dense"]
    assert back.input.shape == (None, 5)
    assert back.layers[1] is whole.layers[-1]
    again = nabi.Model(back.input, back.output)
    np.testing.assert_array_equal(again.predict(hidden), back.predict(hidden))
    joined = nabi.Model(whole.input, whole.get_layer("joined").output)
    np.testing.assert_array_equal(joined.predict([A, B]), np.concatenate([A, B], 1))


def test_a_part_of_a_sequential() -> None:
    for first in (nabi.Input((4,)), Dense(3, input_shape=(4,))):
        stack = Sequential([first, Dense(5, "tanh"), Dense(2)])
        front = nabi.Model(stack.inputs, stack.get_layer(index=-2).output)
        torch.testing.assert_close(stack.get_layer(index=-1)(front.predict(A)), stack(A))
        longer = nabi.Model(stack.input, Dense(1)(stack.output))
        assert longer.predict(A).shape == (6, 1)
        copied = copy.deepcopy(stack)
        assert nabi.Model(copied.input, copied.layers[0].output).layers[1] is copied.layers[0]
    with pytest.raises(ArgumentError, match=r"inputs: sequential.* has no input shape yet"):
        nabi.Model(Sequential([Dense(2)]).inputs, [])


def test_models_in_models() -> None:
    words = nabi.Input((3,))
    reader = nabi.Model(words, GRU(4)(Embedding(9, 3)(words)), name="reader")
    a, b = nabi.Input((3,)), nabi.Input((3,))
    twice = nabi.Model([a, b], layers.average([reader(a), reader(b)]))
    np.testing.assert_allclose(twice.predict([WORDS, WORDS]), reader.predict(WORDS), rtol=1e-6)
    stack = Sequential([nabi.Input((3,)), reader, Dense(2)])
    assert stack.predict(WORDS).shape == (3, 2)
    assert stack.input_shape == (None, 3)
    outer = nabi.Input((3,))
    assert nabi.Model(outer, stack(outer)).predict(WORDS).shape == (3, 2)
    sentences = nabi.Input((2, 3))
    steps = nabi.Model(sentences, layers.TimeDistributed(reader)(sentences))
    assert steps.predict(np.stack([WORDS, WORDS], 1)).shape == (3, 2, 4)
    several = two_in_two_out()
    a, b = pair()
    kind, size = several({"a": a, "b": b})
    assert (kind.shape, size.shape) == ((None, 2), (None, 1))
    outside = nabi.Model([a, b], layers.concatenate([kind, size]))
    np.testing.assert_array_equal(outside.predict([A, B])[:, :2], several.predict([A, B])[0])


def test_open_axes_of_a_model_that_is_called() -> None:
    steps = nabi.Input((None, 2))
    encoder = nabi.Model(steps, LSTM(3, return_sequences=True)(steps))
    assert encoder(nabi.Input((7, 2))).shape == (None, 7, 3)
    assert encoder.compute_output_shape((4, 5, 2)) == (4, 5, 3)


class Gate(Layer):
    """A layer of somebody's own: two arguments, a width from the first call, no word about shapes."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", "scale")

    def call(self, inputs: Any, context: Any, strength: float = 1.0) -> Any:
        return strength * self.scale * inputs * context.mean(1, keepdim=True)


class Halves(Layer):
    def call(self, inputs: Any) -> Any:
        half = inputs.shape[-1] // 2
        return {"left": inputs[..., :half], "right": inputs[..., half:]}


def test_layers_of_ones_own() -> None:
    a, b = pair()
    gated = Gate()(a, b, strength=2.0)
    assert gated.shape == (None, 4)
    halves = Halves()(gated)
    assert (halves["left"].shape, halves["right"].shape) == ((None, 2), (None, 2))
    model = nabi.Model([a, b], layers.maximum([halves["left"], halves["right"]]))
    scaled = 2 * A * B.mean(1, keepdims=True)
    np.testing.assert_allclose(model.predict([A, B]), np.maximum(scaled[:, :2], scaled[:, 2:]), rtol=1e-5)

    class Fixed(Dense):
        """Inherits what Dense says of shapes, which is not true of it."""

        def call(self, inputs: Any) -> Any:
            return super().call(inputs).sum(-1)

    assert Fixed(3)(a).shape == (None,)


def test_own_names_win_over_input_and_output() -> None:
    class Named(Model):
        def __init__(self) -> None:
            super().__init__()
            self.output = Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.output(inputs)

    model = Named()
    a = nabi.Input((4,))
    assert model(a).shape == (None, 2)
    assert isinstance(model.output, Dense)
    assert model.input is a
    assert not hasattr(Dense(2), "output")


def test_training_is_passed_on_and_can_be_fixed() -> None:
    x = nabi.Input((200,))
    ones = np.ones((2, 200), "float32")
    model = nabi.Model(x, layers.Dropout(0.5)(x))
    always = nabi.Model(x, layers.Dropout(0.5)(x, training=True))
    assert (model.predict(ones) == 1).all()
    assert not (model(ones, training=True) == 1).all()
    assert not (always.predict(ones) == 1).all()
    model.train()
    assert not (model(ones) == 1).all()
    assert (model(ones, training=False) == 1).all()


def test_masks_go_along() -> None:
    words = nabi.Input((None,))
    read = Embedding(9, 4, mask_zero=True)(words)
    ahead = LSTM(5, return_sequences=True)(read)
    model = nabi.Model(words, LSTM(3)(layers.Add()([ahead, Dense(5)(read)])))
    longer = np.concatenate([WORDS, np.zeros((3, 4), int)], 1)
    np.testing.assert_allclose(model.predict(WORDS), model.predict(longer), rtol=1e-5, atol=1e-6)
    outputs = nabi.Model(words, [ahead, read])(torch.as_tensor(WORDS))
    assert all(one._keras_mask.tolist() == (WORDS != 0).tolist() for one in outputs)
    numbers = nabi.Input((3, 2))
    rnn = nabi.Model(numbers, LSTM(3)(numbers))
    x = torch.randn(3, 3, 2)
    mask = torch.as_tensor(WORDS != 0)
    assert torch.equal(rnn(x, mask=mask), rnn.layers[1](x, mask=mask))
    assert torch.equal(rnn(x, mask=WORDS != 0), rnn(x, mask=mask))
    assert not hasattr(x, "_keras_mask")


def test_attention_over_padded_sentences() -> None:
    words, counts = nabi.Input((None,)), nabi.Input((1, None), dtype="bool")
    queries = nabi.Input((2, 4))
    memory = GRU(4, return_sequences=True)(Embedding(9, 3)(words))
    shares = layers.Softmax()(layers.Dot(2)([queries, memory]), mask=counts)
    model = nabi.Model([queries, words, counts], layers.Dot((2, 1))([shares, memory]))
    asked = RANDOM.normal(size=(3, 2, 4)).astype("float32")
    longer = np.concatenate([WORDS, np.full((3, 4), 7)], 1)
    real = np.concatenate([WORDS != 0, np.zeros((3, 4), bool)], 1)
    expected = model.predict([asked, WORDS, (WORDS != 0)[:, None]])
    np.testing.assert_allclose(model.predict([asked, longer, real[:, None]]), expected, rtol=1e-5, atol=1e-6)


def test_states_from_one_layer_to_another() -> None:
    source, target = nabi.Input((None, 2)), nabi.Input((None, 3))
    encoder, decoder = LSTM(4, return_state=True), LSTM(4, return_sequences=True)
    _, *states = encoder(source)
    model = nabi.Model([source, target], decoder(target, initial_state=states))
    x, y = torch.randn(2, 5, 2), torch.randn(2, 6, 3)
    expected = decoder(y, initial_state=list(encoder(x)[1:]))
    torch.testing.assert_close(model([x, y]), expected)
    old = nabi.Model([source, target], decoder([target, *states]))  # Keras 2's way
    torch.testing.assert_close(old([x, y]), expected)


def test_a_copy_stands_alone() -> None:
    model = two_in_two_out()
    before = model.predict([A, B])
    other = copy.deepcopy(model)
    for weight in other.parameters():
        weight.data.zero_()
    np.testing.assert_array_equal(model.predict([A, B])[0], before[0])
    assert nabi.Model(other.input, other.output[1]).predict([A, B]).tolist() == [[0]] * 6


def test_an_input_that_nothing_needs() -> None:
    a, b = pair()
    model = nabi.Model([a, b], Dense(2)(b))
    assert model.predict([A, B]).shape == (6, 2)
    assert model.layers[0].name == "b"
    assert {layer.name for layer in model.layers if isinstance(layer, layers.InputLayer)} == {"a", "b"}


def test_a_thousand_layers() -> None:
    first = x = nabi.Input((2,))
    for _ in range(1000):
        x = layers.Activation("linear")(x)
    model = nabi.Model(first, x)
    assert len(model.layers) == 1001
    np.testing.assert_array_equal(copy.deepcopy(model).predict(A[:, :2]), A[:, :2])


def test_freezing() -> None:
    a, _ = pair()
    model = nabi.Model(a, Dense(2)(a), trainable=False)
    assert model.trainable_weights == []


def test_summary_says_what_comes_from_where() -> None:
    lines: list[str] = []
    model = two_in_two_out()
    model.summary(lines.append, line_length=120)
    (joined,) = [line for line in lines if "Concatenate" in line]
    assert "a, b" in joined
    assert any("(7 + 1) × 5 = 40" in line for line in lines)
    assert "Total parameters: 58 (40 + 12 + 6)" in lines
    source = nabi.Input((None, 2))
    _, h, c = LSTM(3, return_state=True, name="memory")(source)
    lines.clear()
    nabi.Model(source, layers.Add()([h, c])).summary(lines.append, line_length=150)
    assert any("memory[1], memory[2]" in line for line in lines)
    lines.clear()
    nabi.Model(source, LSTM(3)(source)).summary(lines.append)
    assert "called on" not in lines[2]

"""A stream gives what the model gives for the sequence that ends there."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import nabi
from nabi import cells, layers, models
from nabi.errors import ArgumentError, NotFiniteError, ShapeError
from nabi.ir import Cell, initial
from nabi.ir.functions import sigmoid, tanh
from nabi.shipping import step_program

from ..cells.sampling import make
from .built import CODES, FEATURES, MODELS, agrees, cells_alone, inputs, outputs, sequential, shake

pytestmark = pytest.mark.rotates(days=2)


@pytest.mark.parametrize("name", cells_alone())
def test_every_cell(name: str) -> None:
    model = sequential(layers.RNN(make(name, 8), return_sequences=True), layers.Dense(3))
    x = inputs(model)
    assert agrees(nabi.Stream(model).run(x), outputs(model, x))


@pytest.mark.parametrize("name", MODELS)
def test_every_layer(name: str) -> None:
    model = MODELS[name]()
    x = inputs(model)
    stream = nabi.Stream(model)
    pushed = np.stack([stream.push(one) for one in x])
    assert agrees(pushed, outputs(model, x))
    stream.reset()
    assert np.array_equal(stream.run(x), pushed)


class Gated(Cell):
    """The minimal gated unit (Zhou et al. 2016), as a user writes it."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        return (1 - f) * h + f * tanh(self.affine("h", x, h=f * h))


def test_a_cell_of_the_user() -> None:
    model = sequential(layers.RNN(Gated(7)), layers.Dense(1))
    x = inputs(model)
    assert agrees(nabi.Stream(model).run(x), outputs(model, x))


@settings(max_examples=4)
@given(
    units=st.lists(st.integers(1, 37), min_size=1, max_size=2),
    features=st.integers(1, 19),
    cell=st.sampled_from(["lstm", "gru", "simple-rnn", "layer-norm-lstm", "peephole-lstm"]),
)
def test_any_widths(units: list[int], features: int, cell: str) -> None:
    stack = [layers.RNN(make(cell, width), return_sequences=True) for width in units]
    model = sequential(*stack, features=features)
    x = inputs(model)
    assert agrees(nabi.Stream(model).run(x), outputs(model, x))


def test_the_network_of_a_language_model() -> None:
    from nabi import LanguageModel

    model = LanguageModel(units=6, embedding_size=5, epochs=1, batch_size=2, window=4)
    model.fit(["to be or not to be " * 20], verbose=0)
    codes = np.array([4, 5, 6, 4])
    network = model.network
    with torch.no_grad():
        wanted = network(torch.as_tensor(codes)[None], network.start(1))[0][0].numpy()
    assert agrees(nabi.Stream(model).run(codes), wanted)


def test_many_streams_and_their_states() -> None:
    model = sequential(layers.GRU(6, name="gru"), layers.Dense(2))
    x = np.stack([inputs(model, seed=seed) for seed in range(3)])
    stream = nabi.Stream(model, streams=3)
    found = stream.run(x)
    for row, wanted in zip(x, found, strict=True):
        assert np.array_equal(nabi.Stream(model).run(row), wanted)
    kept = stream.state
    assert {name: state.shape for name, state in kept.items()} == {"gru/h": (3, 6)}
    one = stream.push(x[:, 0])
    stream.push(x[:, 1])
    stream.state = kept
    assert np.array_equal(stream.push(x[:, 0]), one)
    stream.reset(1)
    again = stream.push(x[:, 0])
    assert np.array_equal(again[1], found[1, 0])
    assert not np.array_equal(again[0], found[0, 0])


def test_declared_states_are_the_beginning() -> None:
    """RWKV-4 begins with the largest exponent so far, which is below all numbers."""
    model = sequential(layers.RNN(make("rwkv-4", 4)))
    stream = nabi.Stream(model)
    before = stream.state
    assert any(state.any() for state in before.values())
    stream.run(inputs(model))
    stream.reset()
    assert all(np.array_equal(stream.state[name], before[name]) for name in before)


class Learned(Cell):
    """Weights that are computed from others, values of weights alone, and states that begin as learned."""

    states = ("h", "c")

    def initial_state(self, name: str) -> Any:
        return initial.Learned(initial.Normal()) if name == "h" else -2.5

    def step(self, x: Any, h: Any, c: Any) -> Any:
        decay = sigmoid(self.parameter("nu", init=initial.Normal()))
        c = decay * c + (1 - decay) * tanh(self.affine("c", x, h))
        return tanh(c) * sigmoid(self.affine("o", x, h)), c


def test_what_a_cell_declares() -> None:
    model = sequential(layers.RNN(Learned(5), name="rnn"), layers.Dense(1))
    x = inputs(model)
    stream = nabi.Stream(model)
    assert stream.state["rnn/h"].any()
    assert (stream.state["rnn/c"] == -2.5).all()
    assert agrees(stream.run(x), outputs(model, x))


def test_what_is_refused() -> None:
    model = sequential(layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.MaxPooling1D(2))
    with pytest.raises(ArgumentError, match=r"bidirectional.*from both ends.*max_pooling.*fewer steps"):
        nabi.Stream(model)
    with pytest.raises(ArgumentError, match="padding='valid' reads later steps"):
        nabi.Stream(sequential(layers.Conv1D(3, 2)))
    with pytest.raises(ArgumentError, match="from the last step to the first"):
        nabi.Stream(sequential(layers.LSTM(3, go_backwards=True)))
    with pytest.raises(ArgumentError, match="no input shape yet"):
        nabi.Stream(models.Sequential([layers.LSTM(3)]))
    with pytest.raises(ArgumentError, match="its function is torch code"):
        nabi.Stream(sequential(layers.Lambda(lambda x: x)))
    with pytest.raises(ArgumentError, match="streams: expected a whole number of at least 1, got 0"):
        nabi.Stream(sequential(layers.LSTM(3)), streams=0)


class Leaning(Cell):
    """A vector that no product takes in, and a state that begins as learned."""

    def initial_state(self, name: str) -> Any:
        return initial.Learned(initial.Normal())

    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.affine("h", x, h)) * self.parameter("gain", init=1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(bad: float) -> None:
    """In any weight of any layer: matrices, biases, vectors, tables, means, and how states begin."""
    model = sequential(
        layers.Embedding(CODES, 4, name="codes"),
        layers.Conv1D(3, 2, padding="causal", name="window"),
        layers.BatchNormalization(name="batch"),
        layers.PReLU(shared_axes=[1], name="slopes"),
        layers.LayerNormalization(name="normal"),
        layers.RNN(Leaning(3), return_sequences=True, name="own"),
        layers.Dense(2, name="head"),
        codes=True,
    )
    weights = [(layer.name, weight) for layer in model.layers for weight in layer.weights]
    assert len(weights) == 17
    for name, weight in weights:
        first = weight.data.reshape(-1)[0].clone()
        weight.data.reshape(-1)[0] = bad
        with pytest.raises(NotFiniteError, match=f"the weights of {name} contain"):
            step_program(model)
        weight.data.reshape(-1)[0] = first
    step_program(model)


def test_a_state_that_begins_at_minus_infinity() -> None:
    """The cell says so: it is the logarithm of nothing, and no weight."""
    model = sequential(layers.RNN(cells.get("abc")(4, slots=3), return_sequences=True, name="rnn"))
    stream = nabi.Stream(model)
    x = inputs(model)
    expected = outputs(model, x)
    before = stream.state
    assert np.isneginf(before["rnn/z"]).all()
    assert agrees(stream.run(x), expected)
    stream.state = before
    assert agrees(stream.push(x[0]), expected[0])


def test_bad_steps() -> None:
    stream = nabi.Stream(sequential(layers.LSTM(3)))
    with pytest.raises(ShapeError, match=r"x: expected the shape \(5,\), got \(4,\)"):
        stream.push(np.zeros(4))
    with pytest.raises(ShapeError, match="x: expected the shape"):
        stream.run(np.zeros(5))
    with pytest.raises(ArgumentError, match=r"state: expected names among lstm.*, got 'h'"):
        stream.state = {"h": np.zeros(3)}
    with pytest.raises(ArgumentError, match="state: expected states by name, got 3"):
        stream.state = 3  # type: ignore[assignment]
    with pytest.raises(ArgumentError, match=r"state: lstm.*: expected numbers, got 'a'"):
        stream.state = dict.fromkeys(stream.state, "a")
    kept = stream.state
    for bad in ("abcde", ["a"] * 5, [None] * 5, [1j] * 5, {"a": 1}):
        with pytest.raises(ArgumentError, match="x: expected numbers, got"):
            stream.push(bad)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="x: expected numbers, got"):
            stream.run([bad])  # type: ignore[list-item]
    with pytest.raises(ShapeError, match="x: expected rows of one length"):
        stream.run([[1.0], [1.0, 2.0]])  # type: ignore[arg-type]
    assert all(np.array_equal(stream.state[name], state) for name, state in kept.items())


def test_bad_codes() -> None:
    codes = nabi.Stream(MODELS["codes"]())
    for bad in (CODES, -1, 1.5, np.nan, np.inf, 1e30):
        with pytest.raises(
            ArgumentError, match=f"x: expected codes from 0 to {CODES - 1}, got {bad:g}".replace("+", ".")
        ):
            codes.push(bad)
        with pytest.raises(ArgumentError, match=f"x: expected codes from 0 to {CODES - 1}, got"):
            codes.run([0, bad])
    for text in ("3", "word", None):
        with pytest.raises(ArgumentError, match="x: expected numbers, got"):
            codes.push(text)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="x: expected the shape"):
        codes.push([1])
    assert codes.run([]).shape == (0, CODES)


def test_ready_systems() -> None:
    texts, labels = ["good", "bad", "so good", "so bad"] * 3, ["a", "b"] * 6
    one_way = nabi.TextClassifier(units=3, embedding_size=3, epochs=1, bidirectional=False)
    with pytest.raises(ArgumentError, match="TextClassifier has no network yet; fit it first"):
        nabi.Stream(one_way)
    one_way.fit(texts, labels, verbose=0)
    codes = np.array([4, 5, 3])
    assert agrees(nabi.Stream(one_way).run(codes)[-1], one_way.model.predict(codes[None], verbose=0)[0])
    notes = nabi.NoteModel(units=5, epochs=1)
    notes.fit([[[60], [62, 65], [60], []] * 4] * 3, verbose=0)
    x = (np.random.default_rng(0).random((4, 88)) < 0.05).astype(np.float32)
    with torch.no_grad():
        wanted = notes.network(torch.as_tensor(x)[None], notes.network.start(1))[0][0].numpy()
    assert agrees(nabi.Stream(notes).run(x), wanted)
    both_ways = nabi.TextClassifier(units=3, embedding_size=3, epochs=1, bidirectional=True)
    both_ways.fit(texts, labels, verbose=0)
    with pytest.raises(ArgumentError, match="classifier cannot go step by step: bidirectional"):
        nabi.Stream(both_ways)


@pytest.mark.parametrize("more", [
    {"networks": 2, "cell": "lstm"},
    {"convolutions": (5, 4), "stride": 1, "label_per_step": True, "layers": 2},
    {"convolutions": (4,), "stride": 1, "normalization": "batch", "cell": "lru"},
])  # fmt: skip
def test_a_classifier_of_series(more: dict[str, Any]) -> None:
    """Also where values are missing, which it has seen in training."""
    draw = np.random.default_rng(1)
    x = [draw.standard_normal((12, 2)).astype(np.float32).cumsum(0) for _ in range(24)]
    labels = ["up" if one[-1, 0] > 0 else "down" for one in x]
    for one in x[::3]:
        one[4, 1] = np.nan
    steps = [["up" if value > 0 else "down" for value in one[:, 0]] for one in x]
    settings = {"cell": "gru", "units": 5, "epochs": 2, "bidirectional": False, **more}
    model = nabi.SeriesClassifier(settings.pop("cell"), **settings)
    model.fit(x, steps if more.get("label_per_step") else labels, verbose=0)
    stream = nabi.Stream(model)
    found = np.stack([stream.push(row) for row in x[0]])
    there = model.stream()
    wanted = np.stack([there.push(row[None]).reshape(-1) for row in x[0]])
    assert agrees(found, wanted, 5e-6)


def test_vectors_that_are_equal_before_training_have_places_of_their_own() -> None:
    layer = layers.RNN(cells.LayerNormLSTM(6), return_sequences=True, input_shape=(None, FEATURES))
    model = models.Sequential([layer], name="model")
    x = inputs(model)
    assert agrees(nabi.Stream(model).run(x), outputs(model, x))  # the code is kept, and used again:
    shake(model)
    assert agrees(nabi.Stream(model).run(x), outputs(model, x))


def test_systems_that_do_not_go_step_by_step() -> None:
    with pytest.raises(
        ArgumentError, match=r"Forecaster cannot go step by step: its network reads features of"
    ):
        nabi.Stream(nabi.Forecaster())
    with pytest.raises(ArgumentError, match="SoundClassifier cannot go step by step: its steps are spectra"):
        nabi.Stream(nabi.SoundClassifier())
    with pytest.raises(ArgumentError, match="SeriesClassifier has no network yet; fit it first"):
        nabi.Stream(nabi.SeriesClassifier())

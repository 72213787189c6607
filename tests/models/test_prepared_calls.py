"""Calls that are prepared compute what the layers compute, to the last bit, and notice every change."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi import layers, native
from nabi.errors import ArgumentError, ShapeError
from nabi.models import Sequential

needs_native = pytest.mark.skipif(not native.is_available(), reason="native code is not available here")

BATCH, TIME, WIDTH = 2, 5, 3


def by_layers(model: Sequential, x: Tensor) -> Tensor:
    with torch.no_grad():
        for layer in model.layers:
            x = layer(x)
    return x


def called(model: Sequential, x: Tensor) -> Tensor:
    """The output of a model that has seen such inputs before."""
    with torch.no_grad():
        for _ in range(3):
            found: Tensor = model(x)
    return found


def is_prepared(model: Sequential, x: Tensor) -> bool:
    found = model._prepared_calls
    return found is not None and found.calls_for(x) is not None


def recurrent() -> Sequential:
    return Sequential([layers.GRU(4, input_shape=(TIME, WIDTH)), layers.Dense(2, activation="tanh")])


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


# The same bits --------------------------------------------------------------------------------------------

CELLS = st.sampled_from([layers.GRU, layers.LSTM, layers.SimpleRNN])
ACTIVATIONS = st.sampled_from(["linear", "relu", "tanh", "sigmoid", "softmax"])


@st.composite
def models(draw: Callable[..., Any]) -> tuple[Sequential, Tensor]:
    batch, time, width = (draw(st.integers(1, 5)) for _ in range(3))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    parts: list[Any] = []
    x = numbers(batch, time, width).to(getattr(torch, dtype))
    if draw(st.booleans()):
        parts.append(layers.Embedding(7, width, dtype=dtype))
        x = torch.arange(batch * time).reshape(batch, time) % 7
    for _ in range(draw(st.integers(0, 2))):
        parts.append(draw(CELLS)(draw(st.integers(1, 9)), return_sequences=True, dtype=dtype))
    if draw(st.booleans()):
        parts.append(layers.Dense(4, activation=draw(ACTIVATIONS), dtype=dtype))
    last = draw(st.sampled_from(["cell", "flat", "sequence"]))
    if last == "cell":
        parts.append(draw(CELLS)(draw(st.integers(1, 9)), dtype=dtype))
    elif last == "flat":
        parts.append(layers.Flatten(dtype=dtype))
    parts.append(layers.Dropout(0.5, dtype=dtype))
    parts.append(layers.Dense(2, use_bias=draw(st.booleans()), activation=draw(ACTIVATIONS), dtype=dtype))
    parts.append(layers.Activation(draw(ACTIVATIONS), dtype=dtype))
    return Sequential(parts), x


@needs_native
@settings(max_examples=30, deadline=None)
@given(models())
def test_it_computes_what_the_layers_compute(drawn: tuple[Sequential, Tensor]) -> None:
    model, x = drawn
    expected = by_layers(model, x)
    assert torch.equal(called(model, x), expected)
    assert is_prepared(model, x)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(x.numpy()), expected.numpy())
        np.testing.assert_array_equal(model.predict_on_batch(x.numpy()), expected.numpy())


def test_outputs_stay() -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    called(model, x)
    with torch.no_grad():
        first = model(x)
        kept = first.clone()
        assert not torch.equal(model(x + 1), first)
    assert torch.equal(first, kept)


def test_strides_of_the_input_do_not_matter() -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    expected = called(model, x)
    with torch.no_grad():
        assert torch.equal(model(x.transpose(0, 1).contiguous().transpose(0, 1)), expected)


def test_gradients_are_recorded_as_before() -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    called(model, x)
    model(x).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


# Changes --------------------------------------------------------------------------------------------------


def in_place(model: Any) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.25)


def other_values(model: Any) -> None:
    model.set_weights([weight + 0.5 for weight in model.get_weights()])


def other_memory(model: Any) -> None:
    for weight in model.parameters():
        weight.data = weight.data + 0.5


def turned_in_memory(model: Any) -> None:
    # The same memory, read in the other order.
    weight = model.layers[0].recurrent_kernel
    weight.data = weight.data.reshape(-1, len(weight)).t()


def another_parameter(model: Any) -> None:
    model.layers[1].kernel = torch.nn.Parameter(model.layers[1].kernel.detach() * 2)


def another_activation(model: Any) -> None:
    model.layers[1].activation = torch.sin


def own_call(model: Any) -> None:
    before = model.layers[1].call
    model.layers[1].call = lambda inputs: before(inputs) + 1


def hook(model: Any) -> None:
    model.layers[1].register_forward_hook(lambda module, args, output: output * 3)


def added(model: Any) -> None:
    model.add(layers.Dense(3))


def popped(model: Any) -> None:
    model.pop()


def in_double(model: Any) -> None:
    model.double()


def all_steps(model: Any) -> None:
    model.layers[0].return_sequences = True


CHANGES = [
    in_place, other_values, other_memory, turned_in_memory, another_parameter, another_activation, own_call,
    hook, added, popped, in_double, all_steps,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change: Callable[[Any], None]) -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    before = called(model, x)
    change(model)
    expected = by_layers(model, x)
    assert expected.shape != before.shape or not torch.equal(expected, before)
    for _ in range(4):
        with torch.no_grad():
            assert torch.equal(model(x), expected)
        np.testing.assert_array_equal(model.predict(x.numpy()), expected.numpy())


def test_freezing_changes_nothing() -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    before = called(model, x)
    model.layers[0].trainable = False
    assert torch.equal(called(model, x), before)
    in_place(model)
    assert torch.equal(called(model, x), by_layers(model, x))


def test_dropout_drops_in_training_only() -> None:
    model = Sequential([layers.Dense(64, input_shape=(WIDTH,)), layers.Dropout(0.5)])
    x = numbers(BATCH, WIDTH)
    before = called(model, x)
    with torch.no_grad():
        assert (model(x, training=True) == 0).any()
        model.train()
        assert (model(x) == 0).any()
        model.eval()
        assert torch.equal(model(x), before)


def test_training_between_predictions() -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    model.compile("adam", "mse")
    for _ in range(4):
        model.fit(x.numpy(), np.zeros((BATCH, 2)), verbose=0)
        np.testing.assert_array_equal(model.predict(x.numpy()), by_layers(model, x).numpy())


def test_copies_go_their_own_way() -> None:
    model, x = recurrent(), numbers(BATCH, TIME, WIDTH)
    before = called(model, x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        in_place(other)
        assert torch.equal(called(other, x), by_layers(other, x))
        assert torch.equal(called(model, x), before)


# What is left to the layers -------------------------------------------------------------------------------


def test_masks() -> None:
    model = Sequential([layers.Embedding(5, 3, mask_zero=True), layers.LSTM(4)])
    x = torch.tensor([[1, 2, 0, 0]])
    assert torch.equal(called(model, x), by_layers(model, x))
    plain, inputs = recurrent(), numbers(BATCH, TIME, WIDTH)
    without = called(plain, inputs)
    mask = torch.arange(TIME).expand(BATCH, TIME) < 2
    with torch.no_grad():
        assert not torch.equal(plain(inputs, mask=mask), without)
        assert torch.equal(plain(inputs), without)


def test_states_go_on() -> None:
    model = Sequential([layers.LSTM(4, stateful=True, batch_input_shape=(BATCH, TIME, WIDTH))])
    x = numbers(BATCH, TIME, WIDTH)
    found = [model.predict(x.numpy(), batch_size=BATCH) for _ in range(5)]
    assert not any(np.array_equal(one, other) for one, other in pairwise(found))


def test_numbers_without_a_vector() -> None:
    model = Sequential([layers.Embedding(5, 3), layers.LSTM(4)])
    called(model, torch.tensor([[1, 2]]))
    with (
        torch.no_grad(),
        pytest.raises(ArgumentError, match="whole numbers from 0 to 4, got 1 to 5"),
    ):
        model(torch.tensor([[1, 5]]))


def test_wrong_shapes() -> None:
    model = recurrent()
    called(model, numbers(BATCH, TIME, WIDTH))
    for _ in range(3):
        with torch.no_grad(), pytest.raises(ShapeError):
            model(numbers(BATCH, TIME, WIDTH + 1))


def test_a_layer_of_ones_own() -> None:
    class Doubled(layers.Dense):
        def call(self, inputs: Tensor) -> Tensor:
            return 2 * super().call(inputs)

    model, x = Sequential([layers.Dense(3), Doubled(2)]), numbers(BATCH, WIDTH)
    assert torch.equal(called(model, x), by_layers(model, x))
    assert not is_prepared(model, x)


# Threads --------------------------------------------------------------------------------------------------


def test_threads_call_it_at_the_same_time() -> None:
    model = Sequential([layers.Embedding(9, 4), layers.LSTM(8), layers.Dense(3, activation="softmax")])
    inputs = [(torch.arange(12) * step % 9).reshape(1, 12) for step in range(4)]
    expected = [by_layers(model, x) for x in inputs]

    def several(number: int) -> bool:
        with torch.no_grad():
            return all(torch.equal(model(inputs[number]), expected[number]) for _ in range(50))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(several, range(4)))

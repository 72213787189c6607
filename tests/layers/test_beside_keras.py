"""Merging layers and penalties beside Keras, with every combination of masks."""

import functools
import itertools
import os
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

B, T, D = 2, 4, 3
MASKS = [
    torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=torch.bool),
    torch.tensor([[1, 0, 1, 0], [1, 1, 1, 0]], dtype=torch.bool),
    torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool),
]
MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"]


@functools.cache
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def tensors(masked: tuple[bool, ...], shapes: list[tuple[int, ...]]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=generator) for shape in shapes]
    for one, own, mask in zip(made, masked, MASKS, strict=False):
        if own:
            one._keras_mask = mask  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize(
    "masked", [*itertools.product([False, True], repeat=2), *itertools.product([False, True], repeat=3)]
)
def test_merging_layers(name: str, masked: tuple[bool, ...]) -> None:
    if name in ("Subtract", "Dot") and len(masked) == 3:
        pytest.skip("takes two inputs")
    options = {"axes": 2} if name == "Dot" else {}
    shapes = [(B, T, D)] * len(masked)
    own = getattr(layers, name)(**options)(tensors(masked, shapes))
    theirs = getattr(keras().layers, name)(**options)(tensors(masked, shapes))
    torch.testing.assert_close(own, theirs)
    mask, expected = getattr(own, "_keras_mask", None), getattr(theirs, "_keras_mask", None)
    assert (mask is None) == (expected is None)
    assert mask is None or torch.equal(mask, expected)


@pytest.mark.parametrize("name", ["Multiply", "Maximum", "Minimum"])
@pytest.mark.parametrize("shapes", [[(B, T, D), (B, T, 1)], [(B, T, D), (B, D)], [(B, D), (B, T, D)]])
@pytest.mark.parametrize("masked", [(True, False), (True, True), (False, True)])
def test_shapes_that_are_broadcast(
    name: str, shapes: list[tuple[int, ...]], masked: tuple[bool, bool]
) -> None:
    masked = tuple(own and len(shape) == 3 for own, shape in zip(masked, shapes, strict=True))  # type: ignore[assignment]
    own = getattr(layers, name)()(tensors(masked, shapes))
    counts = [m if own else torch.ones(B, T, dtype=torch.bool) for m, own in zip(MASKS, masked, strict=False)]
    both = counts[0] & counts[1]
    plain = getattr(layers, name)()(tensors((False, False), shapes))
    assert own.shape == (B, T, D)
    torch.testing.assert_close(own[both], plain[both])


@pytest.mark.parametrize("name", ["Multiply", "Maximum", "Minimum"])
def test_nan_at_masked_steps_is_not_read(name: str) -> None:
    inputs = tensors((True, True), [(B, T, D)] * 2)
    spoiled = []
    for one, mask in zip(inputs, MASKS, strict=False):
        made = torch.where(mask.unsqueeze(-1), one, torch.nan).requires_grad_()
        made._keras_mask = mask  # type: ignore[attr-defined]
        spoiled.append(made)
    anywhere = MASKS[0] | MASKS[1]
    own, expected = getattr(layers, name)()(spoiled), getattr(layers, name)()(inputs)
    torch.testing.assert_close(own[anywhere], expected[anywhere])
    own[anywhere].sum().backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in spoiled)  # type: ignore[arg-type]


def built(kind: str, mod: Any, regularizer: Any) -> Any:
    """A model with a penalty on an output; the same in nabi and in Keras."""
    own = mod.layers
    entry = own.Input((T, D))
    l2 = {"activity_regularizer": regularizer}
    made: dict[str, Any] = {
        "dense": lambda: own.Dense(2, **l2)(entry),
        "lstm": lambda: own.LSTM(2, **l2)(entry),
        "sequences": lambda: own.GRU(2, return_sequences=True, **l2)(entry),
        "states": lambda: own.LSTM(2, return_state=True, **l2)(entry)[0],
        "both ways": lambda: own.Bidirectional(own.LSTM(2, **l2))(entry),
        "wrapper": lambda: own.Bidirectional(own.LSTM(2), **l2)(entry),
        "each step": lambda: own.TimeDistributed(own.Dense(2), **l2)(entry),
        # Unrolled: else Keras calls a cell once more than there are steps, to see what it gives.
        "cell": lambda: own.RNN(own.LSTMCell(2, **l2), unroll=True)(entry),
        "convolution": lambda: own.Conv1D(2, 2, **l2)(entry),
        "no weights": lambda: own.Activation("tanh", **l2)(entry),
        "twice": lambda: twice(own, own.Dense(D, **l2), entry),
    }
    return mod.Model(entry, made[kind]())


def twice(own: Any, layer: Any, entry: Any) -> Any:
    return own.Add()([layer(entry), layer(layer(entry))])


KINDS = [
    "dense", "lstm", "sequences", "states", "both ways", "wrapper", "each step", "cell",
    "convolution", "no weights", "twice",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_penalty_on_outputs_is_divided_by_the_batch(kind: str) -> None:
    model = built(kind, nabi, nabi.regularizers.L2(0.3))
    other = built(kind, keras(), keras().regularizers.L2(0.3))
    other.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(7, T, D)).astype("float32")
    y = np.zeros((7, *model.output_shape[1:]), "float32")
    if kind != "no weights":
        model.compile("sgd", "mse")
        other.compile("sgd", "mse")
        for _ in range(2):
            np.testing.assert_allclose(model.train_on_batch(x, y), other.train_on_batch(x, y), rtol=1e-5)
        for one, expected in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-6)
    model.compile("sgd", "mse")
    other.compile("sgd", "mse")
    for size in (1, 3, 7):
        found = model.evaluate(x, y, batch_size=size)
        np.testing.assert_allclose(found, other.evaluate(x, y, batch_size=size, verbose=0), rtol=1e-5)


def test_each_cell_of_a_stack_is_penalised_at_each_step() -> None:
    l2 = nabi.regularizers.L2(0.3)
    cells = [layers.GRUCell(2, activity_regularizer=l2), layers.SimpleRNNCell(3)]
    rnn = layers.RNN(cells)
    x = torch.randn(5, T, D)
    rnn(x)
    states = layers.RNN(cells[:1], return_sequences=True)(x)
    # Its output and its state, which are one and the same.
    expected = 2 * 0.3 * states.square().sum() / 5
    torch.testing.assert_close(rnn(x) * 0 + rnn.regularization_loss(), expected.expand(5, 3))


def test_a_layer_called_twice_by_a_model_of_ones_own_is_penalised_twice() -> None:
    class Twice(nabi.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(D, activity_regularizer=nabi.regularizers.L2(1.0))

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.inner(self.inner(inputs))

    model = Twice()
    x = np.random.default_rng(0).normal(size=(4, D)).astype("float32")
    model.predict(x)
    kernel, bias = model.get_weights()
    first = x @ kernel + bias
    second = first @ kernel + bias
    expected = (np.square(second).sum() + np.square(first).sum()) / 4 + np.square(second).mean()
    model.compile("sgd", "mse")
    for _ in range(2):
        assert model.evaluate(x, np.zeros_like(x)) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(x, np.zeros_like(x)) == pytest.approx(expected, rel=1e-5)


def test_a_frozen_weight_has_no_penalty() -> None:
    dense = layers.Dense(1, kernel_regularizer=nabi.regularizers.L2(1.0), input_shape=(2,))
    model = nabi.Sequential([dense, layers.Dense(1)])
    assert model.regularization_loss() is not None
    dense.trainable = False
    assert model.regularization_loss() is None

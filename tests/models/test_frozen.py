"""What is frozen does not train: every layer with layers inside, whenever and however it was frozen."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import cells, layers
from nabi.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("float32")


class Block(layers.Layer):
    """A layer of one's own with layers inside, in every kind of place."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = layers.Dense(3)
        self.listed = [layers.Dense(3)]
        self.named = {"a": layers.Dense(3), "b": [layers.Dense(3), (layers.Dense(3), None)]}

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")
        self.named["late"] = layers.Dense(3)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.listed[0](self.inner(inputs)) * self.scale
        x = self.named["b"][1][0](self.named["b"][0](self.named["a"](x)))
        return self.named["late"](x)


class OwnModel(nabi.Model):
    """A model of one's own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hidden = layers.LSTM(3, return_sequences=True)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.hidden(inputs)


def functional(**options: Any) -> nabi.Model:
    entry = layers.Input((5, 2))
    return nabi.Model(entry, layers.Bidirectional(layers.GRU(3, return_sequences=True))(entry), **options)


MAKE: dict[str, Callable[..., Any]] = {
    "both ways": lambda **o: layers.Bidirectional(layers.LSTM(3, return_sequences=True), **o),
    "both ways, two": lambda **o: layers.Bidirectional(
        layers.LSTM(3), backward_layer=layers.GRU(2, go_backwards=True), merge_mode="concat", **o
    ),
    "each step": lambda **o: layers.TimeDistributed(layers.Dense(3), **o),
    "a cell": lambda **o: layers.RNN(layers.LSTMCell(3), **o),
    "a cell of equations": lambda **o: layers.RNN(cells.PeepholeLSTM(3), **o),
    "cells": lambda **o: layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], **o),
    "a stack": lambda **o: layers.RNN(layers.StackedRNNCells([layers.GRUCell(3)], **o)),
    "wrapped twice": lambda **o: layers.TimeDistributed(layers.TimeDistributed(layers.Dense(2)), **o),
    "own": Block,
    "own model": OwnModel,
    "functional": functional,
    "sequential": lambda **o: nabi.Sequential([layers.SimpleRNN(3)], **o),
    "plain": lambda **o: layers.GRU(3, **o),
}  # fmt: skip


def model_of(layer: Any) -> nabi.Sequential:
    return nabi.Sequential([layer, layers.Flatten(), layers.Dense(1)])


def inputs(kind: str) -> np.ndarray:
    return X[..., None] if kind == "wrapped twice" else X


def train(model: Any, x: np.ndarray) -> None:
    model.fit(x, np.ones((4, 1)), epochs=2, verbose=0, batch_size=2)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("when", ["made", "before build", "after build", "loaded", "copied"])
def test_what_is_frozen_stays(kind: str, when: str) -> None:
    layer = MAKE[kind](trainable=False) if when not in ("before build", "after build") else MAKE[kind]()
    if when == "loaded":
        layer = layers.deserialize(layers.serialize(layer), {"Block": Block, "OwnModel": OwnModel})
    elif when == "copied":
        layer = copy.deepcopy(layer)
    elif when == "before build":
        layer.trainable = False
    model, x = model_of(layer), inputs(kind)
    if when == "after build":
        model.predict(x)
        layer.trainable = False
    # Decay and momentum would move a weight without a gradient too.
    model.compile(nabi.optimizers.AdamW(0.1, weight_decay=0.5), "mse")
    model.predict(x)
    before, rest = layer.get_weights(), model.layers[-1].get_weights()
    assert before
    train(model, x)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(rest[0], model.layers[-1].get_weights()[0])
    # As torch sees it, as Keras sees it, and as the summary says it.
    assert not any(weight.requires_grad for weight in layer.parameters())
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == len(before) == len(layer.weights)
    assert len(model.trainable_weights) == 2
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    frozen = sum(one.size for one in before)
    assert lines[-1] == f"Not trainable: {frozen:,}"
    # Freed, it trains once the model is compiled again.
    layer.trainable = True
    with pytest.raises(ArgumentError, match="compile again"):
        train(model, x)
    model.compile("adam", "mse")
    train(model, x)
    assert all(not np.array_equal(one, other) for one, other in zip(before, layer.get_weights(), strict=True))


def test_only_the_inner_layer() -> None:
    both = layers.Bidirectional(layers.GRU(2))
    model = nabi.Sequential([both, layers.Dense(1)])
    model.predict(X)
    both.forward_layer.trainable = False
    model.compile("sgd", "mse")
    before = both.get_weights()
    train(model, X)
    after = both.get_weights()
    count = len(before) // 2
    assert all(np.array_equal(before[i], after[i]) for i in range(count))
    assert all(not np.array_equal(before[i], after[i]) for i in range(count, 2 * count))
    assert (len(both.trainable_weights), both.trainable) == (count, True)


def test_frozen_between_two_fits() -> None:
    """Freezing needs no compile: the optimizer leaves the weights alone, and what it knows of them."""
    model = nabi.Sequential([layers.GRU(3, input_shape=(5, 2)), layers.Dense(1)])
    model.compile(nabi.optimizers.AdamW(0.05), "mse")
    train(model, X)
    gru = model.layers[0]
    gru.trainable = False
    weights, state = gru.get_weights(), copy.deepcopy(model.optimizer.torch_optimizer.state[gru.kernel])
    train(model, X)
    for one, other in zip(weights, gru.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    now = model.optimizer.torch_optimizer.state[gru.kernel]
    assert all(torch.equal(state[name], now[name]) for name in state)
    gru.trainable = True  # the optimizer knows it already
    train(model, X)
    assert not np.array_equal(weights[0], gru.get_weights()[0])


def test_a_layer_added_to_a_frozen_model() -> None:
    model = nabi.Sequential(trainable=False)
    model.add(layers.LSTM(2, input_shape=(5, 2)))
    model.add(layers.Dense(1))
    assert model.trainable_weights == []
    assert not any(weight.requires_grad for weight in model.parameters())
    again = nabi.Sequential.from_config(model.get_config())
    assert (again.trainable, again.trainable_weights) == (False, [])


def test_the_order_of_weights_does_not_depend_on_freezing() -> None:
    class Own(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.kept = self.add_weight(shape=(1,), trainable=False, name="kept")
            self.learned = self.add_weight(shape=(2,), name="learned")

    own = Own()
    own.build((None, 2))
    order = [tuple(weight.shape) for weight in own.weights]
    own.trainable = False
    assert [tuple(weight.shape) for weight in own.weights] == order == [(2,), (1,)]

"""Functional models: what is refused, and what is said."""

from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.layers import LSTM, Dense, Layer
from nabi.models import Model

A, B = np.ones((6, 4), "float32"), np.ones((6, 3), "float32")


def pair() -> tuple[Any, Any]:
    return nabi.Input((4,), name="a"), nabi.Input((3,), name="b")


class Gate(Layer):
    def call(self, inputs: Any, context: Any) -> Any:
        return inputs * context


def graphs() -> dict[str, tuple[Any, type[Exception], str]]:
    a, b = pair()
    both = layers.Concatenate(name="joined")([a, b])
    model = nabi.Model([a, b], both)
    memory = LSTM(3, name="memory")
    built = Dense(2, name="readout")
    built(a)
    refused: dict[str, tuple[Any, type[Exception], str]] = {
        "disconnected": (
            lambda: nabi.Model(a, both),
            ArgumentError,
            r"inputs: joined needs <.*of b>, an Input .*\(a\)",
        ),
        "an array as input": (
            lambda: nabi.Model(A, both),
            ArgumentError,
            r"inputs: expected outputs of Input\(shape\) .*, got ndarray",
        ),
        "a layer as output": (
            lambda: nabi.Model(a, Dense(2)),
            ArgumentError,
            r"outputs: expected outputs of .*, got Dense",
        ),
        "nothing": (
            lambda: nabi.Model([], both),
            ArgumentError,
            r"inputs: expected at least one symbolic tensor",
        ),
        "twice": (lambda: nabi.Model([a, a], both), ArgumentError, r"inputs: expected each once"),
        "names": (
            lambda: nabi.Model(a, Dense(2, name="x")(Dense(2, name="x")(a))),
            ArgumentError,
            r"layers: the name 'x' is used twice",
        ),
        "a subclass": (
            lambda: type("Own", (Model,), {})(a, both),
            ArgumentError,
            r"inputs, outputs: expected none for Own",
        ),
        "rank": (lambda: memory(a), ShapeError, r"inputs: memory \(LSTM\) expected 3 axes"),
        "width": (lambda: built(b), ShapeError, r"readout \(Dense\) was built for 4 features .* got 3"),
        "together": (lambda: layers.Add(name="sum")([a, b]), ShapeError, r"inputs: sum \(Add\) can't merge"),
        "own layer": (lambda: Gate(name="gate")(a), TypeError, r"missing 1 required positional argument"),
        "numbers beside": (
            lambda: layers.Add()([a, np.zeros((2, 4))]),
            ArgumentError,
            r"expected symbolic tensors, got an array",
        ),
        "states of numbers": (
            lambda: LSTM(3)(torch.zeros(2, 3, 4), initial_state=[a, b]),
            ArgumentError,
            r"got symbolic tensors",
        ),
        "none of it": (
            lambda: layers.Add()([a, None]),
            ArgumentError,
            r"expected symbolic tensors, got None",
        ),
        "shape of data": (
            lambda: model.predict([B, A]),
            ShapeError,
            r"x\['a'\]: expected shape \(None, 4\) for functional\w*, got \(6, 3\)",
        ),
        "one array": (
            lambda: model.predict(A),
            ArgumentError,
            r"x: expected a list of 2 .* a, b, got ndarray",
        ),
        "three arrays": (lambda: model.predict([A, B, A]), ArgumentError, r"x: .*, got 3 parts"),
        "a name": (
            lambda: model.predict({"a": A, "c": B}),
            UnknownNameError,
            r"x: 'c' is not known.* Known are: a, b",
        ),
        "missing": (lambda: model.predict({"a": A}), ArgumentError, r"x: expected data for b, got none"),
        "samples": (lambda: model.predict([A, B[:2]]), ShapeError, r"x: expected 6 samples as in x, got 2"),
        "call": (lambda: model(A), ArgumentError, r"inputs: expected a list of 2 .*, got ndarray"),
        "model on a shape": (
            lambda: model([b, a]),
            ShapeError,
            r"functional.* expected the shape \(None, 4\) for a, got \(None, 3\)",
        ),
        "model on one": (lambda: model(a), ShapeError, r"inputs: expected a list of 2 .*, got 1 part"),
    }
    return refused


@pytest.mark.parametrize("case", graphs())
def test_what_is_refused(case: str) -> None:
    attempt, kind, message = graphs()[case]
    with pytest.raises(kind, match=message):
        attempt()


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda x: x + x, r"\+: <symbolic tensor \(None, 4\) float32 of a> has no numbers .*layers\.Add"),
        (lambda x: 2 * x, r"\*: .*layers\.Multiply"),
        (lambda x: x - 1, r"-: .*layers\.Subtract"),
        (lambda x: x @ x, r"@: .*layers\.Dot"),
        (lambda x: x[:, 0], r"\[\]: .*layers\.Reshape"),
        (lambda x: list(x), r"layers\.Reshape"),
        (lambda x: -x, r"your own layer"),
        (lambda x: bool(x > 1), r"a comparison: "),
        (lambda x: torch.tanh(x), r"torch\.tanh: called on a symbolic tensor"),
        (lambda x: torch.cat([x, x]), r"torch\.cat: called on a symbolic tensor"),
        (lambda x: np.asarray(x), r"has no numbers yet"),
        (lambda x: torch.as_tensor(x), r"has no numbers yet"),
        (lambda x: float(x), r"use a model's predict"),
    ],
)
def test_symbolic_tensors_say_which_layer_to_use(attempt: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        attempt(nabi.Input((4,), name="a"))


def test_a_trial_that_fails_names_the_layer() -> None:
    class Wrong(Layer):
        def call(self, inputs: Any) -> Any:
            return inputs @ torch.zeros(3, 3)

    with pytest.raises(
        ShapeError, match=r"inputs: mine \(Wrong\) can't be called on inputs of shape \(2, 4\)"
    ):
        Wrong(name="mine")(nabi.Input((4,)))


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((), {"tensor": 1}, "memory .*call\\(\\): got an unexpected keyword argument 'tensor'"),
        ((None, None, False, 3), {}, "memory .*call\\(\\): too many positional arguments"),
        ((), {"training": "yes"}, "training: expected True or False, got 'yes'"),
    ],
)
def test_what_a_layer_does_not_take_is_refused_before_there_are_numbers(
    arguments: tuple[Any, ...], keywords: dict[str, Any], message: str
) -> None:
    sequence = nabi.Input((5, 2))
    with pytest.raises(ArgumentError, match=message):
        LSTM(3, name="memory")(sequence, *arguments, **keywords)
    assert LSTM(3)(sequence, mask=None, training=True).shape == (None, 3)

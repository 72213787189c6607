"""Models made again: from a configuration, from JSON, as a clone or a copy."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers, models
from nabi.errors import ArgumentError, UnknownNameError


def chain() -> Any:
    return nabi.Sequential(
        [
            layers.Embedding(20, 4, mask_zero=True, input_length=6),
            layers.Bidirectional(layers.LSTM(3)),
            layers.BatchNormalization(),
            layers.Dense(2, activation="softmax", kernel_regularizer="l2"),
        ]
    )


def begun() -> Any:
    return nabi.Sequential(
        [layers.Input((6,), dtype="int64", name="words"), layers.Embedding(20, 4), layers.GRU(2)]
    )


def graph() -> Any:
    a, b = nabi.Input((6, 2), name="a"), nabi.Input((6, 2), name="b")
    shared = layers.GRU(3, name="shared")
    inner = nabi.Sequential([layers.Dense(4, input_shape=(3,)), layers.ReLU()], name="inner")
    both = layers.concatenate([inner(shared(a)), inner(shared(b))])
    return nabi.Model({"a": a, "b": b}, {"y": layers.Dense(1)(both), "z": layers.Dense(2)(both)}, name="pair")


def inputs(model: Any) -> Any:
    random = np.random.default_rng(0)
    if isinstance(model, nabi.Sequential):
        return random.integers(1, 20, (5, 6))
    return {name: random.normal(size=(5, 6, 2)).astype("float32") for name in ("a", "b")}


def outputs(model: Any) -> list[Any]:
    found = model.predict(inputs(model))
    return list(found.values()) if isinstance(found, dict) else [found]


def same(one: Any, other: Any) -> bool:
    return all(np.allclose(mine, its) for mine, its in zip(outputs(one), outputs(other), strict=True))


WAYS = {
    "from_config": lambda model: type(model).from_config(model.get_config()),
    "Model.from_config": lambda model: (
        nabi.Model if not isinstance(model, nabi.Sequential) else nabi.Sequential
    ).from_config(json.loads(json.dumps(model.get_config()))),
    "to_json": lambda model: models.model_from_json(model.to_json(indent=1)),
    "model_from_config": lambda model: models.model_from_config(json.loads(model.to_json())),
    "clone_model": models.clone_model,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [chain, begun, graph])
def test_the_same_layers_with_weights_of_their_own(make: Any, way: str) -> None:
    model = make()
    made = WAYS[way](model)
    assert type(made) is type(model)
    assert made.name == model.name
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    assert made.get_config() == model.get_config()
    assert same(made, model) == (way == "deepcopy")
    made.set_weights(model.get_weights())
    assert same(made, model)
    made.set_weights([w + 1 for w in model.get_weights()])
    assert not same(made, model)
    assert not {id(layer) for layer in made.layers} & {id(layer) for layer in model.layers}


@pytest.mark.parametrize("make", [chain, graph])
def test_a_copy_of_a_trained_model_trains_on(make: Any) -> None:
    model = make()
    model.compile("adam", "mse")
    y: Any = np.ones((5, 2)) if make is chain else {"y": np.ones((5, 1)), "z": np.ones((5, 2))}
    model.fit(inputs(model), y, epochs=2, verbose=0)
    copied = copy.deepcopy(model)
    for one in (model, copied):
        one.fit(inputs(one), y, epochs=4, initial_epoch=2, shuffle=False, verbose=0)
    assert same(copied, model)


def test_some_layers_of_a_clone_are_others() -> None:
    def double(layer: Any) -> Any:
        if isinstance(layer, layers.Dense):
            return layers.Dense(layer.units, activation="tanh", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    model = nabi.Sequential([layers.GRU(3, input_shape=(4, 2)), layers.Dense(2)])
    made: Any = models.clone_model(model, clone_function=double)
    assert made.layers[1].get_config()["activation"] == "tanh"
    with pytest.raises(
        ArgumentError, match=r"clone_function: expected it to return a layer, got None for gru"
    ):
        models.clone_model(model, clone_function=lambda layer: None)  # type: ignore[arg-type, return-value]


def test_a_clone_begins_at_other_inputs() -> None:
    model = nabi.Sequential([layers.Dense(2, input_shape=(4, 3)), layers.GRU(2)])
    made = models.clone_model(model, input_tensors=layers.Input((7, 3)))
    assert made.input_shape == (None, 7, 3)
    other: Any = models.clone_model(graph(), input_tensors=[layers.Input((9, 2)), layers.Input((8, 2))])
    assert [shape[1] for shape in other.input_shape] == [9, 8]
    for wrong in (3, [layers.Input((9, 2))]):
        with pytest.raises(ArgumentError, match="input_tensors: expected outputs of Input"):
            models.clone_model(graph(), input_tensors=wrong)


def shifted(x: torch.Tensor) -> torch.Tensor:
    return x + 1


class Scaled(layers.Layer):
    def __init__(self, factor: float, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


def test_parts_of_ones_own() -> None:
    model = nabi.Sequential(
        [layers.Dense(2, activation=shifted, input_shape=(3,)), Scaled(0.5), layers.Lambda(shifted)]
    )
    x = np.ones((1, 3))
    for made in (
        models.clone_model(model),
        models.model_from_json(model.to_json(), custom_objects={"shifted": shifted}),
    ):
        made.set_weights(model.get_weights())
        np.testing.assert_allclose(made.predict(x), model.predict(x))


def test_what_cannot_be() -> None:
    class Own(nabi.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ArgumentError, match="with its own call"):
        models.clone_model(Own())
    for text in ("{", "[]", "3", json.dumps({"class_name": "Sequential", "config": {}}), None):
        with pytest.raises(ArgumentError):
            models.model_from_json(text)  # type: ignore[arg-type]
    with pytest.raises(
        ArgumentError, match="expected the description of a model, got that of the layer dense"
    ):
        models.model_from_config(layers.serialize(layers.Dense(2, name="dense")))
    with pytest.raises(UnknownNameError, match="'Dens' is not known; did you mean 'Dense'"):
        models.model_from_config({"class_name": "Dens", "config": {}})

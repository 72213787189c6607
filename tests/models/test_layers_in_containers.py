"""Layers in dictionaries, lists and tuples that are attributes belong to the layer or model that has them."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers
from nabi.layers._containers import Held

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


class Own(nabi.Model):
    """A model with a layer in each of these."""

    def __init__(self, kind: str = "dict") -> None:
        super().__init__()
        self.first = layers.Dense(2)
        self.kind = kind
        if kind == "dict":
            self.rest: Any = {"o": layers.Dense(1)}
        elif kind == "dict, later":
            self.rest = {}
            self.rest["o"] = layers.Dense(1)
        elif kind == "dict, other keys":
            self.rest = {("a", 1): "text", 3: layers.Dense(1), "a.b": None}
        elif kind == "list":
            self.rest = [layers.Dense(1)]
        elif kind == "list, later":
            self.rest = []
            for _ in range(1):
                self.rest.append(layers.Dense(1))
        elif kind == "list, mixed":
            self.rest = [None, layers.Dense(1), 3]
        elif kind == "tuple":
            self.rest = (layers.Dense(1), "text")
        elif kind == "nested":
            self.rest = {"deep": [{"deeper": (0, layers.Dense(1))}]}
        elif kind == "nested, later":
            self.rest = {"deep": []}
            self.rest["deep"].append([])
            self.rest["deep"][0].append({"deeper": layers.Dense(1)})
        elif kind == "replaced":
            self.rest = {"o": layers.Dense(5)}
            self.rest = {"o": layers.Dense(1)}
        elif kind == "changed":
            self.rest = {"o": layers.Dense(5), "p": layers.Dense(7)}
            del self.rest["p"]
            self.rest.update(o=layers.Dense(1))
        elif kind == "module":
            self.rest = {"o": torch.nn.Linear(2, 1)}

    def last(self, value: Any) -> Any:
        several = isinstance(value, list | tuple | torch.nn.ModuleList)
        if isinstance(value, torch.nn.Module) and not several:
            return value
        parts = value.values() if isinstance(value, dict) else value if several else ()
        return next((found for found in map(self.last, parts) if found is not None), None)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(list(self.rest.values()) if isinstance(self.rest, dict) else self.rest)(
            self.first(inputs)
        )


KINDS = [
    "dict", "dict, later", "dict, other keys", "list", "list, later", "list, mixed", "tuple", "nested",
    "nested, later", "replaced", "changed", "module",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_they_train_and_are_saved(kind: str, tmp_path: Path) -> None:
    model = Own(kind)
    model.compile("sgd", "mse")
    model.predict(X)
    before = model.get_weights()
    model.fit(X, X[:, :1], verbose=0)
    assert len(model.weights) == len(list(model.parameters())) == len(model.state_dict()) == 4
    assert all(not np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    assert len(model.layers) == (1 if kind == "module" else 2)
    model.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi", custom_objects={"Own": Own})
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model.save_weights(tmp_path / "weights.nabi")
    other = Own(kind)
    other.predict(X)
    other.load_weights(tmp_path / "weights.nabi")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_have_layers_of_their_own(kind: str) -> None:
    model = Own(kind)
    expected = model.predict(X)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(X), expected)
        assert len(list(twin.parameters())) == 4
        with torch.no_grad():
            for weight in twin.parameters():
                weight.zero_()
        assert not twin.predict(X).any()
    np.testing.assert_array_equal(model.predict(X), expected)
    twin = copy.deepcopy(model)
    if kind.startswith("dict"):
        twin.rest["new"] = layers.Dense(3, input_shape=(2,))
        twin.rest["new"].build((None, 2))
        assert len(twin.weights) == 6
        assert len(model.weights) == 4


def test_the_attribute_stays_what_it_was() -> None:
    model = Own("dict")
    assert isinstance(model.rest, dict)
    assert list(model.rest) == ["o"]
    model.plain = [1, 2]
    model.plain += [3]
    assert model.plain == [1, 2, 3]
    model.rest = None
    assert model.layers == [model.first]
    assert [name for name, _ in model.named_children() if name == "rest"] == []
    model.rest = {"a": layers.Dense(1)}
    del model.rest
    assert not hasattr(model, "rest")


def test_a_model_of_nabis_holds_nothing_twice() -> None:
    entry = layers.Input((3,))
    for model in (
        nabi.Sequential([layers.Dense(2, activation="softmax", input_shape=(3,))]),
        nabi.Model(entry, layers.Dense(2, activation="softmax")(entry)),
    ):
        model.compile("adam", "categorical_crossentropy")
        model.fit(X, np.eye(2)[[0, 1, 0, 1, 0, 1]], verbose=0)
        assert not any(isinstance(module, Held) for module in model.modules())

    class Mine(nabi.Sequential):
        pass

    mine = Mine([layers.Dense(2, activation="softmax", input_shape=(3,))])
    assert len(mine.state_dict()) == len(mine.weights) == 2


def test_cells_in_a_list_with_others() -> None:
    class Counting:
        state_size = 2

        def call(self, inputs: torch.Tensor, states: Any) -> Any:
            return inputs, states

    model = nabi.Sequential([layers.RNN([layers.GRUCell(2), Counting()]), layers.Dense(1)])
    model.build((None, 4, 3))
    assert len(model.trainable_weights) == 5

"""Small layers and torch modules inside of models: trained, masked, saved, shown."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers
from nabi.errors import ArgumentError, ShapeError
from nabi.files import read_model_file, write_model_file

# The same program for Keras and for nabi: `L` has the layers, `K` the models.
PROGRAM = """
def build(K, L, name):
    if name == "flat":
        return K.Sequential([
            L.Input((4,)), L.Dense(5), L.BatchNormalization(momentum=0.7), L.ReLU(),
            L.Dense(3), L.LayerNormalization(), L.LeakyReLU(), L.Dense(1),
        ])
    if name == "frozen":
        return K.Sequential([
            L.Input((4,)), L.Dense(5), L.BatchNormalization(trainable=False), L.PReLU(), L.Dense(1),
        ])
    if name == "masked":
        return K.Sequential([
            L.Input((5, 4)), L.Masking(), L.BatchNormalization(momentum=0.5), L.LSTM(3), L.Dense(1),
        ])
    x = L.Input((5, 4))
    y = L.BatchNormalization(axis=1)(x)
    shared = L.BatchNormalization(momentum=0.5)
    y = L.Add()([shared(L.GRU(3, return_sequences=True)(y)), shared(L.Dense(3)(x))])
    return K.Model(x, L.Dense(1)(L.Flatten()(L.UnitNormalization()(y))))

def run(K, L, name, x, y, weights):
    model = build(K, L, name)
    model.set_weights(weights)
    model.compile(K.optimizers.SGD(0.1), "mse")
    losses = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]
    return losses, model.get_weights(), model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)
"""
NAMES = ["flat", "frozen", "masked", "functional"]
names: dict[str, Any] = {}
exec(PROGRAM, names)


def data(name: str) -> tuple[Any, Any]:
    random = np.random.default_rng(len(name))
    x = random.normal(size=(10, 4) if name in ("flat", "frozen") else (10, 5, 4)).astype("float32")
    if name == "masked":
        x[::2, 3:] = 0
    return x, random.normal(size=(10, 1)).astype("float32")


def weights_of(name: str) -> list[Any]:
    model = names["build"](nabi, layers, name)
    random = np.random.default_rng(5)
    return [random.uniform(0.1, 0.6, w.shape).astype("float32") for w in model.get_weights()]


@pytest.fixture(scope="module")
def by_keras(in_keras: Callable[..., bytes]) -> Any:
    given = {name: (*data(name), weights_of(name)) for name in NAMES}
    program = PROGRAM + (
        "\nimport pickle, sys, warnings\nwarnings.simplefilter('ignore')\nimport keras\n"
        "given = pickle.load(sys.stdin.buffer)\n"
        "found = {name: run(keras, keras.layers, name, *one) for name, one in given.items()}\n"
        "sys.stdout.buffer.write(pickle.dumps(found))\n"
    )
    return pickle.loads(in_keras(program, pickle.dumps(given)))


@pytest.mark.parametrize("name", NAMES)
def test_training_is_as_in_keras(name: str, by_keras: Any) -> None:
    losses, weights, outputs, loss = names["run"](nabi, layers, name, *data(name), weights_of(name))
    their_losses, their_weights, their_outputs, their_loss = by_keras[name]
    np.testing.assert_allclose(losses, their_losses, rtol=1e-4)
    for mine, theirs in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(outputs, their_outputs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(loss, their_loss, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_models_come_back_from_files(name: str, tmp_path: Path) -> None:
    model = names["build"](nabi, layers, name)
    x, y = data(name)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.nabi")
    again = nabi.models.load_model(tmp_path / "m.nabi")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    for one in (model, again):
        one.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert [w.requires_grad for w in again.weights] == [w.requires_grad for w in model.weights]
    copied = copy.deepcopy(model)
    copied.fit(x, y, verbose=0)
    assert not np.array_equal(copied.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_moving_averages_are_weights_that_nothing_trains() -> None:
    model = names["build"](nabi, layers, "flat")
    counts = len(model.trainable_weights), len(model.non_trainable_weights)
    assert counts == (10, 2)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert any("batch_normalization" in line and "20" in line for line in lines)
    assert "Not trainable: 10" in lines
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == counts


def test_a_frozen_model_keeps_its_averages() -> None:
    model = names["build"](nabi, layers, "flat")
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    before = model.layers[1].get_weights()
    model.fit(*data("flat"), verbose=0)
    for old, new in zip(before, model.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_masked_steps_do_not_count_even_as_nan() -> None:
    x = torch.randn(3, 4, 2)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True], [True, False, False, False]])
    layer, twin = layers.BatchNormalization(), layers.BatchNormalization()
    spoiled = torch.where(mask.unsqueeze(-1), x, float("nan"))
    y = layer(spoiled, training=True, mask=mask)
    short = twin(x[mask], training=True)
    torch.testing.assert_close(y[mask], short)
    torch.testing.assert_close(layer.moving_variance, twin.moving_variance)
    assert y._keras_mask is mask  # type: ignore[attr-defined]
    with pytest.raises(ShapeError, match="mask: expected the first axes"):
        layer(x, training=True, mask=mask[:, :2])


def test_layer_normalization_over_any_axes() -> None:
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    for axes in ([1], [2], [1, 3], [3, 1], [-1, 1, 2]):
        layer = layers.LayerNormalization(axis=axes, dtype="float64")
        places = sorted(axis % 4 for axis in axes)
        mean, variance = x.mean(places, keepdim=True), x.var(places, keepdim=True, correction=0)
        torch.testing.assert_close(layer(x), (x - mean) / (variance + 1e-3).sqrt())
        assert tuple(layer.weights[0].shape) == tuple(x.shape[place] for place in places)
        rms = layers.RMSNormalization(axis=axes, dtype="float64")
        torch.testing.assert_close(rms(x), x / (x.square().mean(places, keepdim=True) + 1e-6).sqrt())


def test_noise_is_in_training_only_and_has_its_size() -> None:
    x = torch.ones(200, 200)
    for layer, deviation in ((layers.GaussianNoise(0.5), 0.5), (layers.GaussianDropout(0.2), 0.5)):
        assert layer(x) is x
        y = layer(x, training=True)
        assert abs(float(y.mean()) - 1) < 0.02
        assert abs(float(y.std()) - deviation) < 0.02
        assert layer(torch.ones(3, dtype=torch.int64), training=True).dtype is torch.float32
    first, second = (layers.GaussianNoise(0.5, seed=3)(x, training=True) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_activity_regularization_is_an_activity_regularizer() -> None:
    x, _ = data("flat")
    losses = []
    for last in (layers.ActivityRegularization(0.1, 0.2), layers.Activation("linear")):
        model = nabi.Sequential([layers.Dense(2, input_shape=(4,), kernel_initializer="ones"), last])
        if isinstance(last, layers.Activation):
            last.activity_regularizer = nabi.regularizers.L1L2(0.1, 0.2)
        model.compile("sgd", "mse")
        losses.append(model.evaluate(x, np.zeros((10, 2)), verbose=0))
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.BatchNormalization(axis="a"), "axis: expected a whole number, got 'a'"),
        (lambda: layers.BatchNormalization(axis=[1, 2]), r"axis: expected .*\[1, 2\]"),
        (lambda: layers.BatchNormalization(momentum=2), "momentum: expected a number from 0 to 1, got 2"),
        (lambda: layers.BatchNormalization(synchronized=True), "synchronized: expected False"),
        (lambda: layers.BatchNormalization(beta_constraint="x"), "beta_constraint: expected None, got 'x'"),
        (lambda: layers.LayerNormalization(epsilon=-1), "epsilon: expected a number of at least 0, got -1"),
        (lambda: layers.LayerNormalization(axis=2).build((2, 3)), "normalizes over axis 2, got shape"),
        (lambda: layers.LayerNormalization().build((2, None)), "needs the sizes of the axes"),
        (lambda: layers.ReLU(max_value=-1), "max_value: expected a number of at least 0 or None, got -1"),
        (lambda: layers.LeakyReLU(None), "negative_slope: expected a number.*, got None"),
        (lambda: layers.PReLU(shared_axes=0), "shared_axes: expected a whole number of at least 1, got 0"),
        (lambda: layers.GaussianNoise(-1), "stddev: expected a rate .*got -1"),
        (lambda: layers.Lambda(3), "function: expected a function.* got 3"),
        (lambda: layers.TorchModuleWrapper(3), "module: expected a torch.nn.Module, got 3"),
    ],
)
def test_what_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_inputs_of_another_width_are_refused() -> None:
    for layer in (layers.BatchNormalization(), layers.LayerNormalization(), layers.RMSNormalization()):
        layer(torch.zeros(2, 3))
        with pytest.raises(ShapeError, match="was built for the sizes"):
            layer(torch.zeros(2, 4))


# Functions and torch modules ------------------------------------------------------------------------------


def last_step(x: torch.Tensor, training: bool = False) -> torch.Tensor:
    return x[:, -1] + float(training)


def test_a_function_is_a_layer(tmp_path: Path) -> None:
    model = nabi.Sequential(
        [layers.GRU(3, return_sequences=True, input_shape=(5, 4)), layers.Lambda(last_step)]
    )
    assert model.output_shape == (None, 3)
    x = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((6, 3)), verbose=0)
    model.save(tmp_path / "m.nabi")
    with pytest.raises(ArgumentError, match="needs the function 'last_step'"):
        nabi.models.load_model(tmp_path / "m.nabi")
    again = nabi.models.load_model(tmp_path / "m.nabi", custom_objects={"last_step": last_step})
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    nameless = nabi.Sequential([layers.Dense(1, input_shape=(2,)), layers.Lambda(lambda x: x * 2)])
    with pytest.raises(ArgumentError, match="has no name to store in a config"):
        nameless.save(tmp_path / "other.nabi")
    assert nabi.models.clone_model(nameless).predict(np.ones((1, 2))).shape == (1, 1)


def test_the_shape_and_the_mask_of_a_function() -> None:
    a = layers.Input((5, 4))
    halved = layers.Lambda(lambda x: x[..., :2], output_shape=(5, 2), mask=lambda inputs, mask: mask)
    assert halved(a).shape == (None, 5, 2)
    x = torch.ones(1, 5, 4)
    x[:, 3:] = 0
    assert halved(layers.Masking()(x))._keras_mask.tolist() == [[True, True, True, False, False]]


class Own(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(width, 2)
        self.register_buffer("shift", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + self.shift


def test_torch_modules_are_layers(tmp_path: Path) -> None:
    """In a Sequential as they are, in a functional model in a wrapper."""
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(20, 5, 4)).astype("float32")
    y = x.mean((1, 2))[:, None]
    norm = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.LayerNorm(6), torch.nn.Dropout(0.1))
    chain = nabi.Sequential(
        [layers.Input((5, 4)), norm, torch.nn.GELU(), layers.LSTM(3), torch.nn.Linear(3, 1)]
    )
    a = layers.Input((5, 4))
    own = layers.TorchModuleWrapper(torch.nn.Sequential(Own(4), torch.nn.Tanh()))
    graph = nabi.Model(a, layers.Dense(1)(layers.Flatten()(own(a))))
    assert chain.count_params() == 4 * 6 + 6 + 12 + layers_of(chain, 2) + 4
    for model, custom in ((chain, None), (graph, {"Own": lambda: Own(4)})):
        model.compile(nabi.optimizers.Adam(0.01), "mse")
        before = model.get_weights()
        history = model.fit(x, y, epochs=15, verbose=0).history["loss"]
        assert history[-1] < history[0] / 2
        assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
        model.save(tmp_path / "m.nabi")
        again = nabi.models.load_model(tmp_path / "m.nabi", custom_objects=custom)
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
        lines: list[str] = []
        model.summary(print_fn=lines.append)
        assert any("TorchModuleWrapper" in line for line in lines)
        cloned = nabi.models.clone_model(model)
        assert [w.shape for w in cloned.weights] == [w.shape for w in model.weights]
        assert not np.allclose(cloned.predict(x), model.predict(x))
    with pytest.raises(ArgumentError, match="torch module of class 'Own'"):
        nabi.models.load_model(tmp_path / "m.nabi")


def layers_of(model: Any, index: int) -> int:
    count: int = model.layers[index].count_params()
    return count


def test_a_torch_module_trains_when_the_layer_does() -> None:
    module = torch.nn.BatchNorm1d(3)
    layer = layers.TorchModuleWrapper(module)
    x = torch.randn(8, 3)
    layer(x)
    assert float(module.running_mean.abs().sum()) == 0
    layer(x, training=True)
    assert float(module.running_mean.abs().sum()) > 0
    frozen = torch.nn.Linear(3, 2)
    frozen.weight.requires_grad_(False)
    described = layers.serialize(layers.TorchModuleWrapper(frozen))
    again = layers.deserialize(described)
    assert [w.requires_grad for w in again.weights] == [False, True]


def test_modules_of_whole_numbers_and_of_shapes_not_known_yet() -> None:
    model = nabi.Sequential([layers.Input((5,), dtype="int64"), torch.nn.Embedding(9, 4), layers.GRU(2)])
    assert model.output_shape == (None, 2)
    assert model.predict(np.ones((3, 5), int)).shape == (3, 2)
    lazy = nabi.Sequential([layers.Input((5,)), torch.nn.LazyLinear(3)])
    assert lazy.count_params() == 18
    steps = layers.TimeDistributed(torch.nn.Linear(4, 2))
    assert steps(torch.zeros(3, 5, 4)).shape == (3, 5, 2)
    with pytest.raises(ShapeError, match="torch_module_wrapper"):
        nabi.Sequential([layers.Input((5,)), torch.nn.Linear(4, 3)])
    with pytest.raises(ArgumentError, match=r"layers\.TorchModuleWrapper\(module\)"):
        torch.nn.Linear(4, 3)(layers.Input((4,)))


def test_a_file_cannot_ask_for_a_huge_module(tmp_path: Path) -> None:
    model = nabi.Sequential([layers.Input((4,)), torch.nn.Linear(4, 3)])
    model.save(tmp_path / "m.nabi")
    file = read_model_file(tmp_path / "m.nabi")
    described = file.header["model"]["config"]["layers"][1]["config"]["module"]
    described["arguments"]["out_features"] = 10**12
    write_model_file(tmp_path / "huge.nabi", "model", dict(file.header), dict(file.tensors))
    with pytest.raises(ShapeError, match="expected weights of 15 numbers in all, as in the file"):
        nabi.models.load_model(tmp_path / "huge.nabi")
    described["torch_class"] = "functional"
    with pytest.raises(ArgumentError, match=r"torch\.nn has no module 'functional'"):
        layers.deserialize(file.header["model"]["config"]["layers"][1])

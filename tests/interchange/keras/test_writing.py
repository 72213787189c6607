"""Files that nabi writes give in Keras 3, on torch, the same predictions; and the same steps of training."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import cells, layers, models
from nabi.errors import ArgumentError, NotReadyError
from nabi.utils import set_random_seed

pytest.importorskip("h5py")
if find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

B, T, D = 4, 5, 3

# In Keras: load every file, predict, and train the compiled ones for two steps.
IN_KERAS = """
import json, sys, warnings
import keras, numpy as np
warnings.simplefilter("ignore")
folder = sys.stdin.read()
told = {}
for name in json.load(open(folder + "/names.json")):
    held = np.load(folder + "/" + name + ".npz")
    x = [held[key] for key in sorted(held.files) if key.startswith("x")]
    x = x if len(x) > 1 else x[0]
    found = {}
    for ending in (".keras", ".h5"):
        model = keras.saving.load_model(folder + "/" + name + ending)
        found[ending[1:]] = model.predict(x, batch_size=4, verbose=0)
    model.set_weights([0 * one for one in model.get_weights()])
    for ending in (".weights.h5", "_weights.h5"):
        model.load_weights(folder + "/" + name + ending)
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
        way = "weights" + ending[0]
        found[way] = model.predict(x, batch_size=4, verbose=0)
    model = keras.saving.load_model(folder + "/" + name + ".keras")
    found["compiled"] = np.array(model.compiled)
    if model.compiled:
        for _ in range(2):
            model.fit(x, held["y"], batch_size=4, shuffle=False, verbose=0)
        found["trained"] = model.predict(x, batch_size=4, verbose=0)
    np.savez(folder + "/" + name + "_keras.npz", **found)
"""


def sequential(*inside: Any, shape: tuple[int | None, ...] = (T, D), **more: Any) -> models.Sequential:
    return models.Sequential([nabi.Input(shape, **more), *inside, layers.Flatten(), layers.Dense(1)])


def bidirectional() -> models.Model:
    x = nabi.Input((T, D))
    masked = layers.Masking()(x)
    found = [
        layers.Bidirectional(kind(2, **options), merge_mode=mode)(masked)
        for kind, mode, options in (
            (layers.LSTM, "concat", {}), (layers.GRU, "sum", {}), (layers.SimpleRNN, "mul", {}),
            (layers.GRU, "ave", {"reset_after": False}),
        )
    ]  # fmt: skip
    other = layers.LSTM(2, go_backwards=True, activation="softsign")
    found += layers.Bidirectional(layers.LSTM(2), merge_mode=None, backward_layer=other)(masked)
    return models.Model(x, layers.Dense(1)(layers.Concatenate()(found)))


def translating() -> models.Model:
    question, answer = nabi.Input((T,), name="question"), nabi.Input((T, D), name="answer")
    words = layers.Embedding(6, D, mask_zero=True)
    _, h, c = layers.LSTM(3, return_state=True)(words(question))
    shared = layers.LSTM(3, return_sequences=True)
    decoded = shared(answer, initial_state=[h, c])
    again = shared([answer, c, h])  # Keras 2's way
    inner = models.Sequential(
        [nabi.Input((T, 3)), layers.Dense(2, activation="relu"), layers.BatchNormalization()]
    )
    end = nabi.Input((T, 2))
    outer = models.Model(
        end, layers.Add()([layers.LayerNormalization()(layers.BatchNormalization()(end)), end])
    )
    met = layers.Attention(use_scale=True)([inner(decoded), outer(inner(again))])
    return models.Model([question, answer], layers.Dense(1)(layers.GlobalAveragePooling1D()(met)))


def frozen() -> models.Model:
    return sequential(layers.LSTM(2, trainable=False), layers.BatchNormalization(), layers.Dense(2))


MODELS: dict[str, Callable[[], models.Model]] = {
    "lstm": lambda: sequential(layers.LSTM(3, return_sequences=True, recurrent_dropout=0.0), layers.LSTM(2)),
    "gru": lambda: sequential(
        layers.Embedding(6, 2, mask_zero=True), layers.GRU(3, return_sequences=True),
        layers.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid", use_bias=False), shape=(T,),
    ),
    "simple": lambda: sequential(
        layers.SimpleRNN(2, activation="relu", return_sequences=True, kernel_regularizer="l2"),
        layers.TimeDistributed(layers.Dense(2, activation="elu")), layers.SimpleRNN(2, go_backwards=True),
    ),
    "cells": lambda: sequential(
        layers.Masking(), layers.RNN([layers.LSTMCell(2), layers.GRUCell(3), layers.SimpleRNNCell(2)]),
    ),
    "bidirectional": bidirectional,
    "translating": translating,
    "frozen": frozen,
    "convolutions": lambda: sequential(
        layers.Conv1D(3, 2, padding="same", activation="gelu"), layers.MaxPooling1D(2), layers.LeakyReLU(0.1),
        layers.PReLU(), layers.SpatialDropout1D(0.0), layers.Dropout(0.0), layers.LayerNormalization(),
    ),
    "film": lambda: sequential(
        layers.ConvLSTM2D(2, 2, return_sequences=True), layers.Reshape((-1, 2 * 3 * 3)), layers.GRU(2),
        layers.RepeatVector(2), layers.Permute((2, 1)), layers.Softmax(), shape=(3, 4, 4, 1),
    ),
    "stateful": lambda: sequential(layers.LSTM(2, stateful=True), shape=(T, D), batch_size=B),
}  # fmt: skip
OPTIMIZERS = {
    "lstm": lambda: nabi.optimizers.Adam(0.02, clipnorm=1.0),
    "gru": lambda: nabi.optimizers.RMSprop(0.01, momentum=0.8, centered=True),
    "simple": lambda: nabi.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "cells": lambda: nabi.optimizers.AdamW(nabi.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)),
    "bidirectional": lambda: nabi.optimizers.Adam(0.01, amsgrad=True),
    # Gradients through two normalizations are all but zero, and Adam would make steps of their rounding.
    "translating": lambda: "sgd",
    "frozen": lambda: "adam",
    "film": lambda: "rmsprop",
}  # fmt: skip


def data(model: models.Model) -> list[np.ndarray[Any, Any]]:
    """Inputs of a model, the ends of rows padded."""
    shapes = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    found = []
    for shape in shapes:
        if len(shape) == 2:
            x: Any = np.random.randint(1, 6, (B, T))
        else:
            x = np.random.uniform(-1, 1, (B, *shape[1:])).astype("float32")
        if len(shape) < 4:
            for row in range(B):
                x[row, T - row :] = 0
        found.append(x)
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, in_keras: Callable[..., bytes]) -> Path:
    folder = tmp_path_factory.mktemp("written")
    set_random_seed(0)
    for name, make in MODELS.items():
        model = make()
        model.set_weights([w + np.random.uniform(-0.3, 0.3, w.shape) for w in model.get_weights()])
        x, y = data(model), np.random.uniform(0, 1, (B, 1)).astype("float32")
        given = x if len(x) > 1 else x[0]
        if name in OPTIMIZERS:
            model.compile(OPTIMIZERS[name](), "mse", metrics=["mae"])
            for _ in range(2):
                model.fit(given, y, batch_size=B, shuffle=False, verbose=0)
        model.reset_state()
        for ending in (".keras", ".h5"):
            model.save(folder / f"{name}{ending}")
        for ending in (".weights.h5", "_weights.h5"):
            model.save_weights(folder / f"{name}{ending}")
        own = {"outputs": model.predict(given, batch_size=B, verbose=0)}
        model.reset_state()
        if name in OPTIMIZERS:
            for _ in range(2):
                model.fit(given, y, batch_size=B, shuffle=False, verbose=0)
            own["trained"] = model.predict(given, batch_size=B, verbose=0)
        np.savez(folder / f"{name}.npz", y=y, **own, **{f"x{number}": one for number, one in enumerate(x)})
    (folder / "names.json").write_text(json.dumps(list(MODELS)))
    in_keras(IN_KERAS, str(folder).encode())
    return folder


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", MODELS)
def test_keras_computes_and_trains_as_nabi(written: Path, name: str) -> None:
    with np.load(written / f"{name}.npz") as own, np.load(written / f"{name}_keras.npz") as theirs:
        for way in ("keras", "h5", "weights.", "weights_"):
            np.testing.assert_allclose(theirs[way], own["outputs"], atol=2e-6, rtol=0, err_msg=way)
        assert bool(theirs["compiled"]) == (name in OPTIMIZERS)
        if name in OPTIMIZERS:
            np.testing.assert_allclose(theirs["trained"], own["trained"], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_nabi_reads_what_it_wrote(written: Path, name: str) -> None:
    with np.load(written / f"{name}.npz") as held:
        found = dict(held)
    x = [found[key] for key in sorted(found) if key.startswith("x")]
    given = x if len(x) > 1 else x[0]
    for ending in (".keras", ".h5"):
        model = models.load_model(written / f"{name}{ending}")
        np.testing.assert_array_equal(model.predict(given, batch_size=B, verbose=0), found["outputs"])
        for other in (".weights.h5", "_weights.h5"):
            model.set_weights([0 * one for one in model.get_weights()])
            model.load_weights(written / f"{name}{other}")
            model.reset_state()
            np.testing.assert_array_equal(model.predict(given, batch_size=B, verbose=0), found["outputs"])
        if name in OPTIMIZERS:
            for _ in range(2):
                model.fit(given, found["y"], batch_size=B, shuffle=False, verbose=0)
            trained = model.predict(given, batch_size=B, verbose=0)
            np.testing.assert_allclose(trained, found["trained"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (lambda: layers.RNN(cells.PeepholeLSTM(2), name="peep"), "'peep'.*no cell PeepholeLSTM"),
        (
            lambda: layers.LSTM(2, recurrent_activation="hard_sigmoid_keras2", name="old"),
            "'old'.*another slope",
        ),
        (lambda: layers.LSTM(2, time_major=True, name="major"), "'major'.*time_major"),
        (lambda: layers.Lambda(lambda x: x[:, 0], name="code"), "'code'.*no layer Lambda"),
    ],
)
def test_what_keras_does_not_have_is_refused(tmp_path: Path, layer: Callable[[], Any], why: str) -> None:
    model = models.Sequential([nabi.Input((T, D)), layer()])
    for ending in (".keras", ".h5"):
        with pytest.raises(ArgumentError, match=why):
            model.save(tmp_path / f"model{ending}")
    assert list(tmp_path.iterdir()) == []
    if "code" not in why:
        model.save_weights(tmp_path / "model.weights.h5")  # weights have no names of layers


def test_models_without_weights_or_with_code_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="no weights yet"):
        models.Sequential([layers.LSTM(2)]).save(tmp_path / "model.keras")

    class Own(models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    own = Own()
    x = np.ones((2, 3), "float32")
    before = own.predict(x, verbose=0)
    with pytest.raises(ArgumentError, match="hold no code"):
        own.save(tmp_path / "model.keras")
    own.save_weights(tmp_path / "own.weights.h5")
    own.set_weights([0 * one for one in own.get_weights()])
    own.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(own.predict(x, verbose=0), before)


def test_a_model_compiled_with_what_keras_lacks_is_written_without(tmp_path: Path) -> None:
    import torch

    model = models.Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile(torch.optim.Adam, "mse")
    model.save(tmp_path / "model.keras")
    assert models.load_model(tmp_path / "model.keras").optimizer is None

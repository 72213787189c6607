"""Every argument of layers, models, training and decoding, given junk, is answered with nabi's errors."""

import contextlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import (
    callbacks,
    cells,
    decoding,
    explain,
    initializers,
    layers,
    losses,
    models,
    optimizers,
    regularizers,
)
from nabi.nn import RNN
from tests.cells.sampling import cells_of_today

from .junk import answers, junk

X = np.random.default_rng(0).random((8, 4, 2), np.float32)
Y = np.random.default_rng(1).random((8, 1), np.float32)
ONES = np.ones(8)


def built() -> nabi.Sequential:
    model = nabi.Sequential([layers.LSTM(2, input_shape=(4, 2)), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def method(name: str) -> Callable[..., Any]:
    return lambda **given: getattr(built(), name)(**given)


class Coin:
    """A model to decode: it ends with 2."""

    def step(self, codes: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return torch.tensor([0.5, 0.2, 0.3]).log().expand(len(codes), 3), state

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return state


def saved(folder: Path) -> Path:
    built().save(folder / "model.nabi")
    return folder / "model.nabi"


def saved_weights(folder: Path) -> Path:
    built().save_weights(folder / "weights.nabi")
    return folder / "weights.nabi"


def defaults(kind: Any, **given: Any) -> Callable[[Path], dict[str, Any]]:
    parameters = inspect.signature(kind).parameters.values()
    own = {one.name: one.default for one in parameters if one.default is not one.empty}
    return lambda _: {**own, **given}


CASES: dict[str, tuple[Callable[..., Any], Callable[[Path], dict[str, Any]]]] = {
    "compile": (
        method("compile"),
        lambda _: {
            "optimizer": "adam",
            "loss": "mse",
            "metrics": ["mae"],
            "loss_weights": None,
            "clipnorm": None,
            "clipvalue": None,
            "schedule": None,
            "schedule_every": "epoch",
            "device": None,
        },
    ),
    "fit": (
        method("fit"),
        lambda _: {
            "x": X,
            "y": Y,
            "batch_size": 4,
            "epochs": 1,
            "verbose": 0,
            "callbacks": None,
            "validation_split": 0.25,
            "validation_data": None,
            "shuffle": True,
            "class_weight": None,
            "sample_weight": ONES,
            "initial_epoch": 0,
            "steps_per_epoch": 1,
            "validation_steps": 1,
            "validation_batch_size": 2,
            "validation_freq": 1,
            "device": None,
        },
    ),
    "evaluate": (
        method("evaluate"),
        lambda _: {
            "x": X,
            "y": Y,
            "batch_size": 4,
            "verbose": 0,
            "sample_weight": ONES,
            "steps": 1,
            "callbacks": None,
        },
    ),
    "predict": (
        method("predict"),
        lambda _: {"x": X, "batch_size": 4, "verbose": 0, "steps": 1, "callbacks": None},
    ),
    "train_on_batch": (
        method("train_on_batch"),
        lambda _: {"x": X, "y": Y, "sample_weight": ONES, "class_weight": None},
    ),
    "test_on_batch": (method("test_on_batch"), lambda _: {"x": X, "y": Y, "sample_weight": ONES}),
    "predict_on_batch": (method("predict_on_batch"), lambda _: {"x": X}),
    "save": (method("save"), lambda folder: {"path": folder / "a.nabi", "overwrite": True}),
    "save_weights": (method("save_weights"), lambda folder: {"path": folder / "b.nabi"}),
    "load_weights": (method("load_weights"), lambda folder: {"path": saved_weights(folder)}),
    "load_training": (method("load_training"), lambda folder: {"path": saved(folder)}),
    "load_model": (
        models.load_model,
        lambda folder: {"path": saved(folder), "custom_objects": None, "compile": True},
    ),
    "get_layer": (method("get_layer"), lambda _: {"name": None, "index": 0}),
    "Input": (nabi.Input, lambda _: {"shape": (4, 2), "batch_size": None, "name": "x", "dtype": None}),
    "set_random_seed": (nabi.utils.set_random_seed, lambda _: {"seed": 1}),
    "to_categorical": (
        nabi.utils.to_categorical,
        lambda _: {"x": [0, 1], "num_classes": 2, "dtype": "float32"},
    ),
    "RNN": (RNN, defaults(RNN.__init__, cell=cells.LSTM(2), input_size=3)),
    "layers.RNN": (
        layers.RNN,
        lambda _: {"cell": layers.LSTMCell(2), "return_sequences": True, "unroll": False},
    ),
    "Bidirectional": (
        layers.Bidirectional,
        lambda _: {"layer": layers.LSTM(2), "merge_mode": "concat", "weights": None, "backward_layer": None},
    ),
    "TimeDistributed": (layers.TimeDistributed, lambda _: {"layer": layers.Dense(2)}),
    "StackedRNNCells": (layers.StackedRNNCells, lambda _: {"cells": [layers.LSTMCell(2)]}),
    "LSTM": (
        layers.LSTM,
        lambda _: {
            "units": 2,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "use_bias": True,
            "dropout": 0.1,
            "recurrent_dropout": 0.1,
            "implementation": 2,
            "return_sequences": True,
            "stateful": False,
            "seed": 1,
            "kernel_initializer": "zeros",
            "kernel_regularizer": "l2",
            "name": "memory",
            "trainable": True,
            "dtype": None,
            "input_shape": (4, 2),
        },
    ),
    "Dense": (layers.Dense, lambda _: {"units": 2, "activation": "tanh", "use_bias": True, "input_dim": 3}),
    "Embedding": (layers.Embedding, lambda _: {"input_dim": 5, "output_dim": 2, "mask_zero": True}),
    "Conv1D": (
        layers.Conv1D,
        lambda _: {
            "filters": 2,
            "kernel_size": 2,
            "strides": 1,
            "padding": "valid",
            "dilation_rate": 1,
            "groups": 1,
        },
    ),
    "Dropout": (layers.Dropout, lambda _: {"rate": 0.2, "noise_shape": None, "seed": 1}),
    "Reshape": (layers.Reshape, lambda _: {"target_shape": (2, -1)}),
    "Permute": (layers.Permute, lambda _: {"dims": (2, 1)}),
    "RepeatVector": (layers.RepeatVector, lambda _: {"n": 2}),
    "MaxPooling1D": (layers.MaxPooling1D, lambda _: {"pool_size": 2, "strides": None, "padding": "valid"}),
    "Concatenate": (layers.Concatenate, lambda _: {"axis": -1}),
    "Dot": (layers.Dot, lambda _: {"axes": 1, "normalize": False}),
    "decode": (
        decoding.decode,
        lambda _: {
            "model": Coin(),
            "state": None,
            "first": [0],
            "strategy": decoding.Greedy(),
            "end": 2,
            "maxlen": 3,
        },
    ),
    "gates": (
        explain.gates,
        lambda _: {"layer": RNN(cells.LSTM(2), 2), "inputs": np.ones((1, 2, 2)), "states": None},
    ),
    "gradient_distance": (
        explain.gradient_distance,
        lambda _: {
            "cells": ["lstm"],
            "steps": 5,
            "units": 3,
            "inputs": 2,
            "batch": 2,
            "seed": 0,
            "remember": None,
        },
    ),
    "piano_roll_picture": (
        explain.piano_roll_picture,
        lambda folder: {
            "frames": [[60]] * 4,
            "path": folder / "a.svg",
            "steps_per_beat": 1,
            "beats_per_bar": 4,
        },
    ),
    **{
        f"cells.{name}": (
            lambda name=name, **given: cells.get(name)(**given).program(2),
            defaults(cells.get(name), units=3, **cells.get(name).needed_settings(3, 2)),
        )
        for name in cells_of_today()
    },
    **{
        f"optimizers.{kind.__name__}": (
            kind,
            lambda _, kind=kind: dict(
                learning_rate=0.1, clipnorm=None, weight_decay=None, decay=0.0, **kind().settings
            ),
        )
        for kind in (optimizers.SGD, optimizers.Adam, optimizers.RMSprop, optimizers.Adagrad)
    },
    **{
        f"losses.{kind.__name__}": (kind, defaults(kind))
        for kind in (losses.MeanSquaredError, losses.Huber, losses.CategoricalCrossentropy)
    },
    **{
        f"initializers.{kind.__name__}": (kind, defaults(kind))
        for kind in (
            initializers.Constant,
            initializers.RandomNormal,
            initializers.RandomUniform,
            initializers.VarianceScaling,
            initializers.Orthogonal,
            initializers.GlorotUniform,
        )
    },
    **{
        f"regularizers.{kind.__name__}": (kind, defaults(kind))
        for kind in (regularizers.L1, regularizers.L2, regularizers.L1L2)
    },
    **{
        kind.__name__: (kind, defaults(kind, **given))
        for kind, given in (
            (callbacks.EarlyStopping, {}),
            (callbacks.ReduceLROnPlateau, {}),
            (callbacks.ModelCheckpoint, {"filepath": "a.nabi"}),
            (callbacks.CSVLogger, {"filename": "a.csv"}),
            (callbacks.BackupAndRestore, {"path": "a.nabi"}),
            (callbacks.LearningRateScheduler, {"schedule": lambda epoch: 0.1}),
        )
    },
    **{
        kind.__name__: (kind, defaults(kind))
        for kind in (
            nabi.TextClassifier,
            nabi.LanguageModel,
            nabi.NoteModel,
            nabi.Translator,
            nabi.Captioner,
            nabi.SeriesClassifier,
            nabi.ClipClassifier,
        )
    },
}


@pytest.mark.parametrize("name", CASES)
def test_junk_is_answered_with_an_error_of_nabis(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a text may be a name to save under
    function, valid = CASES[name]
    place = tmp_path / "right"
    place.mkdir()
    assert list(answers(function, lambda: valid(place), junk(tmp_path))) == []


@pytest.mark.parametrize(
    "batches",
    [
        [(X, Y)], [], [(X, Y, ONES, ONES)] * 3, [None] * 3, ["text"] * 3, [{"x": 1}] * 3, [X] * 3,
        [(X, Y[:3])] * 3, [(X[:, :, :1], Y)] * 3, [(X, None)] * 3,
    ],
)  # fmt: skip
def test_a_generator_that_gives_something_else(batches: list[Any]) -> None:
    """One that ends early is no fault; nor is it one that ends in Python's own error."""
    with contextlib.suppress(nabi.errors.NabiError):
        built().fit((batch for batch in batches), steps_per_epoch=3, epochs=2, verbose=0)

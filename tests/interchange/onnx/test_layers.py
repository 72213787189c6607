"""Every layer with a rendering in ONNX gives nabi's numbers in ONNX Runtime, under masks, too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import activations, cells, layers as L

from .running import Written, close, numbers, sequential, with_gaps


def check(path: Path, shape: Any, *stack: Any, x: Any) -> Written:
    model = sequential(shape, *stack)
    written = Written(model, path / "model.onnx")
    close(written.run(input=x)["output"], model(torch.as_tensor(x)))
    for name, weight in model.state_dict().items():
        assert torch.equal(written.own().tensors[f"weights/{name}"], weight)
    return written


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_a_masked_layer_keeps_keras_rule(
    tmp_path: Path, sequences: bool, backwards: bool, zero: bool
) -> None:
    rnn = L.GRU(4, return_sequences=sequences, go_backwards=backwards, zero_output_for_mask=zero)
    written = check(tmp_path, (None, 3), L.Masking(), rnn, x=with_gaps(3, 6, 3))
    assert written.operators.count("GRU") == 1


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_both_directions_are_one_operator(tmp_path: Path, mode: str) -> None:
    both = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=mode)
    written = check(tmp_path, (None, 3), L.Masking(), both, L.GlobalMaxPooling1D(), x=with_gaps(3, 6, 3))
    assert written.operators.count("LSTM") == 1


RECURRENT = {
    "last of both": [L.Bidirectional(L.RNN(cells.LayerNormLSTM(4)))],
    "masked, backwards first": [
        L.Masking(),
        L.Bidirectional(L.LSTM(4, go_backwards=True, return_sequences=True)),
        L.LSTM(3),
    ],
    "a stack of cells": [L.RNN([L.LSTMCell(3), L.GRUCell(4)], return_sequences=True)],
    "peepholes": [L.Masking(), L.RNN(cells.PeepholeLSTM(4), return_sequences=True), L.SimpleRNN(2)],
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers(tmp_path: Path, name: str) -> None:
    check(tmp_path, (None, 3), *RECURRENT[name], x=with_gaps(3, 6, 3))


WINDOWS = [
    *(
        (L.Conv1D, {"filters": 4, "kernel_size": 3, "padding": p, "strides": s})
        for p in ("valid", "same", "causal")
        for s in (1, 2)
    ),
    (L.Conv1D, {"filters": 4, "kernel_size": 4, "padding": "same", "dilation_rate": 2, "activation": "relu"}),
    (L.Conv1D, {"filters": 6, "kernel_size": 2, "groups": 3}),
    *(
        (kind, options)
        for kind in (L.MaxPooling1D, L.AveragePooling1D)
        for options in (
            {},
            {"padding": "same"},
            {"pool_size": 3, "strides": 1, "padding": "same"},
            {"pool_size": 3, "strides": 2},
        )
    ),
]


@pytest.mark.parametrize(("kind", "options"), WINDOWS, ids=str)
def test_windows_over_time(tmp_path: Path, kind: Any, options: dict[str, Any]) -> None:
    check(tmp_path, (None, 3), kind(**options), x=numbers(3, 7, 3))
    moves = (
        options.get("padding") == "same" and options.get("strides", 2 if "Pool" in kind.__name__ else 1) > 1
    )
    if not moves:
        check(tmp_path, (None, 3), L.Masking(), kind(**options), L.GRU(2), x=with_gaps(3, 7, 3))


PICTURES = [
    L.Conv2D(4, 3),
    L.Conv2D(4, (3, 2), padding="same", strides=2, activation="relu"),
    L.Conv2D(4, 3, padding="same", dilation_rate=2),
    L.MaxPooling2D(),
    L.MaxPooling2D(3, 2, "same"),
    L.AveragePooling2D(2, padding="same"),
    L.GlobalMaxPooling2D(),
    L.GlobalAveragePooling2D(keepdims=True),
]


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_windows_over_pictures(tmp_path: Path, number: int) -> None:
    check(tmp_path, (7, 6, 3), PICTURES[number], x=numbers(2, 7, 6, 3))


PLAIN = [
    L.LayerNormalization(),
    L.LayerNormalization(axis=1),
    L.BatchNormalization(),
    L.RMSNormalization(),
    L.UnitNormalization(),
    L.Softmax(),
    L.ReLU(2.0, 0.1, 0.3),
    L.ReLU(),
    L.ReLU(1.0),
    L.LeakyReLU(),
    L.ELU(0.5),
    L.PReLU(shared_axes=[1]),
    L.Permute((2, 1)),
    L.Reshape((-1,)),
    L.Reshape((3, -1)),
    L.Dropout(0.5),
    L.SpatialDropout1D(0.5),
    L.GaussianNoise(0.1),
    L.GaussianDropout(0.1),
    L.Identity(),
    L.ActivityRegularization(l1=0.1),
    L.Flatten(),
    L.GlobalAveragePooling1D(keepdims=True),
]


def test_layers_that_know_no_time(tmp_path: Path) -> None:
    for layer in PLAIN:
        check(tmp_path, (6, 3), layer, x=numbers(2, 6, 3))
    check(tmp_path, (3,), L.RepeatVector(4), L.GRU(2), x=numbers(2, 3))


def test_activations(tmp_path: Path) -> None:
    names = [
        name for name in activations.__all__ if name not in ("Activation", "get", "serialize", "deserialize")
    ]
    stack = [L.Dense(4, activation=name) for name in sorted(set(names))]
    assert len(stack) > 12
    for opset in (17, 22):
        model = sequential((4,), *stack[: len(stack) // 2])
        other = sequential((4,), *stack[len(stack) // 2 :])
        for one in (model, other):
            written = Written(one, tmp_path / "model.onnx", opset=opset)
            x = numbers(3, 4)
            close(written.run(input=x)["output"], one(torch.as_tensor(x)))
        stack = [L.Dense(4, activation=name) for name in sorted(set(names))]


def test_gates_of_keras_2_stay_those_of_the_operator(tmp_path: Path) -> None:
    gates = {"recurrent_activation": "hard_sigmoid_keras2"}
    for layer in (L.LSTM(3, **gates), L.GRU(3, **gates)):
        written = check(tmp_path, (None, 2), layer, x=numbers(2, 5, 2))
        assert type(layer).__name__ in written.operators


def test_words_and_sentences(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 5, (3, 6, 4))
    codes[1, 4:] = 0
    words = [
        L.Embedding(5, 3, mask_zero=True),
        L.Bidirectional(L.RNN(cells.CoupledLSTM(4), return_sequences=True)),
    ]
    check(
        tmp_path, (None,), *words, L.GlobalAveragePooling1D(), L.Dense(1, activation="sigmoid"), x=codes[:, 0]
    )
    sentences = [L.Embedding(5, 3, mask_zero=True), L.TimeDistributed(L.LSTM(3)), L.GRU(2)]
    check(tmp_path, (None, 4), *sentences, x=codes)
    deep = [L.TimeDistributed(L.LSTM(3, return_sequences=True)), L.TimeDistributed(L.GlobalMaxPooling1D())]
    check(tmp_path, (None, 4), L.Embedding(5, 3, mask_zero=True), *deep, L.GRU(2), x=codes)
    check(
        tmp_path,
        (None, 4),
        L.TimeDistributed(L.Embedding(5, 3)),
        L.TimeDistributed(L.LSTM(3)),
        L.GRU(2),
        x=codes,
    )


def test_pictures_over_time(tmp_path: Path) -> None:
    stack = [L.TimeDistributed(L.Conv2D(2, 3)), L.TimeDistributed(L.Flatten()), L.LSTM(3)]
    check(tmp_path, (None, 7, 6, 3), *stack, x=numbers(2, 4, 7, 6, 3))

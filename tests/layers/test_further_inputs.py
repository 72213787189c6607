"""Layers over cells that read more than their input: keyword arguments of the call, also in models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import cells, layers, models
from nabi.errors import ArgumentError, ShapeError
from nabi.scan import scan

B, T, D, S = 6, 5, 3, 2


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x, delta = random.normal(size=(B, T, D)), random.uniform(size=(B, T))
    static, y = random.normal(size=(B, S)), random.normal(size=(B, 1))
    return tuple(part.astype(np.float32) for part in (x, delta, static, y))  # type: ignore[return-value]


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_layer_is_its_scan(time_major: bool, go_backwards: bool) -> None:
    layer = layers.RNN(
        cells.CfC(4, backbone=6), return_sequences=True, time_major=time_major, go_backwards=go_backwards
    )
    x, delta, _, _ = (torch.from_numpy(part) for part in data())
    mask = torch.tensor([[True] * length + [False] * (T - length) for length in (5, 3, 0, 1, 5, 2)])
    turn = (lambda value: value.transpose(0, 1)) if time_major else (lambda value: value)
    output = turn(layer(turn(x), delta=turn(delta), mask=turn(mask)))
    layer.zero_output_for_mask = True
    output = turn(layer(turn(x), delta=turn(delta), mask=turn(mask)))
    expected, _, _ = scan(
        layer.program(),
        x,
        None,
        layer.cell_parameters(),
        mask=mask,
        extra={"delta": delta},
        reverse=go_backwards,
    )
    torch.testing.assert_close(output, expected.flip(1) if go_backwards else expected)


def test_a_model_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    nabi.utils.set_random_seed(0)
    x, delta, static = nabi.Input((None, D)), nabi.Input((None,)), nabi.Input((S,))
    hidden = layers.RNN(cells.TLSTM(4), return_sequences=True)(x, delta=delta)
    hidden = layers.Bidirectional(layers.RNN(cells.EALSTM(4, static_size=S)))(hidden, static=static)
    model = models.Model([x, delta, static], layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    *given, y = data()
    before = [weight.copy() for weight in model.get_weights()]
    losses = model.fit(given, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.nabi")
    loaded = models.load_model(tmp_path / "model.nabi")
    predicted = model.predict(given, verbose=0)
    np.testing.assert_array_equal(loaded.predict(given, verbose=0), predicted)
    later = [given[0], given[1] * 3, given[2]]
    assert np.abs(model.predict(later, verbose=0) - predicted).max() > 1e-4


def test_a_cell_with_a_default_is_a_layer_as_any_other() -> None:
    """`fit` trains it by autograd: rows of several inputs have no part of a chain."""
    model = nabi.Sequential([layers.RNN(cells.CTRNN(4), input_shape=(T, D)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, _, _, y = data()
    losses = model.fit(x, y, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    given: Any = torch.from_numpy(x)
    torch.testing.assert_close(model.layers[0](given), model.layers[0](given, delta=1.0))


def test_what_is_missing_or_wrong() -> None:
    x, delta, static, _ = (torch.from_numpy(part) for part in data())
    with pytest.raises(
        ArgumentError, match=r"static: expected .* got none; EALSTM reads it for each sequence"
    ):
        layers.RNN(cells.EALSTM(4, static_size=S))(x)
    with pytest.raises(ShapeError, match="static: expected"):
        layers.RNN(cells.EALSTM(4, static_size=S))(x, static=static[:, :1])
    with pytest.raises(ArgumentError, match="delta: expected nothing, since GRU reads x and its states only"):
        layers.GRU(4)(x, delta=delta)
    with pytest.raises(ArgumentError, match="delta: expected nothing; only a layer over one cell"):
        layers.RNN([layers.GRUCell(4), layers.GRUCell(4)])(x, delta=delta)
    with pytest.raises(ArgumentError, match="unroll: expected False for CfC"):
        layers.RNN(cells.CfC(4), unroll=True)(x, delta=delta)
    with pytest.raises(
        ArgumentError, match="cell: expected one that reads x only, got ea-lstm, which needs static"
    ):
        nabi.LanguageModel(cell="ea-lstm")

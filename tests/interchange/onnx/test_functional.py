"""Functional models: several inputs and outputs, states between layers, merging, attention."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import layers as L, models

from .running import Written, close, numbers, shake, with_gaps

X, Y = with_gaps(3, 6, 4), numbers(3, 5, 4, seed=1)


def check(path: Path, inputs: Any, outputs: Any, *arrays: Any) -> Written:
    model = models.Model(inputs, outputs)
    shake(model)
    given = [torch.as_tensor(one) for one in arrays]
    wanted = model(given if len(given) > 1 else given[0])
    written = Written(model, path / "model.onnx")
    found = written.run(**dict(zip(model.input_names, arrays, strict=True)))
    several = wanted if isinstance(wanted, list | tuple) else [wanted]
    for one, other in zip(found.values(), several, strict=True):
        close(one, other)
    return written


def test_states_go_from_layer_to_layer(tmp_path: Path) -> None:
    a, b = L.Input((None, 4), name="a"), L.Input((5, 4), name="b")
    _, h, c = L.LSTM(5, return_sequences=True, return_state=True)(L.Masking()(a))
    decoded = L.LSTM(5, return_sequences=True)(b, initial_state=[h, c])
    written = check(tmp_path, [a, b], [decoded, L.Dense(2)(h), c], X, Y)
    assert [one.name for one in written.session.get_inputs()] == ["a", "b"]


def test_two_directions_with_their_states(tmp_path: Path) -> None:
    a = L.Input((None, 4))
    both = L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True), merge_mode=None)
    check(tmp_path, a, list(both(L.Masking()(a))), X)


def attention(name: str, a: Any, b: Any) -> Any:
    if name == "scaled":
        return L.Attention(use_scale=True)([L.Masking()(a), L.LSTM(4, return_sequences=True)(b)])
    if name == "additive":
        return L.AdditiveAttention()([b, L.Masking()(a)])
    return L.Attention(score_mode="concat")([b, a], use_causal_mask=True, return_attention_scores=True)


@pytest.mark.parametrize("name", ["scaled", "additive", "causal"])
def test_attention(tmp_path: Path, name: str) -> None:
    a, b = L.Input((6, 4)), L.Input((5, 4))
    found = attention(name, a, b)
    check(tmp_path, [a, b], list(found) if isinstance(found, tuple) else found, X, Y)


@pytest.mark.parametrize("kind", [L.Add, L.Multiply, L.Maximum, L.Minimum, L.Average, L.Subtract])
def test_merging(tmp_path: Path, kind: Any) -> None:
    a, b, c = L.Input((6, 4)), L.Input((6, 4)), L.Input((4,))
    masked = kind()([L.Masking()(a), L.Masking()(b)])
    check(tmp_path, [a, b, c], [L.GRU(2)(masked), kind()([a, c])], X, X[::-1].copy(), Y[:, 0].copy())


def test_concatenation_and_dot_products(tmp_path: Path) -> None:
    a, b, c = L.Input((6, 4)), L.Input((6, 4)), L.Input((4,))
    side, end = (L.Concatenate(axis=axis)([L.Masking()(a), b]) for axis in (-1, 1))
    dots = [L.Dot(2, normalize=True)([a, b]), L.Dot((1, 1))([a, b]), L.Dot((2, 1))([a, c]), L.Dot(1)([c, c])]
    check(tmp_path, [a, b, c], [L.GRU(2)(side), L.GRU(2)(end), *dots], X, X[::-1].copy(), Y[:, 0].copy())


def test_a_model_within_a_model(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 7, (3, 6))
    inner = models.Sequential([L.Embedding(7, 3, mask_zero=True), L.Bidirectional(L.GRU(3)), L.Dense(2)])
    a = L.Input((None,), dtype="int64")
    written = check(tmp_path, a, inner(a), codes)
    assert written.session.get_inputs()[0].type == "tensor(int64)"


def test_one_layer_called_twice(tmp_path: Path) -> None:
    a, b, shared = L.Input((None, 4)), L.Input((None, 4)), L.LSTM(3)
    written = check(tmp_path, [a, b], L.Subtract()([shared(a), shared(b)]), X, Y)
    assert sum(one.name.endswith("_W") for one in written.message.graph.initializer) == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Slice", (1, 1, -1)),
        ("Slice", (1, None, None, -1)),
        ("Slice", (-1, 2, None, -2)),
        ("Reduce", ("mean", [1])),
        ("Reduce", ("norm", [-1, 1], True)),
        ("Arithmetic", ("subtract", (4,), True)),
        ("Arithmetic", ("maximum", (5, 1))),
        ("StartState", (4,)),
    ],
    ids=str,
)
def test_layers_of_one_operation(tmp_path: Path, name: str, arguments: tuple[Any, ...]) -> None:
    inputs = L.Input((5, 4))
    check(tmp_path, inputs, getattr(L, name)(*arguments)(inputs), Y)


@pytest.mark.parametrize("both", [False, True])
def test_a_mask_that_is_passed_in_the_call(tmp_path: Path, both: bool) -> None:
    inputs, lengths = L.Input((None, 4)), L.Input(())
    layer = L.Bidirectional(L.GRU(4)) if both else L.GRU(4)
    outputs = layer(inputs, mask=L.SequenceMask()([inputs, lengths]))
    check(tmp_path, [inputs, lengths], outputs, Y, np.array([5, 0, 2]))

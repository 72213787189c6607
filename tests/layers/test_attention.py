"""Attention layers: against the formulas and torch's own, with masks, in functional models, in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError

B, T, S, D, M = 2, 3, 4, 5, 6


def made() -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*shape, generator=random) for shape in ((B, T, D), (B, S, M), (B, S, D)))


COUNTS = torch.tensor([[True, True, False, True], [True, False, False, False]])
QUERIES = torch.tensor([[True, True, True], [True, True, False]])


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("causal", [False, True])
def test_dot_products_are_as_torch_has_them(causal: bool) -> None:
    query, value, key = made()
    counts = COUNTS[:, None].expand(B, T, S)
    seen = torch.ones(T, S, dtype=torch.bool).tril() & counts if causal else counts
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, seen, scale=1.0)
    found = layers.Attention()([query, value, key], mask=[None, COUNTS], use_causal_mask=causal)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kind", ["dot", "concat", "additive"])
def test_scores_are_the_formula(kind: str, scaled: bool) -> None:
    query, value, key = made()
    layer = (
        layers.AdditiveAttention(use_scale=scaled)
        if kind == "additive"
        else layers.Attention(use_scale=scaled, score_mode=kind)
    )
    layer([query, value, key])
    weights = {name: torch.rand(weight.shape) for name, weight in layer.named_parameters()}
    layer.load_state_dict(weights)
    scale = weights["scale"].numpy() if scaled else 1.0
    q, v, k = (one.numpy() for one in (query, value, key))
    if kind == "dot":
        scores = scale * np.einsum("btd,bsd->bts", q, k)
    else:
        together = q[:, :, None] + k[:, None]
        if kind == "concat":
            scores = weights["concat_score_weight"].numpy() * np.tanh(scale * together).sum(-1)
        else:
            scores = (scale * np.tanh(together)).sum(-1)
    found, shares = layer([query, value, key], return_attention_scores=True)
    np.testing.assert_allclose(shares.detach(), softmax(scores), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.detach(), softmax(scores) @ v, rtol=1e-5, atol=1e-6)
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == {
        **({"scale": (D,) if kind == "additive" else ()} if scaled else {}),
        **({"concat_score_weight": ()} if kind == "concat" else {}),
    }


def test_without_a_key_the_value_is_its_own() -> None:
    query, _, key = made()
    for layer in (layers.Attention(), layers.AdditiveAttention(use_scale=False)):
        torch.testing.assert_close(layer([query, key]), layer([query, key, key]))


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention])
def test_masks_hide_steps_of_both(kind: type[layers.Attention], as_array: bool) -> None:
    query, value, key = made()
    masks: list[Any] = [QUERIES.numpy(), COUNTS.numpy()] if as_array else [QUERIES, COUNTS]
    layer = kind()
    found, shares = layer([query, value, key], mask=masks, return_attention_scores=True)
    assert bool((shares[~COUNTS[:, None].expand_as(shares)] == 0).all())
    torch.testing.assert_close(shares.sum(-1), torch.ones(B, T))
    assert bool((found[~QUERIES] == 0).all())
    assert bool((found[QUERIES] != 0).all())
    assert torch.equal(found._keras_mask, QUERIES)
    assert not hasattr(shares, "_keras_mask")
    # What is hidden changes nothing, whatever it is.
    hidden = (~COUNTS)[..., None]
    again = layer([query, value.masked_fill(hidden, 9.0), key.masked_fill(hidden, -9.0)], mask=masks)
    torch.testing.assert_close(again, found)


def test_masks_come_with_the_inputs() -> None:
    embedding = layers.Embedding(9, D, mask_zero=True)
    source, target = torch.tensor([[3, 4, 0, 0], [5, 6, 7, 0]]), torch.tensor([[3, 0, 0], [4, 5, 0]])
    memory, queries = embedding(source), embedding(target)
    found = layers.Attention()([queries, memory])
    given = layers.Attention()([queries.detach(), memory.detach()], mask=[target != 0, source != 0])
    torch.testing.assert_close(found, given)
    assert torch.equal(found._keras_mask, target != 0)


def test_dropout_is_for_training_and_a_seed_makes_it_ones_own() -> None:
    query, value, key = made()
    plain = layers.Attention()([query, value, key])
    draws = []
    for _ in range(2):
        layer = layers.Attention(dropout=0.5, seed=3)
        assert torch.equal(layer([query, value, key]), plain)
        draws.append(layer([query, value, key], training=True, return_attention_scores=True))
    assert torch.equal(draws[0][0], draws[1][0])
    zero = draws[0][1] == 0
    assert 0 < int(zero.sum()) < zero.numel()


def test_more_axes_are_one_batch_each() -> None:
    query, value = torch.randn(2, 7, T, D), torch.randn(2, 7, S, D)
    found = layers.Attention()([query, value])
    torch.testing.assert_close(found[:, 3], layers.Attention()([query[:, 3], value[:, 3]]))


def test_gradients_are_right() -> None:
    inputs = [one.double().requires_grad_() for one in made()]
    for layer in (layers.Attention(True, dtype="float64"), layers.AdditiveAttention(dtype="float64")):
        layer(inputs)
        assert torch.autograd.gradcheck(
            lambda *parts, layer=layer: layer(list(parts), mask=[QUERIES, COUNTS]), inputs
        )


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
def test_in_a_functional_model_and_its_file(tmp_path: Path, kind: str) -> None:
    """With masks, the states of an encoder, and the weights as a second output."""
    source, target = nabi.Input((None,), name="source"), nabi.Input((None,), name="target")
    words = layers.Embedding(9, 6, mask_zero=True, name="words")
    memory, *states = layers.LSTM(5, return_sequences=True, return_state=True)(words(source))
    queries = layers.LSTM(5, return_sequences=True)(words(target), initial_state=states)
    context, shares = getattr(layers, kind)(name="look")([queries, memory], return_attention_scores=True)
    outputs = layers.Dense(9, activation="softmax")(layers.concatenate([context, queries]))
    assert context.shape == (None, None, 5)
    assert shares.shape == (None, None, None)
    model = nabi.Model([source, target], [outputs, shares])
    x = [np.array([[3, 4, 5, 0], [5, 6, 0, 0]]), np.array([[1, 3, 4], [1, 6, 0]])]
    found, looked = model.predict(x, verbose=0)
    assert looked.shape == (2, 3, 4)
    assert (looked[0, :, 3] == 0).all()
    assert (looked[1, :, 2:] == 0).all()
    # Padding of the source changes nothing.
    shorter, _ = model.predict([x[0][1:, :2], x[1][1:]], verbose=0)
    np.testing.assert_allclose(shorter[0, :2], found[1, :2], rtol=1e-5)
    training = nabi.Model([source, target], outputs)
    training.compile("adam", "sparse_categorical_crossentropy")
    history = training.fit(x, np.array([[3, 4, 1], [6, 1, 0]]), epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    training.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi")
    np.testing.assert_array_equal(again.predict(x, verbose=0), training.predict(x, verbose=0))


def test_masks_of_several_inputs_may_be_arrays() -> None:
    queries, memory = nabi.Input((T, D)), nabi.Input((S, D))
    model = nabi.Model([queries, memory], layers.Attention()([queries, memory]))
    query, _, key = made()
    found = model([query, key], mask=[QUERIES.numpy(), COUNTS.numpy()])
    expected = layers.Attention()([query, key], mask=[QUERIES, COUNTS])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 3, 4)], "expected a list of 2 or 3 tensors"),
        ([(2, 3, 4)] * 4, "expected a list of 2 or 3 tensors.*got 4 of them"),
        ([(2, 3, 4), (2, 3, 5)], r"expected a query .* got \(2, 3, 4\) and \(2, 3, 5\)"),
        ([(2, 3, 4), (2, 6, 5), (2, 5, 4)], "expected a query"),
        ([(2, 4), (2, 4)], "expected a query"),
    ],
)
def test_inputs_that_do_not_fit(shapes: list[tuple[int, ...]], message: str) -> None:
    for layer in (layers.Attention(), layers.AdditiveAttention()):
        with pytest.raises(ShapeError, match=message):
            layer([torch.zeros(shape) for shape in shapes])


def test_arguments_that_cannot_be_used() -> None:
    query, value, key = made()
    with pytest.raises(UnknownNameError, match="concat"):
        layers.Attention(score_mode="concatenate")
    with pytest.raises(ArgumentError, match="dropout"):
        layers.Attention(dropout=1.5)
    with pytest.raises(ShapeError, match="got one tensor"):
        layers.Attention()(query)
    with pytest.raises(ArgumentError, match=r"mask: .* expected a list"):
        layers.Attention()([query, value, key], mask=COUNTS)
    with pytest.raises(ArgumentError, match=r"mask: .*, got 1 masks"):
        layers.Attention()([query, value, key], mask=[COUNTS])


def test_a_layer_comes_back_from_its_config() -> None:
    first = layers.Attention(use_scale=True, score_mode="concat", dropout=0.1, seed=4, name="look")
    for layer in (first, layers.AdditiveAttention(use_scale=False, dropout=0.2)):
        again = layers.deserialize(layers.serialize(layer))
        assert type(again) is type(layer)
        assert again.get_config() == layer.get_config()
    assert "score_mode" not in layers.AdditiveAttention().get_config()

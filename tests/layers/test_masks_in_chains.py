"""Masks through whole networks for text: a padded batch gives what each row alone, unpadded, gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import layers
from nabi.models import Sequential, load_model

WORDS, WIDTH = 12, 4


def chain(draw, sequences: bool) -> Sequential:
    """Embedding, dropout, convolution, pooling, recurrence, and the largest values or each step's output."""
    padding = draw(st.sampled_from(["valid", "same", "causal"]))
    pooling = draw(st.sampled_from([layers.MaxPooling1D, layers.AveragePooling1D]))
    memory = draw(st.sampled_from([layers.LSTM, layers.GRU, layers.SimpleRNN]))(3, return_sequences=True)
    if draw(st.booleans()):
        memory = layers.Bidirectional(memory, draw(st.sampled_from(["concat", "sum", "mul"])))
    stride, dilation = draw(st.sampled_from([(1, 1), (2, 1), (1, 2)]))
    kinds = st.sampled_from(["valid", "same"])
    body = [
        layers.Input((None,)),
        layers.Embedding(WORDS, WIDTH, mask_zero=True),
        draw(st.sampled_from([layers.Dropout, layers.SpatialDropout1D]))(0.5),
        layers.Conv1D(3, draw(st.integers(1, 3)), stride, padding, dilation_rate=dilation, activation="relu"),
        pooling(draw(st.integers(1, 3)), draw(st.none() | st.just(1)), draw(kinds)),
        memory,
        layers.Dropout(0.3),
    ]  # fmt: skip
    if sequences:
        ends = [[layers.TimeDistributed(layers.Dense(2, "tanh"))], [layers.Dense(2)], []]
    else:
        last = [layers.GRU(3), layers.Bidirectional(layers.LSTM(2))]
        pooled = [layers.GlobalMaxPooling1D(), layers.GlobalAveragePooling1D()]
        ends = [[draw(st.sampled_from(pooled + last)), layers.Dense(2, "softmax")]]
    torch.manual_seed(draw(st.integers(0, 5)))
    return Sequential([*body, *draw(st.sampled_from(ends))])


@st.composite
def codes(draw):
    """Rows of words, each with its own zeros: after it, before it, or among it; some without any word."""
    length = draw(st.integers(1, 12))
    rows = []
    kind = draw(st.sampled_from(["post", "pre", "any"]))
    for _ in range(draw(st.integers(1, 3))):
        words = draw(st.lists(st.integers(1, WORDS - 1), max_size=length))
        zeros = [0] * (length - len(words))
        if kind == "any":
            places = draw(st.permutations(range(length)))[: len(words)]
            row = [0] * length
            for place, word in zip(sorted(places), words, strict=True):
                row[place] = word
        else:
            row = [*words, *zeros] if kind == "post" else [*zeros, *words]
        rows.append(row)
    return torch.tensor(rows)


@settings(max_examples=40, deadline=None)
@given(st.data(), codes(), st.booleans())
def test_a_padded_batch_gives_what_each_row_gives(data, rows, sequences) -> None:
    model = chain(data.draw, sequences).double()
    with torch.no_grad():
        model.layers[0].embeddings[0] = torch.nan  # what padding holds must not be seen anywhere
    output = model(rows)
    mask = getattr(output, "_keras_mask", None)
    assert (mask is not None) is sequences
    assert output.isfinite().all()
    weights = list(model.trainable_weights)
    score = (output[mask] if sequences else output).square().sum()
    found = torch.autograd.grad(score, weights, materialize_grads=True)
    expected = [torch.zeros_like(weight) for weight in weights]
    for number, row in enumerate(rows):
        words = row[row > 0]
        if not len(words):
            # Nothing is left of it, but that the outputs of an empty sequence go on.
            words = torch.tensor([0])
        alone = model(words[None])
        if sequences:
            torch.testing.assert_close(
                output[number][mask[number]], alone[alone._keras_mask], rtol=1e-10, atol=1e-10
            )
            value = alone[alone._keras_mask].square().sum()
        else:
            torch.testing.assert_close(output[number], alone[0], rtol=1e-10, atol=1e-10)
            value = alone.square().sum()
        for total, one in zip(
            expected, torch.autograd.grad(value, weights, materialize_grads=True), strict=True
        ):
            total += one
    torch.testing.assert_close(found, tuple(expected), rtol=1e-10, atol=1e-10)


def test_padding_changes_nothing_that_a_convolution_learns() -> None:
    """Two batches of the same texts, one padded to twice the length, give the same weights."""
    texts = np.array([[3, 4, 5, 6, 0, 0], [7, 8, 0, 0, 0, 0], [1, 2, 3, 9, 8, 7]])
    results = []
    for x in (texts, np.pad(texts, [(0, 0), (0, 6)]), np.pad(texts, [(0, 0), (5, 1)])):
        torch.manual_seed(0)
        model = Sequential(
            [
                layers.Embedding(WORDS, WIDTH, mask_zero=True),
                layers.Conv1D(4, 3, activation="relu"),
                layers.MaxPooling1D(2),
                layers.LSTM(3),
                layers.Dense(1, "sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy")
        model.fit(x, np.array([1.0, 0.0, 1.0]), epochs=5, verbose=0, shuffle=False)
        results.append(model.get_weights())
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_targets_of_steps_stay_with_their_steps() -> None:
    """A layer with an output for each step keeps a padding on the left where it is."""
    words = torch.tensor([[0, 0, 3, 4], [0, 5, 6, 7]])
    model = Sequential([layers.Embedding(WORDS, WIDTH, mask_zero=True), layers.Conv1D(2, 3, padding="same")])
    output = model(words)
    assert torch.equal(output._keras_mask, words > 0)
    torch.testing.assert_close(output[0, 2:], model(words[:1, 2:])[0])
    torch.testing.assert_close(output[1, 1:], model(words[1:, 1:])[0])


TEXTS = torch.tensor([[[3, 4, 5], [6, 0, 0], [0, 0, 0]], [[1, 2, 0], [0, 0, 0], [0, 0, 0]]])  # [B, T, words]


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (lambda: layers.Conv1D(2, 2, padding="same"), 3),
        (lambda: layers.MaxPooling1D(2), 1),
        (lambda: layers.LSTM(2, return_sequences=True), 3),
        (lambda: layers.Dense(2), 3),
        (lambda: layers.LSTM(2), None),
        (lambda: layers.GlobalMaxPooling1D(), None),
        (lambda: layers.Flatten(), None),
    ],
)
def test_sentences_of_words(inner, words) -> None:
    """`TimeDistributed` reads each sentence with its own mask, and makes the mask that comes out of it."""
    vectors = layers.Embedding(WORDS, WIDTH, mask_zero=True)(TEXTS)
    layer = inner()
    outer = layers.TimeDistributed(layer)
    output = outer(vectors)
    mask = (TEXTS > 0).flatten(0, 1) if layer.supports_masking else None
    flat = layer(vectors.flatten(0, 1), mask=mask)
    torch.testing.assert_close(output.flatten(0, 1), flat)
    if words is None:
        assert output._keras_mask.tolist() == [[True, True, False], [True, False, False]]
        layers.GRU(2)(output)
    else:
        assert output._keras_mask.shape == (2, 3, words)
        assert torch.equal(output._keras_mask.flatten(0, 1), flat._keras_mask)
    sentences = torch.tensor([[True, True, False], [True, False, False]])
    kept = outer(vectors.detach(), mask=sentences)  # of sentences only: their words are all read
    assert torch.equal(kept._keras_mask, sentences)
    torch.testing.assert_close(kept.flatten(0, 1), layer(vectors.detach().flatten(0, 1)))


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_outputs_that_are_turned_around_have_their_mask_turned(wrapped, time_major) -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    layer = layers.GRU(
        2, return_sequences=True, go_backwards=True, time_major=time_major, zero_output_for_mask=True
    )
    layer = layers.Bidirectional(layer) if wrapped else layer
    x = torch.randn(2, 3, 4)
    output = layer(x.transpose(0, 1), mask=mask.T) if time_major else layer(x, mask=mask)
    assert torch.equal((output != 0).any(-1), output._keras_mask)
    assert torch.equal(output._keras_mask, mask.T.flip(0) if time_major else mask.flip(1))


def test_a_saved_network_reads_masks_as_before(tmp_path) -> None:
    words = np.array([[3, 4, 5, 6, 0, 0], [7, 8, 0, 0, 0, 0], [1, 2, 3, 9, 8, 7]])
    model = Sequential(
        [
            layers.Input((None,)),
            layers.Embedding(WORDS, WIDTH, mask_zero=True),
            layers.SpatialDropout1D(0.2, seed=3),
            layers.Conv1D(4, 3, padding="causal"),
            layers.AveragePooling1D(2, padding="same"),
            layers.MaxPooling1D(2, 1),
            layers.GRU(3, return_sequences=True),
            layers.GlobalAveragePooling1D(),
        ]
    )
    expected = model.predict(words)
    model.save(tmp_path / "network.nabi")
    found = load_model(tmp_path / "network.nabi")
    np.testing.assert_array_equal(found.predict(words), expected)
    np.testing.assert_allclose(found.predict(words[1:2, :2]), expected[1:2], rtol=1e-5, atol=1e-6)

import time
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import nabi
from nabi.data import LengthGroups
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.layers import LSTM, Dense, Embedding

sequences_of_codes = st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=40)


@settings(deadline=None)
@given(
    sequences_of_codes,
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["post", "pre"]),
    st.sampled_from([np.int32, np.int64, np.uint16, list]),
)
def test_every_sample_is_there_once(sequences, batch_size, shuffle, grouped, padding, kind):
    count = len(sequences)
    given_ones = [list(s) if kind is list else np.array(s, dtype=kind) for s in sequences]
    targets, weights = np.arange(count), np.arange(count) / 2
    groups = LengthGroups(
        given_ones,
        targets,
        weights,
        batch_size=batch_size,
        shuffle=shuffle,
        grouped=grouped,
        padding=padding,
        seed=3,
    )
    for _ in range(3):
        padded_steps = groups.padded_steps
        batches = list(groups)
        assert len(batches) == len(groups) == -(-count // batch_size)
        seen = Counter()
        for x, y, w in batches:
            assert x.dtype == torch.int64
            assert len(x) <= batch_size
            widest = max(len(sequences[sample]) for sample in (y.tolist() if grouped else range(count)))
            assert x.shape[1] == max(1, widest)
            for row, sample, weight in zip(x.tolist(), y.tolist(), w.tolist(), strict=True):
                length = len(sequences[sample])
                steps, filling = (
                    (row[:length], row[length:])
                    if padding == "post"
                    else (row[len(row) - length :], row[: len(row) - length])
                )
                assert steps == sequences[sample]
                assert not any(filling)
                assert weight == sample / 2
                seen[sample] += 1
        assert seen == Counter(range(count))
        assert padded_steps == sum(x.numel() for x, _, _ in batches)
        assert groups.valid_steps == sum(map(len, sequences))
        if not shuffle:
            assert [sample for _, y, _ in batches for sample in y.tolist()] == groups.order.tolist()


def lengths(count=500, seed=0):
    return np.random.default_rng(seed).integers(1, 200, size=count)


def some_groups(count=500, **options):
    return LengthGroups([np.ones(length, int) for length in lengths(count)], np.arange(count), **options)


def orders(groups, epochs):
    return [[sample for _, y in groups for sample in y.tolist()] for _ in range(epochs)]


def test_every_epoch_has_an_order_that_the_seed_gives():
    first, again, other = (orders(some_groups(seed=seed), 3) for seed in (1, 1, 2))
    assert first == again
    assert first[0] != first[1] != first[2]
    assert first != other
    later = some_groups(seed=1)
    later.epoch = 2
    assert orders(later, 1) == first[2:]
    ordered = orders(some_groups(shuffle=False), 2)
    assert ordered[0] == ordered[1]
    assert ordered[0] == np.argsort(lengths(), kind="stable").tolist()
    assert orders(some_groups(shuffle=False, grouped=False), 1) == [list(range(500))]


def test_without_a_seed_the_random_state_of_numpy_gives_one():
    np.random.seed(5)
    first = orders(some_groups(), 1)
    np.random.seed(5)
    assert orders(some_groups(), 1) == first
    assert orders(some_groups(), 1) != first


def test_grouping_saves_padding_and_keeps_chance():
    grouped, plain = (some_groups(20_000, batch_size=32, seed=0, grouped=value) for value in (True, False))
    assert grouped.valid_steps == plain.valid_steps == lengths(20_000).sum()
    assert grouped.padded_steps < 1.03 * grouped.valid_steps
    assert plain.padded_steps == 20_000 * 199
    # The lengths of the batches come in any order, and a batch is another one in the next epoch.
    widths = np.array([x.shape[1] for x, _ in grouped])
    assert abs(np.corrcoef(widths[1:], widths[:-1])[0, 1]) < 0.15
    first, second = ({frozenset(y.tolist()) for _, y in grouped} for _ in range(2))
    assert not first & second


def test_a_batch_is_made_quickly():
    groups = LengthGroups([np.ones(300, np.int32)] * 6400, np.zeros(6400), batch_size=64)
    start = time.process_time()
    count = sum(len(x) for x, _ in groups)
    # Measured: 0.1 ms.
    assert (time.process_time() - start) / (count / 64) < 0.001


def small_model(outputs=1, activation="sigmoid"):
    nabi.utils.set_random_seed(0)
    model = nabi.Sequential(
        [Embedding(10, 4, mask_zero=True), LSTM(3), Dense(outputs, activation=activation)]
    )
    loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
    model.compile(optimizer=nabi.optimizers.Adam(0.03), loss=loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("padding", ["post", "pre"])
@pytest.mark.parametrize("grouped", [True, False])
def test_predictions_are_those_of_single_samples(padding, grouped):
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 10, size=length) for length in random.integers(1, 12, size=21)]
    model = small_model()
    single = np.concatenate([model.predict(sequence[None], verbose=0) for sequence in sequences])
    groups = LengthGroups(sequences, batch_size=4, shuffle=False, padding=padding, grouped=grouped)
    predictions = model.predict(groups, verbose=0)
    restored = np.empty_like(predictions)
    restored[groups.order] = predictions
    np.testing.assert_allclose(restored, single, rtol=0, atol=1e-6)


def test_a_model_learns_from_groups():
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 10, size=length) for length in random.integers(1, 12, size=300)]
    classes = [int(sequence[-1]) % 3 for sequence in sequences]
    model = small_model(3, "softmax")
    groups = LengthGroups(sequences, classes, np.ones(300), batch_size=10, seed=0)
    held_out = LengthGroups(sequences[:50], classes[:50], shuffle=False)
    history = model.fit(groups, validation_data=held_out, epochs=10, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    assert model.evaluate(held_out, verbose=0)[1] == pytest.approx(history["val_accuracy"][-1])


def test_weights_count():
    sequences, classes = [[1], [2, 2]], [0, 1]
    plain, weighted = (
        small_model().evaluate(LengthGroups(sequences, classes, weights, batch_size=1), verbose=0)[0]
        for weights in (None, [0.0, 1.0])
    )
    second = small_model().evaluate(LengthGroups(sequences[1:], classes[1:]), verbose=0)[0]
    # The mean is over both samples, as Keras has it.
    assert 2 * weighted == pytest.approx(second, rel=1e-5)
    assert plain != pytest.approx(weighted, rel=1e-3)


def test_targets_of_several_labels():
    ((x, y),) = LengthGroups([[1], [2, 3]], np.eye(2, dtype=np.float32), shuffle=False)
    assert (x.tolist(), y.tolist()) == ([[1, 0], [2, 3]], [[1, 0], [0, 1]])
    ((x, y),) = LengthGroups(torch.tensor([[1], [2]]), torch.tensor([0, 1]), shuffle=False)
    assert (x.tolist(), y.tolist()) == ([[1], [2]], [0, 1])


@pytest.mark.parametrize(
    ("sequences", "options", "error", "message"),
    [
        ([], {}, ArgumentError, r"sequences: expected a list of sequences, got \[\]"),
        (iter([[1]]), {}, ArgumentError, "sequences: "),
        ("text", {}, ArgumentError, "sequences: expected a list, got 'text'"),
        ([[1], "a"], {}, ArgumentError, r"sequences\[1\]: .* a list of whole numbers"),
        ([[1], [0.5]], {}, ArgumentError, r"sequences\[1\]: expected .* got float64 of shape \(1,\)"),
        ([[1], [[1]]], {}, ArgumentError, r"sequences\[1\]: expected .* got int64 of shape \(1, 1\)"),
        ([[1], [1, [2]]], {}, ArgumentError, r"sequences\[1\]: "),
        ([[1]], {"targets": [1, 2]}, ShapeError, "targets: expected one for each of 1 sequences, got shape"),
        ([[1]], {"targets": 1}, ShapeError, "targets: expected one for each of 1 sequences"),
        ([[1]], {"targets": ["a"]}, ArgumentError, "targets: expected numbers"),
        ([[1]], {"targets": [[1], [1, 2]]}, ArgumentError, "targets: expected numbers"),
        (
            [[1]],
            {"targets": [1], "weights": [[1]]},
            ShapeError,
            r"weights: expected the shape \[N\], got \(1, 1\)",
        ),
        ([[1]], {"weights": [1]}, ArgumentError, "weights: expected targets as well"),
        ([[1]], {"padding": "left"}, UnknownNameError, "padding: 'left'"),
        ([[1]], {"batch_size": 0}, ArgumentError, "batch_size: expected a whole number of at least 1, got 0"),
        (
            [[1]],
            {"batch_size": 2.0},
            ArgumentError,
            r"batch_size: expected a whole number of at least 1, got 2\.0",
        ),
        (
            [[1]],
            {"seed": -1},
            ArgumentError,
            r"seed: expected a whole number from 0 to 2\*\*63 - 1 or None, got -1",
        ),
        ([[1]], {"seed": "x"}, ArgumentError, "seed: expected a whole number or None, got 'x'"),
    ],
)
def test_errors(sequences, options, error, message):
    with pytest.raises(error, match=message):
        LengthGroups(sequences, **options)


def test_an_order_that_changes_is_not_given():
    with pytest.raises(ArgumentError, match="shuffle=False"):
        _ = LengthGroups([[1]]).order

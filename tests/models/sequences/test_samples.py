"""Samples: batches, and how some are held out."""

import numpy as np
import pytest

from nabi.data import Labels
from nabi.errors import ArgumentError
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._samples import NO_LABEL, SequenceSamples
from nabi.models._sequences._training import balanced_weights


def samples(count: int, **told) -> SequenceSamples:
    random = np.random.default_rng(0)
    inputs = [np.full((int(random.integers(1, 9)), 2), row, np.float32) for row in range(count)]
    return SequenceSamples(inputs, [row % 3 for row in range(count)], **told)


def test_every_sequence_is_in_one_batch_of_an_epoch_with_others_of_its_length() -> None:
    those = samples(50)
    batches = those.shuffled(8, [0, 1])
    assert sorted(np.concatenate(batches).tolist()) == list(range(50))
    assert all(np.ptp(those.lengths[rows]) <= 2 for rows in batches)
    assert [rows.tolist() for rows in those.shuffled(8, [0, 2])] != [rows.tolist() for rows in batches]
    assert [rows.tolist() for rows in those.shuffled(8, [0, 1])] == [rows.tolist() for rows in batches]
    lengths = [those.lengths[rows].max() for rows in those.by_length(8)]
    assert lengths == sorted(lengths)


def test_a_batch_is_padded_at_the_end() -> None:
    inputs = [np.array([3, 4], np.uint8), np.array([5], np.uint8)]
    batch = SequenceSamples(inputs, [np.array([1, NO_LABEL]), np.array([2])]).batch([1, 0])
    assert batch.inputs.tolist() == [[5, 0], [3, 4]]
    assert batch.lengths.tolist() == [1, 2]
    assert batch.targets.tolist() == [[2, NO_LABEL], [1, NO_LABEL]]
    assert batch.target_lengths.tolist() == [1, 2]


def test_each_class_has_its_share_in_what_is_held_out() -> None:
    train, held_out = samples(60).divided(0.2, 0)
    assert (len(train), len(held_out)) == (48, 12)
    assert np.bincount(held_out.targets).tolist() == [4, 4, 4]
    assert set(train.names).isdisjoint(held_out.names)
    assert len(samples(60).divided(0, 0)[1]) == 0


def test_a_group_is_never_divided() -> None:
    groups = tuple(f"speaker {row % 6}" for row in range(60))
    for seed in range(5):
        train, held_out = samples(60, groups=groups).divided(0.2, seed)
        assert set(train.groups).isdisjoint(held_out.groups)
        assert len(held_out) == 10
    uneven = ("much",) * 50 + tuple("abcdefghij")
    for seed in range(5):
        train, held_out = samples(60, groups=uneven).divided(0.1, seed)
        assert set(train.groups).isdisjoint(held_out.groups)
        assert len(train)
        assert len(held_out)


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"validation_share: 0\.5 of 1 sequences cannot be held out"):
        samples(1).divided(0.5, 0)
    with pytest.raises(ArgumentError, match="validation_share: expected"):
        samples(9).divided(1.0, 0)
    with pytest.raises(ArgumentError, match="names: expected one for each of 2 sequences, got 1"):
        SequenceSamples([np.ones(3), np.ones(3)], names=("one",))


def test_balanced_weights_make_the_classes_equal() -> None:
    those = SequenceSamples([np.ones(4)] * 2, [np.array([0, 0, 0, NO_LABEL]), np.array([0, 2, 2, NO_LABEL])])
    weights = balanced_weights(those, 3)
    assert weights.tolist() == pytest.approx([6 / (2 * 4), 0, 6 / (2 * 2)])


def test_labels_are_checked_and_the_sequence_named() -> None:
    names = ("first", "second")
    labels = learn_labels([1, np.int64(2)], names, "class")
    assert labels.names == ("1", "2")
    assert encode_labels(["2", 1.0], names, "class", labels) == [1, 0]
    steps = learn_labels([["a", None], ["b"]], names, "step")
    one, other = encode_labels([["a", None], ["b"]], names, "step", steps, [2, 1])
    assert (one.tolist(), other.tolist()) == ([0, NO_LABEL], [1])
    for values, answer, lengths, message in [
        (["a", "c"], "class", None, r"second: expected one of the labels learnt from \(a, b\), got 'c'"),
        ([["a"], ["b"]], "step", [1, 3], "second: expected a label for each of its 3 steps, got 1 labels"),
        (["a", "b"], "step", [1, 1], "first: expected a list of labels, got 'a'"),
        ([["a"], [None]], "string", None, "second: expected a label, got none"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            encode_labels(values, names, answer, Labels(["a", "b"]), lengths)

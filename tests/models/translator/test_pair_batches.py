"""Pairs in batches of about the same length."""

import numpy as np
import pytest

from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.models._translator._pair_batches import PairBatches
from nabi.models._translator._pairs import Pairs, divide, encode_pairs


def made(count: int, batch_size: int, seed: int = 0) -> PairBatches:
    random = np.random.default_rng(seed)
    sources, targets = (
        [random.integers(4, 50, random.integers(1, 30)).astype(np.int32) for _ in range(count)]
        for _ in range(2)
    )
    return PairBatches(sources, targets, batch_size)


def test_a_batch_has_what_is_read_and_what_is_to_be_said() -> None:
    pairs = PairBatches(
        [np.array([5], np.int32), np.array([6, 7, 8], np.int32)],
        [np.array([9, 10], np.int32), np.array([], np.int32)],
        2,
    )
    batch = pairs.batch(np.array([1, 0]))
    assert batch.source.tolist() == [[6, 7, 8], [5, 0, 0]]
    assert batch.source_lengths.tolist() == [3, 1]
    assert batch.read.tolist() == [[1, 0, 0], [1, 9, 10]]
    assert batch.said.tolist() == [[1, 0, 0], [9, 10, 1]]
    assert batch.target_lengths.tolist() == [1, 3]


def test_every_pair_is_in_every_epoch_once_and_orders_differ() -> None:
    pairs = made(1003, 10)
    epochs = [pairs.shuffled(3, epoch) for epoch in (0, 1)]
    assert len(pairs) == 101
    for batches in (*epochs, pairs.ordered()):
        assert len(batches) == len(pairs)
        assert sorted(np.concatenate(batches).tolist()) == list(range(1003))
    assert [rows.tolist() for rows in epochs[0]] != [rows.tolist() for rows in epochs[1]]
    again = made(1003, 10).shuffled(3, 1)
    assert [rows.tolist() for rows in again] == [rows.tolist() for rows in epochs[1]]
    # Batches do not go from short to long.
    widths = [pairs.batch(rows).source.shape[1] for rows in epochs[0]]
    assert widths != sorted(widths)


def test_little_is_padding() -> None:
    pairs = made(1000, 10)
    cells = steps = 0
    for rows in pairs.shuffled(0, 0):
        batch = pairs.batch(rows)
        assert batch.source.shape[1] == batch.source_lengths.max()
        assert batch.read.shape[1] == batch.target_lengths.max()
        cells += batch.source.numel()
        steps += int(batch.source_lengths.sum())
    assert steps > 0.9 * cells


def test_pairs_of_the_same_source_stay_together() -> None:
    sources = [f"source {number % 100}" for number in range(300)]
    pairs = Pairs.checked(sources, [str(number) for number in range(300)])
    train, held = divide(pairs, 0.1, seed=1)
    assert len(held) == 30
    assert len(train) == 270
    assert not set(train.sources) & set(held.sources)
    assert sorted(train.targets + held.targets, key=int) == pairs.targets
    assert [sources[place] for place in held.places] == held.sources
    assert divide(pairs, 0.1, seed=2)[1].sources != held.sources
    assert len(divide(pairs, 0, seed=1)[1]) == 0


def test_pairs_with_an_empty_or_long_side_are_left_out() -> None:
    vocabulary = Vocabulary.learn(["a b c d e"])
    pairs = Pairs.checked(["a", " ", "b", "a b c d"], ["b", "c", "", "a"]).select([3, 2, 1, 0])
    encoded = encode_pairs(pairs, vocabulary, vocabulary, 3)
    assert [codes.tolist() for codes in encoded.sources] == [[4]]
    assert [codes.tolist() for codes in encoded.targets] == [[5]]
    assert encoded.left_out == ["sources[3] has 4 words", "targets[2] is empty", "sources[1] is empty"]
    assert len(encode_pairs(pairs, vocabulary, vocabulary, None)) == 2
    assert encoded.room == -1


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        (["a"], ["b", "c"], "sources, targets: got 1 and 2 texts, expected as many of each"),
        ("a", ["b"], "sources: expected a list of texts, got 'a'"),
        (["a"], None, "targets: expected a list of texts, got None"),
        (["a"], [3], r"targets\[0\]: expected a text, got 3"),
    ],
)
def test_what_are_no_pairs_is_refused(sources: object, targets: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Pairs.checked(sources, targets)

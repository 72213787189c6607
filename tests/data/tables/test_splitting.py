import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from nabi.data import stratified_split
from nabi.errors import ArgumentError

shares = st.floats(0.01, 0.99)


@given(st.lists(st.sampled_from("aaaabbc"), min_size=2), shares, st.integers(0, 2**32))
def test_every_class_is_in_both_parts(labels, share, seed):
    counts = Counter(labels)
    if max(counts.values()) == 1:
        return
    kept, held_out = stratified_split(labels, share, seed=seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert kept.tolist() == sorted(kept)
    assert held_out.tolist() == sorted(held_out)
    for label, count in counts.items():
        held = sum(labels[sample] == label for sample in held_out)
        if count == 1:
            assert held == 0
        else:
            assert 1 <= held <= count - 1
            assert abs(held - share * count) <= 1


several = st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), min_size=2, max_size=60)


@given(several, shares, st.integers(0, 9))
def test_samples_with_several_labels_are_all_dealt_out(labels, share, seed):
    try:
        kept, held_out = stratified_split(labels, share, seed=seed)
    except ArgumentError:
        # Nothing to hold out: every label, and having none, is there once.
        assert max(Counter(name for row in labels for name in set(row) or {None}).values()) == 1
        return
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert len(kept)
    assert len(held_out)


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_several_labels(seed):
    random = np.random.default_rng(seed)
    targets = (random.random((1000, 6)) < [0.5, 0.3, 0.1, 0.05, 0.01, 0.004]).astype(np.float32)
    _, held_out = stratified_split(targets, 0.2, seed=seed)
    assert abs(len(held_out) - 200) <= 20
    for label in range(6):
        count, held = targets[:, label].sum(), targets[held_out, label].sum()
        assert abs(held - 0.2 * count) <= max(1, 0.03 * count)
        if count > 1:
            assert 0 < held < count


@pytest.mark.parametrize("labels", [["a", "b", "a", "b", "a"] * 9, [["a"], ["a", "b"], [], ["b"]] * 9])
def test_the_seed_says_how(labels):
    first, again, other = (stratified_split(labels, 0.3, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_labels_of_many_kinds():
    numbers = np.array([0, 1, 1, 0, 1, 0] * 3)
    expected = stratified_split(numbers.tolist(), 0.3)[1].tolist()
    for labels in (numbers, numbers.astype(float), numbers[:, None], torch.tensor(numbers), tuple(numbers)):
        assert stratified_split(labels, 0.3)[1].tolist() == expected
    rows = [["a"], ["a", "b"], [], ["b"]] * 4
    array = np.array([[1, 0], [1, 1], [0, 0], [0, 1]] * 4)
    assert stratified_split(rows, 0.3)[1].tolist() == stratified_split(array, 0.3)[1].tolist()


def test_the_order_inside_sets_does_not_matter():
    """It is another one in every process."""

    def split(factor):
        class Name(str):
            __slots__ = ()

            def __hash__(self):
                return factor * ord(self[0])

        # Every label is as rare as every other: which one comes first is all that matters.
        rows = [{Name(first), Name(second)} for first, second in itertools.combinations("abcdefgh", 2)]
        return [list(row) for row in rows], stratified_split(rows, 0.3)[1].tolist()

    (rows, first), (other_rows, second) = split(1), split(-1)
    assert rows != other_rows
    assert first == second


@pytest.mark.parametrize(
    ("labels", "share", "seed", "message"),
    [
        (["a", "a"], 0, 0, "share: expected a number between 0 and 1, got 0"),
        (["a", "a"], 1.0, 0, r"share: expected a number between 0 and 1, got 1\.0"),
        (["a", "a"], float("nan"), 0, "share: expected a number between 0 and 1, got nan"),
        (["a", "a"], "half", 0, "share: expected a number, got 'half'"),
        (["a", "a"], 0.5, -1, r"seed: expected a whole number from 0 to 2\*\*63 - 1, got -1"),
        (["a", "a"], 0.5, None, "seed: expected a whole number, got None"),
        (["a"], 0.5, 0, "labels: expected at least two, got 1"),
        ([], 0.5, 0, "labels: expected at least two, got 0"),
        ("aa", 0.5, 0, "labels: expected a label for each sample, got 'aa'"),
        (3, 0.5, 0, "labels: expected a label for each sample, got 3"),
        (["a", "b"], 0.5, 0, "expected a class with two samples or more"),
        ([["a"], [["b"]]], 0.5, 0, r"labels\[1\]: expected a label, got \[\['b'\]\]"),
        (np.zeros((2, 2, 2)), 0.5, 0, r"labels: expected the shape .* got \(2, 2, 2\)"),
        (np.array(3), 0.5, 0, r"labels: expected the shape .* got \(\)"),
        ([{}, {}], 0.5, 0, r"labels\[0\]: expected a label, got \{\}"),
    ],
)
def test_errors(labels, share, seed, message):
    with pytest.raises(ArgumentError, match=message):
        stratified_split(labels, share, seed=seed)

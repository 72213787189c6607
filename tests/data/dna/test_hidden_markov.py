"""Made DNA: the forward-backward figures against sums over all paths, and against what was made."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from nabi.data import HiddenMarkovDNA, cpg_islands, split_genes
from nabi.errors import ArgumentError, ShapeError

SMALL = HiddenMarkovDNA(
    np.array([0.6, 0.3, 0.1]),
    np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]),
    np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]]),
    ("b", "a", "b"),
)


def test_probabilities_are_those_of_the_sum_over_all_paths() -> None:
    sequences = ["ACGTA", "TTTTT", "GATTA"]
    found = SMALL.posterior(sequences)
    assert SMALL.label_names == ("a", "b")
    for row, sequence in enumerate(sequences):
        codes = ["ACGT".index(letter) for letter in sequence]
        expected = np.zeros((5, 2))
        for path in itertools.product(range(3), repeat=5):
            chance = SMALL.starts[path[0]]
            for before, after in itertools.pairwise(path):
                chance *= SMALL.moves[before, after]
            for state, code in zip(path, codes, strict=True):
                chance *= SMALL.bases[state, code]
            for place, state in enumerate(path):
                expected[place, SMALL.label_names.index(SMALL.labels[state])] += chance
        np.testing.assert_allclose(found[row], expected / expected.sum(1, keepdims=True), rtol=1e-10)


@pytest.mark.parametrize("model", [cpg_islands(), split_genes(), SMALL])
def test_the_best_reading_is_as_good_as_it_says_and_longer_sequences_keep_their_precision(model) -> None:
    made = model.make(60, 300, seed=1)
    posterior, best = model.posterior(made.sequences), model.best_labels(made.sequences)
    right = np.array([[one == other for one, other in zip(*pair, strict=True)] for pair in zip(
        best, made.labels, strict=True)])  # fmt: skip
    assert right.mean() == pytest.approx(posterior.max(2).mean(), abs=0.03)
    np.testing.assert_allclose(posterior.sum(2), 1, rtol=1e-9)
    commonest = max(sum(row.count(name) for row in made.labels) for name in model.label_names) / right.size
    assert right.mean() > commonest + 0.03


def test_the_same_seed_makes_the_same_and_boundaries_are_what_they_are_said_to_be() -> None:
    model = split_genes()
    made, again, other = model.make(30, 200, seed=2), model.make(30, 200, seed=2), model.make(30, 200, seed=3)
    assert made == again
    assert made.sequences != other.sequences
    starts = ends = 0
    for sequence, labels in zip(made.sequences, made.labels, strict=True):
        for place in range(1, 190):
            around = labels[place - 1 : place + 1]
            if around == ["exon", "boundary"]:
                assert sequence[place : place + 2] == "GT"
                starts += 1
            if around == ["boundary", "exon"]:
                assert sequence[place - 2 : place] == "AG"
                ends += 1
    assert min(starts, ends) > 20


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"starts: expected the shape \(3,\), got \(2,\)"):
        replace(SMALL, starts=np.array([0.5, 0.5]))
    with pytest.raises(ArgumentError, match="moves: expected probabilities that sum to 1"):
        replace(SMALL, moves=np.ones((3, 3)))
    for given, message in [
        ("ACGT", "sequences: expected a list of texts"),
        ([], "sequences: expected a list of texts"),
        (["ACG", "AC"], "expected texts of one length, got lengths from 2 to 3"),
        ([""], "expected texts of one length, got lengths from 0 to 0"),
        (["ACN"], "got an ambiguity code"),
        (["ACX"], "expected the bases"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            SMALL.posterior(given)
    never = replace(SMALL, bases=np.array([[0.5, 0.5, 0, 0]] * 3))
    with pytest.raises(ArgumentError, match=r"sequences\[1\]: this model cannot make the base 2"):
        never.posterior(["ACA", "AGA"])
    for name in ("leave_island", "enter_island"):
        with pytest.raises(ArgumentError, match=f"{name}: expected a number between 0 and 1, got 1"):
            cpg_islands(**{name: 1})
    for name in ("end_exon", "end_intron"):
        with pytest.raises(ArgumentError, match=f"{name}: expected a number between 0 and 1, got 0"):
            split_genes(**{name: 0})
    with pytest.raises(ArgumentError, match="count: expected a whole number of at least 1, got 0"):
        SMALL.make(0, 5)

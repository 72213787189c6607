"""Letters of DNA: codes, ambiguity, words, the other strand."""

import itertools

import numpy as np
import pytest

from nabi.data import (
    COMPLEMENT,
    DNA_LETTERS,
    SHARES,
    dna_one_hot,
    dna_words,
    encode_dna,
    reverse_complement,
)
from nabi.errors import ArgumentError, ShapeError


def test_the_words_of_the_lecture() -> None:
    assert dna_words("ACCCGA") == ["ACC", "CCC", "CCG", "CGA"]
    found = dna_one_hot("ACCCGA", words=3)
    assert found.shape == (4, 64)
    places = ["".join(letters) for letters in itertools.product("ACGT", repeat=3)]
    assert [places[column] for column in found.argmax(1)] == ["ACC", "CCC", "CCG", "CGA"]
    assert (found.sum(1) == 1).all()
    assert (found.max(1) == 1).all()


def test_ambiguity_codes_are_shared_among_their_bases() -> None:
    np.testing.assert_array_equal(dna_one_hot("N"), [[0.25] * 4])
    np.testing.assert_array_equal(dna_one_hot("r"), [[0.5, 0, 0.5, 0]])
    np.testing.assert_allclose(dna_one_hot("B"), [[0, 1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(SHARES.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(SHARES.max(1), 1 / (SHARES > 0).sum(1), rtol=1e-6)
    # A word with an N may be four words; one with N and R eight.
    found = dna_one_hot("ANT", words=3)[0]
    assert found[found > 0].tolist() == [0.25] * 4
    assert (dna_one_hot("NRT", words=3)[0] > 0).sum() == 8
    # The mean over what letters may stand for is the word itself.
    options = [dna_one_hot(f"{first}{second}T", words=3)[0] for first in "ACGT" for second in "AG"]
    np.testing.assert_allclose(dna_one_hot("NRT", words=3)[0], np.mean(options, 0), rtol=1e-6)


def test_the_other_strand() -> None:
    assert reverse_complement("aacg") == "CGTT"
    assert reverse_complement("RYSWKMBDHVN") == "NBDHVKMWSRY"
    assert reverse_complement("") == ""
    text = "ACGTRYSWKMBDHVN" * 3
    assert reverse_complement(reverse_complement(text)) == text
    # The shares of the complement are those of the letter from the other end: A and T, C and G change places.
    np.testing.assert_array_equal(SHARES[COMPLEMENT], SHARES[:, ::-1])


def test_lower_case_and_rna_are_read() -> None:
    assert encode_dna("acguACGT").tolist() == [0, 1, 2, 3] * 2
    assert encode_dna(DNA_LETTERS).tolist() == list(range(15))
    assert encode_dna("").shape == (0,)
    assert dna_one_hot("AC", words=3).shape == (0, 64)
    np.testing.assert_array_equal(dna_one_hot(encode_dna("ACNG"), 2), dna_one_hot("acng", 2))


@pytest.mark.parametrize("letter", ["X", "-", "*", "é", "1", " "])
def test_letters_that_are_no_base_are_named(letter: str) -> None:
    for function in (encode_dna, reverse_complement, dna_words, dna_one_hot):
        with pytest.raises(ArgumentError, match=r"sequence: expected the bases A, C, G and T .* at base 4"):
            function(f"ACG{letter}A")


def test_wrong_arguments_are_named() -> None:
    for given in (3, None, ["A"]):
        with pytest.raises(ArgumentError, match="sequence: expected a text"):
            encode_dna(given)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="size: expected a whole number of at least 1, got 0"):
        dna_words("ACG", 0)
    with pytest.raises(ArgumentError, match="words: expected a whole number from 1 to 6, got 7"):
        dna_one_hot("ACG", words=7)
    with pytest.raises(ArgumentError, match="sequence: expected codes from 0 to 14, got 0 to 15"):
        dna_one_hot(np.array([0, 15]))
    with pytest.raises(ShapeError, match=r"sequence: expected letters or codes of the shape \[T\]"):
        dna_one_hot(np.zeros((2, 4)))

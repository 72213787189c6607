"""What a text classifier chooses by itself: which rows are held out, and what texts are cut into."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from nabi.models._classifier._choices import _choose_unit
from nabi.models._classifier._held_out import HeldOut
from nabi.models._classifier._samples import Samples
from nabi.models._classifier._split import divide


def a_sequence(random_: random.Random, letters: str, length: int) -> str:
    return "".join(random_.choice(letters) for _ in range(length))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(50, 80), st.booleans())
def test_rows_of_a_text_stay_on_one_side(seed: int, texts: int, several: bool) -> None:
    random_ = random.Random(seed)
    rows = [f"text {text}" for text in range(texts) for _ in range(random_.randint(1, 4))]
    names = [random_.choice("abc") for _ in rows]
    labels = [(name,) if several else name for name in names]
    samples = Samples([*rows, "text 0"], [*labels, labels[0]], several=several)
    parts = divide(samples, HeldOut(seed=seed % 1000))
    sides = [part for part in (parts.train, parts.validation, parts.test) if part is not None]
    assert len(sides) == 3
    assert Counter(row for side in sides for row in side.texts) == Counter([*rows, "text 0"])
    for one in range(3):
        for other in range(one):
            assert not set(sides[one].texts) & set(sides[other].texts)
    assert not any("flatters" in note for note in parts.notes)
    if not several:
        assert all(set(side.labels) == {"a", "b", "c"} for side in sides)


def test_of_few_texts_the_rows_are_divided_and_a_note_says_so() -> None:
    parts = divide(Samples(["good", "bad"] * 20, ["+", "-"] * 20), HeldOut())
    assert any("which flatters the figures" in note for note in parts.notes)


@pytest.mark.parametrize(
    ("letters", "length", "unit"), [("ACGT", 60, "characters"), ("ACDEFGHIKLMNPQRSTVWY", 90, "characters")]
)
def test_sequences_of_letters_are_read_letter_by_letter(letters: str, length: int, unit: str) -> None:
    random_ = random.Random(0)
    texts = [a_sequence(random_, letters, length) for _ in range(40)]
    assert _choose_unit(texts[:30], texts[30:])[0] == unit
    spaced = [" ".join(text[start : start + 10] for start in range(0, length, 10)) for text in texts]
    assert _choose_unit(spaced[:30], spaced[30:])[0] == "pieces"


def test_words_are_read_as_words() -> None:
    texts = ["the film was good and the people were happy", "a long and sad story of a dog"] * 10
    assert _choose_unit(texts, texts) == ("words", "0% of the words of held-out texts would be unknown")


def notes_of(texts: list[str], labels: list[str]) -> str:
    return " ".join(divide(Samples(texts, list(labels)), HeldOut()).notes)


def test_several_labels_in_a_cell_are_met_with_the_option() -> None:
    texts = [f"text {number}" for number in range(80)]
    joined = ["red; blue", "blue", "red;green", "green"] * 20
    assert "such as 'red; blue'" in notes_of(texts, joined)
    assert "label_separator=';' takes them apart" in notes_of(texts, joined)
    for labels in (["red", "blue"] * 40, ["Paris, France", "Berlin, Germany"] * 40):
        assert "label_separator" not in notes_of(texts, labels)
    # One cell is enough where its parts are labels of other rows.
    once = [*["red", "blue"] * 39, "red", "red;blue"]
    assert "1 row seems to have several labels in one cell, such as 'red;blue'" in notes_of(texts, once)


@pytest.mark.parametrize("value", ["{}", "-{}.5", "1,{}", "2024-01-{:02d}", "{}/1/2024", "{} %", "1e{}"])
def test_numbers_and_dates_as_texts_are_named(value: str) -> None:
    texts = [value.format(1 + number % 28) for number in range(60)]
    said = notes_of(texts, ["a", "b"] * 30)
    assert f"60 of 60 rows hold a number or a date, such as {texts[0]!r}" in said
    assert "number or a date" not in notes_of([f"room {text}" for text in texts], ["a", "b"] * 30)

"""The tokenizer gives the numbers of Keras 2's, which were written down from it."""

import json
from typing import Any

import numpy as np
import pytest

from nabi.errors import ArgumentError
from nabi.preprocessing.text import Tokenizer, text_to_word_sequence, tokenizer_from_json

TEXTS = ["The cat sat on the mat.", "The dog\tsat, too!", "a cat -- a dog"]


def fitted(**options: Any) -> Tokenizer:
    made = Tokenizer(**options)
    made.fit_on_texts(TEXTS)
    return made


def test_words_by_frequency_then_as_they_came() -> None:
    made = fitted()
    assert made.word_index == {
        "the": 1, "cat": 2, "sat": 3, "dog": 4, "a": 5, "on": 6, "mat": 7, "too": 8,
    }  # fmt: skip
    assert made.word_counts["the"] == 3
    assert made.word_docs["the"] == 2
    assert made.document_count == 3
    assert made.texts_to_sequences(["the mouse sat on a dog"]) == [[1, 3, 6, 5, 4]]
    assert made.sequences_to_texts([[1, 3, 99, 5]]) == ["the sat a"]
    made.fit_on_texts(["mat mat mat mat"])
    assert made.word_index["mat"] == 1


def test_unknown_words_and_a_limit() -> None:
    made = fitted(num_words=4, oov_token="<oov>")
    assert made.word_index["<oov>"] == 1
    assert made.texts_to_sequences(["the mouse sat on the cat"]) == [[2, 1, 1, 1, 2, 3]]
    assert made.sequences_to_texts([[2, 3, 4, 1]]) == ["the cat <oov> <oov>"]
    assert fitted(num_words=3).texts_to_sequences(["the cat sat"]) == [[1, 2]]
    # A word that is in the texts as well has the number of its frequency.
    assert fitted(oov_token="cat").texts_to_sequences(["the mouse"]) == [[2, 3]]


def test_characters_and_lists_of_words() -> None:
    made = Tokenizer(char_level=True, lower=False)
    made.fit_on_texts(["aB, a", "ba"])
    assert made.word_index == {"a": 1, "B": 2, ",": 3, " ": 4, "b": 5}
    listed = Tokenizer()
    listed.fit_on_texts([["New York", "is"], ["is"]])
    assert listed.word_index == {"is": 1, "new york": 2}
    cut = Tokenizer(analyzer=lambda text: text.split("-"))
    cut.fit_on_texts(["a-b-a"])
    assert cut.texts_to_sequences(["b-a"]) == [[2, 1]]
    assert text_to_word_sequence("A,b  c", filters="", lower=False, split=" ") == ["A,b", "c"]


def test_matrices() -> None:
    made = fitted(num_words=4)
    texts = ["the cat the", "sat"]
    assert made.texts_to_matrix(texts).tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    assert made.texts_to_matrix(texts, "count").tolist() == [[0, 2, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(made.texts_to_matrix(texts, "freq")[0], [0, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(
        made.texts_to_matrix(texts, "tfidf")[0],
        [0, (1 + np.log(2)) * np.log(1 + 3 / 3), np.log(1 + 3 / 3), 0],
    )
    numbers = Tokenizer(num_words=3)
    numbers.fit_on_sequences([[1, 2], [2, 2]])
    np.testing.assert_allclose(numbers.sequences_to_matrix([[2]], "tfidf")[0], [0, 0, np.log(1 + 2 / 3)])


def test_json_keeps_everything() -> None:
    made = fitted(num_words=5, oov_token="?")
    again = tokenizer_from_json(made.to_json())
    assert again.get_config() == made.get_config()
    assert again.texts_to_matrix(TEXTS, "tfidf").tolist() == made.texts_to_matrix(TEXTS, "tfidf").tolist()
    assert isinstance(json.loads(made.to_json())["config"]["word_index"], str)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: fitted().texts_to_sequences("one text"), "texts: expected several texts, got 'one text'"),
        (lambda: fitted().texts_to_sequences([3]), "texts: expected texts, or lists of words, got 3"),
        (
            lambda: fitted().texts_to_matrix(TEXTS, "binry"),
            "mode: 'binry' is not known; did you mean 'binary'",
        ),
        (
            lambda: Tokenizer().texts_to_matrix(TEXTS),
            "num_words: expected a number, or a call to fit_on_texts",
        ),
        (lambda: Tokenizer(num_words=3).texts_to_matrix(TEXTS, "tfidf"), "mode: 'tfidf' needs a call to fit"),
        (lambda: Tokenizer(num_words=0), "num_words: expected a whole number of at least 1 or None, got 0"),
        (lambda: Tokenizer(nb_words=3), "'nb_words' is not known; did you mean 'num_words'"),
        (
            lambda: tokenizer_from_json("{}"),
            r"json_string: expected the output of Tokenizer\.to_json, got '{}'",
        ),
        (lambda: text_to_word_sequence(None), "text: expected a text, got None"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be(attempt: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        attempt()

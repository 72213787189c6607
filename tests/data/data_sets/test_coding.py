"""What the arrays of load_data are: types, codes, limits, labels."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from nabi.data._data_sets import Coding, rank_words
from nabi.data._data_sets._coding import _words
from nabi.datasets import fake_news, imdb, nsmc, reuters
from nabi.errors import ArgumentError

from .conftest import Stories, write_json_lines, write_reviews

ROWS = [
    ("train", 1, "The film, the FILM - a joy; isn't it?"),
    ("train", 0, "The plot: a bore."),
    ("train", 1, "A film! A film!"),
    ("test", 0, "The plot is a film's bore"),
    ("test", 1, ""),
]
# a 4, film 4, the 3, bore 1, isn't 1, it 1, joy 1, plot 1
INDEX = {"a": 1, "film": 2, "the": 3, "bore": 4, "isn't": 5, "it": 6, "joy": 7, "plot": 8}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_reviews(tmp_path / "imdb.csv", ROWS)


def rows_of(x: Any) -> list[list[int]]:
    return sorted(x.tolist())


def test_word_index(path: Path) -> None:
    index = imdb.get_word_index(path)
    assert index == INDEX
    assert list(index.values()) == list(range(1, 9)), "in the order of rank"


def test_arrays(path: Path) -> None:
    (x, y), (x_test, y_test) = imdb.load_data(path)
    for array in (x, x_test):
        assert (array.dtype, array.ndim) == (np.dtype(object), 1)
        assert all(type(row) is list and all(type(code) is int for code in row) for row in array)
    assert (y.dtype, y_test.dtype) == (np.dtype(np.int64), np.dtype(np.int64))
    first = [1, 6, 5, 6, 5, 4, 10, 8, 9]
    assert rows_of(x) == [[1, 4, 5, 4, 5], first, [1, 6, 11, 4, 7]]
    assert y[[row == first for row in x]].tolist() == [1]
    assert rows_of(x_test) == [[1], [1, 6, 11, 4, 7]], "is and film's are in no training review"
    assert [label for row, label in zip(x_test, y_test, strict=True) if row == [1]] == [1]


def test_rows_of_one_length_are_no_matrix(tmp_path: Path) -> None:
    path = write_reviews(
        tmp_path / "imdb.csv", [("train", 0, "a b"), ("train", 1, "b a"), ("test", 0, "a a")]
    )
    (x, _), (x_test, _) = imdb.load_data(path)
    assert (x.shape, x_test.shape) == ((2,), (1,))
    assert type(x[0]) is list


def test_the_order_is_that_of_the_texts(path: Path) -> None:
    for seed in range(5):
        for (x, y), (texts, labels) in zip(
            imdb.load_data(path, seed=seed, start_char=None, index_from=0),
            imdb.load_texts(path, seed=seed),
            strict=True,
        ):
            words = [[word for word in _words(text) if word in INDEX] for text in texts]
            assert x.tolist() == [[INDEX[word] for word in row] for row in words]
            assert [imdb.get_label_names()[label] for label in y] == labels
    orders = {tuple(imdb.load_texts(path, seed=seed)[0][0]) for seed in range(20)}
    assert len(orders) == 6, "every order of three reviews"


def test_reuters_with_maxlen_splits_what_is_left(tmp_path: Path, stories: Stories) -> None:
    path = write_json_lines(tmp_path / "s.jsonl", stories)
    (x, y), (x_test, y_test) = reuters.load_data(path, maxlen=8)
    assert len(x) + len(x_test) == 6, "the headlines"
    assert (len(x), len(x_test), y.dtype, y_test.dtype) == (4, 2, np.dtype(np.int64), np.dtype(np.int64))
    assert set(y.tolist()) | set(y_test.tolist()) <= {3, 4}


@pytest.mark.parametrize("module", [reuters, imdb, fake_news, nsmc])
def test_names_of_labels(module: Any) -> None:
    names = module.get_label_names()
    assert len(set(names)) == len(names) == (46 if module is reuters else 2)


@pytest.mark.parametrize("name", ["num_words", "skip_top", "maxlen", "start_char", "oov_char", "index_from"])
def test_wrong_numbers(path: Path, name: str) -> None:
    for wrong in (-1, 1.5, "3", True, [1]):
        with pytest.raises(ArgumentError, match=rf"^{name}: expected a whole number"):
            imdb.load_data(path, **{name: wrong})
    if name in ("skip_top", "index_from"):
        with pytest.raises(ArgumentError, match=f"^{name}: expected a whole number, got None"):
            imdb.load_data(path, **{name: None})
    assert len(imdb.load_data(path, **{name: np.int64(7)})[0][0]) > 0


def test_a_maxlen_that_leaves_nothing(path: Path) -> None:
    with pytest.raises(ArgumentError, match="maxlen: expected more than the codes of some text, got 5"):
        imdb.load_data(path, maxlen=5)
    assert len(imdb.load_data(path, maxlen=6)[0][0]) == 2


def test_no_limit_keeps_every_word(path: Path) -> None:
    """Keras' own code takes the largest code for the limit, and so loses the rarest word."""
    for none in (None, 0):
        (x, _), _ = imdb.load_data(path, num_words=none, oov_char=None)
        assert max(map(max, x)) == 8 + 3
    (x, _), _ = imdb.load_data(path, num_words=11, oov_char=None)
    assert max(map(max, x)) == 10


words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=8).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(words, min_size=1, max_size=8),
    num_words=st.integers(0, 20),
    skip_top=st.integers(0, 12),
    start=st.one_of(st.none(), st.integers(0, 9)),
    unknown=st.one_of(st.none(), st.integers(0, 9)),
    first=st.integers(0, 6),
)
def test_codes_mean_their_words(
    texts: list[str], num_words: int, skip_top: int, start: int | None, unknown: int | None, first: int
) -> None:
    ranks = rank_words(texts)
    counts = [sum(_words(text).count(word) for text in texts) for word in ranks]
    assert counts == sorted(counts, reverse=True)
    assert list(ranks.values()) == list(range(1, len(ranks) + 1))
    word_of = {rank + first: word for word, rank in ranks.items()}

    coding = Coding(num_words, skip_top, None, start, unknown, first)
    x, _ = coding.arrays((texts, ["a"] * len(texts)), ranks, ("a",))
    whole, _ = Coding(0, 0, None, None, None, first).arrays((texts, ["a"] * len(texts)), ranks, ("a",))
    for row, all_codes, text in zip(x, whole, texts, strict=True):
        assert [word_of[code] for code in all_codes] == _words(text)
        full = all_codes if start is None else [start, *all_codes]
        inside = [skip_top <= code and (num_words == 0 or code < num_words) for code in full]
        if unknown is None:
            assert row == [code for code, kept in zip(full, inside, strict=True) if kept]
        else:
            assert row == [code if kept else unknown for code, kept in zip(full, inside, strict=True)]


def test_arguments_are_those_of_keras() -> None:
    """Names, order and defaults; only the default of path is shorter."""
    shared = {"num_words": None, "skip_top": 0, "maxlen": None}
    codes = {"seed": 113, "start_char": 1, "oov_char": 2, "index_from": 3}
    assert defaults(reuters.load_data) == {"path": None, **shared, "test_split": 0.2, **codes}
    for module in (imdb, fake_news, nsmc):
        assert defaults(module.load_data) == {"path": None, **shared, **codes}
        assert list(defaults(module.load_data)) == ["path", *shared, *codes]
    assert list(defaults(reuters.load_data)) == ["path", *shared, "test_split", *codes]


def defaults(function: Any) -> dict[str, Any]:
    return {name: value.default for name, value in inspect.signature(function).parameters.items()}

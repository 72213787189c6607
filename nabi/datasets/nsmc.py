"""NSMC: 200,000 short negative and positive Korean film reviews, a quarter of them for test.

The Naver sentiment movie corpus. A sample in a single CSV file can be read too."""

import os

from nabi._public import public
from nabi.data._data_sets import (
    NSMC,
    SENTIMENTS,
    Arrays,
    Coding,
    Part,
    random_order,
    rank_words,
    read_parts,
    shuffled,
)

__all__ = ["get_label_names", "get_word_index", "load_data", "load_texts"]


@public
def load_data(
    path: str | os.PathLike[str] | None = None,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """Return reviews as lists of word codes, and 0 (negative) or 1 for each: `(x, y)` of training, of test.

    Words are separated by spaces and ASCII punctuation. The arguments, arrays and errors are those of
    `nabi.datasets.imdb.load_data`; `path` is a folder with the published `ratings_train.txt` and
    `ratings_test.txt`, or a CSV file with the columns split, label and text (in a folder,
    `nsmc_sample.csv.xz`).
    """
    coding = Coding(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    order = random_order(seed)
    parts = read_parts(NSMC, path)
    ranks = rank_words(parts[0][0])
    training, test = (coding.arrays(part, ranks, SENTIMENTS) for part in shuffled(parts, order))
    return training, test


@public
def load_texts(path: str | os.PathLike[str] | None = None, *, seed: int | None = 113) -> tuple[Part, Part]:
    """Return reviews labelled "negative" or "positive": `(texts, labels)` of training, of test.

    The arguments, the errors and the order of the reviews are those of `load_data` without `maxlen`.
    """
    order = random_order(seed)
    training, test = shuffled(read_parts(NSMC, path), order)
    return training, test


def get_word_index(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    """Return each word's rank by frequency in the training reviews, from 1; add `index_from` for its code.

    `path` and the errors are those of `load_data`.
    """
    return rank_words(read_parts(NSMC, path)[0][0])


def get_label_names() -> tuple[str, ...]:
    """Return the names of the labels 0 and 1.

    >>> get_label_names()
    ('negative', 'positive')
    """
    return SENTIMENTS

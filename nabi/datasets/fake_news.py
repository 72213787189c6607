"""COVID-19 fake news: 10,700 real and fake posts, for training, validation and test (Patwa et al. 2021)."""

import os

from nabi._public import public
from nabi.data._data_sets import (
    FAKE_NEWS,
    TRUTH,
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
) -> tuple[Arrays, Arrays, Arrays]:
    """Return posts as lists of word codes, and 0 (fake) or 1: `(x, y)` of training, validation, test.

    The arguments, arrays and errors are those of `nabi.datasets.imdb.load_data`; `path` is a folder with
    `Constraint_Train.csv`, `Constraint_Val.csv` and `english_test_with_labels.csv`, optionally prefixed with
    `covid_fake_news_`.
    """
    coding = Coding(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    order = random_order(seed)
    parts = read_parts(FAKE_NEWS, path)
    ranks = rank_words(parts[0][0])
    training, validation, test = (coding.arrays(part, ranks, TRUTH) for part in shuffled(parts, order))
    return training, validation, test


@public
def load_texts(
    path: str | os.PathLike[str] | None = None, *, seed: int | None = 113
) -> tuple[Part, Part, Part]:
    """Return posts labelled "real" or "fake": `(texts, labels)` of training, validation, test.

    The arguments, the errors and the order of the posts are those of `load_data` without `maxlen`.
    """
    order = random_order(seed)
    training, validation, test = shuffled(read_parts(FAKE_NEWS, path), order)
    return training, validation, test


def get_word_index(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    """Return each word's rank by frequency in the training posts, from 1; add `index_from` for its code.

    `path` and the errors are those of `load_data`.
    """
    return rank_words(read_parts(FAKE_NEWS, path)[0][0])


def get_label_names() -> tuple[str, ...]:
    """Return the names of the labels 0 and 1.

    >>> get_label_names()
    ('fake', 'real')
    """
    return TRUTH

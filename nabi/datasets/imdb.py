"""IMDB: 50,000 negative and positive film reviews, half of them for test (Maas et al. 2011)."""

import os

from nabi._public import public
from nabi.data._data_sets import (
    IMDB,
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

    Words are separated by spaces and ASCII punctuation (except the apostrophe) and lowercased. A word's code
    is its frequency rank in the training reviews plus `index_from`: with the defaults 4 is the most frequent
    word, 1 begins a review, 2 replaces words that are left out, and 0 is free for padding. As in Keras, words
    that occur only in test reviews are skipped.

    Args:
        path: of the published `aclImdb_v1.tar.gz`, of a CSV file with the columns split, label and text, or
            of a folder with one of them. None, or Keras' `"imdb.npz"`: see `nabi.datasets`.
        num_words: keep codes below this number; None or 0 keeps all words.
        skip_top: leave out codes below this number; as in Keras, including `start_char`.
        maxlen: leave out reviews with this many codes or more.
        seed: of the order; None for a new order each time.
        start_char: code at the beginning of each review; None for none.
        oov_char: code that replaces words left out; None drops them.
        index_from: added to a word's rank.

    Returns:
        `(x, y)` of training and of test: x an array `[N]` of objects, each a list of int; y int64 `[N]`.

    Raises:
        ArgumentError: for numbers out of range, and if `maxlen` leaves nothing.
        MissingFileError: if the files do not exist or cannot be downloaded.
        FileFormatError: if a file is damaged or the wrong one.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "imdb.csv"
    >>> rows = ["split,label,text", "train,1,A good good film.", "test,0,Not a film!"]
    >>> _ = path.write_text(chr(10).join(rows))
    >>> (x_train, y_train), (x_test, y_test) = load_data(path)
    >>> x_train[0], x_test[0]
    ([1, 5, 4, 4, 6], [1, 5, 6])
    """
    coding = Coding(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    order = random_order(seed)
    parts = read_parts(IMDB, path)
    ranks = rank_words(parts[0][0])
    training, test = (coding.arrays(part, ranks, SENTIMENTS) for part in shuffled(parts, order))
    return training, test


@public
def load_texts(path: str | os.PathLike[str] | None = None, *, seed: int | None = 113) -> tuple[Part, Part]:
    """Return reviews labelled "negative" or "positive": `(texts, labels)` of training, of test.

    The arguments, the errors and the order of the reviews are those of `load_data` without `maxlen`.

    >>> (texts, labels), _ = load_texts()  # doctest: +SKIP
    >>> len(texts)  # doctest: +SKIP
    25000
    """
    order = random_order(seed)
    training, test = shuffled(read_parts(IMDB, path), order)
    return training, test


def get_word_index(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    """Return each word's rank by frequency in the training reviews, from 1; add `index_from` for its code.

    `path` and the errors are those of `load_data`.
    """
    return rank_words(read_parts(IMDB, path)[0][0])


def get_label_names() -> tuple[str, ...]:
    """Return the names of the labels 0 and 1.

    >>> get_label_names()
    ('negative', 'positive')
    """
    return SENTIMENTS

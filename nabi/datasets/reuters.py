"""Reuters-21578: 11,228 newswire stories of 1987, each with one of 46 topics (Lewis 1997).

The task is the one that Keras made of them: a story counts with its first topic, and topics with fewer than
15 stories are left out. Topics have Keras' numbers (3 is earn, 4 is acq), and stories have their places in
Keras' arrays, so the same ones are for the test. The text of a story is its body, or its title where it has
no body.

The codes are not Keras': there a story without a body has that of the next one, and the marks `&lt;` and
`&#3;` of the files became the words "lt" and "3".
"""

import os

from nabi._public import public
from nabi.data._data_sets import (
    REUTERS,
    TOPICS,
    Arrays,
    Coding,
    Part,
    checked_share,
    kept_count,
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
    test_split: float = 0.2,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """Return stories as lists of word codes, and the numbers of their topics: `(x, y)` of training, of test.

    A word is what stands between spaces and ASCII's marks (not the apostrophe), in lower case. Its code is
    its rank by frequency in all stories, plus `index_from`: with the defaults 4 is the most frequent word, 1
    begins a story, 2 stands for words that are left out, and 0 is free for padding.

    Args:
        path: of `reuters21578.tar.gz` as it is published, or of a JSON-lines file with id, topics, title and
            body of each story, or a folder with one of them. None, or Keras' `"reuters.npz"`: see
            `nabi.datasets`.
        num_words: codes stay below this number; None or 0 keeps all words.
        skip_top: codes below this number are left out; as in Keras, `start_char` counts.
        maxlen: stories with this many codes or more are left out, before the split.
        test_split: share of the stories that are for the test.
        seed: of the order, which decides the split too; None for another order each time.
        start_char: code at the beginning of each story; None for none.
        oov_char: code in the place of words that are left out; None for none.
        index_from: is added to a word's rank.

    Returns:
        Twice `(x, y)`: x an array `[N]` of objects, each a list of int; y int64 `[N]`, from 0 to 45.

    Raises:
        ArgumentError: for numbers that cannot be right, and if `maxlen` leaves nothing.
        MissingFileError: if the files are not there, or cannot be downloaded.
        FileFormatError: if a file is damaged or another one.

    >>> (x_train, y_train), (x_test, y_test) = load_data(num_words=1000)  # doctest: +SKIP
    >>> len(x_train), len(x_test)  # doctest: +SKIP
    (8982, 2246)
    """
    coding = Coding(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    share, order = checked_share(test_split), random_order(seed)
    parts = read_parts(REUTERS, path)
    (part,) = shuffled(parts, order)
    x, y = coding.arrays(part, rank_words(part[0]), TOPICS)
    kept = kept_count(len(x), share)
    return (x[:kept], y[:kept]), (x[kept:], y[kept:])


@public
def load_texts(
    path: str | os.PathLike[str] | None = None, *, test_split: float = 0.2, seed: int | None = 113
) -> tuple[Part, Part]:
    """Return the stories and the names of their topics: `(texts, labels)` of training, of test.

    The arguments, the errors and the order of the stories are those of `load_data` without `maxlen`.

    >>> (texts, topics), _ = load_texts()  # doctest: +SKIP
    >>> topics[0], texts[0][:21]  # doctest: +SKIP
    ('earn', 'McGrath RentCorp said')
    """
    share, order = checked_share(test_split), random_order(seed)
    ((texts, labels),) = shuffled(read_parts(REUTERS, path), order)
    kept = kept_count(len(texts), share)
    return (texts[:kept], labels[:kept]), (texts[kept:], labels[kept:])


def get_word_index(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    """Return each word's rank by frequency in all stories, from 1; add `index_from` for its code.

    `path` and the errors are those of `load_data`.
    """
    ((texts, _),) = read_parts(REUTERS, path)
    return rank_words(texts)


def get_label_names() -> tuple[str, ...]:
    """Return the names of the 46 topics by their numbers.

    >>> get_label_names()[3:5]
    ('earn', 'acq')
    """
    return TOPICS

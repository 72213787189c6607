"""Reuters-21578: 11,228 newswire stories of 1987, each with one of 46 topics (Lewis 1997).

The task is Keras': each story has its first topic, and topics with fewer than 15 stories are left out.
Topics have Keras' numbers (3 is earn, 4 is acq), and stories their positions in Keras' arrays, so the test
stories are the same. The text of a story is its body, or its title if it has no body.

The codes differ from Keras': there a story without a body has that of the next one, and the entities `&lt;`
and `&#3;` of the files became the words "lt" and "3".
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
    """Return stories as lists of word codes, and their topic numbers: `(x, y)` of training, of test.

    Words are separated by spaces and ASCII punctuation (except the apostrophe) and lowercased. A word's code
    is its frequency rank in all stories plus `index_from`: with the defaults 4 is the most frequent word, 1
    begins a story, 2 replaces words that are left out, and 0 is free for padding.

    Args:
        path: of the published `reuters21578.tar.gz`, of a JSON lines file with id, topics, title and body of
            each story, or of a folder with one of them. None, or Keras' `"reuters.npz"`: see
            `nabi.datasets`.
        num_words: keep codes below this number; None or 0 keeps all words.
        skip_top: leave out codes below this number; as in Keras, including `start_char`.
        maxlen: leave out stories with this many codes or more, before the split.
        test_split: share of the stories for test.
        seed: of the order, which determines the split too; None for a new order each time.
        start_char: code at the beginning of each story; None for none.
        oov_char: code that replaces words left out; None drops them.
        index_from: added to a word's rank.

    Returns:
        `(x, y)` of training and of test: x an array `[N]` of objects, each a list of int; y int64 `[N]`, from
        0 to 45.

    Raises:
        ArgumentError: for numbers out of range, and if `maxlen` leaves nothing.
        MissingFileError: if the files do not exist or cannot be downloaded.
        FileFormatError: if a file is damaged or the wrong one.

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
    """Return stories and their topic names: `(texts, labels)` of training, of test.

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
    """Return the names of the 46 topics by number.

    >>> get_label_names()[3:5]
    ('earn', 'acq')
    """
    return TOPICS

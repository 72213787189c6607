"""Reuters-21578: 11,228 newswire stories of 1987, each with one of 46 topics (Lewis 1997).

The task is the one that Keras made of them: each story counts with its first topic, topics with fewer than 15
stories are left out. The text of a story is its body, or its title where it has no body.
"""

import os

from nabi.data._data_sets import REUTERS, TOPICS, read_parts, shuffled, split

__all__ = ["get_label_names", "load_texts"]


def load_texts(
    path: str | os.PathLike[str] | None = None, *, test_split: float = 0.2, seed: int = 113
) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """Return the stories and the names of their topics: `(texts, labels)` of training, of test."""
    (part,) = shuffled(read_parts(REUTERS, path), seed)
    return split(part, test_split)


def get_label_names() -> tuple[str, ...]:
    """Return the names of the 46 topics; a label of the arrays is a place in them, as in Keras.

    >>> get_label_names()[3:5]
    ('earn', 'acq')
    """
    return TOPICS

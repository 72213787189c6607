"""IMDB: 50,000 film reviews, negative or positive, half of them for the test (Maas et al. 2011)."""

import os

from nabi.data._data_sets import IMDB, SENTIMENTS, read_parts, shuffled

__all__ = ["get_label_names", "load_texts"]


def load_texts(
    path: str | os.PathLike[str] | None = None, *, seed: int = 113
) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """Return the reviews and "negative" or "positive" for each: `(texts, labels)` of training, of test."""
    training, test = shuffled(read_parts(IMDB, path), seed)
    return training, test


def get_label_names() -> tuple[str, ...]:
    """Return the names of the labels 0 and 1.

    >>> get_label_names()
    ('negative', 'positive')
    """
    return SENTIMENTS

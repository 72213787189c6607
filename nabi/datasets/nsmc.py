"""NSMC: short Korean film reviews, negative or positive (Naver sentiment movie corpus)."""

import os

from nabi.data._data_sets import NSMC, SENTIMENTS, read_parts, shuffled

__all__ = ["get_label_names", "load_texts"]


def load_texts(
    path: str | os.PathLike[str] | None = None, *, seed: int = 113
) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """Return the reviews and "negative" or "positive" for each: `(texts, labels)` of training, of test."""
    training, test = shuffled(read_parts(NSMC, path), seed)
    return training, test


def get_label_names() -> tuple[str, ...]:
    """Return the names of the labels 0 and 1.

    >>> get_label_names()
    ('negative', 'positive')
    """
    return SENTIMENTS

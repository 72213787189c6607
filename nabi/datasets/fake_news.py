"""COVID-19 fake news: 10,700 posts, real or fake, for training, validation and test (Constraint 2021)."""

import os

from nabi.data._data_sets import FAKE_NEWS, TRUTH, read_parts, shuffled

__all__ = ["get_label_names", "load_texts"]


def load_texts(
    path: str | os.PathLike[str] | None = None, *, seed: int = 113
) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """Return posts and "real" or "fake" for each: `(texts, labels)` of training, validation, test."""
    training, validation, test = shuffled(read_parts(FAKE_NEWS, path), seed)
    return training, validation, test


def get_label_names() -> tuple[str, ...]:
    """Return the names of the labels 0 and 1.

    >>> get_label_names()
    ('fake', 'real')
    """
    return TRUTH

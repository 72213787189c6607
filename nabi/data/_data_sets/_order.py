"""Sample order and training/test split, drawn as in Keras."""

from collections.abc import Sequence

import numpy as np

from nabi import _checks
from nabi.data._data_sets._sources import Part

__all__ = ["checked_share", "kept_count", "random_order", "shuffled"]


def random_order(seed: int | None) -> np.random.RandomState:
    """Return the random generator for the sample order.

    Raises:
        ArgumentError: if `seed` is not a whole number from 0 to 2³² − 1, or None for a new order each time.
    """
    if seed is not None:
        seed = _checks.seed("seed", seed, bits=32, otherwise=" or None")
    return np.random.RandomState(seed)


def shuffled(parts: Sequence[Part], order: np.random.RandomState) -> list[Part]:
    """Shuffle the samples of each part, one part after another."""
    return [_shuffled_part(part, order) for part in parts]


def _shuffled_part(part: Part, order: np.random.RandomState) -> Part:
    places = np.arange(len(part[0]))
    order.shuffle(places)
    return [part[0][place] for place in places], [part[1][place] for place in places]


def checked_share(test_split: float) -> float:
    """Return `test_split`; raise `ArgumentError` if it is not from 0 to 1."""
    return _checks.real("test_split", test_split, least=0, most=1, what="share")


def kept_count(count: int, test_split: float) -> int:
    """Return how many of `count` samples are for training, starting with the first."""
    return int(count * (1 - test_split))

"""The order of the samples and the split into training and test, as Keras draws them."""

from collections.abc import Sequence

import numpy as np

from nabi.data._data_sets._sources import Part
from nabi.errors import ArgumentError

__all__ = ["checked_share", "kept_count", "random_order", "shuffled"]


def random_order(seed: int | None) -> np.random.RandomState:
    """Return the generator that draws the order of the samples.

    Raises:
        ArgumentError: if `seed` is not a whole number from 0 to 2³² − 1, or None for another order each time.
    """
    try:
        return np.random.RandomState(seed)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"seed: {seed!r} was given, a whole number from 0 to 2**32 - 1 or None is expected"
        ) from None


def shuffled(parts: Sequence[Part], order: np.random.RandomState) -> list[Part]:
    """Shuffle the samples of each part, one part after the other."""
    return [_shuffled_part(part, order) for part in parts]


def _shuffled_part(part: Part, order: np.random.RandomState) -> Part:
    places = np.arange(len(part[0]))
    order.shuffle(places)
    return [part[0][place] for place in places], [part[1][place] for place in places]


def checked_share(test_split: float) -> float:
    """Return `test_split`; `ArgumentError` if it is not a share."""
    if not isinstance(test_split, int | float) or not 0 <= test_split <= 1:
        raise ArgumentError(f"test_split: {test_split!r} was given, a share from 0 to 1 is expected")
    return test_split


def kept_count(count: int, test_split: float) -> int:
    """Return how many of `count` samples, the first ones, are for training."""
    return int(count * (1 - test_split))

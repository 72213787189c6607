"""The order of the samples and the split into training and test, as Keras draws them."""

import numpy as np

from nabi.data._data_sets._sources import Part
from nabi.errors import ArgumentError

__all__ = ["shuffled", "split"]


def shuffled(parts: tuple[Part, ...], seed: int) -> tuple[Part, ...]:
    """Shuffle the samples of each part: one generator, the parts in their order."""
    generator = np.random.RandomState(seed)
    return tuple(_shuffled_part(part, generator) for part in parts)


def _shuffled_part(part: Part, generator: np.random.RandomState) -> Part:
    order = np.arange(len(part[0]))
    generator.shuffle(order)
    return [part[0][place] for place in order], [part[1][place] for place in order]


def split(part: Part, test_split: float) -> tuple[Part, Part]:
    """Cut off the last `test_split` of the samples.

    Raises:
        ArgumentError: if that is not a share.
    """
    if not 0 <= test_split <= 1:
        raise ArgumentError(f"test_split: {test_split!r} was given, a share from 0 to 1 is expected")
    texts, labels = part
    cut = int(len(texts) * (1 - test_split))
    return (texts[:cut], labels[:cut]), (texts[cut:], labels[cut:])

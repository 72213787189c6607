"""What the linear model beside a regressor of DNA reads: how much there is of bases and of words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import UNKNOWN_BASE, dna_one_hot

__all__ = ["features_of"]

# More than so many bases are too many features for the memory of a large table.
_LONGEST_ALIGNED = 500
_SIZES = (1, 2, 3)


def features_of(sequences: Sequence[npt.NDArray[Any]], length: int | None) -> npt.NDArray[np.float64]:
    """Return features `[N, F]` of codes of letters.

    They are how often each base occurs; the shares of bases, of pairs and of triplets; and for sequences of
    one length of up to 500 bases the base at each place.

    Args:
        sequences: N arrays of codes `[T]`.
        length: of all sequences, if they have one.
    """
    return np.stack([_features(one, length) for one in sequences]).astype(np.float64)


def _features(sequence: npt.NDArray[Any], length: int | None) -> npt.NDArray[Any]:
    words = [dna_one_hot(sequence, size) for size in _SIZES]
    parts = [words[0].sum(0), *(one.sum(0) / max(len(one), 1) for one in words)]
    if length is not None and length <= _LONGEST_ALIGNED:
        kept = np.full(length, UNKNOWN_BASE, dtype=np.uint8)
        kept[: len(sequence)] = sequence[:length]
        parts.append(dna_one_hot(kept).ravel())
    return np.concatenate(parts)

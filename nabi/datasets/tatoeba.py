"""Tatoeba: several thousand English sentences with Korean translations, as published by manythings.org."""

import os

from nabi import _checks
from nabi._public import public
from nabi.data._data_sets import TATOEBA, Part, random_order, read_parts
from nabi.data._tables._pair_splitting import apart
from nabi.errors import ArgumentError

__all__ = ["load_pairs"]


@public
def load_pairs(
    path: str | os.PathLike[str] | None = None,
    *,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    seed: int | None = 113,
) -> tuple[Part, Part, Part]:
    """Return sentences and their translations: `(sources, targets)` of training, validation and test.

    The data have no official split. Here no English or Korean sentence is in two parts, not even with
    different punctuation or case: many occur in several pairs, and sharing them with the training part would
    measure memorization.

    Args:
        path: the file, or a folder with `tatoeba_eng_kor.tsv` or the published `kor.txt`: English, Korean and
            authors, separated by tabs. None: see `nabi.datasets`; it is not downloaded.
        validation_share: of the pairs, at most.
        test_share: of the pairs, at most.
        seed: of the split; None for a new one each time.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged or has other columns.
        ArgumentError: for shares that leave a part empty, and a seed that is not a whole number from 0 to
            2³² − 1.
    """
    order = random_order(seed)
    for name, share in (("validation_share", validation_share), ("test_share", test_share)):
        _checks.real(name, share, above=0, below=1)
    (pairs,) = read_parts(TATOEBA, path)
    validation, test, training = apart(pairs, (validation_share, test_share), order)
    if not (training[0] and validation[0] and test[0]):
        raise ArgumentError(
            f"validation_share, test_share: expected shares that leave no part of {len(pairs[0]):,} pairs "
            f"empty, got {validation_share!r} and {test_share!r}"
        )
    return training, validation, test

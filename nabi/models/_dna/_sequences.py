"""Sequences of DNA as models read them: checked, as codes of letters."""

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import COMPLEMENT, encode_dna, read_dna, reverse_complement
from nabi.errors import ArgumentError
from nabi.models._sequences._samples import SequenceSamples

__all__ = [
    "check_lengths",
    "check_positions",
    "checked_reading",
    "common_length",
    "duplicates",
    "other_strands",
    "read_sequences",
]


def read_sequences(
    argument: str, sequences: Any, names: Any
) -> tuple[list[str], list[npt.NDArray[np.uint8]], tuple[str, ...]]:
    """Return checked texts, their codes and names."""
    if isinstance(sequences, str | bytes | Mapping) or not hasattr(sequences, "__iter__"):
        raise ArgumentError(f"{argument}: expected a list of texts, got {_checks.short(sequences)}")
    texts = list(sequences)
    told = tuple(f"{argument}[{row}]" for row in range(len(texts))) if names is None else tuple(names)
    if len(told) != len(texts):
        raise ArgumentError(f"names: expected one for each of {len(texts)} sequences, got {len(told)}")
    codes = []
    for name, text in zip(told, texts, strict=True):
        try:
            codes.append(encode_dna(text))
        except ArgumentError as problem:
            raise ArgumentError(str(problem).replace("sequence", name, 1)) from None
        if not text:
            raise ArgumentError(f"{name}: expected a sequence of one base or more, got an empty one")
    return texts, codes, told


def checked_reading(given: Any) -> dict[str, str]:
    """Return how the file of a training was read, as a model's file holds it: arguments of `read_dna`.

    Raises:
        ArgumentError: for anything else.
    """
    known = inspect.signature(read_dna).parameters
    if not isinstance(given, Mapping) or not all(
        name in known and isinstance(value, str) for name, value in given.items()
    ):
        raise ArgumentError(f"reading: expected texts by arguments of read_dna, got {_checks.short(given)}")
    return dict(given)


def common_length(*parts: SequenceSamples) -> int | None:
    """Return how many bases all sequences have; None where their lengths differ."""
    lengths = {len(one) for samples in parts for one in samples.inputs}
    return lengths.pop() if len(lengths) == 1 else None


def duplicates(texts: Sequence[str], either_strand: bool) -> tuple[int, ...] | None:
    """Return a group for each sequence, the same for equal ones; None where all are different."""
    plain = [text.upper().replace("U", "T") for text in texts]
    if either_strand:
        plain = [min(text, reverse_complement(text)) for text in plain]
    if max(Counter(plain).values(), default=0) < 2:
        return None
    number = {text: place for place, text in enumerate(dict.fromkeys(plain))}
    return tuple(number[text] for text in plain)


def check_positions(length: int | None, *parts: SequenceSamples) -> None:
    """Refuse sequences without a common length, where each place is to have its meaning.

    Raises:
        ArgumentError: for such sequences.
    """
    if length is None:
        lengths = [len(one) for samples in parts for one in samples.inputs]
        raise ArgumentError(
            f"positions: 'yes' needs sequences of one length, got lengths from {min(lengths)} to "
            f"{max(lengths)}"
        )


def check_lengths(samples: SequenceSamples, length: int | None) -> None:
    """Refuse sequences of another length than those learnt from, where each place has its meaning.

    Raises:
        ArgumentError: for such a sequence; none if `length` is None.
    """
    if length is None:
        return
    for name, one in zip(samples.names, samples.inputs, strict=True):
        if len(one) != length:
            raise ArgumentError(
                f"{name}: expected {length} bases, as all sequences that it has learnt from have, "
                f"got {len(one)}; train with positions='no' for sequences of any length"
            )


def other_strands(samples: SequenceSamples) -> SequenceSamples:
    """Return the other strand of each sequence, without what it is labelled with."""
    return SequenceSamples([COMPLEMENT[one][::-1] for one in samples.inputs], None, samples.names)

"""Sequences with a number each: checked, and divided into those to learn from, to stop by, and to test on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.models._regressor._samples import as_target
from nabi.models._regressor._split import check_numbers, classes_by_size
from nabi.models._sequences._samples import SequenceSamples

__all__ = ["NumberData", "divide_numbers", "numbers_of", "with_numbers"]

_NAMED = 5  # of what is left out


class NumberData(NamedTuple):
    """What a system is trained on, what says when to stop, and what it is tested on."""

    train: SequenceSamples
    """The targets are numbers in their own unit, here and in the other parts."""
    validation: SequenceSamples
    """Empty for none."""
    test: SequenceSamples | None
    notes: tuple[str, ...]
    """What a user should know about the data, such as sequences left out."""
    columns: Any = None
    """Of the table that they are from, if there is one."""


def with_numbers(
    samples: SequenceSamples, values: Sequence[Any], things: str, column: str = ""
) -> tuple[SequenceSamples, str]:
    """Return sequences with their numbers, and a note that names those without one, which are left out.

    Args:
        samples: N sequences.
        values: what holds a number for each: a number, a text, or None or NaN for none.
        things: they are in messages, "series".
        column: where the numbers stand, " in the column 'wear'".

    Raises:
        ArgumentError: for what is no finite number, with the name of the sequence, for no numbers at all, and
            another count of them.
    """
    if len(values) != len(samples):
        raise ArgumentError(f"targets: expected one for each of {len(samples)} {things}, got {len(values)}")
    numbers = [
        as_target(value, f"{column}, {name}") for name, value in zip(samples.names, values, strict=True)
    ]
    kept = [row for row, one in enumerate(numbers) if one is not None]
    found = SequenceSamples(
        samples.inputs, [one or 0.0 for one in numbers], samples.names, samples.groups, samples.skipped
    )
    if len(kept) == len(numbers):
        return found, ""
    if not kept:
        raise ArgumentError(f"target: all {len(numbers):,} {things} are without a number{column}")
    left_out = [name for name, one in zip(samples.names, numbers, strict=True) if one is None]
    shown = ", ".join(left_out[:_NAMED]) + (", …" if len(left_out) > _NAMED else "")
    what = things if len(left_out) > 1 else things.removesuffix("s") if things != "series" else things
    return found.take(kept), f"{len(left_out):,} {what} without a number{column} left out: {shown}"


def numbers_of(samples: SequenceSamples) -> npt.NDArray[np.float64]:
    """Return the numbers of sequences, `[N]`."""
    return np.array(samples.targets, dtype=np.float64)


def divide_numbers(
    samples: SequenceSamples,
    given: Mapping[str, SequenceSamples | None],
    shares: tuple[float, float],
    seed: int,
    things: str,
    notes: Sequence[str],
) -> NumberData:
    """Hold out what is not given, so that small and large numbers have their share in all parts.

    Args:
        samples: all there are.
        given: others by name, "validation" and "test"; None where a share is to be held out, or nothing.
        shares: of all to stop by, and to test on.
        seed: of the choice.
        things: they are in messages.
        notes: what there is to say; empty ones are left out.

    Raises:
        ArgumentError: for too few numbers, a single one, and a share that leaves nothing.
    """
    check_numbers(numbers_of(samples), things)
    of_validation, of_test = shares
    train, tested, stopped = samples, given["test"], given["validation"]
    if of_test:
        train, tested = _divided(train, of_test, seed, "test_share")
    if of_validation:
        train, stopped = _divided(train, of_validation / (1 - of_test), seed, "validation_share")
    empty = train.take([])
    return NumberData(train, empty if stopped is None else stopped, tested, tuple(filter(None, notes)))


def _divided(
    samples: SequenceSamples, share: float, seed: int, called: str
) -> tuple[SequenceSamples, SequenceSamples]:
    """Hold out a share, of whole groups if there are some."""
    return samples.divided(share, seed, alike=classes_by_size(numbers_of(samples)), called=called)

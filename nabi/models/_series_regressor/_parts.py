"""Series with a number each, divided into those to train on, to stop by, and to test on."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.models._classifier._held_out import check_shares
from nabi.models._regressor._samples import as_target
from nabi.models._regressor._split import check_numbers, classes_by_size
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._series._checked import check_channels, check_like
from nabi.models._series._reading import Series, SeriesColumns, read_series

__all__ = ["SeriesNumbers", "numbered", "numbers_of", "read_series_numbers"]

_NAMED = 5  # of what is left out


class SeriesNumbers(NamedTuple):
    """What a regressor is trained on, what says when to stop, and what it is tested on."""

    train: SequenceSamples
    """The targets are numbers in their own unit, here and in the other parts."""
    validation: SequenceSamples
    """Empty for none."""
    test: SequenceSamples | None
    notes: tuple[str, ...]
    """What a user should know about the data, such as series left out."""
    columns: SeriesColumns | None
    """Of the table that they are from, where `label` is the column of the numbers."""


def read_series_numbers(
    source: Any,
    targets: Any,
    groups: Any,
    *,
    columns: SeriesColumns | None,
    validation: Any,
    test: Any,
    validation_share: float,
    test_share: float,
    reading: Mapping[str, Any],
    seed: int,
) -> SeriesNumbers:
    """Read series with numbers and hold some out; arguments and errors as those of `SeriesRegressor.fit`."""
    of_validation, of_test = check_shares(
        validation_share, test_share, validation is not None, test is not None
    )
    found = read_series(source, targets, groups, columns=columns, numbers=True, called="targets", **reading)
    samples, note = numbered(found)
    notes = [note]
    check_channels(samples, found.columns)
    check_numbers(numbers_of(samples), "series")
    held_out: dict[str, SequenceSamples | None] = {"validation": None, "test": None}
    for name, given in (("validation", validation), ("test", test)):
        if given is not None:
            more = _given(name, given, found.columns, reading)
            check_like(samples.inputs[0].shape[1:], more)
            part, note = numbered(more)
            held_out[name] = part
            notes.append(note and f"{name}: {note}")
    train, tested, stopped = samples, held_out["test"], held_out["validation"]
    if of_test:
        train, tested = _divided(train, of_test, seed, "test_share")
    if of_validation:
        train, stopped = _divided(train, of_validation / (1 - of_test), seed, "validation_share")
    return SeriesNumbers(
        train,
        train.take([]) if stopped is None else stopped,
        tested,
        tuple(filter(None, notes)),
        found.columns,
    )


def numbered(found: Series) -> tuple[SequenceSamples, str]:
    """Return series with their numbers, and a note that names those without one, which are left out.

    Raises:
        ArgumentError: for what is no finite number, with the name of the series, and for no numbers at all.
    """
    if found.labels is None:
        what = "; name its column with target" if found.columns is not None else ""
        raise ArgumentError(f"targets: expected a number for each series, got none{what}")
    column = "" if found.columns is None else f" in the column {found.columns.label!r}"
    numbers = [
        as_target(value, f"{column}, {name}") for name, value in zip(found.names, found.labels, strict=True)
    ]
    samples = SequenceSamples(found.inputs, [one or 0.0 for one in numbers], found.names, found.groups)
    kept = [row for row, one in enumerate(numbers) if one is not None]
    left_out = [name for name, one in zip(found.names, numbers, strict=True) if one is None]
    if not left_out:
        return samples, ""
    if not kept:
        raise ArgumentError(f"target: all {len(numbers):,} series are without a number{column}")
    shown = ", ".join(left_out[:_NAMED]) + (", …" if len(left_out) > _NAMED else "")
    return samples.take(kept), f"{len(left_out):,} series without a number{column} left out: {shown}"


def numbers_of(samples: SequenceSamples) -> npt.NDArray[np.float64]:
    """Return the numbers of series, `[N]`."""
    return np.array(samples.targets, dtype=np.float64)


def _given(name: str, given: Any, columns: SeriesColumns | None, reading: Mapping[str, Any]) -> Series:
    """The series of `validation` or `test`."""
    if isinstance(given, str | os.PathLike):
        return read_series(given, columns=columns, numbers=True, **reading)
    if isinstance(given, tuple) and len(given) == 2:
        return read_series(given[0], given[1], called="targets")
    raise ArgumentError(f"{name}: expected a file or (arrays, targets), got {type(given).__name__}")


def _divided(
    samples: SequenceSamples, share: float, seed: int, called: str
) -> tuple[SequenceSamples, SequenceSamples]:
    """Hold out a share, in which small and large numbers have their share; of whole groups, if there are."""
    alike = classes_by_size(numbers_of(samples))
    return samples.divided(share, seed, alike=alike, called=called)

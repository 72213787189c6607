"""Series with a number each, divided into those to train on, to stop by, and to test on."""

import os
from collections.abc import Mapping
from typing import Any

from nabi.errors import ArgumentError
from nabi.models._classifier._held_out import HeldOut
from nabi.models._sequences._number_samples import NumberData, divide_numbers, with_numbers
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._series._checked import check_channels, check_like
from nabi.models._series._reading import Series, SeriesColumns, read_series

__all__ = ["numbered", "read_series_numbers"]


def read_series_numbers(
    source: Any,
    targets: Any,
    groups: Any,
    *,
    columns: SeriesColumns | None,
    held_out: HeldOut,
    reading: Mapping[str, Any],
) -> NumberData:
    """Read series with numbers and hold some out; arguments and errors as those of `SeriesRegressor.fit`."""
    shares = held_out.shares
    found = read_series(source, targets, groups, columns=columns, numbers=True, called="targets", **reading)
    samples, note = numbered(found)
    notes = [note]
    check_channels(samples, found.columns)
    given: dict[str, SequenceSamples | None] = {}
    for name, one in held_out.given.items():
        given[name] = None
        if one is not None:
            more = _given(name, one, found.columns, reading)
            check_like(samples.inputs[0].shape[1:], more)
            given[name], note = numbered(more)
            notes.append(note and f"{name}: {note}")
    data = divide_numbers(samples, given, shares, held_out.seed, "series", notes)
    return data._replace(columns=found.columns)


def numbered(found: Series) -> tuple[SequenceSamples, str]:
    """Return series with their numbers, and a note that names those without one, which are left out.

    Raises:
        ArgumentError: for what is no finite number, with the name of the series, and for no numbers at all.
    """
    if found.labels is None:
        what = "; name its column with target" if found.columns is not None else ""
        raise ArgumentError(f"targets: expected a number for each series, got none{what}")
    column = "" if found.columns is None else f" in the column {found.columns.label!r}"
    samples = SequenceSamples(found.inputs, None, found.names, found.groups)
    return with_numbers(samples, found.labels, "series", column)


def _given(name: str, given: Any, columns: SeriesColumns | None, reading: Mapping[str, Any]) -> Series:
    """The series of `validation` or `test`."""
    if isinstance(given, str | os.PathLike):
        return read_series(given, columns=columns, numbers=True, **reading)
    if isinstance(given, tuple) and len(given) == 2:
        return read_series(given[0], given[1], called="targets")
    raise ArgumentError(f"{name}: expected a file or (arrays, targets), got {type(given).__name__}")

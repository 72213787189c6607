"""Texts with numbers, divided into those to train on, to stop by, and to test on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import stratified_split
from nabi.errors import ArgumentError
from nabi.models._classifier._columns import Columns, TableFormat, name_columns
from nabi.models._classifier._held_out import HeldOut, check_same_columns, collect_part, note_repeated
from nabi.models._classifier._split import FEWEST_TEXTS, rows_of_texts
from nabi.models._regressor._samples import NumberSamples, collect_numbers

__all__ = ["NumberParts", "check_numbers", "classes_by_size", "named_columns", "read_number_parts"]

_FEWEST_ROWS = 10
# Numbers are sorted into so many classes, of which each has its share in all parts.
_CLASSES = 10


@dataclass(frozen=True)
class NumberParts:
    """What a regressor is trained on, what says when to stop, and what it is tested on."""

    train: NumberSamples
    validation: NumberSamples | None
    test: NumberSamples | None
    notes: tuple[str, ...] = ()
    columns: Columns | None = None
    """Of the table that they are from, where `label` is the column of the numbers; None for lists."""


def named_columns(
    source: Any, text: str | None, target: str | None, aspect: str | None, others: Any = None
) -> Columns | None:
    """Return the columns of a table that are named; None for lists, and for a table without a name.

    Raises:
        ArgumentError: for names beside lists, and for a table whose column of numbers is not named.
    """
    if not isinstance(source, str | os.PathLike) and target is not None:
        raise ArgumentError(f"target: expected a table to go with a column, got texts and target={target!r}")
    columns = name_columns(source, text, target, aspect, others)
    if columns is not None and columns.label is None:
        raise ArgumentError("target: expected the name of the column of numbers, got None")
    return columns


def read_number_parts(
    source: Any,
    targets: Sequence[Any] | None = None,
    aspects: Sequence[str] | None = None,
    others: Any = None,
    *,
    columns: Columns | None,
    held_out: HeldOut,
    table: TableFormat,
) -> NumberParts:
    """Read texts with their numbers and hold some out.

    Args:
        source, targets, aspects: as those of `TextRegressor.fit`.
        others: the cells of other columns by name, where `source` is texts.
        columns: of the table, where `source` is one.
        held_out: what is held out.
        table: how the files are to be read.

    Raises:
        ArgumentError, MissingFileError, FileFormatError: as `TextRegressor.fit`.
    """
    samples = collect_numbers(source, targets, aspects, others, columns=columns, table=table)
    given = {
        name: collect_part(name, one, columns, "targets", partial(collect_numbers, table=table))
        for name, one in held_out.given.items()
    }
    of_validation, of_test = held_out.shares
    notes = list(samples.notes)
    for name, part in given.items():
        if part is not None:
            notes += [f"{name}: {note}" for note in part.notes]
            check_same_columns(samples.others, part.others, name)
            if (part.aspects is None) != (samples.aspects is None):
                raise ArgumentError(
                    f"{name}: expected rows with the same kind of aspects as the training rows"
                )
    check_numbers(samples.targets, "rows")
    seed = held_out.seed
    rest, tested = _hold_out(samples, given["test"], of_test, seed)
    train, stopped = _hold_out(rest, given["validation"], of_validation / (1 - of_test), seed)
    for name, part in (("validation", stopped), ("test", tested)):
        notes += note_repeated(name, train.texts, None if part is None else part.texts)
    return NumberParts(train, stopped, tested, tuple(notes), columns)


def _hold_out(
    samples: NumberSamples, given: NumberSamples | None, share: float, seed: int
) -> tuple[NumberSamples, NumberSamples | None]:
    """Hold out a share of the rows, so that small, middling and large numbers are in both parts."""
    if given is not None or not share:
        return samples, given
    groups = rows_of_texts(samples.texts)
    if len(groups) < FEWEST_TEXTS:
        groups = [[row] for row in range(len(samples))]
    means = np.array([samples.targets[rows].mean() for rows in groups])
    kept, held_out = stratified_split(classes_by_size(means), share, seed=seed)
    parts = [sorted(row for group in part.tolist() for row in groups[group]) for part in (kept, held_out)]
    return replace(samples.take(parts[0]), notes=()), replace(samples.take(parts[1]), notes=())


def check_numbers(numbers: npt.NDArray[np.float64], what: str) -> None:
    """Refuse numbers from which nothing can be learnt.

    Args:
        numbers: `[N]`.
        what: has them: "rows".

    Raises:
        ArgumentError: for too few numbers, and for a single one.
    """
    if len(numbers) < _FEWEST_ROWS:
        raise ArgumentError(
            f"target: expected {_FEWEST_ROWS} or more {what} with a number, got {len(numbers)}"
        )
    if len(np.unique(numbers)) < 2:
        raise ArgumentError(
            f"target: expected different numbers, got {numbers[0]:g} in all {len(numbers):,} {what}"
        )


def classes_by_size(numbers: npt.NDArray[np.float64]) -> list[int]:
    """Return a class for each number: small ones, and so on up to large ones."""
    places = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    # Of fewer numbers, each class has at least two.
    classes = max(min(_CLASSES, len(numbers) // 2), 1)
    found: list[int] = (places * classes // len(numbers)).tolist()
    return found

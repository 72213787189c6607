"""Texts with a number each, from a table or from lists, checked before anything is trained."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.models._classifier._columns import UTF8, Columns, TableFormat
from nabi.models._classifier._other_columns import OtherColumns, taken
from nabi.models._classifier._rows import as_number, is_missing
from nabi.models._classifier._table_rows import keep_rows, read_rows

__all__ = ["NumberSamples", "as_target", "collect_numbers"]


@dataclass(frozen=True, eq=False)
class NumberSamples:
    """Texts with a number each."""

    texts: list[str]
    targets: npt.NDArray[np.float64]
    """`[N]`, all finite; empty where there are none."""
    aspects: list[str] | None = None
    others: dict[str, list[Any]] | None = None
    """The cells of the other columns that are read beside the text, by name."""
    notes: tuple[str, ...] = ()
    """What a user should know about them, such as rows left out."""
    wrong: str = ""
    """Which rows could not be read, and why; "" if all could."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labels(self) -> list[float]:
        """The numbers, under the name that samples of a classifier have."""
        found: list[float] = self.targets.tolist()
        return found

    def take(self, rows: Sequence[int]) -> "NumberSamples":
        """Return some of them."""
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            targets=self.targets[list(rows)],
            aspects=None if self.aspects is None else [self.aspects[row] for row in rows],
            others=taken(self.others, rows),
        )


def collect_numbers(
    source: Any,
    targets: Sequence[Any] | None = None,
    aspects: Sequence[str] | None = None,
    others: Any = None,
    *,
    columns: Columns | None = None,
    table: TableFormat = UTF8,
    known: OtherColumns | None = None,
) -> NumberSamples:
    """Read samples from a table, or take them from lists.

    Rows without text or without a number (an empty cell, None or NaN) are left out; a note names them.

    Args:
        source: a path, or the texts.
        targets: one number for each text, where `source` is texts.
        aspects: what each text is asked about, where `source` is texts.
        others: the cells of other columns by name, where `source` is texts.
        columns: of the table, where `source` is a path; `label` is that of the numbers.
        table: how the file is to be read.
        known: what is known of the other columns of a table from the training, to check their cells by.

    Raises:
        MissingFileError, FileFormatError: as `nabi.data.read_table`.
        ArgumentError: for a missing column, no rows, and a cell that is no finite number, with its row.
    """
    if targets is None and not isinstance(source, str | os.PathLike):
        raise ArgumentError("targets: expected a number for each text, got None")
    rows = read_rows(
        source, targets, aspects, others, called="target", columns=columns, table=table, known=known
    )
    column = "" if columns is None else f" in the column {columns.label!r}"
    kept = keep_rows(
        rows,
        lambda value, position: as_target(value, f"{column}, {rows.places.row(position)}"),
        f"a number{column}",
        named=True,
    )
    return NumberSamples(
        kept.texts,
        np.array(kept.values, dtype=np.float64),
        kept.aspects,
        kept.others,
        notes=kept.notes,
        wrong=rows.places.told,
    )


def as_target(value: Any, where: str) -> float | None:
    """Return the number that a cell holds, None where there is none.

    Raises:
        ArgumentError: for something else than a finite number; `where` says in the message which it is.
    """
    if isinstance(value, str):
        value = value.strip()
    if is_missing(value):
        return None
    number = as_number(value)
    if number is not None:
        return number
    raise ArgumentError(f"target: expected a finite number{where}, got {value!r}")

"""Texts with a number each, from a table or from lists, checked before anything is trained."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import read_table
from nabi.errors import ArgumentError
from nabi.models._classifier._other_columns import OtherColumns, as_cells, taken
from nabi.models._classifier._rows import NAMED, Places, as_list, as_number, as_text, counted, is_missing
from nabi.models._classifier._samples import UTF8, Columns, TableFormat

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
    if isinstance(source, str | os.PathLike):
        if columns is None:
            raise ArgumentError(
                f"text: {os.fspath(source)!r} is taken as the path of a table; give text= (and target=), the "
                "names of its columns, or a list of texts"
            )
        if targets is not None or aspects is not None:
            raise ArgumentError(
                "targets: expected None for a table, which has its own; name their column with target="
            )
        assert isinstance(columns.label, str)
        found = read_table(source, columns.names, **asdict(table))
        texts, places, joined = found[columns.text], Places(found, table.wrong_rows == "keep"), found.note
        numbers, column = found[columns.label], f" in the column {columns.label!r}"
        about = None if columns.aspect is None else found[columns.aspect]
        cells = {name: found[name] for name in columns.others} or None
        if cells is not None and known is not None:
            known.check(cells, places)
    else:
        if targets is None:
            raise ArgumentError("targets: expected a number for each text, got None")
        texts, places, joined, column = as_list("texts", source), Places(), "", ""
        numbers = as_list("targets", targets)
        about = None if aspects is None else as_list("aspects", aspects)
        for name, values in (("targets", numbers), ("aspects", about)):
            if values is not None and len(values) != len(texts):
                raise ArgumentError(f"{name}: expected {len(texts)}, one for each text, got {len(values)}")
        cells = as_cells(others, len(texts))
    if not texts:
        raise ArgumentError(f"{places.what}: it has no rows")
    samples = _cleaned(texts, numbers, about, cells, places, column)
    return replace(samples, notes=(joined, *samples.notes)) if joined else samples


def _cleaned(
    texts: list[Any],
    numbers: list[Any],
    aspects: list[Any] | None,
    others: dict[str, list[Any]] | None,
    places: Places,
    column: str,
) -> NumberSamples:
    kept: list[tuple[str, float, str]] = []
    positions: list[int] = []
    without: dict[str, list[int]] = {}
    for position, value in enumerate(texts):
        if position in places.wrong:
            continue
        try:
            text = as_text(value, "text", places, position)
            number = as_target(numbers[position], f"{column}, {places.row(position)}")
            about = "" if aspects is None else as_text(aspects[position], "aspect", places, position)
        except ArgumentError as problem:
            if not places.keeps_wrong:
                raise
            places.wrong[position] = str(problem)
            continue
        if not text or number is None or (aspects is not None and not about):
            missing = "text" if not text else f"a number{column}" if number is None else "aspect"
            without.setdefault(missing, []).append(position)
            continue
        kept.append((text, number, about))
        positions.append(position)
    if not kept:
        if not without:
            raise ArgumentError(places.told)
        raise ArgumentError(f"{places.what}: all {len(texts):,} rows are without {' and '.join(without)}")
    notes = [
        f"{counted(len(rows))} without {missing} {'is' if len(rows) == 1 else 'are'} left out: "
        + ", ".join(places.row(row) for row in rows[:NAMED])
        + (", …" if len(rows) > NAMED else "")
        for missing, rows in sorted(without.items())
    ]
    kept_texts, kept_numbers, kept_aspects = map(list, zip(*kept, strict=True))
    return NumberSamples(
        kept_texts,
        np.array(kept_numbers, dtype=np.float64),
        None if aspects is None else kept_aspects,
        taken(others, positions),
        notes=tuple(notes),
        wrong=places.told,
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

"""Rows that texts are read from: how messages name them, and what stands in their cells."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nabi import _checks
from nabi.data import Table
from nabi.errors import ArgumentError

__all__ = ["NAMED", "Places", "as_list", "as_number", "as_text", "counted", "is_missing"]

NAMED = 5
"""Rows or labels in a message."""


NO_COLUMNS: Mapping[str, str] = MappingProxyType({})


class Places:
    """How error messages name a row."""

    def __init__(
        self, table: Table | None = None, keeps_wrong: bool = False, columns: Mapping[str, str] = NO_COLUMNS
    ) -> None:
        self._table, self.keeps_wrong, self._columns = table, keeps_wrong, columns
        self.wrong = dict(table.wrong) if table is not None else {}
        """What is wrong with rows that are passed over."""
        self.what = "texts" if table is None else str(Path(table.path).name)

    @property
    def told(self) -> str:
        """What is wrong with rows that are passed over, in a sentence; "" where there are none."""
        if not self.wrong:
            return ""
        first = [what for _, what in sorted(self.wrong.items())[:NAMED]]
        more = f"; and {len(self.wrong) - len(first):,} more" if len(self.wrong) > len(first) else ""
        are = "row cannot be read and is" if len(self.wrong) == 1 else "rows cannot be read and are"
        return f"{self.what}: {len(self.wrong):,} {are} left out: {'; '.join(first)}{more}"

    def column(self, what: str) -> str:
        """Return ` in the column 'genre'` for "label"; empty for lists, and for several columns."""
        name = self._columns.get(what)
        return "" if name is None else f" in the column {name!r}"

    def row(self, position: int) -> str:
        if self._table is None:
            return f"texts[{position}]"
        return f"row {position + self._table.first_row} of {self.what}"


def as_list(name: str, values: Any) -> list[Any]:
    single = isinstance(values, str | bytes) or not hasattr(values, "__iter__")
    if single or getattr(values, "ndim", 1) == 0:
        raise ArgumentError(f"{name}: expected a list, got {_checks.short(values)}")
    return list(values.tolist() if hasattr(values, "tolist") else values)


def counted(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value == ""


def as_number(value: Any) -> float | None:
    """Return the finite number that a cell holds, as text or as such; None for anything else."""
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def as_text(value: Any, what: str, places: Places, position: int) -> str:
    """Return the text, stripped; "" for none."""
    if isinstance(value, str):
        return value.strip()
    if is_missing(value):
        return ""
    if isinstance(value, int | float):
        return str(value)
    raise ArgumentError(f"{what}: expected text in {places.row(position)}, got {type(value).__name__}")

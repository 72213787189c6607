"""Which columns of a table of texts are what, and how its file is read."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nabi import _checks
from nabi.data import folder_files
from nabi.errors import ArgumentError
from nabi.models._task._described import check_fields

__all__ = ["UTF8", "Columns", "TableFormat", "name_columns"]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what; `label` is one, or several of 0 and 1."""

    text: str
    label: str | tuple[str, ...] | None = None
    aspect: str | None = None
    others: tuple[str, ...] = ()
    """Columns that are read beside the text."""

    def __post_init__(self) -> None:
        names = [name for name in self.names if name is not None]
        if len(set(names)) < len(names):
            given = "text, label, aspect" + (", columns" if self.others else "")
            raise ArgumentError(f"{given}: expected different columns, got {', '.join(names)}")

    @property
    def names(self) -> list[str]:
        """All columns."""
        labels = [self.label] if isinstance(self.label, str) else list(self.label or ())
        return [self.text, *labels, *([] if self.aspect is None else [self.aspect]), *self.others]

    def to_list(self) -> list[Any]:
        """Return what a file holds."""
        return [self.text, self.label, self.aspect, *([self.others] if self.others else [])]

    @classmethod
    def from_list(cls, described: Any) -> Self:
        """Make the columns that `to_list` described.

        Raises:
            ArgumentError, TypeError, ValueError: for something else.
        """
        text, label, aspect, *others = described
        label = tuple(label) if isinstance(label, list) else label
        found = {"text": text, "label": label, "aspect": aspect, "others": tuple(others[0]) if others else ()}
        check_fields(cls, found, "columns")
        return cls(**found)


def name_columns(
    source: Any,
    text: str | None,
    label: str | Sequence[str] | None,
    aspect: str | None,
    others: Any = None,
) -> Columns | None:
    """Return the columns of a table that are named; None for lists, and for a table without a name.

    A folder of texts needs no names: its labels are those of the subfolders.

    Raises:
        ArgumentError: for names beside lists, which have no columns.
    """
    if not isinstance(source, str | os.PathLike):
        for name, given in (("text", text), ("label", label), ("aspect", aspect)):
            if given is not None:
                raise ArgumentError(
                    f"{name}: expected a table to go with a column, got texts and {name}={given!r}"
                )
        return None
    if others is not None and (
        isinstance(others, str | Mapping) or not all(isinstance(one, str) for one in others)
    ):
        raise ArgumentError(
            f"columns: expected a list of names of columns for a table, got {_checks.short(others)}"
        )
    files = folder_files(source)
    if files is not None:
        text = "text" if text is None else text
        label = "label" if label is None and files.has_labels else label
    if text is None:
        return None
    if label is not None and not isinstance(label, str):
        columns = tuple(label)
        if not all(isinstance(column, str) for column in columns):
            raise ArgumentError(
                f"label: expected the name of a column or several, got {_checks.short(label)}"
            )
        label = columns if len(columns) != 1 else columns[0]
    return Columns(text, label, aspect, tuple(others or ()))


@dataclass(frozen=True)
class TableFormat:
    """How a table is to be read; arguments of `nabi.data.read_table`."""

    encoding: str = "utf-8"
    separator: str | None = None
    quoted: bool = True
    header: bool = True
    wrong_rows: str = "raise"


UTF8 = TableFormat()
"""How a table is read where nothing else is said."""

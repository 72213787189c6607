"""The description of a file: facts, tables and equations, as plain text or for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Description", "Table", "counted", "shape_text"]


@dataclass(frozen=True)
class Table:
    """Rows of text under the names of columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Description:
    """What is in a file; as text, it is everything in plain lines.

    Attributes:
        path: of the file.
        format: its name, such as "ONNX model".
        facts: names and values.
        tables: layers, recurrent stacks, tensors.
        equations: lines by the name of the cell.
    """

    path: Path
    format: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    equations: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.format}"]
        if self.facts:
            lines += ["", *_aligned(self.facts)]
        for table in self.tables:
            lines += ["", table.title, *(f"  {line}" for line in _aligned([table.columns, *table.rows]))]
        for name, equations in self.equations.items():
            lines += ["", f"equations of {name}", *(f"  {line}" for line in equations)]
        return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape for people.

    >>> shape_text((5, 12)), shape_text(())
    ('5 × 12', 'one number')
    """
    return " × ".join("?" if size is None else str(size) for size in shape) or "one number"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "layer"), counted(2000, "tensor")
    ('1 layer', '2,000 tensors')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"

"""Shared code of the two sets of film reviews."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._sources import Part
from nabi.data._tables._tables import Table, read_table
from nabi.errors import FileFormatError

__all__ = ["SENTIMENTS", "read_split_table", "sentiments", "training_and_test"]

SENTIMENTS = ("negative", "positive")


def read_split_table(files: Sequence[Path]) -> tuple[Part, ...]:
    """Read a CSV file with the columns split (train, test), label (0, 1) and text: training and test part.

    Raises:
        FileFormatError: if the file is damaged, or has other splits or labels.
        UnknownNameError: if a column is missing.
    """
    (path,) = files
    table = read_table(path, ("split", "label", "text"))
    parts: dict[str, Part] = {"train": ([], []), "test": ([], [])}
    rows = zip(table["split"], table["text"], sentiments(table), strict=True)
    for row, (split, text, label) in enumerate(rows, 1):
        if split not in parts:
            raise FileFormatError(f"path: {path}, row {row}, split: expected train or test, got {split!r}")
        parts[split][0].append(text)
        parts[split][1].append(label)
    return training_and_test(path, parts)


def sentiments(table: Table) -> list[str]:
    """Return the names of a table's labels 0 and 1; raise `FileFormatError` for any other."""
    for row, label in enumerate(table["label"], 1):
        if label not in ("0", "1"):
            raise FileFormatError(f"path: {table.path}, row {row}, label: expected 0 or 1, got {label!r}")
    return [SENTIMENTS[int(label)] for label in table["label"]]


def training_and_test(path: Path, parts: dict[str, Part]) -> tuple[Part, ...]:
    """Return the parts in this order; raise `FileFormatError` if one is empty."""
    for name, part in parts.items():
        if not part[0]:
            raise FileFormatError(f"path: {path} has no reviews with the split {name}")
    return parts["train"], parts["test"]

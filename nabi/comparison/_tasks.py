"""The tasks by name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.comparison._characters import characters
from nabi.comparison._labelled import labelled_series, labelled_texts
from nabi.comparison._pixels import pixels
from nabi.comparison._synthetic import adding, copy_memory, parity, recall
from nabi.comparison._task import Task
from nabi.data import check_file, is_ts_file
from nabi.errors import ArgumentError, unknown_name

__all__ = ["TASKS", "find_task", "is_file"]

TASKS: dict[str, Callable[..., Task]] = {
    "adding": adding,
    "copy": copy_memory,
    "parity": parity,
    "recall": recall,
    "pixels": pixels,
    "characters": characters,
}
"""The tasks by name; those that files make come besides."""

_TEXT = (".txt", ".text", ".md")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")


def is_file(task: str | os.PathLike[str]) -> bool:
    """Return whether a task is a file: no known name, and it looks like a path."""
    name = os.fspath(task)
    return name not in TASKS and bool(Path(name).suffix or os.sep in name or Path(name).exists())


@public
def find_task(
    task: str | os.PathLike[str],
    *,
    length: int | None = None,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
) -> Task:
    """Return the task of that name, or the one that a file makes.

    Args:
        task: adding, copy, parity, recall, pixels or characters; or a file: a text (.txt) for its characters,
            a table of texts with labels, or series with labels (.ts).
        length: of the sequences; each task says what it counts.
        text: the column of the texts of a table.
        label: the column of its labels.
        encoding: of a file.

    Raises:
        UnknownNameError: for an unknown name.
        ArgumentError: for a length that does not fit, columns that mean nothing, and unknown files.
        MissingFileError, FileFormatError: as the functions that read files.

    Example:
        >>> task = find_task("adding", length=50)
        >>> task.steps, round(task.baseline, 3)
        (50, 0.167)
    """
    sizes = {} if length is None else {"length": _checks.whole("length", length)}
    columns = {name: value for name, value in (("text", text), ("label", label)) if value is not None}
    if isinstance(task, str) and task in TASKS:
        if columns:
            raise ArgumentError(f"{next(iter(columns))}: expected no column for the task {task}")
        return TASKS[task](**sizes)
    path = _checks.path("task", task)
    if not is_file(task):
        raise unknown_name("task", os.fspath(task), TASKS)
    check_file(path)
    reading: dict[str, Any] = {**sizes, "encoding": encoding}
    kinds = {suffix.lower() for suffix in path.suffixes}
    if kinds & set(_TABLES):
        missing = next((name for name in ("text", "label") if name not in columns), None)
        if missing is not None:
            raise ArgumentError(f"{missing}: expected the name of a column of {path}, got none")
        return labelled_texts(path, columns["text"], columns["label"], **reading)
    if columns:
        raise ArgumentError(f"{next(iter(columns))}: expected no column for {path}, which is no table")
    if is_ts_file(path):
        return labelled_series(path, **reading)
    if kinds & set(_TEXT):
        return characters(file=path, **reading)
    raise ArgumentError(
        f"task: expected a file that ends in {', '.join((*_TEXT, *_TABLES, '.ts'))}, got {path}"
    )

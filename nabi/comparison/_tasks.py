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
from nabi.data import (
    STANDARD_INPUT,
    TABLE_ENDINGS,
    TEXT_ENDINGS,
    check_file,
    folder_files,
    is_table,
    is_ts_file,
)
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


def is_file(task: str | os.PathLike[str]) -> bool:
    """Return whether a task is a file: no known name, and it looks like a path."""
    name = os.fspath(task)
    known = name in TASKS
    return not known and (
        name == str(STANDARD_INPUT) or bool(Path(name).suffix or os.sep in name or Path(name).exists())
    )


@public
def find_task(
    task: str | os.PathLike[str],
    *,
    length: int | None = None,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> Task:
    """Return the task of that name, or the one that a file makes.

    Args:
        task: adding, copy, parity, recall, pixels or characters; or a file: a text for its characters, a
            table of texts with labels, or series with labels (.ts). A text can be a folder of texts, or a
            `.zip` file of them; "-" is standard input.
        length: of the sequences; each task says what it counts.
        text: the column of the texts of a table. Columns that are named say that it is a table.
        label: the column of its labels.
        encoding: of a file.
        separator: of a table, as for `nabi.data.read_table`; likewise `quoted` and `header`.

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
    is_text = path == STANDARD_INPUT or path.is_dir() or folder_files(path) is not None
    if not is_text:
        check_file(path)
        is_text = any(suffix.lower() in TEXT_ENDINGS for suffix in path.suffixes)
        if columns and is_text and separator is None:
            raise ArgumentError(f"{next(iter(columns))}: expected no column for {path}, which is no table")
    reading: dict[str, Any] = {**sizes, "encoding": encoding}
    if columns:
        missing = next((name for name in ("text", "label") if name not in columns), None)
        if missing is not None:
            raise ArgumentError(f"{missing}: expected the name of a column of {path}, got none")
        reading |= {"separator": separator, "quoted": quoted, "header": header}
        return labelled_texts(path, columns["text"], columns["label"], **reading)
    if is_ts_file(path):
        return labelled_series(path, **reading)
    if is_table(path):
        raise ArgumentError(f"text: expected the name of a column of {path}, got none")
    if is_text:
        return characters(file=path, **reading)
    raise ArgumentError(
        "task: expected a text (.txt, .md or source text), a folder of texts, a table "
        f"({', '.join(TABLE_ENDINGS)}) or series (.ts), got {path}"
    )

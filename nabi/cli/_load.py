"""Shared code of the commands that use a trained model."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._uses import check_kind
from nabi.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["CELL_HELP", "file_of", "load_any", "load_classifier", "load_with_cells", "series_as_trained"]

CELL_HELP = (
    "FILE.py:Class, if the model was trained with a custom cell; code is never loaded from the model file."
)


def file_of(given: str | None) -> Path | None:
    """Return the file that an argument names which may also be a text; None for a text."""
    try:
        return Path(given) if given is not None and os.path.exists(given) else None
    except ValueError:  # a text that cannot be a name
        return None


def load_classifier(path: Path, own_cells: Sequence[str]) -> "TextClassifier":
    """Read a text classifier, with custom cells from the files named on the command line."""
    found: TextClassifier = load_with_cells("TextClassifier", path, own_cells)
    return found


def load_with_cells(name: str, path: Path, own_cells: Sequence[str]) -> Any:
    """Read a model of the class of this name in `nabi.models`, with custom cells from files.

    Raises:
        ArgumentError: for a file of another kind, with the command that it is for.
    """
    from nabi import models
    from nabi.cli._cell import find_class

    system = getattr(models, name)
    check_kind(path, (system._kind,))
    classes = {kind.__name__: kind for kind in map(find_class, own_cells)}
    try:
        return system.load(path, classes)
    except UnknownNameError as problem:
        raise ArgumentError(f"{problem}; pass a custom cell as --cell FILE.py:Class") from problem


def load_any(path: Path, own_cells: Sequence[str], *, compile: bool = False) -> Any:
    """Read a model of any kind, with custom cells from files; `compile` as `load_model` takes it."""
    from nabi import models
    from nabi.cli._cell import find_class
    from nabi.files import READERS

    readers = {kind: name for kind, name in READERS.items() if name.endswith((".load", ".load_model"))}
    kind = check_kind(path, tuple(readers), what="a model").kind
    if kind == "model":
        classes = {found.__name__: found for found in map(find_class, own_cells)}
        try:
            return models.load_model(path, classes, compile=compile)
        except UnknownNameError as problem:
            raise ArgumentError(f"{problem}; pass a custom cell as --cell FILE.py:Class") from problem
    return load_with_cells(readers[kind].split(".")[1], path, own_cells)


def series_as_trained(model: Any, file: Path, **reading: Any) -> Any:
    """Read series from a file with the columns and the step of a forecaster; `reading` as `read_series`."""
    from nabi.data import SeriesColumns, read_series

    columns = None if model.columns == SeriesColumns() else model.columns
    return read_series(file, columns=columns, frequency=model.frequency, **reading)

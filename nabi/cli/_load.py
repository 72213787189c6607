"""Shared code of the commands that use a trained model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["CELL_HELP", "load_classifier", "load_with_cells"]

CELL_HELP = (
    "FILE.py:Class, if the model was trained with a custom cell; code is never loaded from the model file."
)


def load_classifier(path: Path, own_cells: Sequence[str]) -> "TextClassifier":
    """Read a text classifier, with custom cells from the files named on the command line."""
    found: TextClassifier = load_with_cells("TextClassifier", path, own_cells)
    return found


def load_with_cells(name: str, path: Path, own_cells: Sequence[str]) -> Any:
    """Read a model of the class of this name in `nabi.models`, with custom cells from files."""
    from nabi import models
    from nabi.cli._cell import find_class

    classes = {kind.__name__: kind for kind in map(find_class, own_cells)}
    try:
        return getattr(models, name).load(path, classes)
    except UnknownNameError as problem:
        raise ArgumentError(f"{problem}; pass a custom cell as --cell FILE.py:Class") from problem

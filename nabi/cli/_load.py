"""Shared code of the commands that use a trained text classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nabi.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["CELL_HELP", "load_classifier"]

CELL_HELP = (
    "FILE.py:Class, if the model was trained with a custom cell; code is never loaded from the model file."
)


def load_classifier(path: Path, own_cells: Sequence[str]) -> "TextClassifier":
    """Read a model file, with custom cells from the files named on the command line."""
    from nabi.cli._cell import find_class
    from nabi.models import TextClassifier

    classes = {kind.__name__: kind for kind in map(find_class, own_cells)}
    try:
        return TextClassifier.load(path, classes)
    except UnknownNameError as problem:
        raise ArgumentError(f"{problem}; pass a custom cell as --cell FILE.py:Class") from problem

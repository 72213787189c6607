"""What the commands that ask a trained text classifier have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nabi.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["CELL_HELP", "load_classifier"]

CELL_HELP = (
    "FILE.py:Class, where the model was trained with a cell of your own; it is never taken from the model."
)


def load_classifier(path: Path, own_cells: Sequence[str]) -> "TextClassifier":
    """Read a model file, with cells of the user's own from the files that the command line names."""
    from nabi.cli._cell import find_class
    from nabi.models import TextClassifier

    classes = {kind.__name__: kind for kind in map(find_class, own_cells)}
    try:
        return TextClassifier.load(path, classes)
    except UnknownNameError as problem:
        raise ArgumentError(f"{problem}; a cell of your own is given as --cell FILE.py:Class") from problem

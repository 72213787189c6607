"""All exceptions that nabi raises deliberately.

NabiError
├── ArgumentError (also ValueError)      an argument has an invalid value
│   ├── NotReadyError (also AttributeError) a property has no value yet
│   ├── ShapeError                       an array or tensor has the wrong rank, width or length
│   └── UnknownNameError                 a name is not known; the message suggests the nearest known one
├── CellError (also ValueError)          the equations of a cell are inconsistent
├── FileFormatError (also ValueError)    a file is damaged, foreign or of a newer layout
├── MissingFileError (also FileNotFoundError) there is no such file
├── OutputError (also OSError)           a folder or file cannot be written
├── NotFiniteError (also ArithmeticError) a loss became NaN or infinite
├── WorkerError (also RuntimeError)      another of several workers ended, or could not begin
└── MissingNameError (also AttributeError) a name of Keras or TensorFlow 1 that nabi lacks

Warnings: TableWarning (a UserWarning), rows of a table that were probably not read as intended.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from nabi._shown import short

__all__ = [
    "ArgumentError",
    "CellError",
    "FileFormatError",
    "MissingFileError",
    "MissingNameError",
    "NabiError",
    "NotFiniteError",
    "NotReadyError",
    "OutputError",
    "ShapeError",
    "TableWarning",
    "UnknownNameError",
    "WorkerError",
    "unknown_name",
]

_LONGEST = 1000
# The cost of a comparison is the product of the lengths, and a name from a file can have any length.
_LONGEST_NAME = 100


class NabiError(Exception):
    """Base class of all exceptions that nabi raises deliberately."""

    def __init__(self, message: object = "", *more: object, **named: object) -> None:
        # A quoted value may be a whole file; the two ends of the message say what is wrong with it.
        text = str(message)
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"
        super().__init__(text, *more, **named)  # an AttributeError's name and object


class ArgumentError(NabiError, ValueError):
    """An argument has an invalid value."""


class ShapeError(ArgumentError):
    """An array or tensor has the wrong rank, width or length."""


class UnknownNameError(ArgumentError):
    """A name (activation, loss, optimizer, cell, ...) is not known."""


class NotReadyError(ArgumentError, AttributeError):
    """A property has no value yet; the message says what to do first. `hasattr` is False until then."""


class MissingNameError(NabiError, AttributeError):
    """A name of Keras or TensorFlow 1 that nabi lacks; the message says what to write instead."""


class CellError(NabiError, ValueError):
    """The equations of a cell are inconsistent; the message quotes the equation."""


class FileFormatError(NabiError, ValueError):
    """A file is damaged, belongs to another program, or has a newer layout."""


class MissingFileError(NabiError, FileNotFoundError):
    """There is no such file."""


class OutputError(NabiError, OSError):
    """A folder or file cannot be written."""


class NotFiniteError(NabiError, ArithmeticError):
    """A loss became NaN or infinite during training."""


class WorkerError(NabiError, RuntimeError):
    """Another of the workers that train one model together ended, or could not begin."""


class TableWarning(UserWarning):
    """Rows of a table were probably not read as intended: stray quotes have joined several."""


def unknown_name(argument: str, given: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for an unknown name, suggesting the nearest known one.

    >>> str(unknown_name("activation", "tahn", ["tanh", "relu"]))
    "activation: 'tahn' is not known; did you mean 'tanh'? Known are: relu, tanh"
    """
    names = sorted(known)
    typed = given.lower()[:_LONGEST_NAME] if isinstance(given, str) else short(given)
    # Among similar names, prefer one of about the same length: "adma" is "adam" rather than "adamax".
    nearest = max(
        get_close_matches(typed, names, n=5, cutoff=0.5),
        key=lambda name: SequenceMatcher(a=name, b=typed).ratio() - 0.05 * abs(len(name) - len(typed)),
        default=None,
    )
    hint = f"; did you mean {nearest!r}?" if nearest else "."
    return UnknownNameError(f"{argument}: {short(given)} is not known{hint} Known are: {', '.join(names)}")

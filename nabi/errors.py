"""Every exception that nabi raises on purpose.

NabiError
├── ArgumentError (also ValueError)      an argument has a value that cannot be used
│   ├── NotReadyError (also AttributeError) a property has no value yet
│   ├── ShapeError                       an array or tensor has the wrong rank, width or length
│   └── UnknownNameError                 a name that is looked up is not known; the nearest right one is named
├── CellError (also ValueError)          the equations of a cell do not fit together
├── FileFormatError (also ValueError)    a file is damaged, foreign or of a newer layout
├── MissingFileError (also FileNotFoundError) there is no such file
├── OutputError (also OSError)           a folder or file cannot be written
├── NotFiniteError (also ArithmeticError) a loss became NaN or infinite
└── MissingNameError (also AttributeError) a name of Keras or TensorFlow 1 that is not here

Warnings: TableWarning (a UserWarning), rows of a table that were probably not read as they were meant.
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
    "unknown_name",
]

_LONGEST = 1000
# Comparing takes the product of the lengths, and a name from a file can have any.
_LONGEST_NAME = 100


class NabiError(Exception):
    """Base of all exceptions that nabi raises on purpose."""

    def __init__(self, message: object = "", *more: object, **named: object) -> None:
        # A value that is quoted may be a whole file; what is wrong with it stands at the message's two ends.
        text = str(message)
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"
        super().__init__(text, *more, **named)  # an AttributeError's name and object


class ArgumentError(NabiError, ValueError):
    """An argument has a value that cannot be used."""


class ShapeError(ArgumentError):
    """An array or tensor has the wrong rank, width or length."""


class UnknownNameError(ArgumentError):
    """A name (activation, loss, optimizer, cell, ...) is not known."""


class NotReadyError(ArgumentError, AttributeError):
    """A property has no value yet; the message says what comes first. `hasattr` is False until then."""


class MissingNameError(NabiError, AttributeError):
    """A name of Keras or TensorFlow 1 is not here; the message says what to write instead."""


class CellError(NabiError, ValueError):
    """The equations of a cell do not fit together; the message quotes the equation."""


class FileFormatError(NabiError, ValueError):
    """A file is damaged, belongs to another program, or has a newer layout."""


class MissingFileError(NabiError, FileNotFoundError):
    """There is no such file."""


class OutputError(NabiError, OSError):
    """A folder or file cannot be written."""


class NotFiniteError(NabiError, ArithmeticError):
    """A loss became NaN or infinite during training."""


class TableWarning(UserWarning):
    """Rows of a table were probably not read as they were meant: stray quotes have joined several."""


def unknown_name(argument: str, given: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not known, with the nearest right one.

    >>> str(unknown_name("activation", "tahn", ["tanh", "relu"]))
    "activation: 'tahn' is not known; did you mean 'tanh'? Known are: relu, tanh"
    """
    names = sorted(known)
    typed = given.lower()[:_LONGEST_NAME] if isinstance(given, str) else short(given)
    # Of names about as similar the one of nearly the same length: "adma" is rather "adam" than "adamax".
    nearest = max(
        get_close_matches(typed, names, n=5, cutoff=0.5),
        key=lambda name: SequenceMatcher(a=name, b=typed).ratio() - 0.05 * abs(len(name) - len(typed)),
        default=None,
    )
    hint = f"; did you mean {nearest!r}?" if nearest else "."
    return UnknownNameError(f"{argument}: {short(given)} is not known{hint} Known are: {', '.join(names)}")

"""The lines of what a text can come from: a file, a folder of files, a `.zip` file, standard input."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from nabi.data._standard_input import CALLED, STANDARD_INPUT, kept_input
from nabi.data._text_files import TextFile, check_file
from nabi.data._text_folder import folder_files, read_text_folder
from nabi.errors import TableWarning

__all__ = ["source_lines"]


def _warn(what: str) -> None:
    warnings.warn(what, TableWarning, stacklevel=5)


def source_lines(path: Path, encoding: str = "utf-8", tell: Callable[[str], None] = _warn) -> Iterator[str]:
    """Return the lines of a text, each with a newline at its end, whatever lines end with in the file.

    Args:
        path: of a file, also compressed; of a folder or a `.zip` file with several texts, which come one
            after the other in the order of their paths; "-" for standard input.
        encoding: of the files.
        tell: is told what is left out of a folder; a `TableWarning` by default.

    Raises:
        MissingFileError, FileFormatError, ArgumentError: as `TextFile` and `read_text_folder`.
    """
    if folder_files(path) is not None:
        found = read_text_folder(path, encoding=encoding)
        for one in found.skipped:
            tell(f"{path}: {one}")
        # The first line of a text does not go on with the last of the one before.
        return (f"{line}\n" for text in found.texts if text for line in text.removesuffix("\n").split("\n"))
    if path == STANDARD_INPUT:
        file = TextFile(kept_input(), encoding, CALLED)
    else:
        check_file(path)
        file = TextFile(path, encoding)
    return file.lines(newline=None)  # type: ignore[arg-type]

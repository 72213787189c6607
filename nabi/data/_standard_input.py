"""Standard input as a file that can be read more than once."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize

from nabi.errors import ArgumentError

__all__ = ["CALLED", "STANDARD_INPUT", "kept_input"]

STANDARD_INPUT = Path("-")
"""What stands for standard input where a file is expected."""
CALLED = Path("standard input")
"""What messages call it."""

_kept: "WeakKeyDictionary[Any, Path]" = WeakKeyDictionary()


def kept_input() -> Path:
    """Return a temporary file with all that comes from standard input, which is read at the first call.

    The file goes with the stream.

    Raises:
        ArgumentError: where there is none, or it is a terminal, at which nobody types a table.
    """
    stream = sys.stdin
    if stream is None or stream.closed:
        raise ArgumentError("path: expected a table from standard input, which is closed")
    if stream not in _kept:
        if stream.isatty():
            raise ArgumentError("path: expected a table on standard input, got a terminal")
        with tempfile.NamedTemporaryFile(prefix="nabi-", delete=False) as file:
            binary = getattr(stream, "buffer", None)
            if binary is None:  # a stream that a program put in its place
                file.write(stream.read().encode())
            else:
                shutil.copyfileobj(binary, file)
        _kept[stream] = Path(file.name)
        finalize(stream, Path(file.name).unlink, missing_ok=True)
    return _kept[stream]

"""What a model file holds, before anyone knows its format: all of its bytes, and JSON of plain values."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from nabi.errors import FileFormatError, MissingFileError

__all__ = ["file_content", "plain_json"]

# Readers recurse into JSON; no real model is nested this deep.
_DEEPEST = 100
# Opening a pipe without a writer would block; the file type is checked before reading.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def file_content(place: Path) -> bytes:
    """Return all bytes of a model file, read at once, so that later changes to the file do not matter.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it cannot be read, or is a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(place, _FLAGS)
    except (FileNotFoundError, NotADirectoryError, ValueError) as problem:  # a name with \0 in it
        raise MissingFileError(f"path: there is no model file {place}") from problem
    except OSError as problem:
        raise FileFormatError(f"path: {place} cannot be opened ({problem.strerror})") from problem
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise FileFormatError(f"path: expected a model file, got the folder {place}")
        if not stat.S_ISREG(found.st_mode):
            raise FileFormatError(f"path: expected a model file, got the pipe or device {place}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            # Not to the end: another process may still be appending to the file.
            return file.read(found.st_size)
    except OSError as problem:
        raise FileFormatError(f"path: {place} cannot be read ({problem.strerror})") from problem
    finally:
        os.close(descriptor)


def plain_json(text: str | bytes) -> Any:
    """Return the value of a JSON text that readers can work with.

    Raises:
        ValueError: for anything else: no JSON, a name twice, huge numbers, deep nesting, lone surrogates.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except RecursionError as problem:
        raise ValueError("it is nested too deep") from problem
    _check_plain(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate name")
    return found


def _check_plain(value: Any) -> None:
    """Reject valid JSON that cannot be used: huge numbers, deep nesting, lone surrogates.

    Raises:
        ValueError: for such a value.
    """
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += one
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                if not one.isascii():
                    one.encode()
            elif isinstance(one, int) and not -(2**63) <= one < 2**64:
                raise ValueError("a number has more than 64 bits")
        level = below
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEEPEST} deep")

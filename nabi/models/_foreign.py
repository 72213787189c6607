"""Files of other programs, and who reads and writes them.

The room that knows other formats stands above this one and makes models, so it is not imported here: its
functions are looked up by name when a file asks for them, as the names of lazy packages are. What a file is
follows from its first bytes, whatever its name ends in; what it becomes follows from its name.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from nabi import _checks

__all__ = ["Format", "reader_of", "writer_for"]

# The first member of an archive has its name after 30 bytes.
_LONGEST_BEGINNING = 43


class Format(NamedTuple):
    """The functions for one kind of file, each by module and name."""

    read: str
    read_weights: str
    write: str
    write_weights: str

    def function(self, which: str) -> Callable[..., Any]:
        """Return the function `read`, `read_weights`, `write` or `write_weights`."""
        module, _, name = getattr(self, which).rpartition(".")
        return getattr(import_module(module), name)  # type: ignore[no-any-return]


_KERAS = Format(
    "nabi.interchange.read_keras",
    "nabi.interchange.read_keras_weights",
    "nabi.interchange.write_keras",
    "nabi.interchange.write_keras_weights",
)
_ENDINGS = {".keras": _KERAS, ".h5": _KERAS, ".hdf5": _KERAS}
# The first bytes of HDF5 files, and of zip archives, which are files of many programs: Keras writes the
# member `metadata.json` first.
_BEGINNINGS = {(b"\x89HDF\r\n\x1a\n", b""): _KERAS, (b"PK\x03\x04", b"metadata.json"): _KERAS}


def reader_of(path: str | os.PathLike[str]) -> Format | None:
    """Return the format of a file that another program wrote; None for nabi's own, and without a file."""
    place = _checks.path("path", path)
    try:
        if not place.is_file():
            return None
        with place.open("rb") as file:
            beginning = file.read(_LONGEST_BEGINNING)
    except (OSError, ValueError):
        return None  # whoever reads the file says why that fails
    for (start, member), found in _BEGINNINGS.items():
        if beginning.startswith(start) and (not member or beginning[30:] == member):
            return found
    if beginning[8:9] == b"{":  # the length of a JSON object and the object: a safetensors file, as nabi's
        return None
    return _ENDINGS.get(_ending(place))


def writer_for(path: str | os.PathLike[str]) -> Format | None:
    """Return the format that the end of a name asks for; None for nabi's own."""
    return _ENDINGS.get(_ending(_checks.path("path", path)))


def _ending(place: Path) -> str:
    return place.suffix.lower()

"""Files of other programs that models load, save and export, and who reads and writes them.

The room that knows other formats stands above this one and makes models, so it is not imported here: its
functions are looked up by name when a file asks for them, as the names of lazy packages are. What a file is
follows from its first bytes, whatever its name ends in; what it becomes follows from its name.

This is the part that models need. All formats, also of weights alone, are in `nabi/interchange/_formats.py`.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from nabi import _checks
from nabi.errors import ArgumentError, unknown_name

__all__ = ["Format", "exporter_of", "reader_of", "writer_for"]

# Where most of these functions are.
_DOOR = "nabi.interchange"
# The first member of an archive has its name after 30 bytes.
_LONGEST_BEGINNING = 43


class Format(NamedTuple):
    """The functions for one kind of file, by their names in `door`; empty where there is none."""

    endings: tuple[str, ...]
    read: str = ""
    read_weights: str = ""
    write: str = ""
    write_weights: str = ""
    export: str = ""
    keeps_training: bool = False
    door: str = _DOOR

    def function(self, which: str) -> Callable[..., Any]:
        """Return the function `read`, `read_weights`, `write`, `write_weights` or `export`.

        Raises:
            ArgumentError: if files of this kind hold no weights alone.
        """
        name = getattr(self, which)
        if not name:
            raise ArgumentError(
                f"path: expected a file of weights, got one ending in {self.endings[0]}, which holds a model"
            )
        found: Callable[..., Any] = getattr(import_module(self.door), name)
        return found


_KERAS = Format(
    (".keras", ".h5", ".hdf5"),
    "read_keras",
    "read_keras_weights",
    "write_keras",
    "write_keras_weights",
    keeps_training=True,
)
_ONNX = Format((".onnx",), read="read_onnx", write="write_onnx", export="write_onnx")
# What keeps a model, as nabi's own file does.
_KEPT = {ending: one for one in (_KERAS, _ONNX) for ending in one.endings}
# What other programs run, by the name that `export` takes.
_EXPORTED = {
    "onnx": _ONNX,
    "c": Format((), export="write_c", door="nabi.shipping"),
    "object": Format((), export="write_object", door="nabi.shipping"),
    "wasm": Format((), export="write_web_assembly", door="nabi.shipping"),
    "web": Format((), export="write_web", door="nabi.shipping"),
}
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
    return _KEPT.get(_ending(place))


def writer_for(path: str | os.PathLike[str]) -> Format | None:
    """Return the format that the end of a name asks for; None for nabi's own."""
    return _KEPT.get(_ending(_checks.path("path", path)))


def exporter_of(path: str | os.PathLike[str], format: str | None = None) -> Callable[..., None]:
    """Return the function that writes a model for other programs, in a format or in that of the ending.

    Raises:
        ArgumentError: if neither says a format that nabi writes.

    >>> exporter_of("model.onnx").__name__
    'write_onnx'
    """
    if format is not None and format not in _EXPORTED:
        raise unknown_name("format", format, _EXPORTED)
    by_ending = {ending: one for one in _EXPORTED.values() for ending in one.endings}
    found = by_ending.get(_ending(Path(path))) if format is None else _EXPORTED[format]
    if found is None:
        raise ArgumentError(
            f"path: expected a file name ending in {', '.join(by_ending)}, got {os.fspath(path)!r}"
        )
    return found.function("export")


def _ending(place: Path) -> str:
    return place.suffix.lower()

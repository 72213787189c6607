"""Which function writes a model in another program's format, by the suffix of the file.

The formats stand above the models that offer them (`Model.export`), so they are looked up when they are asked
for.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from nabi.errors import ArgumentError, unknown_name

__all__ = ["FORMATS", "exporter_of"]

FORMATS = {"onnx": ("nabi.interchange", "write_onnx", ".onnx")}
"""For each format the module and the function that write it, and the suffix of its files."""


def exporter_of(path: str | os.PathLike[str], format: str | None = None) -> Callable[..., None]:
    """Return the function that writes a model to a path, in a format or in that of the path's suffix.

    Raises:
        ArgumentError: if neither says a format that nabi writes.

    >>> exporter_of("model.onnx").__name__
    'write_onnx'
    """
    if format is None:
        suffix = Path(path).suffix.lower()
        named = [name for name, (_, _, own) in FORMATS.items() if own == suffix]
        if not named:
            known = ", ".join(own for _, _, own in FORMATS.values())
            raise ArgumentError(f"path: expected a file name ending in {known}, got {os.fspath(path)!r}")
        format = named[0]
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    module, name, _ = FORMATS[format]
    found: Callable[..., None] = getattr(import_module(module), name)
    return found

"""The model file: named tensors and a JSON header in one safetensors file.

The safetensors container holds the tensors; its metadata has one entry, `nabi`, with the header as JSON text.
Nothing in it is ever executed. The header always has `format` ("nabi"), `layout` (a whole number, increased
when an old reader would misread the file) and `kind` (of the contents); the rest depends on the kind.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as from_bytes, save as to_bytes
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files._atomic import write_atomically

__all__ = ["LAYOUT", "ModelFile", "read_model_file", "write_model_file"]

LAYOUT = 1
_FORMAT = "nabi"
# Readers recurse into the header; no real model is nested this deep.
_DEEPEST = 100
_LONGEST_KIND = 60
# Opening a pipe without a writer would block; the file type is checked before reading.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file: its header and its tensors by name."""

    path: Path
    kind: str
    header: dict[str, Any]
    tensors: dict[str, Tensor]


def write_model_file(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write tensors and a JSON header into one file, atomically.

    Args:
        path: of the file.
        kind: of the contents, such as "model" or "weights".
        header: any JSON data.
        tensors: tensors by name, on any device.

    Raises:
        OutputError: if the file cannot be written.
        ArgumentError: if the header has text that UTF-8 cannot encode (lone surrogates).
    """
    # A single entry: safetensors does not keep the order of several, and equal models must give equal files.
    text = json.dumps({"format": _FORMAT, "layout": LAYOUT, "kind": kind, **header}, ensure_ascii=False)
    # Copies: safetensors rejects tensors that share memory.
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    try:
        content = to_bytes(plain, metadata={_FORMAT: text})
    except UnicodeEncodeError as problem:
        raise ArgumentError(
            f"header: expected text that UTF-8 encodes, got {problem.object[problem.start : problem.end]!r}"
        ) from problem
    with write_atomically(path) as file:
        file.write(content)


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a file written by `write_model_file`.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged, cut short, of another program, or of a newer layout.
    """
    place = _checks.path("path", path)
    try:
        content = _content(place)
        tensors = from_bytes(content)
        header = _header(place, content)
    except (FileFormatError, MissingFileError):
        raise
    except MemoryError as problem:
        raise FileFormatError(f"path: {place} does not fit into memory") from problem
    except Exception as problem:  # the exception types depend on the version of safetensors
        raise FileFormatError(
            f"path: {place} is not a nabi model file, or it is damaged or cut short ({problem})"
        ) from problem
    return ModelFile(place, header["kind"], header, tensors)


def _content(place: Path) -> bytes:
    """Return all bytes of a file, read at once, so that later changes to the file do not matter."""
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


def _header(place: Path, content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    if _FORMAT not in metadata:
        raise FileFormatError(
            f"path: {place} is a safetensors file of another program: it has no nabi header"
        )
    try:
        header = json.loads(metadata[_FORMAT], object_pairs_hook=_once)
        _check_plain(header)
    except (ValueError, RecursionError) as problem:
        raise FileFormatError(f"path: {place} is damaged: its header is not JSON ({problem})") from problem
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise FileFormatError(f"path: {place} is damaged: its nabi header does not name the format")
    layout = header.get("layout")
    if not isinstance(layout, int) or isinstance(layout, bool) or layout < 1:
        raise FileFormatError(
            f"path: {place} is damaged: its layout version is {repr(layout)[:_LONGEST_KIND]}"
        )
    if layout > LAYOUT:
        raise FileFormatError(
            f"path: {place}: expected layout version {LAYOUT} or lower, got {layout}; "
            "it was written by a newer nabi"
        )
    if not isinstance(header.get("kind"), str) or len(header["kind"]) > _LONGEST_KIND:
        raise FileFormatError(f"path: {place} is damaged: its header does not say what it holds")
    return header


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

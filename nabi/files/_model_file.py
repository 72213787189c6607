"""The model file: named tensors and a JSON header in one safetensors file.

The safetensors container holds the tensors; its metadata has one entry, `nabi`, with the header as JSON text.
Nothing in it is ever executed. The header always has `format` ("nabi"), `layout` (a whole number, increased
when an old reader would misread the file) and `kind` (of the contents); the rest depends on the kind.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as from_bytes, save as to_bytes
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files._atomic import write_atomically
from nabi.files._content import file_content, plain_json

__all__ = ["LAYOUT", "ModelFile", "read_model_file", "write_model_file"]

LAYOUT = 1
_FORMAT = "nabi"
_LONGEST_KIND = 60


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
        content = file_content(place)
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


def _header(place: Path, content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    if _FORMAT not in metadata:
        raise FileFormatError(
            f"path: {place} is a safetensors file of another program: it has no nabi header"
        )
    try:
        header = plain_json(metadata[_FORMAT])
    except ValueError as problem:
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

"""The model file: named tensors and a JSON header in one safetensors file.

The safetensors container holds the tensors; its metadata has one entry, `nabi`, with the header as JSON text.
Nothing in it is ever executed. The header always has `format` ("nabi"), `layout` (a whole number, raised when
an old reader would misread the file) and `kind` (what the file holds); the rest belongs to who writes it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from nabi import _checks
from nabi.errors import FileFormatError, MissingFileError
from nabi.interchange._atomic import write_atomically

__all__ = ["LAYOUT", "ModelFile", "read_model_file", "write_model_file"]

LAYOUT = 1
_FORMAT = "nabi"


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds: its header and its tensors by name."""

    path: Path
    kind: str
    header: dict[str, Any]
    tensors: dict[str, Tensor]


def write_model_file(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write tensors and a JSON header into one file, atomically.

    Args:
        path: where to.
        kind: what the file holds, "model" or "weights" for instance.
        header: anything that JSON can hold.
        tensors: tensors by name, on any device; written as they are, contiguous.

    Raises:
        OutputError: if the file cannot be written.
    """
    # One entry only: safetensors does not keep the order of several, and equal models shall give equal files.
    text = json.dumps({"format": _FORMAT, "layout": LAYOUT, "kind": kind, **header}, ensure_ascii=False)
    # A copy each: safetensors refuses tensors that share memory.
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    content = to_bytes(plain, metadata={_FORMAT: text})
    with write_atomically(path) as file:
        file.write(content)


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a file that `write_model_file` wrote.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged, cut short, of another program, or of a newer layout.
    """
    place = _checks.path("path", path)
    if not place.exists():
        raise MissingFileError(f"path: there is no model file {place}")
    if place.is_dir():
        raise FileFormatError(f"path: {place} is a folder, a model file was expected")
    try:
        with safe_open(str(place), framework="pt", device="cpu") as container:
            metadata = container.metadata() or {}
            header = _header(place, metadata)
            tensors = {name: container.get_tensor(name) for name in container.keys()}  # noqa: SIM118
    except SafetensorError as problem:
        raise FileFormatError(
            f"path: {place} is not a nabi model file, or it is damaged or cut short ({problem})"
        ) from problem
    except PermissionError as problem:
        raise FileFormatError(f"path: {place} may not be read ({problem.strerror})") from problem
    except (OSError, RuntimeError, ValueError, KeyError) as problem:
        if isinstance(problem, FileFormatError):
            raise
        raise FileFormatError(f"path: {place} cannot be read as a model file ({problem})") from problem
    return ModelFile(place, header["kind"], header, tensors)


def _header(place: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if _FORMAT not in metadata:
        raise FileFormatError(
            f"path: {place} is a safetensors file of another program: it has no nabi header"
        )
    try:
        header = json.loads(metadata[_FORMAT])
    except (ValueError, RecursionError) as problem:
        raise FileFormatError(f"path: {place} is damaged: its header is not JSON ({problem})") from problem
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise FileFormatError(f"path: {place} is damaged: its nabi header does not name the format")
    layout = header.get("layout")
    if not isinstance(layout, int) or isinstance(layout, bool) or layout < 1:
        raise FileFormatError(f"path: {place} is damaged: its layout version is {layout!r}")
    if layout > LAYOUT:
        raise FileFormatError(
            f"path: {place} has layout version {layout}, this nabi reads versions up to {LAYOUT}: "
            "it was written by a newer nabi"
        )
    if not isinstance(header.get("kind"), str):
        raise FileFormatError(f"path: {place} is damaged: its header does not say what it holds")
    return header

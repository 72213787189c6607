"""Weights in files of PyTorch and of safetensors, read without running anything that a file says.

A `.pt` or `.pth` file is a zip archive with a pickle, which torch's restricted reader (`weights_only=True`)
reads: it knows tensors and containers, and nothing else. Before that, the archive's own table is checked, so
that no member unpacks to more than the file has. Whole modules, TorchScript and tar archives from PyTorch's
first year are refused. Which kind a file is, its first bytes say, whatever it is called.

Formats: https://docs.pytorch.org/docs/stable/notes/serialization.html and
https://huggingface.co/docs/safetensors (read 2026-11).
"""

import os
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import FileFormatError, MissingFileError
from nabi.files import begins_as_safetensors, reading
from nabi.interchange._safetensors import read_safetensors

__all__ = ["WeightsFile", "check_archive", "check_place", "read_weights_file"]

_RESULT = "its weights cannot be read"
_SAVE = "write the weights there with torch.save(model.state_dict(), path)"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Around the weights of a checkpoint there is seldom more than an epoch and an optimizer.
_DEEPEST = 3
_USUAL = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights")
# The restricted reader is slow Python; the table of a model of ten thousand tensors has 2 MB.
_LONGEST_TABLE = 100 * 2**20


@dataclass(frozen=True)
class WeightsFile:
    """The tensors of a file by name.

    Attributes:
        path: of the file.
        inside: where in a checkpoint the weights were, such as `state_dict`; empty if they are all it holds.
        tensors: on the CPU.
    """

    path: Path
    inside: str
    tensors: dict[str, Tensor]


def read_weights_file(path: str | os.PathLike[str]) -> WeightsFile:
    """Read the weights of a `.pt`, `.pth` or `.safetensors` file.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: it is damaged, or of a kind that is not read; the message says what to do then.
    """
    place = check_place(path)
    with reading(place, _RESULT):
        with open(place, "rb") as file:
            first = file.read(512)
        if first.startswith(_ZIP):
            _check_kind_of_archive(place)
            check_archive(place)
        elif not first.startswith(_PICKLE):
            if begins_as_safetensors(first, place.stat().st_size):
                return WeightsFile(place, "", _checked(read_safetensors(place), place))
            raise FileFormatError(_why_neither(first, place))
        inside, tensors = _find_weights(_load(place), place)
        return WeightsFile(place, inside, _checked(tensors, place))


def check_place(path: str | os.PathLike[str]) -> Path:
    """Return the path of an ordinary file.

    Raises:
        MissingFileError: there is none.
        FileFormatError: it is a folder, a pipe or a device.
    """
    place = _checks.path("path", path)
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError) as problem:
        raise MissingFileError(f"path: there is no file {place}") from problem
    if not stat.S_ISREG(mode):
        raise FileFormatError(f"path: expected a file, got the folder, pipe or device {place}")
    return place


def check_archive(place: Path) -> dict[str, int]:
    """Return the members of a zip archive with their sizes, by names without the folder that all are in.

    Raises:
        FileFormatError: members are compressed, encrypted, larger than the file, or there twice.
    """
    size = place.stat().st_size
    found: dict[str, int] = {}
    with zipfile.ZipFile(place) as archive:
        members = archive.infolist()
    for member in members:
        name = member.filename.partition("/")[2]
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 or name in found:
            raise FileFormatError(
                f"{_short(member.filename)}: expected members that are stored as they are, once"
            )
        if member.file_size != member.compress_size or member.file_size > size:
            raise FileFormatError(f"{_short(member.filename)}: it says that it is larger than the file")
        found[name] = member.file_size
    if sum(found.values()) > size:
        raise FileFormatError("members say that they are larger than the file")
    return found


def _check_kind_of_archive(place: Path) -> None:
    with zipfile.ZipFile(place) as archive:
        members = {one.filename.partition("/")[2]: one.file_size for one in archive.infolist()}
    if "constants.pkl" in members:
        raise FileFormatError(
            f"path: {place} is a TorchScript program and not weights; load it with torch.jit.load where it "
            f"is trusted, and {_SAVE}"
        )
    if any(name.startswith("models/") for name in members):
        raise FileFormatError(f"path: {place} is a program of torch.export; give it to read_torch_export")
    if "data.pkl" not in members:
        raise FileFormatError(f"path: {place} is a zip archive, but has no data.pkl as PyTorch writes it")
    if members["data.pkl"] > _LONGEST_TABLE:
        raise FileFormatError(f"data.pkl has {members['data.pkl']:,} bytes, more than any table of weights")


def _load(place: Path) -> Any:
    try:
        return torch.load(place, map_location="cpu", weights_only=True)
    except Exception as problem:
        text = str(problem)
        if "Unsupported global" in text or "Unsupported class" in text or "Weights only load failed" in text:
            raise FileFormatError(
                f"path: {place} holds more than weights, or it is damaged ({_reason(text)}); if it is a "
                f"whole model, load it with torch.load(path, weights_only=False) where it is trusted, "
                f"and {_SAVE}"
            ) from problem
        raise


def _reason(text: str) -> str:
    """Return the part of torch's message that says what was found."""
    for mark in ("WeightsUnpickler error: ", "Unsupported "):
        place = text.find(mark)
        if place >= 0:
            return _short(text[place:].removeprefix("WeightsUnpickler error: ").partition("\n")[0], 160)
    return _short(text.partition("\n")[0], 160)


def _why_neither(first: bytes, place: Path) -> str:
    if first[257:262] == b"ustar":
        return (
            f"path: {place} is a tar archive, as the first versions of PyTorch wrote it; load it with "
            f"torch.load(path, weights_only=False) where it is trusted, and {_SAVE}"
        )
    if first.startswith(b"\x89HDF"):
        return f"path: {place} is an HDF5 file, as Keras writes it, and not one of PyTorch or safetensors"
    if first.startswith(b"\x80"):
        return (
            f"path: {place} is a pickle, which can run anything when it is loaded; load it where it is "
            f"trusted, and {_SAVE}"
        )
    return f"path: {place} is neither a file of PyTorch (.pt, .pth) nor one of safetensors, or it is damaged"


def _find_weights(content: Any, place: Path) -> tuple[str, dict[str, Tensor]]:
    """Find the table of tensors in a checkpoint, at the usual names or where most tensors are."""
    tables: list[tuple[str, dict[str, Tensor]]] = []
    level = [("", content)]
    for _ in range(_DEEPEST):
        below = []
        for path, value in level:
            if not isinstance(value, Mapping):
                continue
            own = {
                name: one for name, one in value.items() if isinstance(one, Tensor) and isinstance(name, str)
            }
            if own:
                tables.append((path, own))
            for name, one in value.items():
                if isinstance(name, str):
                    below.append((f"{path}.{name}" if path else name, one))
        level = below
    if not tables:
        kind = "a tensor alone" if isinstance(content, Tensor) else f"a {type(content).__name__} without any"
        raise FileFormatError(f"path: {place}: expected tensors by name, got {kind}; {_SAVE}")
    return max(
        tables, key=lambda table: (table[0].rpartition(".")[2] in _USUAL, len(table[1]), -len(table[0]))
    )


def _checked(tensors: Mapping[str, Tensor], place: Path) -> dict[str, Tensor]:
    """Check that every tensor has the memory that its shape asks for: views may be larger than any memory."""
    for name, tensor in tensors.items():
        plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not plain or tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            raise FileFormatError(
                f"path: {place}: {_short(name)}: expected a plain tensor with memory of its own, got shape "
                f"{tuple(tensor.shape)}, {tensor.layout}, on {tensor.device}"
            )
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _short(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
